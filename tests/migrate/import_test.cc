#include "migrate/import.h"

#include <gtest/gtest.h>

#include "migrate/digest.h"
#include "migrate/maildir.h"
#include "migrate/mbox.h"
#include "migrate/store_sink.h"
#include "migrate/temporary_tree.h"
#include "store/wait.h"
#include "support/message_store.h"

namespace pier::migrate {
namespace {

constexpr store::AccountId ada{7};

class ImportTest : public testing::Test {
  protected:
    void add(int number, const std::string& octets) {
        char name[40];
        std::snprintf(name, sizeof name, "cur/%05d.a:2,S", number);
        tree.write(name, octets);
    }

    Report import(ImportOptions options = {}, std::uint64_t quota = 0) {
        auto source = open_maildir(tree.root());
        EXPECT_TRUE(source) << source.error().text;
        test::MessageStore store(disk);
        StoreSink sink(store, ada, quota);
        return run_import(**source, sink, options);
    }

    std::vector<std::string> texts(const std::string& mailbox = "INBOX") {
        std::vector<std::string> out;
        for (const auto& message : test::MessageStore(disk).messages(ada, mailbox))
            out.push_back(message.octets);
        return out;
    }

    TemporaryTree tree;
    std::shared_ptr<test::MessageStore::Disk> disk = std::make_shared<test::MessageStore::Disk>();
};

using Texts = std::vector<std::string>;

TEST_F(ImportTest, line_ends_flags_dates_and_uidls_arrive) {
    add(1000, "A: b\n\nbare\r\ncrlf\rlone\nno end");
    tree.write("dovecot-uidlist", "3 V16 N10\n9 :01000.a\n");
    tree.write(".Work/cur/2000.b:2,F", "C: d\n");
    const Report report = import();
    EXPECT_EQ(report.counts.imported, 2U);
    EXPECT_EQ(report.counts.failed, 0U);
    EXPECT_EQ(report.counts.octets, report.counts.octets_total);
    test::MessageStore store(disk);
    const auto inbox = store.messages(ada, "INBOX");
    ASSERT_EQ(inbox.size(), 1U);
    EXPECT_EQ(inbox[0].octets, "A: b\r\n\r\nbare\r\ncrlf\rlone\r\nno end\r\n");
    EXPECT_EQ(inbox[0].flags, store::flag::seen);
    EXPECT_EQ(inbox[0].internal_date, at_s(1000));
    EXPECT_EQ(inbox[0].uidl, "0000000900000010");
    const auto work = store.messages(ada, "Work");
    ASSERT_EQ(work.size(), 1U);
    EXPECT_EQ(work[0].uidl, "");
    EXPECT_EQ(work[0].flags, store::flag::flagged);
}

TEST_F(ImportTest, a_second_run_imports_nothing_twice_also_what_was_deleted_since) {
    for (int i = 0; i < 10; ++i)
        add(i, "message " + std::to_string(i) + "\n");
    EXPECT_EQ(import().counts.imported, 10U);
    {
        test::MessageStore store(disk);
        const auto inbox =
            store::wait<store::MailboxId>([&](auto done) { store.create_mailbox(ada, "INBOX", done); });
        ASSERT_TRUE(store::wait<std::uint64_t>([&](auto done) { store.expunge(*inbox, {3, 4}, done); }));
    }
    add(10, "message 10\n");
    const Report report = import();
    EXPECT_EQ(report.counts.imported, 1U);
    EXPECT_EQ(report.counts.already_there, 10U);
    EXPECT_EQ(report.counts.failed, 0U);
    EXPECT_TRUE(report.warnings.empty());
    EXPECT_EQ(texts().size(), 9U);
}

TEST_F(ImportTest, interrupted_before_each_message_and_run_again) {
    constexpr int count = 12;
    for (int i = 0; i < count; ++i)
        add(i, "message " + std::to_string(i) + "\n");
    for (int after = 0; after <= count; ++after) {
        SCOPED_TRACE("stopped behind " + std::to_string(after));
        disk = std::make_shared<test::MessageStore::Disk>();
        int asked = 0;
        ImportOptions options;
        options.stop = [&] { return asked++ == after; };
        const Report first = import(options);
        EXPECT_TRUE(first.stopped);
        EXPECT_EQ(first.counts.imported, static_cast<std::uint64_t>(after));
        const Report second = import();
        EXPECT_FALSE(second.stopped);
        EXPECT_EQ(second.counts.imported, static_cast<std::uint64_t>(count - after));
        EXPECT_EQ(second.counts.already_there, static_cast<std::uint64_t>(after));
        Texts expected;
        for (int i = 0; i < count; ++i)
            expected.push_back("message " + std::to_string(i) + "\r\n");
        EXPECT_EQ(texts(), expected);
    }
}

TEST_F(ImportTest, each_append_failing_and_run_again) {
    constexpr int count = 8;
    for (int i = 0; i < count; ++i)
        add(i, "message " + std::to_string(i) + "\n");
    for (const ErrorKind kind : {ErrorKind::io, ErrorKind::no_space, ErrorKind::stopped}) {
        for (std::uint64_t failing = 1; failing <= count; ++failing) {
            SCOPED_TRACE(std::string(to_string(kind)) + " at append " + std::to_string(failing));
            disk = std::make_shared<test::MessageStore::Disk>();
            disk->append_errors.emplace(failing, Error(kind, "made up"));
            const Report first = import();
            EXPECT_EQ(first.counts.failed, 1U);
            ASSERT_EQ(first.failures.size(), 1U);
            EXPECT_EQ(first.failures[0].text, "made up");
            EXPECT_NE(first.failures[0].origin.find("cur/0000" + std::to_string(failing - 1)),
                      std::string::npos);
            EXPECT_EQ(first.ended_by.has_value(), kind != ErrorKind::io);
            if (kind == ErrorKind::io) {
                EXPECT_EQ(first.counts.imported, count - 1U);
            }
            const Report second = import();
            EXPECT_EQ(second.counts.imported + first.counts.imported, static_cast<std::uint64_t>(count));
            EXPECT_EQ(second.counts.already_there, first.counts.imported);
            EXPECT_EQ(texts().size(), static_cast<std::size_t>(count));
        }
    }
}

TEST_F(ImportTest, broken_messages_are_told_and_passed_over) {
    add(1, "one\n");
    std::filesystem::create_directories(tree / "cur/00002.directory");
    add(3, "");
    add(4, std::string(2000, 'x'));
    add(5, "five\n");
    disk->message_octets_max = 1000;
    const Report report = import();
    EXPECT_EQ(report.counts.imported, 2U);
    EXPECT_EQ(report.counts.failed, 3U);
    ASSERT_EQ(report.failures.size(), 3U);
    EXPECT_NE(report.failures[0].text.find("00002.directory"), std::string::npos);
    EXPECT_EQ(report.failures[1].text, "the message is empty");
    EXPECT_EQ(report.failures[2].text, "the message is too large");
    EXPECT_EQ(texts(), (Texts{"one\r\n", "five\r\n"}));
    EXPECT_FALSE(report.ended_by);
}

TEST_F(ImportTest, failures_listed_are_bounded) {
    for (int i = 0; i < 5; ++i)
        add(i, "");
    for (const std::size_t listed : {4U, 5U, 6U}) {
        ImportOptions options;
        options.limits.failures_listed_max = listed;
        const Report report = import(options);
        EXPECT_EQ(report.counts.failed, 5U);
        EXPECT_EQ(report.failures.size(), std::min<std::size_t>(listed, 5));
    }
}

TEST_F(ImportTest, a_full_spool_ends_the_run) {
    for (int i = 0; i < 5; ++i)
        add(i, "x\n");
    disk->spool_error = Error(ErrorKind::no_space, "no space");
    const Report report = import();
    ASSERT_TRUE(report.ended_by);
    EXPECT_EQ(report.ended_by->kind, ErrorKind::no_space);
    EXPECT_EQ(report.counts.failed, 1U);
    disk->spool_error.reset();
    EXPECT_EQ(import().counts.imported, 5U);
}

TEST_F(ImportTest, quota_fails_what_does_not_fit) {
    add(1, "12345678\n");
    add(2, std::string(100, 'x'));
    add(3, "1234567\n");
    const Report report = import({}, 20);
    EXPECT_EQ(report.counts.imported, 2U);
    EXPECT_EQ(report.counts.failed, 1U);
    EXPECT_FALSE(report.ended_by);
}

TEST_F(ImportTest, a_uidl_is_given_once_in_a_mailbox) {
    for (int i = 1; i <= 3; ++i)
        add(i, "m" + std::to_string(i) + "\n");
    tree.write(".Work/cur/4.x", "w\n");
    tree.write("dovecot-uidlist", "3 V16 N10\n1 Psame :00001.a\n2 Psame :00002.a\n3 Pother :00003.a\n");
    tree.write(".Work/dovecot-uidlist", "3 V16 N10\n1 Psame :4.x\n");
    const Report report = import();
    EXPECT_EQ(report.counts.imported, 4U);
    ASSERT_EQ(report.warnings.size(), 1U);
    EXPECT_NE(report.warnings[0].find("UIDL is in use"), std::string::npos);
    test::MessageStore store(disk);
    const auto inbox = store.messages(ada, "INBOX");
    ASSERT_EQ(inbox.size(), 3U);
    EXPECT_EQ(inbox[0].uidl, "same");
    EXPECT_EQ(inbox[1].uidl, "");
    EXPECT_EQ(inbox[2].uidl, "other");
    EXPECT_EQ(store.messages(ada, "Work").at(0).uidl, "same");

    // Another source, whose UIDLs meet those that the mailbox has from before.
    TemporaryTree second;
    second.write("mbox", "From eve Sat Jan  3 01:05:34 1996\nX-UIDL: other\n\nx\n");
    StoreSink sink(store, ada, 0);
    const Report from_mbox = run_import(**open_mbox(second / "mbox"), sink);
    EXPECT_EQ(from_mbox.counts.imported, 1U);
    EXPECT_EQ(from_mbox.warnings.size(), 1U);
    EXPECT_EQ(store.messages(ada, "INBOX").at(3).uidl, "");
}

TEST_F(ImportTest, progress_grows_to_the_total) {
    for (int i = 0; i < 20; ++i)
        add(i, std::string(100, 'x'));
    std::uint64_t calls = 0, octets = 0;
    ImportOptions options;
    options.progress = [&](const Progress& now) {
        ++calls;
        EXPECT_GE(now.octets, octets);
        EXPECT_EQ(now.octets_total, 2000U);
        octets = now.octets;
    };
    import(options);
    EXPECT_EQ(calls, 20U);
    EXPECT_EQ(octets, 2000U);
}

// Answers nothing until it is told to: shows how many messages the import keeps under way.
class HoldingSink final : public Sink {
  public:
    explicit HoldingSink(std::size_t hold) : hold_(hold) {}
    Result<std::unique_ptr<store::Spool>> new_spool() override { return store_.new_spool(); }
    void append(Message, store::Done<Accepted> done) override {
        held_.push_back(std::move(done));
        most_ = std::max(most_, held_.size());
        if (held_.size() >= hold_) answer();
    }
    void answer() {
        for (const auto& done : std::exchange(held_, {}))
            done(Accepted{});
    }
    std::size_t most() const { return most_; }

