// What store.h promises of messages on their way in, for every engine.
#include <chrono>
#include <future>
#include <set>
#include <thread>

#include "store/store_under_test.h"

namespace pier::test {
namespace {

using namespace store;

using AppendConformance = ConformanceTest;
INSTANTIATE_TEST_SUITE_P(Engines, AppendConformance, ::testing::ValuesIn(engines()), engine_name);

// Octets of all values that do not repeat soon.
std::string noise(std::size_t octets) {
    std::string text(octets, '\0');
    for (std::size_t i = 0; i < octets; ++i)
        text[i] = static_cast<char>(i * 7 + i / 251 + i / 65536);
    return text;
}

TEST_P(AppendConformance, EveryOctetComesBackAtEverySize) {
    std::vector<std::string> all;
    for (const std::size_t size :
         {0u, 1u, 7u, 8u, 9u, 4095u, 4096u, 4097u, 65535u, 65536u, 65537u, 200'000u}) {
        all.push_back(noise(size));
        add(inbox, all.back());
    }
    std::uint64_t octets = 0;
    for (const std::string& body : all)
        octets += body.size();
    for (int round = 0; round < 2; ++round) {
        const auto snapshot = snapshot_of(inbox);
        ASSERT_EQ(snapshot->entries().size(), all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            EXPECT_EQ(snapshot->entries()[i].octets, all[i].size());
            const auto body = read_body(*snapshot, i);
            ASSERT_TRUE(body) << body.error().text;
            EXPECT_TRUE(*body == all[i]) << all[i].size() << " octets came back changed";
        }
        EXPECT_EQ(snapshot->octets(), octets);
        EXPECT_EQ(store().usage(account)->octets, octets);
        reopen();
    }
}

TEST_P(AppendConformance, ThePrefixStandsInFront) {
    ASSERT_TRUE(append(store(), {"Subject: x\r\n\r\nbody\r\n", "Return-Path: <>\r\n"}, to(inbox)));
    ASSERT_TRUE(append(store(), {"", "only\r\n"}, to(inbox)));
    EXPECT_EQ(bodies(store(), inbox), (std::vector<std::string>{
                                          "Return-Path: <>\r\nSubject: x\r\n\r\nbody\r\n",
                                          "only\r\n",
                                      }));
}

TEST_P(AppendConformance, KnowsWhetherALineBeginsWithADot) {
    struct Case {
        std::string prefix, body;
        bool has_dots;
    };
    const std::string filling(4090, 'x');
    const std::vector<Case> cases{
        {"", "", false},
        {"", ".", true},
        {"", "..", true},
        {"", "a.b\r\n", false},
        {"", "a\r\n.b\r\n", true},
        {"", "a\r\n.\r\n", true},
        {"", "a\r\n\r\n..\r\n", true},
        {"", "a\r\nb.\r\n", false},
        {"X: y\r\n", ".b", true},
        {"X: y", ".b", false},
        {".X: y\r\n", "b", true},
        {"X: y\r\n", "b\r\n", false},
        {"", filling + "\r\n.end", true},
        {"", filling + "xxxx\r\n.end", true},
        {"", filling + "xxxxx\r\n.end", true},
        {"", filling + "\r\nend.\r\n", false},
    };
    // Cut at every place: a line end and its dot may arrive apart.
    for (const std::size_t piece_octets : {1u, 2u, 3u, 5u, 8192u}) {
        const MailboxId box = new_mailbox(account, "cut at " + std::to_string(piece_octets));
        for (const Case& one : cases) {
            std::vector<Target> targets{to(box)};
            auto message = spooled(store(), {one.body, one.prefix}, targets, piece_octets);
            ASSERT_TRUE(message);
            ASSERT_TRUE(wait<std::vector<Result<Appended>>>(
                [&](auto done) { store().append(std::move(*message), std::move(done)); }));
        }
        const auto snapshot = snapshot_of(box);
        for (std::size_t i = 0; i < cases.size(); ++i) {
            const auto body = snapshot->body(i);
            ASSERT_TRUE(body);
            EXPECT_EQ((*body)->has_dot_lines(), cases[i].has_dots)
                << "case " << i << " in pieces of " << piece_octets;
        }
    }
}

TEST_P(AppendConformance, AMessageHasALimit) {
    for (const int off : {-1, 0, 1}) {
        auto spool = store().new_spool();
        const std::string body(conformance_message_octets_max + off, 'm');
        bool all = true;
        for (std::string_view rest = body; !rest.empty() && all;
             rest.remove_prefix(std::min<std::size_t>(rest.size(), 1000))) {
            const auto written = spool->write(rest.substr(0, 1000));
            all = written.has_value();
            if (!all) {
                EXPECT_EQ(written.error().kind, ErrorKind::invalid);
            }
        }
        EXPECT_EQ(all, off <= 0) << off;
        if (all) {
            EXPECT_EQ(spool->octets(), body.size());
        }
    }
    const std::string most(conformance_message_octets_max, 'm');
    ASSERT_TRUE(append(store(), {most}, to(inbox)));
    EXPECT_EQ(bodies(store(), inbox), std::vector<std::string>{most});
}

TEST_P(AppendConformance, ADroppedSpoolLeavesNothing) {
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(store().new_spool()->write(noise(50'000)));
    EXPECT_TRUE(snapshot_of(inbox)->entries().empty());
    EXPECT_EQ(store().usage(account)->octets, 0u);
}

TEST_P(AppendConformance, UidsModseqsAndGuidsAscend) {
    std::vector<Appended> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(add(inbox, std::to_string(i)));
        now_us += i % 3 == 0 ? -10'000'000 : 1;  // a clock that is set back must not matter
        if (i == 10) reopen();
    }
    for (std::size_t i = 1; i < all.size(); ++i) {
        EXPECT_GT(all[i].uid, all[i - 1].uid);
        EXPECT_GT(all[i].modseq, all[i - 1].modseq);
        EXPECT_GT(all[i].guid, all[i - 1].guid) << i;
    }
    EXPECT_GE(all[0].uid, 1u);
    const auto snapshot = snapshot_of(inbox);
    ASSERT_EQ(snapshot->entries().size(), all.size());
    EXPECT_EQ(snapshot->mailbox(), inbox);
    EXPECT_EQ(snapshot->modseq(), all.back().modseq);
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(snapshot->entries()[i].uid, all[i].uid);
        EXPECT_EQ(snapshot->entries()[i].guid, all[i].guid);
        EXPECT_EQ(snapshot->uidl(i), all[i].guid.hex());
        EXPECT_EQ(snapshot->details(i)->modseq, all[i].modseq);
    }
    const MailboxInfo info = info_of(store(), account, inbox);
    EXPECT_EQ(info.uid_next, all.back().uid + 1);
    EXPECT_EQ(info.modseq, all.back().modseq);
    EXPECT_EQ(info.messages, all.size());
    EXPECT_EQ(info.octets, snapshot->octets());
}

TEST_P(AppendConformance, FlagsAndDateAreKeptToTheBit) {
    const Flags all_bits = ~Flags{0};
    const std::vector<std::pair<Flags, std::int64_t>> cases{{0, 0},
                                                            {flag::seen | flag::draft, 1'790'000'000'123'456},
                                                            {all_bits, 1},
                                                            {Flags{1} << 63, -1'234'567}};
    for (const auto& [flags, date_us] : cases) {
        Target target = to(inbox);
        target.flags = flags;
        ASSERT_TRUE(append(store(), {"x", "", Time(std::chrono::microseconds(date_us))}, target));
    }
    reopen();
    const auto snapshot = snapshot_of(inbox);
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const auto details = snapshot->details(i);
        ASSERT_TRUE(details);
        EXPECT_EQ(details->flags, cases[i].first);
        EXPECT_EQ(details->internal_date.time_since_epoch().count(), cases[i].second);
    }
}

TEST_P(AppendConformance, AMessageMayBringItsUidl) {
    const std::string most(70, '~');
    for (const std::string& uidl : {std::string("!"), most.substr(1), most}) {
        Target target = to(inbox);
        target.uidl = uidl;
        ASSERT_TRUE(append(store(), {uidl}, target)) << uidl;
    }
    for (const std::string& uidl : {most + "~", std::string("a b"), std::string("a\x7F"),
                                    std::string("\xC3\xA9"), std::string("a\0b", 3), std::string("a\r\n")}) {
        Target target = to(inbox);
        target.uidl = uidl;
        const auto refused = append(store(), {uidl}, target);
        ASSERT_FALSE(refused) << uidl;
        EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
    }
    reopen();
    const auto snapshot = snapshot_of(inbox);
    ASSERT_EQ(snapshot->entries().size(), 3u);
    EXPECT_EQ(snapshot->uidl(0), "!");
    EXPECT_EQ(snapshot->uidl(1), most.substr(1));
    EXPECT_EQ(snapshot->uidl(2), most);
}

TEST_P(AppendConformance, OneMessageManyTargetsEachWithItsOwnResult) {
    const AccountId bob = new_account("bob@example.org");
    const MailboxId bobs = new_mailbox(bob, "INBOX");
    Target marked = to(bobs);
    marked.flags = flag::flagged;
    marked.uidl = "bobs-own";
    Target full = to(inbox);
    full.quota_octets = 3;
    const auto results =
        append(store(), {noise(9'000)}, {to(inbox), to(MailboxId{999'999}), marked, full, to(inbox)});
    ASSERT_TRUE(results);
    ASSERT_EQ(results->size(), 5u);
    ASSERT_TRUE((*results)[0] && (*results)[2] && (*results)[4]);
    EXPECT_EQ((*results)[1].error().kind, ErrorKind::not_found);
    EXPECT_EQ((*results)[3].error().kind, ErrorKind::over_quota);
    for (int round = 0; round < 2; ++round) {
        const auto mine = snapshot_of(inbox), his = snapshot_of(bobs);
        EXPECT_EQ(bodies(*mine), (std::vector<std::string>{noise(9'000), noise(9'000)}));
        EXPECT_EQ(bodies(*his), std::vector<std::string>{noise(9'000)});
        EXPECT_NE(mine->uidl(0), mine->uidl(1)) << "RFC 1939 §7: unique in the maildrop";
        EXPECT_EQ(his->uidl(0), "bobs-own");
        EXPECT_EQ(his->details(0)->flags, flag::flagged);
        EXPECT_EQ(mine->details(0)->flags, 0u);
        EXPECT_EQ(store().usage(account)->octets, 18'000u);
        EXPECT_EQ(store().usage(bob)->octets, 9'000u);
        reopen();
    }
    // Whichever goes first, the others stay readable.
    ASSERT_TRUE(expunge(store(), inbox, {(*results)[0]->uid}));
    under_test->collect_garbage();
    EXPECT_EQ(bodies(store(), inbox), std::vector<std::string>{noise(9'000)});
    EXPECT_EQ(bodies(store(), bobs), std::vector<std::string>{noise(9'000)});
    ASSERT_TRUE(expunge(store(), inbox, {(*results)[4]->uid}));
    under_test->collect_garbage();
    reopen();
    EXPECT_EQ(bodies(store(), bobs), std::vector<std::string>{noise(9'000)});
}

TEST_P(AppendConformance, AllOrNoneOfTheTargets) {
    const AccountId bob = new_account("bob@example.org");
    const MailboxId bobs = new_mailbox(bob, "INBOX");
    const auto together = [&](std::vector<Target> targets) {
        auto message = spooled(store(), {"12345"}, std::move(targets));
        message->all_or_none = true;
        return *wait<std::vector<Result<Appended>>>(
            [&](auto done) { store().append(std::move(*message), std::move(done)); });
    };
    Target small = to(bobs);
    small.quota_octets = 4;
    for (const Target& bad : {small, to(MailboxId{999'999})}) {
        const auto results = together({to(inbox), bad});
        ASSERT_EQ(results.size(), 2u);
        EXPECT_EQ(results[0].error().kind, results[1].error().kind);
        EXPECT_FALSE(results[0]);
    }
    EXPECT_EQ(store().usage(account)->messages, 0u);
    small.quota_octets = 5;
    const auto results = together({to(inbox), small});
    EXPECT_TRUE(results[0] && results[1]);
    reopen();
    EXPECT_EQ(bodies(store(), inbox), std::vector<std::string>{"12345"});
    EXPECT_EQ(bodies(store(), bobs), std::vector<std::string>{"12345"});
}

TEST_P(AppendConformance, TheQuotaIsExact) {
    const MailboxId work = new_mailbox(account, "Work");
    const auto with_quota = [&](MailboxId box, std::size_t octets, std::uint64_t quota) {
        Target target = to(box);
        target.quota_octets = quota;
        return append(store(), {std::string(octets, 'q')}, target);
    };
    EXPECT_TRUE(with_quota(inbox, 99, 100));
    EXPECT_EQ(with_quota(work, 2, 100).error().kind, ErrorKind::over_quota) << "all mailboxes count together";
    EXPECT_TRUE(with_quota(work, 1, 100)) << "exactly the quota";
    EXPECT_EQ(with_quota(inbox, 1, 100).error().kind, ErrorKind::over_quota);
    EXPECT_TRUE(with_quota(inbox, 0, 100));
    EXPECT_TRUE(with_quota(inbox, 5, 0)) << "0 is no quota";
    EXPECT_EQ(store().usage(account)->octets, 105u);
    ASSERT_TRUE(expunge(store(), inbox, {1}));
    EXPECT_TRUE(with_quota(inbox, 94, 100)) << "room again";
    EXPECT_EQ(with_quota(inbox, 1, 100).error().kind, ErrorKind::over_quota);
    reopen();
    EXPECT_EQ(with_quota(inbox, 1, 100).error().kind, ErrorKind::over_quota);
    // The prefix counts as well.
    Target target = to(work);
    target.quota_octets = 104;
    EXPECT_EQ(append(store(), {"123", "45"}, target).error().kind, ErrorKind::over_quota);
    EXPECT_TRUE(append(store(), {"12", "34"}, target));
}

TEST_P(AppendConformance, AnImportKeyIsStoredOnceEver) {
    const MailboxId work = new_mailbox(account, "Work");
    const AccountId bob = new_account("bob@example.org");
    const MailboxId bobs = new_mailbox(bob, "INBOX");
    const auto with_key = [&](MailboxId box, std::uint8_t number, std::uint64_t quota = 0) {
        Target target = to(box);
        target.import_key = ImportKey{number};
        target.quota_octets = quota;
        return append(store(), {"imported"}, target);
    };
    EXPECT_EQ(with_key(inbox, 1, 7).error().kind, ErrorKind::over_quota);
    EXPECT_TRUE(with_key(inbox, 1)) << "what was refused may be tried again";
    EXPECT_EQ(with_key(inbox, 1).error().kind, ErrorKind::exists);
    const std::vector<ImportKey> keys{ImportKey{1}, ImportKey{200}};
    EXPECT_EQ(*store().imported(account, keys), (std::vector<bool>{true, false}));
    EXPECT_EQ(snapshot_of(inbox)->details(0)->import_key, ImportKey{1});
    EXPECT_EQ(with_key(work, 1).error().kind, ErrorKind::exists) << "once per account";
    EXPECT_EQ(with_key(inbox, 1, 1).error().kind, ErrorKind::exists) << "whatever the quota: it is there";
    EXPECT_TRUE(with_key(bobs, 1));
    EXPECT_TRUE(with_key(inbox, 2));
    Target twice = to(inbox);
    twice.import_key = ImportKey{3};
    const auto results = append(store(), {"imported"}, {twice, twice});
    ASSERT_TRUE(results);
    EXPECT_TRUE((*results)[0]);
    EXPECT_EQ((*results)[1].error().kind, ErrorKind::exists);
    reopen();
    EXPECT_EQ(with_key(inbox, 1).error().kind, ErrorKind::exists);
    ASSERT_EQ(*expunge(store(), inbox, {1, 2, 3}), 3u);
    for (int round = 0; round < 3; ++round) {
        for (const std::uint8_t number : {1, 2, 3})
            EXPECT_EQ(with_key(inbox, number).error().kind, ErrorKind::exists)
                << "read, removed, and imported again";
        under_test->collect_garbage();
        if (round == 1) reopen();
    }
    ASSERT_TRUE(remove_mailbox(store(), bobs));
    under_test->collect_garbage();
    EXPECT_EQ(with_key(new_mailbox(bob, "Other"), 1).error().kind, ErrorKind::exists);
}

// A done that runs inside the call would run its owner's code under the owner's own locks.
TEST_P(AppendConformance, DoneRunsOnAThreadOfTheStore) {
    const auto thread_of = [](const auto& start) {
        auto ran = std::make_shared<std::promise<std::thread::id>>();
        auto future = ran->get_future();
        start([ran](auto) { ran->set_value(std::this_thread::get_id()); });
        return future.get();
    };
    const auto here = std::this_thread::get_id();
    EXPECT_NE(thread_of([&](auto done) { store().put({DirectoryKind::setting, "x", 0, "y"}, done); }), here);
    EXPECT_NE(thread_of([&](auto done) {
                  store().put({DirectoryKind::setting, std::string(2000, 'x'), 0, "y"}, done);
              }),
              here);
    for (const MailboxId box : {inbox, MailboxId{999'999}}) {
        EXPECT_NE(thread_of([&](auto done) {
                      store().append(std::move(*spooled(store(), {"x"}, {to(box)})), done);
                  }),
                  here);
        EXPECT_NE(thread_of([&](auto done) { store().expunge(box, {}, done); }), here);
    }
}

TEST_P(AppendConformance, ChangesTakeEffectInTheOrderTheyCame) {
    std::vector<int> order;
    store().append(std::move(*spooled(store(), {"x"}, {to(inbox)})), [&](auto) { order.push_back(1); });
    store().set_flags(inbox, {{1, flag::seen}}, [&](auto) { order.push_back(2); });
    store().set_flags(inbox, {{1, flag::answered}}, [&](auto) { order.push_back(3); });
    ASSERT_TRUE(put(store(), {DirectoryKind::setting, "x", 0, "y"}));
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
    EXPECT_EQ(snapshot_of(inbox)->details(0)->flags, flag::answered);
}

TEST_P(AppendConformance, ManyAtOnceShareASync) {
    constexpr int count = 200;
    std::vector<std::future<bool>> all;
    for (int i = 0; i < count; ++i) {
        auto promise = std::make_shared<std::promise<bool>>();
        all.push_back(promise->get_future());
        auto message = spooled(store(), {std::to_string(i)}, {to(inbox)});
        store().append(std::move(*message),
                       [promise](auto results) { promise->set_value(results && results->at(0)); });
    }
    for (auto& one : all)
        EXPECT_TRUE(one.get());
    EXPECT_EQ(snapshot_of(inbox)->entries().size(), static_cast<std::size_t>(count));
    const Stats stats = store().stats();
    EXPECT_GE(stats.group_records, static_cast<std::uint64_t>(count));
    EXPECT_LT(stats.groups, stats.group_records) << "no two changes ever shared a sync";
    EXPECT_EQ(stats.messages, static_cast<std::uint64_t>(count));
    EXPECT_EQ(stats.accounts, 1u);
    EXPECT_EQ(stats.mailboxes, 1u);
}

TEST_P(AppendConformance, ClosingWaitsForWhatIsUnderWay) {
    std::atomic<int> good = 0, called = 0;
    for (int i = 0; i < 50; ++i) {
        auto message = spooled(store(), {std::to_string(i)}, {to(inbox)});
        store().append(std::move(*message), [&](auto results) {
            good += results && results->at(0) ? 1 : 0;
            ++called;
        });
    }
    under_test->close();
    EXPECT_EQ(called, 50);
    under_test->open();
    EXPECT_EQ(snapshot_of(inbox)->entries().size(), static_cast<std::size_t>(good.load()));
}

}  // namespace
}  // namespace pier::test
