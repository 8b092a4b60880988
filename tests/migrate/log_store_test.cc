// Imports into the real store: what comes out is what was in the maildir, also after it was opened again.
#include "store/log/log_store.h"

#include <random>

#include <gtest/gtest.h>

#include "migrate/import.h"
#include "migrate/maildir.h"
#include "migrate/store_sink.h"
#include "migrate/temporary_tree.h"
#include "store/wait.h"

namespace pier::migrate {
namespace {

constexpr store::AccountId ada{1};

class LogStoreImport : public testing::Test {
  protected:
    std::unique_ptr<store::LogStore> open() {
        store::LogStoreOptions options;
        options.folder = (tree / "store").string();
        options.cleaner = false;
        auto store = store::open_log_store(std::move(options));
        EXPECT_TRUE(store) << store.error().text;
        return std::move(*store);
    }

    Report import(store::Store& store, const ImportOptions& options = {}) {
        StoreSink sink(store, ada, 0);
        return run_import(**open_maildir(tree / "Maildir"), sink, options);
    }

    static std::shared_ptr<const store::Snapshot> inbox(store::Store& store) {
        const auto id =
            store::wait<store::MailboxId>([&](auto done) { store.create_mailbox(ada, "INBOX", done); });
        return *store.open(*id);
    }

    static std::string text_of(const store::Snapshot& snapshot, std::size_t index) {
        const auto body = snapshot.body(index);
        std::string text((*body)->octets(), '\0');
        std::size_t at = 0;
        while (at < text.size())
            at += *(*body)->read(at, std::span(text).subspan(at), store::Wait::may_block);
        return text;
    }

    TemporaryTree tree;
};

TEST_F(LogStoreImport, everything_is_kept_and_a_run_that_was_stopped_goes_on) {
    constexpr unsigned seed = 20261121;
    SCOPED_TRACE("seed " + std::to_string(seed));
    constexpr int count = 200;
    std::mt19937 random(seed);
    std::string uidlist = "3 V1275660208 N1000\n";
    std::vector<std::string> expected;
    for (int i = 0; i < count; ++i) {
        const std::string name = std::to_string(1'000'000 + i) + ".a,S=1";
        std::string octets = "Subject: " + std::to_string(i) + "\n\n",
                    crlf = "Subject: " + std::to_string(i) + "\r\n\r\n";
        for (auto lines = random() % 200; lines > 0; --lines) {
            const std::string line(random() % 80, static_cast<char>('.' + random() % 60));
            octets += line + "\n";
            crlf += line + "\r\n";
        }
        expected.push_back(crlf);
        tree.write("Maildir/cur/" + name + (i % 2 ? ":2,S" : ":2,"), octets);
        uidlist += std::to_string(i + 1) + " :" + name + "\n";
    }
    tree.write("Maildir/dovecot-uidlist", uidlist);

    int asked = 0;
    ImportOptions options;
    options.stop = [&] { return asked++ == 77; };
    EXPECT_EQ(import(*open(), options).counts.imported, 77U);
    const Report rest = import(*open());
    EXPECT_EQ(rest.counts.imported, count - 77U);
    EXPECT_EQ(rest.counts.already_there, 77U);
    EXPECT_EQ(rest.counts.failed, 0U);

    const auto store = open();
    const auto snapshot = inbox(*store);
    ASSERT_EQ(snapshot->entries().size(), static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        EXPECT_EQ(text_of(*snapshot, i), expected[i]);
        char uidl[17];
        std::snprintf(uidl, sizeof uidl, "%08x%08x", i + 1, 1275660208);
        EXPECT_EQ(snapshot->uidl(i), uidl);
        const auto details = snapshot->details(i);
        ASSERT_TRUE(details);
        EXPECT_EQ(details->flags, i % 2 ? store::flag::seen : 0);
        EXPECT_EQ(details->internal_date, at_s(1'000'000 + i));
    }
}

TEST_F(LogStoreImport, what_was_removed_is_not_imported_again) {
    for (int i = 0; i < 5; ++i)
        tree.write("Maildir/cur/" + std::to_string(100 + i) + ".a:2,", "message " + std::to_string(i) + "\n");
    {
        const auto store = open();
        EXPECT_EQ(import(*store).counts.imported, 5U);
        const auto snapshot = inbox(*store);
        const auto removed = store::wait<std::uint64_t>([&](auto done) {
            store->expunge(snapshot->mailbox(), {snapshot->entries()[1].uid, snapshot->entries()[3].uid},
                           done);
        });
        EXPECT_EQ(*removed, 2U);
    }
    const auto store = open();
    EXPECT_EQ(import(*store).counts.already_there, 5U);
    EXPECT_EQ(inbox(*store)->entries().size(), 3U);
}

}  // namespace
}  // namespace pier::migrate
