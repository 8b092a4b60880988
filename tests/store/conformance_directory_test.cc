// What store.h promises of the directory and of mailboxes, for every engine.
#include <set>

#include "store/store_under_test.h"

namespace pier::test {
namespace {

using namespace store;

using DirectoryConformance = ConformanceTest;
INSTANTIATE_TEST_SUITE_P(Engines, DirectoryConformance, ::testing::ValuesIn(engines()), engine_name);

std::vector<std::string> keys(const Store& store, DirectoryKind kind) {
    std::vector<std::string> result;
    const auto all = store.list(kind);
    EXPECT_TRUE(all);
    for (const DirectoryRecord& record : *all)
        result.push_back(record.key);
    return result;
}

TEST_P(DirectoryConformance, ARecordIsPutGotReplacedAndErased) {
    const std::string value("any octets \0 at all", 19);
    const auto id = put(store(), {DirectoryKind::alias, "post@example.org", 0, value});
    ASSERT_TRUE(id);
    EXPECT_NE(*id, 0u);
    const auto got = store().get(DirectoryKind::alias, "post@example.org");
    ASSERT_TRUE(got && *got);
    EXPECT_EQ((*got)->kind, DirectoryKind::alias);
    EXPECT_EQ((*got)->key, "post@example.org");
    EXPECT_EQ((*got)->id, *id);
    EXPECT_EQ((*got)->value, value);
    EXPECT_EQ(*put(store(), {DirectoryKind::alias, "post@example.org", 0, "other"}), *id) << "0 keeps the id";
    EXPECT_EQ((*store().get(DirectoryKind::alias, "post@example.org"))->value, "other");
    EXPECT_FALSE(*store().get(DirectoryKind::domain, "post@example.org")) << "each kind has its own names";
    ASSERT_TRUE(erase(store(), DirectoryKind::alias, "post@example.org"));
    EXPECT_FALSE(*store().get(DirectoryKind::alias, "post@example.org"));
    EXPECT_EQ(erase(store(), DirectoryKind::alias, "post@example.org").error().kind, ErrorKind::not_found);
    EXPECT_FALSE(*store().get(DirectoryKind::alias, "post@example.orgy"));
}

TEST_P(DirectoryConformance, AListIsSortedByKeyAndHoldsOneKind) {
    for (const char* key : {"b", "a", "ab", "\xC3\xA9", "a\x01", "B"})
        ASSERT_TRUE(put(store(), {DirectoryKind::domain, key, 0, "v"}));
    ASSERT_TRUE(put(store(), {DirectoryKind::setting, "c", 0, "v"}));
    EXPECT_EQ(keys(store(), DirectoryKind::domain),
              (std::vector<std::string>{"B", "a", "a\x01", "ab", "b", "\xC3\xA9"}));
    EXPECT_EQ(keys(store(), DirectoryKind::setting), std::vector<std::string>{"c"});
    EXPECT_EQ(keys(store(), DirectoryKind::alias), std::vector<std::string>{});
}

TEST_P(DirectoryConformance, IdsAreNeverGivenTwice) {
    std::set<AccountId> seen{account};
    for (int round = 0; round < 3; ++round) {
        for (const char* name : {"one", "two"}) {
            EXPECT_TRUE(seen.insert(new_account(name)).second) << name;
            EXPECT_TRUE(erase(store(), DirectoryKind::account, name));
        }
        under_test->collect_garbage();
        reopen();
    }
}

TEST_P(DirectoryConformance, TheDirectorySurvives) {
    ASSERT_TRUE(put(store(), {DirectoryKind::account, "kept", 0, "first"}));
    const auto id = put(store(), {DirectoryKind::account, "kept", 0, "second"});
    ASSERT_TRUE(put(store(), {DirectoryKind::account, "lost", 0, "x"}));
    ASSERT_TRUE(erase(store(), DirectoryKind::account, "lost"));
    reopen();
    EXPECT_EQ(keys(store(), DirectoryKind::account), (std::vector<std::string>{"ada@example.org", "kept"}));
    EXPECT_EQ((*store().get(DirectoryKind::account, "kept"))->value, "second");
    EXPECT_EQ((*store().get(DirectoryKind::account, "kept"))->id, *id);
}

TEST_P(DirectoryConformance, KeysAndValuesHaveLimits) {
    for (const std::size_t size : {1023u, 1024u}) {
        const std::string key(size, 'k');
        ASSERT_TRUE(put(store(), {DirectoryKind::alias, key, 0, "v"}));
        EXPECT_TRUE(*store().get(DirectoryKind::alias, key));
    }
    EXPECT_EQ(put(store(), {DirectoryKind::alias, std::string(1025, 'k'), 0, "v"}).error().kind,
              ErrorKind::invalid);
    for (const std::size_t size : {(1u << 20) - 1, 1u << 20}) {
        ASSERT_TRUE(put(store(), {DirectoryKind::setting, "big", 0, std::string(size, 'v')}));
        EXPECT_EQ((*store().get(DirectoryKind::setting, "big"))->value.size(), size);
    }
    EXPECT_EQ(put(store(), {DirectoryKind::setting, "big", 0, std::string((1u << 20) + 1, 'v')}).error().kind,
              ErrorKind::invalid);
    reopen();
    EXPECT_EQ((*store().get(DirectoryKind::setting, "big"))->value.size(), 1u << 20);
    EXPECT_EQ(keys(store(), DirectoryKind::alias).size(), 2u);
}

// ---- mailboxes ----

TEST_P(DirectoryConformance, CreatingAMailboxAgainGivesThePresentOne) {
    EXPECT_NE(inbox, MailboxId{});
    EXPECT_EQ(new_mailbox(account, "INBOX"), inbox);
    EXPECT_EQ(new_mailbox(account, "inbox"), inbox) << "RFC 3501 §5.1: INBOX in any case";
    EXPECT_EQ(new_mailbox(account, "InBox"), inbox);
    const MailboxId work = new_mailbox(account, "Work");
    EXPECT_NE(work, inbox);
    EXPECT_EQ(new_mailbox(account, "Work"), work);
    EXPECT_NE(new_mailbox(account, "work"), work) << "other names differ by case";
    EXPECT_NE(new_mailbox(account, "INBOX/Work"), inbox);
    const AccountId other = new_account("bob@example.org");
    EXPECT_NE(new_mailbox(other, "INBOX"), inbox) << "each account has its own";
    reopen();
    EXPECT_EQ(new_mailbox(account, "Work"), work);
    EXPECT_EQ(new_mailbox(account, "iNBOX"), inbox);
}

TEST_P(DirectoryConformance, MailboxesAreListedByName) {
    const char* umlaut = "Gr\xC3\xBCn";
    for (const char* name : {"Work/2026", "Trash", umlaut, "Work"})
        new_mailbox(account, name);
    const AccountId other = new_account("bob@example.org");
    new_mailbox(other, "Other");
    const auto all = store().mailboxes(account);
    ASSERT_TRUE(all);
    std::vector<std::string> names;
    std::set<MailboxId> ids;
    for (const MailboxInfo& info : *all) {
        names.push_back(info.name);
        ids.insert(info.id);
        EXPECT_EQ(info.account, account);
        EXPECT_NE(info.uid_validity, 0u);
        EXPECT_EQ(info.uid_next, 1u);
        EXPECT_EQ(info.messages, 0u);
        EXPECT_EQ(info.octets, 0u);
    }
    EXPECT_EQ(names, (std::vector<std::string>{umlaut, "INBOX", "Trash", "Work", "Work/2026"}));
    EXPECT_EQ(ids.size(), 5u);
    EXPECT_TRUE(store().mailboxes(AccountId{999'999})->empty());
}

TEST_P(DirectoryConformance, ARenamedMailboxKeepsEverythingElse) {
    const MailboxId work = new_mailbox(account, "Work");
    add(work, "one\r\n");
    const MailboxInfo before = info_of(store(), account, work);
    ASSERT_TRUE(rename_mailbox(store(), work, "Done/2026"));
    for (int round = 0; round < 2; ++round) {
        const MailboxInfo after = info_of(store(), account, work);
        EXPECT_EQ(after.name, "Done/2026");
        EXPECT_EQ(after.uid_validity, before.uid_validity);
        EXPECT_EQ(after.uid_next, before.uid_next);
        EXPECT_EQ(after.messages, 1u);
        EXPECT_EQ(bodies(store(), work), std::vector<std::string>{"one\r\n"});
        reopen();
    }
    EXPECT_EQ(new_mailbox(account, "Done/2026"), work);
    EXPECT_NE(new_mailbox(account, "Work"), work) << "the old name is free";
    EXPECT_EQ(rename_mailbox(store(), work, "INBOX").error().kind, ErrorKind::exists);
    EXPECT_EQ(rename_mailbox(store(), work, "Work").error().kind, ErrorKind::exists);
    EXPECT_EQ(rename_mailbox(store(), MailboxId{999'999}, "X").error().kind, ErrorKind::not_found);
    EXPECT_EQ(info_of(store(), account, work).name, "Done/2026");
}

TEST_P(DirectoryConformance, ARemovedMailboxIsGoneWithItsMessages) {
    const MailboxId work = new_mailbox(account, "Work");
    add(inbox, "stays\r\n");
    add(work, "goes\r\n");
    const auto snapshot = snapshot_of(work);
    const MailboxInfo before = info_of(store(), account, work);
    ASSERT_TRUE(remove_mailbox(store(), work));
    EXPECT_EQ(store().open(work).error().kind, ErrorKind::not_found);
    EXPECT_EQ(append(store(), {"x"}, to(work)).error().kind, ErrorKind::not_found);
    EXPECT_EQ(remove_mailbox(store(), work).error().kind, ErrorKind::not_found);
    EXPECT_EQ(rename_mailbox(store(), work, "Y").error().kind, ErrorKind::not_found);
    EXPECT_EQ(store().mailboxes(account)->size(), 1u);
    EXPECT_EQ(store().usage(account)->messages, 1u);
    EXPECT_EQ(store().usage(account)->octets, 7u);
    under_test->collect_garbage();
    EXPECT_EQ(bodies(*snapshot), std::vector<std::string>{"goes\r\n"})
        << "a session that has it open reads on";
    // RFC 3501 §2.3.1.1: a client that knew the old mailbox must see that this is another.
    const MailboxId again = new_mailbox(account, "Work");
    EXPECT_NE(again, work) << "a mailbox's number is never given again";
    EXPECT_GT(info_of(store(), account, again).uid_validity, before.uid_validity);
    EXPECT_TRUE(snapshot_of(again)->entries().empty());
    reopen();
    EXPECT_EQ(store().open(work).error().kind, ErrorKind::not_found);
    EXPECT_TRUE(snapshot_of(again)->entries().empty());
    EXPECT_EQ(bodies(store(), inbox), std::vector<std::string>{"stays\r\n"});
}

TEST_P(DirectoryConformance, AMailboxThatIsNotThereIsNotFound) {
    const MailboxId absent{999'999};
    EXPECT_EQ(store().open(absent).error().kind, ErrorKind::not_found);
    EXPECT_EQ(append(store(), {"x"}, to(absent)).error().kind, ErrorKind::not_found);
    EXPECT_EQ(remove_mailbox(store(), absent).error().kind, ErrorKind::not_found);
    EXPECT_EQ(expunge(store(), absent, {1}).error().kind, ErrorKind::not_found);
    EXPECT_EQ(set_flags(store(), absent, {{1, flag::seen}}).error().kind, ErrorKind::not_found);
    EXPECT_EQ(copy(store(), absent, {1}, inbox, Store::Source::keep).error().kind, ErrorKind::not_found);
    add(inbox, "x");
    EXPECT_EQ(copy(store(), inbox, {1}, absent, Store::Source::remove).error().kind, ErrorKind::not_found);
    EXPECT_EQ(bodies(store(), inbox), std::vector<std::string>{"x"}) << "nothing is moved into nowhere";
}

}  // namespace
}  // namespace pier::test
