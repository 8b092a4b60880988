// The commands on a store: once without a server, once over the socket of one, with the same outcome.
#include <gmock/gmock.h>

#include "base/log.h"
#include "cli_fixture.h"
#include "server_stub.h"

namespace pier::program {
namespace {

using testing::HasSubstr;

enum class Where { store, server };

class Commands : public CliTest, public testing::WithParamInterface<Where> {
  protected:
    void SetUp() override {
        if (GetParam() == Where::server)
            server_ = std::make_unique<ServerStub>(load_config(path("pier.toml")).config);
    }
    void TearDown() override { EXPECT_TRUE(!server_ || !server_->lines().empty()); }

    // A refused command: exit code 1, nothing on its output, this on its error output.
    void refuse(const std::vector<std::string>& arguments, const std::string& text,
                const std::string& input = "") {
        const Ran ran = run(arguments, input);
        EXPECT_EQ(ran.code, 1) << text;
        EXPECT_EQ(ran.out, "");
        EXPECT_THAT(ran.err, HasSubstr(text));
        EXPECT_TRUE(ran.err.starts_with("pier: "));
    }
    void add_account(const std::string& name) {
        EXPECT_EQ(run({"account", "add", name}, "secret words\n").code, 0);
    }

    std::unique_ptr<ServerStub> server_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, Commands, testing::Values(Where::store, Where::server),
                         [](const auto& where) { return where.param == Where::store ? "Store" : "Server"; });

TEST_P(Commands, AccountsFromAddToRemove) {
    EXPECT_EQ(run({"account", "list"}).out,
              "there are no accounts; make one with \"pier account add NAME\"\n");
    const Ran added = run({"account", "add", "Ada", "--quota", "2 GiB"}, "secret words\n");
    EXPECT_EQ(added.code, 0);
    EXPECT_EQ(added.out, "account ada added\n");
    EXPECT_EQ(added.err, "");
    refuse({"account", "add", "ada"}, "ada", "x\n");

    const auto shown = ask({"account", "show", "ada"});
    EXPECT_EQ(shown.at("quota_octets").to_number<std::uint64_t>(), 2ull << 30);
    EXPECT_EQ(shown.at("password").as_string(), "ARGON2ID");
    EXPECT_FALSE(shown.at("exclusive").as_bool());
    EXPECT_THAT(run({"account", "show", "ada"}).out, HasSubstr("quota      2.0 GiB\n"));
    EXPECT_THAT(run({"account", "list"}).out, HasSubstr("ada      0         0 B   2.0 GiB  active\n"));

    EXPECT_EQ(run({"account", "change", "ada", "--quota", "none", "--exclusive", "on"}).out,
              "account ada changed\n");
    EXPECT_EQ(ask({"account", "show", "ada"}).at("quota_octets").to_number<std::uint64_t>(), 0u);
    EXPECT_TRUE(ask({"account", "show", "ada"}).at("exclusive").as_bool());

    EXPECT_EQ(run({"account", "disable", "ada", "--reason", "Moved away"}).out, "account ada disabled\n");
    EXPECT_EQ(ask({"account", "show", "ada"}).at("disabled_text").as_string(), "Moved away");
    EXPECT_THAT(run({"account", "list"}).out, HasSubstr("disabled\n"));
    EXPECT_EQ(run({"account", "enable", "ada"}).out, "account ada enabled\n");
    EXPECT_FALSE(ask({"account", "show", "ada"}).at("disabled").as_bool());

    EXPECT_EQ(run({"account", "passwd", "ada"}, "other words\n").out, "account ada has a new password\n");

    refuse({"account", "remove", "ada"},
           "Remove account ada with its 0 messages, for good? To do it without being asked, give --yes");
    EXPECT_EQ(run({"account", "remove", "ada"}, "no\n", true).code, 1);
    EXPECT_EQ(run({"account", "remove", "ada"}, "yes\n", true).out, "account ada removed\n");
    refuse({"account", "show", "ada"}, "there is no account ada");
}

TEST_P(Commands, WhatBackEndsHaveSaidIsForgotten) {
    EXPECT_EQ(run({"account", "forget", "ada"}).out, "what the back ends have said of ada is forgotten\n");
    EXPECT_EQ(run({"account", "forget"}).out, "what the back ends have said of all accounts is forgotten\n");
    if (GetParam() == Where::server) {
        EXPECT_THAT(server_->lines(), testing::Contains(HasSubstr("account.forget")));
    }
}

TEST_P(Commands, AppPasswordsAreShownOnce) {
    add_account("ada");
    EXPECT_THAT(run({"account", "app-password", "list", "ada"}).out, HasSubstr("ada has no app passwords"));
    const Ran made = run({"account", "app-password", "add", "ada", "my phone", "--for", "pop3", "--from",
                          "192.0.2.0/24", "--from", "2001:db8::/32", "--until", "2999-12-31"});
    EXPECT_EQ(made.code, 0) << made.err;
    EXPECT_THAT(made.out, testing::ContainsRegex("    [a-z2-9]{4}(-[a-z2-9]{4}){4}\n"));
    const std::string listed = run({"account", "app-password", "list", "ada"}).out;
    EXPECT_THAT(listed,
                testing::ContainsRegex(
                    "my phone  pop3  192.0.2.0/24, 2001:db8::/32  3000-01-01T00:00:00Z  .*  never\n"));
    EXPECT_EQ(run({"account", "change", "ada", "--app-passwords-only", "on"}).out, "account ada changed\n");
    EXPECT_THAT(run({"account", "show", "ada"}).out, HasSubstr("logs in    with app passwords only\n"));
    EXPECT_EQ(run({"account", "change", "ada", "--master", "on"}).out, "account ada changed\n");
    EXPECT_THAT(run({"account", "show", "ada"}).out,
                HasSubstr("master     logs in as every other account\n"));
    EXPECT_EQ(run({"account", "app-password", "revoke", "ada", "my phone"}).out,
              "the app password \"my phone\" of ada is revoked\n");
    refuse({"account", "app-password", "revoke", "ada", "my phone"}, "has no app password \"my phone\"");
    refuse({"account", "app-password", "add", "ada", "x", "--for", "gopher"},
           "there are no logins by \"gopher\"");
    refuse({"account", "app-password", "add", "eve", "x"}, "there is no account eve");
}

TEST_P(Commands, SecondFactorsAndProtocols) {
    add_account("ada");
    EXPECT_THAT(run({"account", "second-factor", "start", "ada"}).out,
                testing::ContainsRegex("    [A-Z2-7]{32}\n    otpauth://totp/Pier:ada"));
    refuse({"account", "second-factor", "confirm", "ada", "12345"}, "not the code of this half minute");
    EXPECT_EQ(run({"account", "second-factor", "remove", "ada"}).out, "ada has no second factor any more\n");
    refuse({"account", "second-factor", "confirm", "ada", "12345"}, "second-factor start ada");

    EXPECT_EQ(run({"account", "protocols", "ada", "none"}).out,
              "account ada may not log in by any protocol\n");
    EXPECT_THAT(run({"account", "show", "ada"}).out, HasSubstr("protocols  none\n"));
    EXPECT_EQ(run({"account", "protocols", "ada", "pop3"}).out, "account ada may log in by pop3\n");
    EXPECT_THAT(run({"account", "show", "ada"}).out, HasSubstr("protocols  pop3\n"));
    EXPECT_EQ(run({"account", "protocols", "ada", "all"}).out, "account ada may log in by all\n");
    EXPECT_THAT(run({"account", "show", "ada"}).out, testing::Not(HasSubstr("protocols")));
    refuse({"account", "protocols", "ada", "gopher"}, "there are no logins by \"gopher\"");
}

TEST_P(Commands, PasswordsComeFromManyPlacesAndNeverFromArguments) {
    write("password", "from a file\nsecond line\n");
    write("hash", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
    write("empty", "\n");
    EXPECT_EQ(run({"account", "add", "a", "--password-file", path("password")}).code, 0);
    EXPECT_EQ(run({"account", "add", "b", "--password-file", "-"}, "from input\n").code, 0);
    EXPECT_EQ(run({"account", "add", "c", "--hash-file", path("hash")}).code, 0);
    EXPECT_EQ(ask({"account", "show", "c"}).at("password").as_string(), "SHA");
    const auto generated = ask({"account", "add", "d", "--generate"});
    EXPECT_EQ(generated.at("password").as_string().size(), 20u);
    const Ran printed = run({"account", "passwd", "d", "--generate"});
    EXPECT_THAT(printed.out,
                testing::MatchesRegex("account d has a new password\npassword: [A-Za-z0-9_-]{20}\n"));
    EXPECT_EQ(printed.out.find(std::string(generated.at("password").as_string())), std::string::npos);

    const Ran typed = run({"account", "add", "e"}, "typed\ntyped\n", true);
    EXPECT_EQ(typed.code, 0);
    EXPECT_THAT(typed.err, HasSubstr("New password for e: "));
    EXPECT_EQ(typed.err.find("typed"), std::string::npos);
    EXPECT_THAT(run({"account", "add", "f"}, "typed\nother\n", true).err,
                HasSubstr("the two passwords are not the same"));

    refuse({"account", "add", "f"}, "there is nothing in the first line of standard input", "");
    refuse({"account", "add", "f", "--password-file", path("empty")},
           "there is nothing in the first line of");
    refuse({"account", "add", "f", "--password-file", path("missing")}, "No such file or directory");
    refuse({"account", "add", "f", "--hash-file", "-"}, "scheme", "{WHIRLPOOL}x\n");
    refuse({"account", "add", "f"}, "is longer than 4096 octets", std::string(4097, 'x') + "\n");
    EXPECT_EQ(ask({"account", "list"}).at("accounts").as_array().size(), 5u);
}

TEST_P(Commands, WrongAccounts) {
    refuse({"account", "add", "ada@example.org"}, "pier domain add example.org", "secret words\n");
    refuse({"account", "add", "../ada"}, "the name may not have '/' in it", "secret words\n");
    refuse({"account", "add", "ada", "--quota", "much"}, "--quota: \"much\" is not a size");
    refuse({"account", "change", "ada"},
           "nothing to change; give --quota, --exclusive, --app-passwords-only, --master, --forward");
    for (const char* verb : {"show", "remove", "enable", "disable", "passwd"})
        refuse({"account", verb, "nobody"}, "nobody", "secret words\n");
    const Ran json = run({"account", "show", "nobody", "--json"});
    EXPECT_EQ(json.code, 1);
    EXPECT_EQ(json.err, "");
    EXPECT_EQ(json.json().at("error").at("kind").as_string(), "not_found");
}

TEST_P(Commands, AsWhomAnAccountMaySend) {
    add_account("ada");
    EXPECT_EQ(run({"account", "change", "ada", "--send-as", "Sales@example.net, @example.com"}).out,
              "account ada changed\n");
    EXPECT_THAT(run({"account", "show", "ada"}).out,
                HasSubstr("sends as   sales@example.net, @example.com\n"));
    EXPECT_EQ(ask({"account", "show", "ada"}).at("send_as").as_array().size(), 2u);
    refuse({"account", "change", "ada", "--send-as", "sales"}, "\"sales\" is no address to send as");
    EXPECT_EQ(run({"account", "change", "ada", "--send-as", "any"}).code, 0);
    EXPECT_THAT(run({"account", "show", "ada"}).out, HasSubstr("sends as   any\n"));
    EXPECT_EQ(run({"account", "change", "ada", "--send-as", "none"}).code, 0);
    EXPECT_THAT(run({"account", "show", "ada"}).out, testing::Not(HasSubstr("sends as")));
    EXPECT_EQ(run({"account", "protocols", "ada", "submission"}).out,
              "account ada may log in by submission\n");
}

TEST_P(Commands, FromWhichNetworksAnAccountMayLogIn) {
    add_account("ada");
    EXPECT_EQ(run({"account", "allow", "ada", "192.0.2.0/24", "2001:db8::/32"}).out,
              "account ada may log in from 192.0.2.0/24, 2001:db8::/32\n");
    EXPECT_EQ(run({"account", "deny", "ada", "192.0.2.7"}).out,
              "account ada may not log in from 192.0.2.7\n");
    const auto shown = ask({"account", "show", "ada"});
    EXPECT_EQ(shown.at("allow").as_array().size(), 2u);
    EXPECT_EQ(shown.at("deny").at(0).as_string(), "192.0.2.7");
    EXPECT_THAT(run({"account", "show", "ada"}).out, HasSubstr("allow      192.0.2.0/24, 2001:db8::/32\n"));
    refuse({"account", "allow", "ada", "192.0.2.7/24"}, "write 192.0.2.0/24 or 192.0.2.7");
    refuse({"account", "allow", "ada", "any", "192.0.2.0/24"}, "\"any\" is not a network");
    EXPECT_EQ(run({"account", "allow", "ada", "any"}).out, "account ada may log in from everywhere\n");
    EXPECT_EQ(run({"account", "deny", "ada", "none"}).code, 0);
    EXPECT_TRUE(ask({"account", "show", "ada"}).at("allow").as_array().empty());
    EXPECT_TRUE(ask({"account", "show", "ada"}).at("deny").as_array().empty());
}

TEST_P(Commands, TheGuardFromListToUnblock) {
    EXPECT_THAT(run({"guard", "list"}).out, HasSubstr("nobody is blocked\n"));
    EXPECT_EQ(run({"guard", "block", "192.0.2.0/24", "--for", "2h", "--reason", "noisy"}).out,
              "192.0.2.0/24 is blocked for 2h\n");
    EXPECT_EQ(run({"guard", "block", "2001:db8::1"}).out, "2001:db8::1 is blocked for 1d\n");
    const auto listed = ask({"guard", "list"});
    ASSERT_EQ(listed.at("blocks").as_array().size(), 2u);
    EXPECT_EQ(listed.at("blocks").at(0).at("address").as_string(), "192.0.2.0/24");
    EXPECT_EQ(listed.at("blocks").at(0).at("reason").as_string(), "noisy");
    EXPECT_THAT(run({"guard", "list"}).out, HasSubstr("by hand  192.0.2.0/24"));

    auto explained = ask({"guard", "explain", "192.0.2.7", "--account", "Ada"});
    EXPECT_FALSE(explained.at("connects").as_bool());
    EXPECT_EQ(explained.at("blocks").as_array().size(), 1u);
    EXPECT_THAT(run({"guard", "explain", "192.0.2.7", "--account", "ada"}).out,
                HasSubstr("  a login is    refused until "));
    EXPECT_THAT(run({"guard", "explain", "198.51.100.1", "--account", "ada"}).out,
                HasSubstr("  a login is    allowed\n"));

    EXPECT_THAT(run({"guard", "unblock", "192.0.2.7"}).out, HasSubstr("it was not blocked"));
    EXPECT_EQ(run({"guard", "unblock", "192.0.2.0/24"}).out, "1 block ended\n");
    EXPECT_TRUE(ask({"guard", "explain", "192.0.2.7"}).at("connects").as_bool());
    EXPECT_EQ(run({"guard", "unblock", "--account", "ada"}).code, 0);
    refuse({"guard", "unblock"}, "name an address");
    refuse({"guard", "block", "192.0.2.7/24"}, "write 192.0.2.0/24 or 192.0.2.7");
    refuse({"guard", "block", "192.0.2.7", "--for", "0s"}, "from one second");
    refuse({"guard", "explain", "localhost"}, "not an IP address");
}

TEST_P(Commands, DomainsAndAliases) {
    EXPECT_EQ(run({"domain", "list"}).out, "there are no domains; add one with \"pier domain add NAME\"\n");
    EXPECT_EQ(run({"domain", "add", "Example.org"}).code, 0);
    EXPECT_EQ(run({"domain", "list"}).out,
              "DOMAIN       ACCOUNTS  SIZE  QUOTA  ALIAS OF\nexample.org  0         0 B   none\n");
    refuse({"domain", "add", "not a domain"}, "the domain may not have ' ' in it");
    EXPECT_EQ(run({"account", "add", "ada@example.org"}, "secret words\n").code, 0);
    add_account("bob");

    EXPECT_EQ(run({"alias", "list"}).out,
              "there are no aliases; make one with \"pier alias add ADDRESS ACCOUNT\"\n");
    EXPECT_EQ(run({"alias", "add", "postmaster@example.org", "ada@example.org", "bob"}).out,
              "mail for postmaster@example.org goes to ada@example.org, bob\n");
    EXPECT_EQ(run({"alias", "list"}).out,
              "ADDRESS                 TO\npostmaster@example.org  ada@example.org, bob\n");
    refuse({"alias", "add", "x@example.org", "nobody"}, "nobody");
    EXPECT_EQ(run({"alias", "remove", "postmaster@example.org"}).out,
              "alias postmaster@example.org removed\n");
    refuse({"alias", "remove", "postmaster@example.org"}, "postmaster@example.org");
    refuse({"domain", "remove", "example.org"}, "ada@example.org");
    EXPECT_EQ(run({"account", "remove", "ada@example.org", "--yes"}).code, 0);
    EXPECT_EQ(run({"domain", "remove", "example.org"}).out, "domain example.org removed\n");
    refuse({"domain", "remove", "example.org"}, "example.org");
}

TEST_P(Commands, DomainsHaveQuotasAndTheAddressesOfOthers) {
    EXPECT_EQ(run({"domain", "add", "example.org", "--quota", "10G"}).code, 0);
    EXPECT_EQ(run({"domain", "add", "example.net", "--alias-of", "Example.org"}).out,
              "domain example.net added\n");
    EXPECT_THAT(run({"domain", "list"}).out,
                HasSubstr("example.net  0         0 B   none      example.org\n"));
    EXPECT_THAT(run({"domain", "list"}).out, HasSubstr("example.org  0         0 B   10.0 GiB\n"));
    EXPECT_EQ(run({"account", "add", "ada@example.org"}, "secret words\n").code, 0);
    EXPECT_EQ(run({"deliver", "ada@example.net"}, "Subject: x\n\nhello\n").code, 0);
    EXPECT_EQ(run({"domain", "change", "example.org", "--quota", "10"}).out, "domain example.org changed\n");
    EXPECT_EQ(run({"deliver", "ada@example.net"}, "Subject: x\n\nhello\n").code, 75);
    EXPECT_EQ(run({"domain", "change", "example.net", "--alias-of", "none"}).code, 0);
    EXPECT_EQ(ask({"domain", "list"}).at("domains").at(0).at("alias_of").as_string(), "");
    refuse({"domain", "change", "example.org"}, "nothing to change; give --quota or --alias-of");
    refuse({"domain", "change", "example.com", "--quota", "1G"}, "there is no domain example.com");
    refuse({"domain", "add", "example.com", "--alias-of", "nowhere.example"},
           "pier domain add nowhere.example");
}

TEST_P(Commands, AccountsForward) {
    add_account("ada");
    add_account("bob");
    EXPECT_EQ(run({"account", "change", "ada", "--forward", "zoe@example.net", "bob", "--no-copy"}).out,
              "account ada changed\n");
    EXPECT_THAT(run({"account", "show", "ada"}).out,
                HasSubstr("forwards   to zoe@example.net, bob; keeps no copy\n"));
    EXPECT_EQ(run({"account", "change", "ada", "--keep-copy"}).code, 0);
    EXPECT_THAT(run({"account", "show", "ada"}).out, HasSubstr("forwards   to zoe@example.net, bob\n"));
    refuse({"account", "change", "bob", "--forward", "ada"}, "the target ada leads back to bob");
    refuse({"account", "change", "bob", "--forward", "nobody"}, "neither an account nor an alias");
    EXPECT_EQ(run({"account", "change", "ada", "--forward", "none"}).code, 0);
    EXPECT_EQ(ask({"account", "show", "ada"}).at("forward").as_array().size(), 0u);
}

TEST_P(Commands, DeliverExitsAsSysexits) {
    add_account("ada");
    const std::string message = "Subject: x\n\nhello\n";
    const Ran delivered = run({"deliver", "ada", "--from", "bob@example.org"}, message);
    EXPECT_EQ(delivered.code, 0) << delivered.err;
    EXPECT_EQ(delivered.out, "");
    EXPECT_EQ(delivered.err, "");
    EXPECT_EQ(ask({"account", "show", "ada"}).at("messages").to_number<int>(), 1);

    const auto json = ask({"deliver", "ada"}, message);
    EXPECT_EQ(json.at("results").at(0).at("code").to_number<int>(), 250);

    const Ran unknown = run({"deliver", "ada", "nobody"}, message);
    EXPECT_EQ(unknown.code, 67);
    EXPECT_THAT(unknown.err, HasSubstr("pier: nobody: "));
    EXPECT_EQ(ask({"account", "show", "ada"}).at("messages").to_number<int>(), 3)
        << "the others get it all the same";

    EXPECT_EQ(run({"deliver", "ada"}, "").code, 65);
    EXPECT_EQ(run({"deliver", "ada", "--from", "not an address"}, message).code, 65);
    EXPECT_EQ(run({"account", "change", "ada", "--quota", "100"}).code, 0);
    EXPECT_EQ(run({"deliver", "ada"}, message).code, 75) << "over_quota is temporary by default";
}

TEST_P(Commands, ImportTwiceGivesEverythingOnce) {
    add_account("ada");
    for (int i = 0; i < 150; ++i)
        write(fmt::format("mail/{:03}.eml", i), fmt::format("Subject: {}\n\nbody {}\n", i, i));
    const Ran first = run({"import", "eml", "ada", path("mail")});
    EXPECT_EQ(first.code, 0) << first.err;
    EXPECT_EQ(first.out, "imported 150, already there 0, failed 0\n");
    EXPECT_EQ(run({"import", "eml", "ada", path("mail")}).out, "imported 0, already there 150, failed 0\n");
    write("mail/new.eml", "Subject: new\n\n");
    const auto json = ask({"import", "eml", "ada", path("mail")});
    EXPECT_EQ(json.at("imported").to_number<int>(), 1);
    EXPECT_EQ(json.at("already_there").to_number<int>(), 150);
    EXPECT_EQ(ask({"account", "show", "ada"}).at("messages").to_number<int>(), 151);
    EXPECT_EQ(run({"store", "verify"}).code, 0);
}

TEST_P(Commands, ImportOfAMaildirKeepsFoldersAndTellsWhatFailed) {
    add_account("ada");
    write("box/cur/1700000000.M1P1.host:2,S", "Subject: one\n\n");
    write("box/new/1700000001.M1P1.host", "Subject: two\n\n");
    write("box/tmp/x", "");
    write("box/.Work/cur/1700000002.M1P1.host:2,", "Subject: three\n\n");
    write("box/.Work/new/.keep", "");
    write("box/cur/1700000003.M1P1.host:2,", "");
    const Ran ran = run({"import", "maildir", "ada", path("box"), path("nowhere")});
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.out, "imported 3, already there 0, failed 2\n");
    EXPECT_THAT(ran.err, HasSubstr("not imported: "));
    EXPECT_THAT(ran.err, HasSubstr("1700000003.M1P1.host"));
    EXPECT_THAT(ran.err, HasSubstr(path("nowhere")));
    const auto mailboxes = ask({"account", "show", "ada"}).at("mailboxes").as_array();
    ASSERT_EQ(mailboxes.size(), 2u);
    EXPECT_EQ(mailboxes[0].at("messages").to_number<int>(), 2);
    EXPECT_EQ(mailboxes[1].at("name").as_string(), "Work");
}

TEST_P(Commands, ImportOfAnMbox) {
    add_account("ada");
    write("mbox",
          "From a@b Sat Nov 21 20:00:00 2026\nSubject: one\nX-UIDL: abc\n\n>From me\n\nFrom a@b Sat Nov 21 "
          "20:00:01 2026\n"
          "Subject: two\nX-UIDL: abc\n\nx\n");
    const Ran ran = run({"import", "mbox", "ada", path("mbox"), "--mailbox", "Old"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out, "imported 2, already there 0, failed 0\n");
    EXPECT_THAT(ran.err, HasSubstr("its UIDL is in use"));
    refuse({"import", "mbox", "nobody", path("mbox")}, "nobody");
    refuse({"import", "mbox", "ada", path("mbox"), "--uidl-format", "%q"},
           "UIDL format: 'q' behind % is not known");
}

TEST_P(Commands, ImportRefusesWhatIsTooLarge) {
    write("pier.toml",
          fmt::format(
              "[server]\ndata_folder = \"data\"\nuser = \"\"\n[admin]\nsocket = \"pier.sock\"\n[store]\n"
              "message_size_max = \"64 KiB\"\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"));
    add_account("ada");
    const std::string head = "Subject: x\r\n\r\n";
    for (const std::size_t size : {65535u, 65536u, 65537u})
        write(fmt::format("mail/{}.eml", size), head + std::string(size - head.size() - 2, 'x') + "\r\n");
    const Ran ran = run({"import", "eml", "ada", path("mail")});
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.out, "imported 2, already there 0, failed 1\n");
    EXPECT_THAT(
        ran.err,
        HasSubstr("65537.eml: the message is larger than 64 KiB; raise store.message_size_max to take it"));
    EXPECT_EQ(run({"deliver", "ada"}, std::string(65537, 'x')).code, 65);
}

TEST_P(Commands, StoreStatsAndVerify) {
    add_account("ada");
    EXPECT_EQ(run({"deliver", "ada"}, "Subject: x\n\n").code, 0);
    const auto stats = ask({"store", "stats"});
    EXPECT_EQ(stats.at("accounts").to_number<int>(), 1);
    EXPECT_EQ(stats.at("messages").to_number<int>(), 1);
    const auto verified = ask({"store", "verify"});
    EXPECT_EQ(verified.at("messages").to_number<int>(), 1);
    EXPECT_EQ(verified.at("problems").as_array().size(), 0u);
    EXPECT_EQ(verified.at("online").as_bool(), GetParam() == Where::server);
    if (GetParam() == Where::server) {
        refuse({"store", "rebuild"}, "the server is running and has the store; stop it");
    } else {
        EXPECT_EQ(run({"store", "rebuild"}).out, "the index was made anew from the segments\n");
        EXPECT_EQ(ask({"account", "show", "ada"}).at("messages").to_number<int>(), 1);
    }
}

using Offline = CliTest;

TEST_F(Offline, WhatNeedsAServerSaysSo) {
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"status"},
                                               {"metrics"},
                                               {"reload"},
                                               {"drain"},
                                               {"drain", "--end"},
                                               {"log", "tail"},
                                               {"log", "level", "info"}}) {
        const Ran ran = run(arguments);
        EXPECT_EQ(ran.code, 1);
        EXPECT_EQ(
            ran.err,
            fmt::format(
                "pier: no server runs at {}; start it with \"systemctl start pier\" or \"pier serve\"\n",
                path("pier.sock")));
    }
}

