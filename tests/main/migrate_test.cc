// `pier migrate` from a maildir's files, and what it does with its arguments; running servers:
// tests/clients/migrate.py.
#include <gmock/gmock.h>

#include "cli_fixture.h"
#include "server_stub.h"

namespace pier::program {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

enum class Where { store, server };

class Migrate : public CliTest, public testing::WithParamInterface<Where> {
  protected:
    void SetUp() override {
        if (GetParam() == Where::server)
            server_ = std::make_unique<ServerStub>(load_config(path("pier.toml")).config);
        for (const char* name : {"ada", "bob"})
            EXPECT_EQ(run({"account", "add", name}, "secret words\n").code, 0);
        write("ada/dovecot-uidlist",
              "3 V1234 N9 Gabc\n1 Pone :100.a\n2 Ptwo :101.b\n3 Pthree :102.c\n4 Pfour :103.d\n");
        write("ada/cur/100.a:2,S", "Subject: a\n\none\n");
        write("ada/cur/101.b:2,", "Subject: b\n\ntwo\n");
        write("ada/cur/102.c:2,F", "Subject: c\n\nthree\n");
        write("ada/.Work.2026/cur/200.w:2,S", "Subject: w\n\nwork\n");
    }

    Ran migrate(std::vector<std::string> more = {}) {
        more.insert(more.begin(), {"migrate", "dovecot", path("ada"), "--to", "ada"});
        return run(more);
    }
    // "1 one 21 seen", …
    std::vector<std::string> messages(const std::string& account) {
        std::vector<std::string> lines;
        const auto answer = ask({"account", "messages", account});
        for (const auto& message : answer.at("messages").as_array())
            lines.push_back(fmt::format("{} {} {}", message.at("number").to_number<int>(),
                                        std::string_view(message.at("uidl").as_string()),
                                        message.at("octets").to_number<int>()));
        return lines;
    }

