// What store.h promises of snapshots and bodies, for every engine.
#include <algorithm>
#include <map>
#include <set>

#include <unistd.h>

#include "store/store_under_test.h"

namespace pier::test {
namespace {

using namespace store;

using ReadConformance = ConformanceTest;
INSTANTIATE_TEST_SUITE_P(Engines, ReadConformance, ::testing::ValuesIn(engines()), engine_name);

using Texts = std::vector<std::string>;

TEST_P(ReadConformance, AnEmptyMailboxHasAnEmptySnapshot) {
    const auto snapshot = snapshot_of(inbox);
    EXPECT_TRUE(snapshot->entries().empty());
    EXPECT_EQ(snapshot->octets(), 0u);
    EXPECT_EQ(snapshot->mailbox(), inbox);
}

// Attack 13: two sessions on one maildrop, one removes.
TEST_P(ReadConformance, ASnapshotDoesNotChange) {
    for (const char* body : {"one", "two", "three"})
        add(inbox, body + std::string(30'000, '.'));
    const auto before = snapshot_of(inbox);
    const Texts texts = bodies(*before);
    const std::vector<Entry> entries(before->entries().begin(), before->entries().end());
    const std::vector<std::string> uidls{before->uidl(0), before->uidl(1), before->uidl(2)};
    const std::uint64_t octets = before->octets(), modseq = before->modseq();
    const auto unchanged = [&](const char* after) {
        SCOPED_TRACE(after);
        ASSERT_EQ(before->entries().size(), entries.size());
        for (std::size_t i = 0; i < entries.size(); ++i) {
            EXPECT_EQ(before->entries()[i].uid, entries[i].uid);
            EXPECT_EQ(before->entries()[i].octets, entries[i].octets);
            EXPECT_EQ(before->uidl(i), uidls[i]);
        }
        EXPECT_EQ(before->octets(), octets);
        EXPECT_EQ(before->modseq(), modseq);
        EXPECT_TRUE(bodies(*before) == texts);
    };
    const auto half_read = before->body(2);
    std::string first(10, '?');
    ASSERT_EQ(*(*half_read)->read(0, first, Wait::may_block), 10u);
    add(inbox, "four");
    unchanged("append");
    ASSERT_TRUE(set_flags(store(), inbox, {{1, flag::seen}}));
    unchanged("set_flags");
    ASSERT_EQ(*expunge(store(), inbox, {1, 3}), 2u);
    unchanged("expunge");
    under_test->collect_garbage();
    unchanged("collecting the garbage");
    ASSERT_TRUE(remove_mailbox(store(), inbox));
    under_test->collect_garbage();
    under_test->collect_garbage();
    unchanged("removing the mailbox");
    std::string rest(texts[2].size() - 10, '?');
    ASSERT_EQ(*(*half_read)->read(10, rest, Wait::may_block), rest.size());
    EXPECT_TRUE(first + rest == texts[2]) << "a message half sent is sent to its end";
}

TEST_P(ReadConformance, ANewSnapshotShowsEveryChangeAtOnce) {
    // Also when the engine keeps earlier snapshots: each of these must be seen by the very next open().
    Texts expected;
    Uid next = 1;
    for (int i = 0; i < 12; ++i) {
        const std::string body = "message " + std::to_string(i);
        EXPECT_EQ(add(inbox, body).uid, next++);
        expected.push_back(body);
        EXPECT_EQ(bodies(store(), inbox), expected);
        if (i % 3 == 2) {
            const Uid first = snapshot_of(inbox)->entries()[0].uid;
            ASSERT_EQ(*expunge(store(), inbox, {first}), 1u);
            expected.erase(expected.begin());
            EXPECT_EQ(bodies(store(), inbox), expected);
        }
        if (i % 4 == 3) {
            const Uid last = snapshot_of(inbox)->entries().back().uid;
            ASSERT_TRUE(set_flags(store(), inbox, {{last, flag::seen}}));
            const auto snapshot = snapshot_of(inbox);
            EXPECT_EQ(snapshot->details(snapshot->entries().size() - 1)->flags, flag::seen);
            EXPECT_EQ(*copy(store(), inbox, {last}, inbox, Store::Source::remove), std::vector<Uid>{next++});
            EXPECT_EQ(bodies(store(), inbox), expected);
        }
    }
}

TEST_P(ReadConformance, AnOldSnapshotTellsThePresentFlags) {
    add(inbox, "one");
    const auto before = snapshot_of(inbox);
    ASSERT_TRUE(set_flags(store(), inbox, {{1, flag::seen}}));
    EXPECT_EQ(before->details(0)->flags, flag::seen);
    EXPECT_GT(before->details(0)->modseq, before->modseq());
}

TEST_P(ReadConformance, UidlsNeverChange) {
    for (int i = 0; i < 10; ++i) {
        Target target = to(inbox);
        if (i % 2 == 0) target.uidl = "old-" + std::to_string(i);
        ASSERT_TRUE(append(store(), {std::to_string(i) + std::string(20'000, 'x')}, target));
    }
    std::map<Uid, std::string> uidls;
    std::set<std::string> different;
    const auto first = snapshot_of(inbox);
    for (std::size_t i = 0; i < first->entries().size(); ++i) {
        uidls[first->entries()[i].uid] = first->uidl(i);
        different.insert(first->uidl(i));
        EXPECT_LE(first->uidl(i).size(), 70u);
    }
    EXPECT_EQ(different.size(), 10u);
    EXPECT_EQ(uidls[1], "old-0");
    for (const Uid uid : {2u, 5u}) {
        ASSERT_EQ(*expunge(store(), inbox, {uid}), 1u);
        ASSERT_TRUE(set_flags(store(), inbox, {{uid + 1, flag::seen}}));
        under_test->collect_garbage();
        reopen();
        const auto snapshot = snapshot_of(inbox);
        for (std::size_t i = 0; i < snapshot->entries().size(); ++i)
            EXPECT_EQ(snapshot->uidl(i), uidls[snapshot->entries()[i].uid]);
    }
}

TEST_P(ReadConformance, AnyPartOfABodyCanBeRead) {
    std::string text;
    for (int i = 0; i < 3'000; ++i)
        text += std::to_string(i) + "\r\n";
    ASSERT_TRUE(append(store(), {text, "P\r\n"}, to(inbox)));
    text = "P\r\n" + text;
    add(inbox, "a neighbour whose octets must never be seen");
    const auto snapshot = snapshot_of(inbox);
    const auto opened = snapshot->body(0);
    ASSERT_TRUE(opened);
    Body& body = **opened;
    ASSERT_EQ(body.octets(), text.size());
    for (const std::size_t offset :
         {std::size_t{0}, std::size_t{1}, std::size_t{4'000}, text.size() - 1, text.size()}) {
        for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{777}, text.size() + 10}) {
            std::string out(count, '?');
            const auto got = body.read(offset, out, Wait::may_block);
            ASSERT_TRUE(got);
            const std::string expected = text.substr(offset, count);
            EXPECT_EQ(*got, expected.size());
            EXPECT_TRUE(out.substr(0, *got) == expected) << offset << " " << count;
        }
    }
    EXPECT_TRUE(body.verify(Wait::may_block));
}

TEST_P(ReadConformance, AMessageIsLoadedIntoABufferThatHasTheRoom) {
    // The first and the last of the file, one whose UIDL and import key stand before its octets, an empty
    // one.
    Target imported = to(inbox);
    imported.uidl = std::string(70, 'u');
    imported.import_key = ImportKey{1, 2, 3};
    const std::vector<std::pair<std::string, Target>> messages = {{"one\r\n", to(inbox)},
                                                                  {std::string(9'000, 'x'), imported},
                                                                  {"", to(inbox)},
                                                                  {std::string(200'000, 'y'), to(inbox)},
                                                                  {"five\r\n", to(inbox)}};
    for (const auto& [text, target] : messages)
        ASSERT_TRUE(append(store(), {text}, target));
    const auto snapshot = snapshot_of(inbox);
    for (std::size_t i = 0; i < messages.size(); ++i) {
        SCOPED_TRACE(i);
        const std::string& text = messages[i].first;
        const auto body = snapshot->body(i);
        ASSERT_TRUE(body);
        const std::size_t room = text.size() + Body::load_room_octets;
        std::string buffer(room + 100, '?');
        EXPECT_EQ((*body)->load({buffer.data(), room - 1}, Wait::may_block).error().kind, ErrorKind::invalid);
        EXPECT_EQ((*body)->load({}, Wait::may_block).error().kind, ErrorKind::invalid);
        for (const std::size_t size : {room, room + 100}) {
            const auto octets = (*body)->load({buffer.data(), size}, Wait::may_block);
            ASSERT_TRUE(octets) << octets.error().text;
            EXPECT_TRUE(*octets == text);
            EXPECT_TRUE(octets->data() >= buffer.data() &&
                        octets->data() + octets->size() <= buffer.data() + size);
        }
        EXPECT_EQ(buffer.substr(room), std::string(100, '?')) << "nothing is written behind the room";
        EXPECT_TRUE((*body)->verify(Wait::may_block));
        const auto fresh = snapshot->body(i);
        ASSERT_TRUE((*fresh)->verify(Wait::may_block));
        const auto octets = (*fresh)->load({buffer.data(), room}, Wait::no_wait);
        EXPECT_TRUE(octets ? *octets == text : octets.error().kind == ErrorKind::busy);
    }
}

TEST_P(ReadConformance, WhoDoesNotWaitGetsTheSameOctetsOrBusy) {
    const std::string text(50'000, 'x');
    add(inbox, text);
    const auto snapshot = snapshot_of(inbox);
    const auto body = snapshot->body(0);
    const auto verified = (*body)->verify(Wait::no_wait);
    if (!verified) {
        EXPECT_EQ(verified.error().kind, ErrorKind::busy);
        EXPECT_TRUE((*body)->verify(Wait::may_block));
    }
    std::string out(text.size(), '?');
    const auto got = (*body)->read(0, out, Wait::no_wait);
    if (got) {
        EXPECT_TRUE(*got == text.size() && out == text);
    } else {
        EXPECT_EQ(got.error().kind, ErrorKind::busy);
    }
}

// Who does not wait is told of every change all the same, or to come back.
TEST_P(ReadConformance, OpeningWithoutWaitingGivesThePresentMailboxOrBusy) {
    int busy = 0;
    const auto compare = [&] {
        const auto at_once = store().open(inbox, Wait::no_wait);
        const auto present = snapshot_of(inbox);
        if (!at_once) {
            EXPECT_EQ(at_once.error().kind, ErrorKind::busy);
            ++busy;
            return;
        }
        EXPECT_TRUE(
            std::ranges::equal((*at_once)->entries(), present->entries(), {}, &Entry::guid, &Entry::guid));
        EXPECT_EQ((*at_once)->modseq(), present->modseq());
    };
    compare();
    for (int i = 0; i < 5; ++i) {
        add(inbox, "more");
        compare();
    }
    ASSERT_EQ(*expunge(store(), inbox, {2, 4}), 2u);
    compare();
    EXPECT_EQ(busy, 0) << "so little is in memory, or soon read";
    ASSERT_TRUE(remove_mailbox(store(), inbox));
    const auto gone = store().open(inbox, Wait::no_wait);
    ASSERT_FALSE(gone.has_value());
    EXPECT_EQ(gone.error().kind, ErrorKind::not_found);
}

TEST_P(ReadConformance, ABodysFileHoldsExactlyItsOctets) {
    add(inbox, "before");
    add(inbox, "the message\r\n");
    add(inbox, "behind");
    auto snapshot = snapshot_of(inbox);
    auto body = snapshot->body(1);
    ASSERT_TRUE(body);
    snapshot = nullptr;
    ASSERT_EQ(*expunge(store(), inbox, {1, 2, 3}), 3u);
    under_test->collect_garbage();
    ASSERT_TRUE((*body)->verify(Wait::may_block));  // always before its first octet is sent
    const auto range = (*body)->file();
    if (!range) GTEST_SKIP() << "this engine has no files to send from";
    std::string out((*body)->octets(), '?');
    ASSERT_EQ(::pread(range->fd, out.data(), out.size(), static_cast<off_t>(range->offset)),
              static_cast<ssize_t>(out.size()));
    EXPECT_EQ(out, "the message\r\n");
}

}  // namespace
}  // namespace pier::test
