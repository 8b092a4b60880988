// Listings that are kept and grow with deliveries: always exactly what is in the index, small, and never in
// the way of the cleaner.
#include "store/log/listing.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "store/history.h"
#include "store/log/snapshot.h"
#include "store/log_bench.h"
#include "store/store_calls.h"

namespace pier::test {
namespace {

using namespace store;
using ListingTest = OneThreadTest;

std::string octets_of(std::string_view hex) {
    std::string octets;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        octets += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return octets;
}

struct Row {
    Uid uid = 0;
    Guid guid;
    std::uint64_t octets = 0;
    std::string uidl;
    bool operator==(const Row&) const = default;
};
using Rows = std::vector<Row>;

// What the index holds of each mailbox, read anew.
std::map<MailboxId, Rows> rows_in_index(const LogStore& store) {
    std::map<MailboxId, Rows> all;
    for (const std::string& line : store.dump_index()) {
        const auto space = line.find(' ');
        const std::string at = octets_of(std::string_view(line).substr(0, space));
        if (!at.starts_with(log::key::entries_all())) continue;
        const std::string value = octets_of(std::string_view(line).substr(space + 1));
        const auto entry = log::decode_listed(value);
        EXPECT_TRUE(entry) << line;
        if (!entry) continue;
        const auto [mailbox, uid] = log::key::entry_of(at);
        all[MailboxId{mailbox}].push_back(
            {uid, entry->guid, entry->octets,
             entry->uidl.empty() ? entry->guid.hex() : std::string(entry->uidl)});
    }
    return all;
}

Rows rows_of(const Snapshot& snapshot) {
    Rows rows;
    for (std::size_t i = 0; i < snapshot.entries().size(); ++i) {
        const Entry& entry = snapshot.entries()[i];
        rows.push_back({entry.uid, entry.guid, entry.octets, snapshot.uidl(i)});
    }
    return rows;
}

// Mailboxes are opened now and then, so that several changes lie between one listing of a mailbox and the
// next: deliveries, flags, removals, moves, cleaning.
TEST_F(ListingTest, AKeptListingIsTheOneReadAnew) {
    for (const std::uint64_t seed : seeds(300, 20)) {
        SCOPED_TRACE("PIER_TEST_SEED=" + std::to_string(seed));
        LogBench bench;
        History history(seed);
        history.body_octets_max = 3'000;
        std::mt19937_64 random(seed);
        const auto store = *bench.open();
        std::vector<std::pair<std::shared_ptr<const Snapshot>, Rows>> old;
        for (int i = 0; i < 400; ++i) {
            ASSERT_TRUE(history.step(*store)) << history.last_step();
            if (random() % 60 == 0) {
                ASSERT_TRUE(store->clean(random() % 2 == 0));
            }
            if (random() % 4 != 0) continue;
            auto expected = rows_in_index(*store);
            for (const auto& [id, mailbox] : history.mailboxes()) {
                if (random() % 2 == 0) continue;
                const auto snapshot = store->open(id);
                ASSERT_TRUE(snapshot) << snapshot.error().text;
                ASSERT_EQ((*snapshot)->mailbox(), id);
                const Rows rows = rows_of(**snapshot);
                ASSERT_TRUE(rows == expected[id]) << "after " << history.last_step();
                std::uint64_t octets = 0;
                for (const Row& row : rows)
                    octets += row.octets;
                EXPECT_EQ((*snapshot)->octets(), octets);
                EXPECT_EQ((*snapshot)->modseq(), info_of(*store, mailbox.account, id).modseq);
                if (random() % 8 == 0) old.emplace_back(*snapshot, rows);
            }
        }
        for (const auto& [snapshot, rows] : old) {
            EXPECT_TRUE(rows_of(*snapshot) == rows) << "a snapshot has changed";
            for (const std::string& body : bodies(*snapshot))
                EXPECT_FALSE(body.starts_with('(')) << body;
        }
        history.settle(*store);
        if (HasFailure()) return;
    }
}

// The index of a closed store, and what a listing is made from.
struct ClosedStore {
    explicit ClosedStore(LogBench& bench, MailboxId id) : mailbox(static_cast<std::uint64_t>(id)) {
        auto opened = log::Index::open(bench.index_folder(), 1 << 20);
        EXPECT_TRUE(opened);
        index = std::move(*opened);
        for (std::uint32_t number = 1; number < 100; ++number)
            segments.make(*bench.disk, number);
    }
    log::ListingPtr read(const log::ListingPtr& base = nullptr) const {
        const log::Index::Moment now(*index);
        const auto state = index->get_as<log::MailboxState>(log::key::mailbox(mailbox), &now);
        EXPECT_TRUE(state && *state);
        const auto listing =
            log::Listing::read(*index, now, segments, mailbox, **state, base, Wait::may_block);
        EXPECT_TRUE(listing) << listing.error().text;
        return listing ? *listing : nullptr;
    }

