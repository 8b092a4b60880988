// What store.h promises of expunge, set_flags and copy, for every engine.
#include "store/store_under_test.h"

namespace pier::test {
namespace {

using namespace store;

using ChangeConformance = ConformanceTest;
INSTANTIATE_TEST_SUITE_P(Engines, ChangeConformance, ::testing::ValuesIn(engines()), engine_name);

using Texts = std::vector<std::string>;
using Uids = std::vector<Uid>;

TEST_P(ChangeConformance, ExpungeRemovesWhatIsThereAndPassesOverTheRest) {
    for (const char* body : {"one", "two", "three", "four"})
        add(inbox, body);
    EXPECT_EQ(*expunge(store(), inbox, {}), 0u);
    EXPECT_EQ(*expunge(store(), inbox, {2, 2, 0, 99, 4}), 2u) << "twice the same counts once";
    EXPECT_EQ(*expunge(store(), inbox, {2, 4}), 0u);
    EXPECT_EQ(bodies(store(), inbox), (Texts{"one", "three"}));
    EXPECT_EQ(store().usage(account)->messages, 2u);
    EXPECT_EQ(store().usage(account)->octets, 8u);
    const MailboxInfo info = info_of(store(), account, inbox);
    EXPECT_EQ(info.messages, 2u);
    EXPECT_EQ(info.octets, 8u);
    EXPECT_EQ(info.uid_next, 5u);
    reopen();
    EXPECT_EQ(bodies(store(), inbox), (Texts{"one", "three"}));
}

TEST_P(ChangeConformance, AUidIsNeverUsedAgain) {
    Uid last = 0;
    for (int round = 0; round < 4; ++round) {
        const Uid uid = add(inbox, "x").uid;
        EXPECT_GT(uid, last);
        last = uid;
        ASSERT_EQ(*expunge(store(), inbox, {uid}), 1u);
        if (round >= 1) under_test->collect_garbage();
        if (round >= 2) reopen();
        EXPECT_EQ(info_of(store(), account, inbox).uid_next, last + 1);
    }
}

TEST_P(ChangeConformance, WhatWasRemovedNeverComesBack) {
    for (int i = 0; i < 30; ++i)
        add(inbox, std::to_string(i) + std::string(5'000, 'x'));
    Uids odd;
    for (Uid uid = 1; uid <= 30; uid += 2)
        odd.push_back(uid);
    ASSERT_EQ(*expunge(store(), inbox, odd), 15u);
    const Texts left = bodies(store(), inbox);
    ASSERT_EQ(left.size(), 15u);
    for (int round = 0; round < 3; ++round) {
        under_test->collect_garbage();
        EXPECT_EQ(bodies(store(), inbox), left);
        reopen();
        EXPECT_EQ(bodies(store(), inbox), left);
    }
    EXPECT_EQ(store().stats().messages, 15u);
}

TEST_P(ChangeConformance, RemovedMailGivesItsSpaceBack) {
    for (int i = 0; i < 40; ++i)
        add(inbox, std::string(20'000, 'x'));
    EXPECT_GE(store().stats().segment_octets, 800'000u);
    Uids all;
    for (Uid uid = 1; uid <= 40; ++uid)
        all.push_back(uid);
    ASSERT_EQ(*expunge(store(), inbox, all), 40u);
    under_test->collect_garbage();
    EXPECT_LT(store().stats().segment_octets, 100'000u);
    EXPECT_LT(store().stats().live_octets, 20'000u);
}

TEST_P(ChangeConformance, FlagsAreReplacedWhole) {
    for (const char* body : {"one", "two"})
        add(inbox, body);
    const std::uint64_t before = snapshot_of(inbox)->modseq();
    const Flags keyword = Flags{1} << 40;
    ASSERT_TRUE(set_flags(store(), inbox, {{1, flag::seen | keyword}, {77, flag::seen}, {2, flag::deleted}}));
    ASSERT_TRUE(set_flags(store(), inbox, {{2, flag::answered}}));
    for (int round = 0; round < 3; ++round) {
        const auto snapshot = snapshot_of(inbox);
        EXPECT_EQ(snapshot->details(0)->flags, flag::seen | keyword);
        EXPECT_EQ(snapshot->details(1)->flags, flag::answered);
        EXPECT_GT(snapshot->details(0)->modseq, before);
        EXPECT_GT(snapshot->details(1)->modseq, snapshot->details(0)->modseq);
        EXPECT_EQ(snapshot->modseq(), snapshot->details(1)->modseq);
        EXPECT_EQ(bodies(*snapshot), (Texts{"one", "two"}));
        if (round == 1) under_test->collect_garbage();
        reopen();
    }
    ASSERT_TRUE(set_flags(store(), inbox, {{1, 0}}));
    EXPECT_EQ(snapshot_of(inbox)->details(0)->flags, 0u);
    ASSERT_TRUE(set_flags(store(), inbox, {})) << "nothing to do is no failure";
}

TEST_P(ChangeConformance, EveryChangeRaisesTheModseq) {
    const MailboxId work = new_mailbox(account, "Work");
    std::uint64_t last = info_of(store(), account, inbox).modseq;
    const auto raised = [&] {
        const std::uint64_t before = last;
        last = info_of(store(), account, inbox).modseq;
        return last > before;
    };
    add(inbox, "one");
    EXPECT_TRUE(raised());
    ASSERT_TRUE(set_flags(store(), inbox, {{1, flag::seen}}));
    EXPECT_TRUE(raised());
    ASSERT_TRUE(copy(store(), inbox, {1}, inbox, Store::Source::keep));
    EXPECT_TRUE(raised());
    ASSERT_TRUE(copy(store(), inbox, {1}, work, Store::Source::remove));
    EXPECT_TRUE(raised()) << "a move takes away";
    ASSERT_TRUE(expunge(store(), inbox, {2}));
    EXPECT_TRUE(raised());
    under_test->collect_garbage();
    reopen();
    EXPECT_GE(info_of(store(), account, inbox).modseq, last) << "it never goes back";
}

TEST_P(ChangeConformance, ACopyIsAnEntryOfItsOwn) {
    const MailboxId work = new_mailbox(account, "Work");
    Target target = to(inbox);
    target.flags = flag::flagged;
    ASSERT_TRUE(
        append(store(), {"one\r\n.dot\r\n", "P: q\r\n", Time(std::chrono::microseconds(12'345))}, target));
    add(inbox, "two");
    const auto uids = copy(store(), inbox, {2, 99, 1}, work, Store::Source::keep);
    ASSERT_TRUE(uids);
    ASSERT_EQ(uids->size(), 3u);
    EXPECT_EQ((*uids)[1], 0u) << "it is not there";
    EXPECT_NE((*uids)[0], 0u);
    EXPECT_NE((*uids)[2], 0u);
    EXPECT_NE((*uids)[0], (*uids)[2]);
    for (int round = 0; round < 2; ++round) {
        const auto copies = snapshot_of(work);
        ASSERT_EQ(copies->entries().size(), 2u);
        const std::size_t index = copies->entries()[0].uid == (*uids)[2] ? 0 : 1;
        EXPECT_EQ(*read_body(*copies, index), "P: q\r\none\r\n.dot\r\n");
        EXPECT_TRUE((*copies->body(index))->has_dot_lines());
        EXPECT_EQ(copies->details(index)->flags, flag::flagged);
        EXPECT_EQ(copies->details(index)->internal_date.time_since_epoch().count(), 12'345);
        EXPECT_EQ(*read_body(*copies, 1 - index), "two");
        reopen();
    }
    EXPECT_EQ(bodies(store(), inbox).size(), 2u);
    EXPECT_EQ(store().usage(account)->messages, 4u);
    EXPECT_EQ(store().usage(account)->octets, 2u * (17 + 3)) << "a copy counts in full";
    ASSERT_TRUE(set_flags(store(), work, {{(*uids)[2], flag::seen}}));
    EXPECT_EQ(snapshot_of(inbox)->details(0)->flags, flag::flagged) << "flags are each entry's own";
}

TEST_P(ChangeConformance, BodiesLiveAsLongAsTheLastEntry) {
    const MailboxId work = new_mailbox(account, "Work"), trash = new_mailbox(account, "Trash");
    const std::string body = std::string(9'000, 'b');
    add(inbox, body);
    add(inbox, "filling" + std::string(70'000, 'x'));
    ASSERT_EQ(*copy(store(), inbox, {1}, work, Store::Source::keep), Uids{1});
    ASSERT_EQ(*copy(store(), work, {1}, trash, Store::Source::keep), Uids{1});
    const auto all_read = [&](std::initializer_list<MailboxId> boxes) {
        for (const MailboxId box : boxes)
            EXPECT_EQ(bodies(store(), box), Texts{body});
    };
    ASSERT_EQ(*expunge(store(), inbox, {1, 2}), 2u);
    under_test->collect_garbage();
    all_read({work, trash});
    reopen();
    all_read({work, trash});
    ASSERT_EQ(*expunge(store(), work, {1}), 1u);
    under_test->collect_garbage();
    under_test->collect_garbage();
    reopen();
    all_read({trash});
    ASSERT_EQ(*copy(store(), trash, {1}, inbox, Store::Source::remove), Uids{3});
    under_test->collect_garbage();
    all_read({inbox});
    EXPECT_TRUE(bodies(store(), trash).empty());
    ASSERT_EQ(*expunge(store(), inbox, {3}), 1u);
    under_test->collect_garbage();
    EXPECT_LT(store().stats().live_octets, 9'000u);
}

TEST_P(ChangeConformance, AMoveTakesAwayWhatItAdds) {
    const MailboxId work = new_mailbox(account, "Work");
    Target target = to(inbox);
    target.uidl = "the-old-server-s-uidl";
    ASSERT_TRUE(append(store(), {"one"}, target));
    add(inbox, "two");
    add(work, "there already");
    EXPECT_EQ(*copy(store(), inbox, {1, 99}, work, Store::Source::remove), (Uids{2, 0}));
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(bodies(store(), inbox), Texts{"two"});
        EXPECT_EQ(bodies(store(), work), (Texts{"there already", "one"}));
        EXPECT_EQ(store().usage(account)->messages, 3u);
        EXPECT_EQ(store().usage(account)->octets, 19u);
        if (round == 1) under_test->collect_garbage();
        reopen();
    }
    EXPECT_EQ(*copy(store(), inbox, {1}, work, Store::Source::remove), Uids{0}) << "it was moved already";
    const auto back = copy(store(), work, {2}, inbox, Store::Source::remove);
    ASSERT_TRUE(back);
    EXPECT_GT(back->at(0), 2u) << "not its old UID";
}

TEST_P(ChangeConformance, CopyStaysInOneAccount) {
    const AccountId bob = new_account("bob@example.org");
    const MailboxId bobs = new_mailbox(bob, "INBOX");
    add(inbox, "mine");
    for (const auto source : {Store::Source::keep, Store::Source::remove})
        EXPECT_EQ(copy(store(), inbox, {1}, bobs, source).error().kind, ErrorKind::invalid);
    EXPECT_EQ(bodies(store(), inbox), Texts{"mine"});
    EXPECT_TRUE(bodies(store(), bobs).empty());
}

TEST_P(ChangeConformance, ACopyIntoItsOwnMailboxIsAnotherMessage) {
    add(inbox, "one");
    EXPECT_EQ(*copy(store(), inbox, {1}, inbox, Store::Source::keep), Uids{2});
    const auto snapshot = snapshot_of(inbox);
    ASSERT_EQ(snapshot->entries().size(), 2u);
    EXPECT_EQ(bodies(*snapshot), (Texts{"one", "one"}));
    EXPECT_NE(snapshot->uidl(0), snapshot->uidl(1)) << "RFC 1939 §7: unique in the maildrop";
    ASSERT_EQ(*expunge(store(), inbox, {1}), 1u);
    under_test->collect_garbage();
    reopen();
    EXPECT_EQ(bodies(store(), inbox), Texts{"one"});
}

}  // namespace
}  // namespace pier::test