TEST_F(Offline, MaintenanceOfAStoreThatIsNotThereMakesNone) {
    for (const char* verb : {"verify", "rebuild"}) {
        const Ran ran = run({"store", verb});
        EXPECT_EQ(ran.code, 1);
        EXPECT_EQ(ran.err,
                  fmt::format("pier: there is no store at {}; is server.data_folder right?\n", path("data")));
    }
    EXPECT_FALSE(std::filesystem::exists(path("data")));
}

TEST_F(Offline, DeliveryWithABrokenConfigurationIsTriedAgain) {
    write("pier.toml", "[server]\nthreads = -1\n");
    EXPECT_EQ(run({"deliver", "ada"}, "Subject: x\n\n").code, 75);
}

TEST_F(Offline, AStoreThatAnotherProcessHoldsIsNotTouched) {
    const auto held = store::open_log_store(store_options(load_config(path("pier.toml")).config));
    ASSERT_TRUE(held);
    const Ran ran = run({"account", "list"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.err, HasSubstr("pier: "));
    EXPECT_EQ(run({"deliver", "ada"}, "Subject: x\n\n").code, 75)
        << "the mail server keeps the message and tries again";
}

TEST_F(Offline, ASocketThatADeadServerLeftIsNoServer) {
    { ServerStub server(load_config(path("pier.toml")).config); }
    ASSERT_TRUE(std::filesystem::exists(path("pier.sock")));
    EXPECT_EQ(run({"account", "list"}).code, 0);
}

TEST_F(Offline, VerifyFindsAFlippedBit) {
    EXPECT_EQ(run({"account", "add", "ada"}, "secret words\n").code, 0);
    EXPECT_EQ(run({"deliver", "ada"}, "Subject: flipped\n\n").code, 0);
    const std::string segment = path("data/log/00000001.seg");
    std::string octets;
    {
        std::ifstream in(segment, std::ios::binary);
        octets.assign(std::istreambuf_iterator<char>(in), {});
    }
    const std::size_t at = octets.find("flipped");
    ASSERT_NE(at, std::string::npos);
    octets[at] ^= 1;
    std::ofstream(segment, std::ios::binary) << octets;
    const Ran ran = run({"store", "verify"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.out, HasSubstr("the octets do not match their checksum"));
    EXPECT_THAT(ran.out, testing::Not(HasSubstr("all is well")));
    ServerStub server(load_config(path("pier.toml")).config);
    const Ran online = run({"store", "verify"});
    EXPECT_EQ(online.code, 1);
    EXPECT_THAT(online.out, HasSubstr("ada: INBOX, UID 1: "));
}

class Online : public CliTest {
  protected:
    ServerStub server_{load_config(path("pier.toml")).config};
};

TEST_F(Online, StatusReloadAndLog) {
    EXPECT_EQ(run({"status"}).out,
              "version    1\nlisteners\n  pop3  127.0.0.1:110\ndrain\n  connections  0\n");
    EXPECT_EQ(ask({"status"}).at("version").as_string(), "1");
    EXPECT_EQ(run({"metrics"}).out, "# EOF\n");
    EXPECT_EQ(run({"reload"}).out, "the log's settings were taken up\n");

    log::Options options;
    options.file = path("log");
    options.recent_lines_max = 5;
    log::configure(options);
    for (int i = 0; i < 7; ++i)
        log::info("test", {{"i", i}});
    const Ran tail = run({"log", "tail", "-n", "2"});
    EXPECT_THAT(tail.out, testing::MatchesRegex("[^\n]*i=5\n[^\n]*i=6\n"));
    EXPECT_EQ(ask({"log", "tail"}).at("lines").as_array().size(), 5u);

    EXPECT_EQ(run({"log", "level", "error"}).code, 0);
    EXPECT_FALSE(log::enabled(log::Level::info));
    EXPECT_EQ(run({"log", "level", "info"}).code, 0);
    EXPECT_TRUE(log::enabled(log::Level::info));
    log::configure({});
}

TEST_F(Online, Drain) {
    server_.connections_to_drain = 2;
    const Ran busy = run({"drain", "--notice", "0s", "--wait", "1s"});
    EXPECT_EQ(busy.code, 1);
    EXPECT_EQ(busy.err, "draining: health checks fail from now on, and in 0s new connections are refused\n");
    EXPECT_EQ(busy.out,
              "2 sessions are still there after 1s; the server refuses new ones, and \"pier drain --end\" "
              "ends that\n");
    server_.connections_to_drain = 0;
    EXPECT_EQ(ask({"drain", "--notice", "1s"}).at("connections").to_number<int>(), 0);
    EXPECT_EQ(server_.notice, std::chrono::seconds(1));
    EXPECT_EQ(run({"drain", "--end"}).out, "new connections are served again\n");
    EXPECT_FALSE(server_.notice);
    EXPECT_THAT(run({"drain", "--notice", "soon"}).err, HasSubstr("--notice: "));
    EXPECT_THAT(run({"drain", "--wait", "soon"}).err, HasSubstr("--wait: "));
    EXPECT_THAT(run({"drain", "--notice", "2d"}).err, HasSubstr("\"notice_s\" is at most 86400"));
}

TEST_F(Online, WrongImportsAreRefusedWhole) {
    EXPECT_EQ(run({"account", "add", "ada"}, "secret words\n").code, 0);
    auto backend = open_backend(load_config(path("pier.toml")).config);
    ASSERT_TRUE(backend);
    const auto import = [&](const boost::json::value& messages, std::string_view body) {
        const auto answer = (*backend)->call(
            "mail.import", {{"account", "ada"}, {"import", "x"}, {"messages", messages}}, body);
        return answer ? std::string("fine") : answer.error().text;
    };
    const std::string key(32, 'a');
    using boost::json::array;
    using boost::json::object;
    const auto message = [&](std::uint64_t octets) {
        return object{{"mailbox", "INBOX"}, {"key", key}, {"octets", octets}};
    };
    EXPECT_EQ(import(array{message(4)}, "abc"), "there are fewer octets than the messages claim");
    EXPECT_EQ(import(array{message(2)}, "abc"), "there are more octets than the messages claim");
    EXPECT_EQ(import(array{message(~0ull)}, "abc"), "there are fewer octets than the messages claim");
    EXPECT_EQ(import(array{1}, ""), "a message is an object");
    EXPECT_EQ(import(1, ""),
              "mail.import takes \"account\" and \"import\" (texts) and \"messages\" (an array)");
    EXPECT_EQ(import(array{object{{"mailbox", "INBOX"}, {"key", "xy"}, {"octets", 0}}}, ""),
              "a message's key has 32 hexadecimal digits");
    EXPECT_EQ(import(array{object{{"mailbox", "INBOX"}, {"key", std::string(32, 'g')}, {"octets", 0}}}, ""),
              "a message's key has 32 hexadecimal digits");
    EXPECT_EQ(import(array{message(3)}, "abc"), "fine");
    backend->reset();
    EXPECT_EQ(ask({"account", "show", "ada"}).at("messages").to_number<int>(), 1);
}

}  // namespace
}  // namespace pier::program