    std::uint64_t mailbox;
    std::unique_ptr<log::Index> index;
    log::Segments segments{10};
};

// Appends without waiting for each.
void add_many(Store& store, MailboxId box, int count, const std::string& uidl = {}) {
    std::vector<std::future<Result<std::vector<Result<Appended>>>>> answers;
    for (int i = 0; i < count; ++i) {
        Target target = to(box);
        if (!uidl.empty()) target.uidl = uidl + std::to_string(i);
        auto message = spooled(store, {"x\r\n"}, {target});
        ASSERT_TRUE(message);
        auto promise = std::make_shared<std::promise<Result<std::vector<Result<Appended>>>>>();
        answers.push_back(promise->get_future());
        store.append(std::move(*message), [promise](auto result) { promise->set_value(std::move(result)); });
    }
    for (auto& answer : answers)
        ASSERT_TRUE(answer.get());
}

TEST_F(ListingTest, AListingNeedsAtMostFortyOctetsAMessage) {
    LogBench bench;
    bench.segment_octets_max = 1 << 20;
    auto store = *bench.open();
    const auto box = *create_mailbox(*store, AccountId{1}, "INBOX");
    constexpr int messages = 3'000;
    add_many(*store, box, messages);
    store = nullptr;
    log::ListingPtr first;
    {
        const ClosedStore closed(bench, box);
        first = closed.read();
        ASSERT_EQ(first->entries().size(), std::size_t{messages});
        EXPECT_LE(first->memory_octets(), 40u * messages);
    }
    // Also one that has grown.
    store = *bench.open();
    add_many(*store, box, 1);
    store = nullptr;
    {
        const ClosedStore closed(bench, box);
        const auto second = closed.read(first);
        ASSERT_EQ(second->entries().size(), std::size_t{messages + 1});
        EXPECT_LE(second->memory_octets(), 40u * (messages + 1));
    }
    // UIDLs that messages brought with them need their octets, and little more.
    store = *bench.open();
    const auto imported = *create_mailbox(*store, AccountId{1}, "Imported");
    const std::string uidl = "0123456789abcdef";
    add_many(*store, imported, messages, uidl);
    store = nullptr;
    const ClosedStore closed(bench, imported);
    EXPECT_LE(closed.read()->memory_octets(), (40u + uidl.size() + 4 + 16) * messages);
}

TEST_F(ListingTest, ALongerListingIsMadeOfTheOneBefore) {
    LogBench bench;
    auto store = *bench.open();
    const auto box = *create_mailbox(*store, AccountId{1}, "INBOX");
    add_many(*store, box, 10, "own-");
    store = nullptr;
    log::ListingPtr base;
    {
        const ClosedStore closed(bench, box);
        base = closed.read();
        // Were the messages read again, this would be found out.
        std::string nonsense = "nonsense";
        log::Batch batch(*closed.index);
        for (Uid uid = 1; uid <= 10; ++uid)
            batch.put(log::key::entry(closed.mailbox, uid), nonsense);
        ASSERT_TRUE(batch.commit());
    }
    store = *bench.open();
    add_many(*store, box, 2, "new-");
    store = nullptr;
    const ClosedStore closed(bench, box);
    const auto longer = closed.read(base);
    ASSERT_TRUE(longer);
    ASSERT_EQ(longer->entries().size(), 12u);
    log::VerifiedMessages verified;
    const log::LogSnapshot snapshot(*closed.index, verified, log::ChecksumKey{}, longer, 1);
    EXPECT_EQ(snapshot.uidl(9), "own-9");
    EXPECT_EQ(snapshot.uidl(10), "new-0");
    EXPECT_EQ(snapshot.uidl(11), "new-1");
    EXPECT_EQ(longer->octets(), 36u);
}

// One removed and one delivered: the count is the same, the messages are not.
TEST_F(ListingTest, AsManyMessagesAreNotTheSameMessages) {
    LogBench bench;
    const auto store = *bench.open();
    const auto box = *create_mailbox(*store, AccountId{1}, "INBOX");
    for (const char* body : {"one", "two", "three"})
        ASSERT_TRUE(append(*store, {body}, to(box)));
    EXPECT_EQ(bodies(*store, box), (std::vector<std::string>{"one", "two", "three"}));
    ASSERT_TRUE(expunge(*store, box, {2}));
    ASSERT_TRUE(append(*store, {"four"}, to(box)));
    EXPECT_EQ(bodies(*store, box), (std::vector<std::string>{"one", "three", "four"}));
    // One that came and went while nobody looked, and one more.
    ASSERT_TRUE(append(*store, {"five"}, to(box)));
    ASSERT_TRUE(append(*store, {"six"}, to(box)));
    ASSERT_TRUE(expunge(*store, box, {5}));
    EXPECT_EQ(bodies(*store, box), (std::vector<std::string>{"one", "three", "four", "six"}));
    ASSERT_TRUE(expunge(*store, box, {6}));
    EXPECT_EQ(bodies(*store, box), (std::vector<std::string>{"one", "three", "four"}));
}

TEST(ListingCacheTest, KeepsTheLatestThatFit) {
    LogBench bench;
    bench.segment_octets_max = 1 << 20;  // one for all
    auto store = *bench.open();
    std::vector<MailboxId> boxes;
    for (int i = 0; i < 3; ++i) {
        boxes.push_back(*create_mailbox(*store, AccountId{1}, "box " + std::to_string(i)));
        add_many(*store, boxes.back(), 5);
    }
    const auto empty_box = *create_mailbox(*store, AccountId{1}, "empty");
    store = nullptr;
    std::vector<log::ListingPtr> listings;
    for (const MailboxId box : boxes)
        listings.push_back(ClosedStore(bench, box).read());
    const auto empty = ClosedStore(bench, empty_box).read();
    EXPECT_TRUE(empty->entries().empty());

    const std::uint64_t octets = listings[0]->memory_octets();
    log::ListingCache cache(octets * 2);
    for (const auto& listing : listings)
        ASSERT_EQ(listing->memory_octets(), octets);
    cache.keep(listings[0], cache.generation());
    cache.keep(listings[1], cache.generation());
    EXPECT_EQ(cache.find(listings[0]->mailbox()), listings[0]);  // used: the other one goes first
    cache.keep(listings[2], cache.generation());
    EXPECT_EQ(cache.find(listings[1]->mailbox()), nullptr);
    EXPECT_EQ(cache.find(listings[0]->mailbox()), listings[0]);
    EXPECT_EQ(cache.find(listings[2]->mailbox()), listings[2]);
    // An empty one too: what was removed needs not be walked through when mail comes.
    log::ListingCache another(octets * 2);
    another.keep(empty, another.generation());
    EXPECT_EQ(another.find(empty->mailbox()), empty);

    // What was read before a segment went may hold its file open.
    const std::uint64_t before = cache.generation();
    cache.forget(99);
    EXPECT_EQ(cache.find(listings[0]->mailbox()), listings[0]) << "it has nothing in that segment";
    cache.forget(1);
    EXPECT_EQ(cache.find(listings[0]->mailbox()), nullptr);
    EXPECT_EQ(cache.find(listings[2]->mailbox()), nullptr);
    cache.keep(listings[0], before);
    EXPECT_EQ(cache.find(listings[0]->mailbox()), nullptr);
    cache.keep(listings[0], cache.generation());
    EXPECT_EQ(cache.find(listings[0]->mailbox()), listings[0]);
    log::ListingCache none(0);
    none.keep(listings[0], none.generation());
    EXPECT_EQ(none.find(listings[0]->mailbox()), nullptr);
}

}  // namespace
}  // namespace pier::test