    std::unique_ptr<ServerStub> server_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, Migrate, testing::Values(Where::store, Where::server),
                         [](const auto& where) { return where.param == Where::store ? "Store" : "Server"; });

TEST_P(Migrate, UntilNothingDiffers) {
    const Ran looked = migrate({"--dry-run"});
    EXPECT_EQ(looked.code, 1);
    EXPECT_EQ(looked.out, "INBOX\n+ one\n+ two\n+ three\nWork/2026\n+ " +
                              path("ada/.Work.2026/cur/200.w:2,S") +
                              "\nada: 0 the same; differs: 4 to be added\n");
    EXPECT_EQ(messages("ada"), std::vector<std::string>{});

    Ran ran = migrate();
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(ran.out, "ada: 4 added, 0 changed, 0 removed, 0 failed; nothing differs\n");
    EXPECT_EQ(messages("ada"), (std::vector<std::string>{"1 one 19", "2 two 19", "3 three 21"}));
    EXPECT_THAT(run({"account", "messages", "ada"}).out, HasSubstr("1       one    19      seen\n"));
    EXPECT_EQ(migrate().out, "ada: 0 added, 0 changed, 0 removed, 0 failed; nothing differs\n");
    ran = migrate({"--dry-run"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_THAT(ran.out, HasSubstr("INBOX\n= one\n= two\n= three\n"));
    EXPECT_THAT(ran.out, HasSubstr("\nada: 4 the same; nothing differs\n"));
}

TEST_P(Migrate, WhatHasChangedSince) {
    EXPECT_EQ(migrate().code, 0);
    fs::rename(path("ada/cur/101.b:2,"), path("ada/cur/101.b:2,RS"));
    fs::remove(path("ada/cur/102.c:2,F"));
    write("ada/new/103.d", "Subject: d\n\nfour\n");
    EXPECT_EQ(run({"deliver", "ada"}, "Subject: here\n\nnew\n").code, 0);
    Ran ran = migrate({"--dry-run"});
    EXPECT_THAT(ran.out,
                HasSubstr("= one\n~ two  flags there: seen answered; here: none\n+ four\n- three\n"));
    ran = migrate();
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.out,
              "ada: 1 added, 1 changed, 0 removed, 0 failed; differs: 1 gone at the source (--delete removes "
              "them here)\n");
    ran = migrate({"--delete"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out, "ada: 0 added, 0 changed, 1 removed, 0 failed; nothing differs\n");
    EXPECT_EQ(messages("ada").size(), 4u) << "mail that came in here stays";
}

TEST_P(Migrate, WhatWasDeletedHereDoesNotComeBack) {
    EXPECT_EQ(migrate().code, 0);
    fs::rename(path("ada/cur/101.b:2,"), path("b"));
    EXPECT_EQ(migrate({"--delete"}).code, 0);
    fs::rename(path("b"), path("ada/cur/101.b:2,"));
    const Ran ran = migrate({"--dry-run"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_THAT(ran.out, HasSubstr("= one\nx two\n= three\n"));
    EXPECT_EQ(migrate().out, "ada: 0 added, 0 changed, 0 removed, 0 failed; nothing differs\n");
}

TEST_P(Migrate, OneAccountThatFailsDoesNotStopTheRest) {
    write("users", "# old and new\nnobody bob\nada ada\nada carol\n");
    const Ran ran = run({"migrate", "dovecot", path("%u"), "--users", path("users")});
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.out,
              "ada: 4 added, 0 changed, 0 removed, 0 failed; nothing differs\n"
              "3 accounts: 1 the same, 0 differ, 2 failed, 0 not begun\n");
    EXPECT_THAT(ran.err, HasSubstr("pier: bob: "));
    EXPECT_THAT(ran.err, HasSubstr("is not a maildir"));
    EXPECT_THAT(ran.err, HasSubstr("pier: carol: there is no account carol"));
    const Ran json = run({"migrate", "dovecot", path("%u"), "--users", path("users"), "--json"});
    EXPECT_EQ(json.json().at("accounts").as_array().size(), 3u);
    EXPECT_FALSE(json.json().at("accounts").at(1).at("differs").as_bool());
}

TEST_P(Migrate, MistakesAreToldBeforeAnythingIsDone) {
    const std::pair<std::vector<std::string>, const char*> mistakes[] = {
        {{"pop3", "--to", "ada"}, "give --from"},
        {{"pop3", "--from", "imap://old", "--to", "ada"}, "begins with pops://"},
        {{"imap", "--from", "pops://old", "--to", "ada"}, "begins with imaps://"},
        {{"pop3", "--from", "pops://ada:secret@old", "--to", "ada"}, "no password"},
        {{"imap", "--from", "imap://old", "--uidl-format", "%f", "--to", "ada"}, "%u and %v"},
        {{"imap", "--from", "imap://old", "--uidl-format", "%u", "--uidl-from", "pop3", "--to", "ada"},
         "exclude"},
        {{"dovecot", "--from", "imap://old", path("ada"), "--to", "ada"}, "either --from"},
        {{"dovecot", path("ada")}, "give --to"},
        {{"dovecot", path("ada"), "--to", "ada", "--users", "x"}, "--users names the accounts"},
        {{"pop3", "--from", "pops://old", "--to", "ada", "--password-file", path("none")}, "none"},
    };
    for (const auto& [arguments, text] : mistakes) {
        std::vector<std::string> words{"migrate"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        const Ran ran = run(words, "password\n");
        EXPECT_EQ(ran.code, 1) << text;
        EXPECT_THAT(ran.err, HasSubstr(text));
        EXPECT_EQ(ran.err.find("secret"), std::string::npos);
        EXPECT_EQ(ran.out, "");
    }
    EXPECT_THAT(run({"migrate", "pop3", "--from", "pop3://ada@127.0.0.1:1", "--to", "ada"}, "password\n").err,
                HasSubstr("pop3://127.0.0.1:1: cannot connect: Connection refused"));
}

}  // namespace
}  // namespace pier::program
