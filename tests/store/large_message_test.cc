// Sizes beyond 32 bits. The test's disk stores zeros for nothing, so that a message of more than 4 GiB needs
// no disk.
#include <gtest/gtest.h>

#include "store/log_bench.h"
#include "store/store_calls.h"

namespace pier::test {
namespace {

using namespace store;

constexpr std::uint64_t four_gib = std::uint64_t{1} << 32;

TEST(LargeMessageTest, AMessageOfMoreThanFourGibibytes) {
    LogBench bench;
    auto store = *bench.open();
    const AccountId account{1};
    const auto box = create_mailbox(*store, account, "INBOX");
    ASSERT_TRUE(append(*store, {"before"}, to(*box)));
    const std::string zeros(16 << 20, '\0');
    const std::string end = "\r\n.the end\r\n";
    NewMessage message;
    message.spool = store->new_spool();
    for (std::uint64_t octets = 0; octets < four_gib; octets += zeros.size())
        ASSERT_TRUE(message.spool->write(zeros));
    ASSERT_TRUE(message.spool->write(end));
    ASSERT_EQ(message.spool->octets(), four_gib + end.size());
    message.targets = {to(*box)};
    const auto results = wait<std::vector<Result<Appended>>>(
        [&](auto done) { store->append(std::move(message), std::move(done)); });
    ASSERT_TRUE(results) << results.error().text;
    ASSERT_TRUE(results->at(0)) << results->at(0).error().text;
    ASSERT_TRUE(append(*store, {"behind"}, to(*box)));
    for (int round = 0; round < 2; ++round) {
        const auto snapshot = *store->open(*box);
        ASSERT_EQ(snapshot->entries().size(), 3u);
        EXPECT_EQ(snapshot->entries()[1].octets, four_gib + end.size());
        EXPECT_EQ(snapshot->octets(), four_gib + end.size() + 12);
        EXPECT_EQ(store->usage(account)->octets, four_gib + end.size() + 12);
        EXPECT_EQ(info_of(*store, account, *box).octets, four_gib + end.size() + 12);
        EXPECT_EQ(*read_body(*snapshot, 2), "behind");
        const auto body = *snapshot->body(1);
        EXPECT_EQ(body->octets(), four_gib + end.size());
        EXPECT_TRUE(body->has_dot_lines());
        std::string tail(end.size() + 5, '?');
        ASSERT_EQ(*body->read(four_gib - 5, tail, Wait::may_block), tail.size());
        EXPECT_EQ(tail, std::string(5, '\0') + end);
        EXPECT_EQ(*body->read(four_gib + end.size(), tail, Wait::may_block), 0u);
        if (round == 1) break;
        // An account that is over 4 GiB is over a quota below it.
        Target target = to(*box);
        target.quota_octets = four_gib + end.size() + 12;
        EXPECT_EQ(append(*store, {"x"}, target).error().kind, ErrorKind::over_quota);
        target.quota_octets += 1;
        EXPECT_TRUE(append(*store, {"x"}, target));
        ASSERT_TRUE(expunge(*store, *box, {4}));
        store = nullptr;
        bench.remove_index();
        store = *bench.open();
    }
    EXPECT_TRUE((*(*store->open(*box))->body(1))->verify(Wait::may_block));
}

}  // namespace
}  // namespace pier::test