  private:
    test::MessageStore store_;
    std::size_t hold_, most_ = 0;
    std::vector<store::Done<Accepted>> held_;
};

TEST_F(ImportTest, many_messages_are_under_way_at_once_but_not_more_than_the_limit) {
    for (int i = 0; i < 40; ++i)
        add(i, std::string(98, 'x'));
    for (const std::size_t limit :
         {1U, 7U, 8U}) {  // 40 is no multiple of 7: the last ones are answered at the end
        HoldingSink sink(limit);
        ImportOptions options;
        options.limits.under_way_max = limit;
        std::uint64_t done = 0;
        options.progress = [&](const Progress&) {
            if (++done == 40) sink.answer();
        };
        EXPECT_EQ(run_import(**open_maildir(tree.root()), sink, options).counts.imported, 40U);
        EXPECT_EQ(sink.most(), limit);
    }
    HoldingSink sink(5);  // by octets: 100 each with the line end
    ImportOptions options;
    options.limits.under_way_octets_max = 500;
    EXPECT_EQ(run_import(**open_maildir(tree.root()), sink, options).counts.imported, 40U);
    EXPECT_EQ(sink.most(), 5U);
}

TEST(ImportKey, is_half_a_sha_256) {
    const store::ImportKey key = import_key("abc");  // FIPS 180-2, B.1: ba7816bf 8f01cfea 414140de 5dae2223 …
    EXPECT_EQ(key, (store::ImportKey{0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde,
                                     0x5d, 0xae, 0x22, 0x23}));
    Digest digest;
    digest.add("a");
    digest.add("bc");
    EXPECT_EQ(digest.hex().substr(0, 16), "ba7816bf8f01cfea");
}

}  // namespace
}  // namespace pier::migrate
