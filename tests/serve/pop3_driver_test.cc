// POP3 over real sockets: what a session alone cannot show.
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "serve/served.h"

namespace pier::test {
namespace {

std::string message_of(std::size_t octets, const std::string& line = "The quick brown fox.\r\n") {
    std::string text = "Subject: test\r\n\r\n";
    while (text.size() < octets)
        text += line;
    return text;
}

void log_in(Client& client) {
    EXPECT_EQ(client.line().substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("USER ada").substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("PASS secret").substr(0, 3), "+OK");
}

// The answer to PASS, on a fresh connection.
std::string log_in_as(Client& client, const std::string& user) {
    client.line();
    client.ask("USER " + user);
    return client.ask("PASS secret");
}

TEST(Pop3Driver, EveryKindOfMessageComesWholeOverPlainAndTls) {
    Served served;
    std::vector<std::string> messages;
    for (const std::size_t octets : {20u, 5'000u, 16'383u, 16'384u, 70'000u, 3'000'000u}) {
        messages.push_back(message_of(octets));
        messages.push_back(message_of(octets, ".leading dot\r\n..\r\n.\r\n"));
    }
    messages.push_back("");
    for (const std::string& message : messages)
        served.deliver(message);
    for (const bool tls : {false, true}) {
        Client client(tls ? served.pop3s_port : served.pop3_port);
        if (tls) {
            ASSERT_TRUE(client.start_tls());
        }
        log_in(client);
        for (std::size_t i = 0; i < messages.size(); ++i) {
            EXPECT_EQ(client.ask("RETR " + std::to_string(i + 1)),
                      "+OK " + std::to_string(messages[i].size()) + " octets");
            std::string text = client.until_dot(), plain;
            for (std::size_t at = 0; at < text.size();) {
                const std::size_t end = text.find("\r\n", at) + 2;
                plain += text.substr(text[at] == '.' ? at + 1 : at, end - at - (text[at] == '.' ? 1 : 0));
                at = end;
            }
            EXPECT_TRUE(plain == messages[i]) << "message " << i + 1 << (tls ? " over TLS" : "");
        }
        EXPECT_EQ(client.ask("TOP 5 1").substr(0, 3), "+OK");
        EXPECT_EQ(client.until_dot(), "Subject: test\r\n\r\nThe quick brown fox.\r\n");
        EXPECT_EQ(client.ask("QUIT").substr(0, 3), "+OK");
        EXPECT_EQ(client.rest(), "");
    }
}

TEST(Pop3Driver, DeletionIsDurableWhenQuitIsAnsweredAndNotBefore) {
    Served served;
    served.deliver("one\r\n");
    served.deliver("two\r\n");
    {
        Client client(served.pop3_port);
        log_in(client);
        EXPECT_EQ(client.ask("DELE 1").substr(0, 3), "+OK");
    }  // gone without QUIT
    EXPECT_EQ(served.stored().size(), 2u);
    Client client(served.pop3_port);
    log_in(client);
    EXPECT_EQ(client.ask("DELE 1").substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("QUIT").substr(0, 3), "+OK");
    EXPECT_EQ(served.stored(), std::vector<std::string>{"two\r\n"});
}

TEST(Pop3Driver, AMessageThatAnotherSessionRemovedCanStillBeFetched) {
    Served served;
    served.deliver("one\r\n");
    served.deliver("two\r\n");
    Client first(served.pop3_port), second(served.pop3_port);
    log_in(first);
    log_in(second);
    EXPECT_EQ(second.ask("DELE 1").substr(0, 3), "+OK");
    EXPECT_EQ(second.ask("QUIT").substr(0, 3), "+OK");
    EXPECT_EQ(first.ask("STAT"), "+OK 2 10");
    EXPECT_EQ(first.ask("RETR 1"), "+OK 5 octets");
    EXPECT_EQ(first.until_dot(), "one\r\n");
    EXPECT_EQ(first.ask("DELE 1").substr(0, 3), "+OK");
    EXPECT_EQ(first.ask("QUIT").substr(0, 3), "+OK") << "it is gone: that is what the client asked for";
}

TEST(Pop3Driver, ExclusiveAccountsSayWhoHoldsThemAndTheLeaseEndsWithItsSession) {
    ServedOptions options;
    options.exclusive = true;
    Served served(std::move(options));
    {
        Client first(served.pop3_port), second(served.pop3_port);
        log_in(first);
        second.line();
        second.ask("USER ada");
        const std::string refused = second.ask("PASS secret");
        EXPECT_EQ(refused.substr(0, 13), "-ERR [IN-USE]") << refused;
        EXPECT_NE(refused.find("127.0.0.1:"), std::string::npos) << refused;
    }  // the first is gone without a word
    for (int tries = 0;; ++tries) {
        Client third(served.pop3_port);
        third.line();
        third.ask("USER ada");
        if (third.ask("PASS secret").substr(0, 3) == "+OK") break;
        ASSERT_LT(tries, 200) << "the lease outlived its session";
    }
}

// Attack: bytes behind STLS in the same segment must not be taken for the first bytes inside TLS.
TEST(Pop3Driver, CommandsPipelinedBehindStlsEndTheConnection) {
    Served served;
    Client client(served.pop3_port);
    client.line();
    client.send("STLS\r\nCAPA\r\n");
    const std::string answer = client.rest();
    EXPECT_EQ(answer.substr(0, 4), "-ERR") << answer;
    EXPECT_EQ(answer.find("IMPLEMENTATION"), std::string::npos);
}

TEST(Pop3Driver, StlsThenLogin) {
    ServedOptions options;
    options.clear_login = serve::ClearLogin::never;
    Served served(std::move(options));
    Client client(served.pop3_port);
    client.line();
    EXPECT_EQ(client.ask("USER ada").substr(0, 4), "-ERR");
    EXPECT_EQ(client.ask("STLS").substr(0, 3), "+OK");
    ASSERT_TRUE(client.start_tls());
    EXPECT_EQ(client.ask("USER ada").substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("PASS secret").substr(0, 3), "+OK");
}

TEST(Pop3Driver, AWrongPasswordIsRefusedAndCounted) {
    Served served;
    Client client(served.pop3_port);
    client.line();
    client.ask("USER ada");
    EXPECT_EQ(client.ask("PASS wrong").substr(0, 11), "-ERR [AUTH]");
    client.ask("USER nobody");
    EXPECT_EQ(client.ask("PASS wrong").substr(0, 11), "-ERR [AUTH]");
    EXPECT_EQ(served.pop3().failed_logins, 2u);
}

TEST(Pop3Driver, ADamagedMessageIsRefusedAndAllOthersAreServed) {
    Served served;
    const std::string victim = message_of(20'000, "needle in the haystack\r\n");
    served.deliver("before\r\n");
    served.deliver(victim);
    served.deliver("behind\r\n");
    const std::string segment = served.folder() + "/store/log/00000001.seg";
    {
        std::ifstream in(segment, std::ios::binary);
        const std::string all((std::istreambuf_iterator<char>(in)), {});
        const auto at = all.find("needle");
        ASSERT_NE(at, std::string::npos);
        std::fstream out(segment, std::ios::binary | std::ios::in | std::ios::out);
        out.seekp(static_cast<std::streamoff>(at));
        out.put('N');
    }
    Client client(served.pop3_port);
    log_in(client);
    EXPECT_EQ(client.ask("RETR 2").substr(0, 15), "-ERR [SYS/PERM]");
    EXPECT_EQ(client.ask("RETR 1"), "+OK 8 octets");
    EXPECT_EQ(client.until_dot(), "before\r\n");
    EXPECT_EQ(client.ask("RETR 3"), "+OK 8 octets");
    EXPECT_EQ(client.until_dot(), "behind\r\n");
}

TEST(Pop3Driver, TenThousandPipelinedCommandsAreAnsweredInOrder) {
    Served served;
    served.deliver("one\r\n");
    Client client(served.pop3_port);
    log_in(client);
    constexpr int count = 10'000;
    std::thread sender([&] {
        std::string all;
        for (int i = 0; i < count; ++i)
            all += i % 2 == 0 ? "NOOP\r\n" : "STAT\r\n";
        client.send(all + "QUIT\r\n");
    });
    for (int i = 0; i < count; ++i) {
        const std::string answer = client.line();
        ASSERT_EQ(answer.substr(0, 3), "+OK") << i;
        if (i % 2 == 1) {
            ASSERT_EQ(answer, "+OK 1 5") << i;
        }
    }
    sender.join();
    EXPECT_EQ(client.line().substr(0, 3), "+OK");
}

TEST(Pop3Driver, AClientThatDoesNotReadDoesNotDelayOthers) {
    Served served;
    served.deliver(message_of(8 << 20));
    std::vector<std::unique_ptr<Client>> slow;
    for (int i = 0; i < 8; ++i) {
        slow.push_back(std::make_unique<Client>(served.pop3_port));
        slow.back()->shrink_receive_buffer();
        log_in(*slow.back());
        slow.back()->send("RETR 1\r\n");
    }
    for (int i = 0; i < 4; ++i) {
        Client client(served.pop3_port);
        log_in(client);
        EXPECT_EQ(client.ask("STAT").substr(0, 5), "+OK 1");
        EXPECT_EQ(client.ask("QUIT").substr(0, 3), "+OK");
    }
}

TEST(Pop3Driver, WhoDoesNotLogInIsClosed) {
    ServedOptions options;
    options.pop3.login_timeout = std::chrono::seconds(1);
    Served served(std::move(options));
    Client client(served.pop3_port);
    EXPECT_EQ(client.line().substr(0, 3), "+OK");
    EXPECT_EQ(client.rest(), "");
}

TEST(Pop3Driver, AStoppingServerLetsAMaildropBeFinishedAndSaysGoodbyeToTheRest) {
    Served served;
    served.deliver("one\r\n");
    Client idle(served.pop3_port), busy(served.pop3_port);
    idle.line();
    log_in(busy);
    std::thread stopper([&] { served.server().stop(std::chrono::seconds(20)); });
    EXPECT_NE(idle.rest().find("-ERR"), std::string::npos);
    EXPECT_EQ(busy.ask("DELE 1").substr(0, 3), "+OK");
    EXPECT_EQ(busy.ask("QUIT").substr(0, 3), "+OK");
    stopper.join();
    EXPECT_TRUE(served.stored().empty());
}

TEST(Pop3Driver, WhenTheGraceIsOverNothingIsRemoved) {
    Served served;
    served.deliver("one\r\n");
    Client client(served.pop3_port);
    log_in(client);
    EXPECT_EQ(client.ask("DELE 1").substr(0, 3), "+OK");
    served.server().stop(std::chrono::seconds(0));
    EXPECT_EQ(client.rest().substr(0, 4), "-ERR");
    EXPECT_EQ(served.stored().size(), 1u);
}

TEST(LoginDelay, IsFromOneLoginToTheNextOfAnAccount) {
    Time now{};
    serve::LoginDelay delay(std::chrono::seconds(60), [&] { return now; });
    const store::AccountId ada{1}, bob{2};
    EXPECT_FALSE(delay.too_soon(ada));
    EXPECT_FALSE(delay.too_soon(ada)) << "asking is no login";
    delay.note(ada);
    EXPECT_TRUE(delay.too_soon(ada));
    EXPECT_FALSE(delay.too_soon(bob));
    now += std::chrono::seconds(59);
    delay.note(bob);
    EXPECT_TRUE(delay.too_soon(ada));
    now += std::chrono::seconds(1);
    EXPECT_FALSE(delay.too_soon(ada));
    EXPECT_TRUE(delay.too_soon(bob));
    delay.note(ada);
    EXPECT_TRUE(delay.too_soon(bob)) << "tidying up leaves what still counts";
    EXPECT_EQ(delay.refused(), 4u);

    serve::LoginDelay none(std::chrono::seconds(0), [&] { return now; });
    none.note(ada);
    EXPECT_FALSE(none.too_soon(ada));
}

TEST(LoginDelay, WhoComesTooSoonIsToldSoAndNothingElse) {
    ServedOptions options;
    options.login_delay = std::chrono::hours(1);
    Served served(options);
    Client first(served.pop3_port);
    log_in(first);
    EXPECT_EQ(first.ask("QUIT").substr(0, 3), "+OK");
    Client second(served.pop3_port);
    second.line();
    second.ask("USER ada");
    EXPECT_EQ(second.ask("PASS wrong").substr(0, 11), "-ERR [AUTH]");
    second.ask("USER ada");
    EXPECT_EQ(second.ask("PASS secret"),
              "-ERR [LOGIN-DELAY] An account may log in once in 3600 seconds; wait and try again");
    EXPECT_EQ(second.ask("NOOP").substr(0, 4), "-ERR") << "not logged in";
}

TEST(Server, DrainingLetsSessionsFinishAndRefusesNewOnes) {
    Served served;
    served.deliver("one\r\n");
    Client session(served.pop3_port);
    log_in(session);
    EXPECT_EQ(served.server().connections_to_drain(), 1u);
    served.server().drain(std::chrono::seconds(0));
    EXPECT_EQ(Client(served.pop3_port).rest(), "-ERR busy\r\n");
    EXPECT_EQ(Client(served.lmtp_port).rest(), "421 busy\r\n");
    Client manager(served.admin_path);
    manager.send("{\"method\":\"echo\",\"params\":{}}\n");
    manager.finish_sending();
    EXPECT_NE(manager.rest(), "");
    EXPECT_EQ(session.ask("DELE 1").substr(0, 3), "+OK");
    EXPECT_EQ(session.ask("QUIT").substr(0, 3), "+OK");
    EXPECT_EQ(session.rest(), "");
    while (served.server().connections_to_drain() > 0)
        std::this_thread::yield();
    EXPECT_TRUE(served.stored().empty());
    served.server().resume();
    EXPECT_EQ(Client(served.pop3_port).line().substr(0, 3), "+OK");
}

TEST(Server, MoreConnectionsThanAllowedAreToldSo) {
    ServedOptions options;
    options.limits.connections_max = 2;
    Served served(std::move(options));
    Client first(served.pop3_port), second(served.pop3_port);
    first.line();
    second.line();
    Client third(served.pop3_port);
    EXPECT_EQ(third.rest(), "-ERR busy\r\n");
    EXPECT_EQ(served.server().refused_in_all(), 1u);
}

TEST(Server, AFullServerStillAnswersItsAdministrator) {
    ServedOptions options;
    options.limits.connections_max = 1;
    Served served(std::move(options));
    Client first(served.pop3_port);
    first.line();
    const auto wait_for = [&](std::size_t connections) {
        while (served.server().connections() != connections)
            std::this_thread::yield();
    };
    Client asks(served.admin_path);
    asks.send("{\"method\":\"echo\",\"params\":{}}\n");
    asks.finish_sending();
    EXPECT_NE(asks.rest(), "");
    wait_for(1);
    std::vector<std::unique_ptr<Client>> administrators;
    for (std::size_t i = 0; i < serve::administrator_connections; ++i)
        administrators.push_back(std::make_unique<Client>(served.admin_path));
    wait_for(1 + serve::administrator_connections);
    EXPECT_EQ(Client(served.admin_path).rest(), "");
    EXPECT_EQ(Client(served.pop3_port).rest(), "-ERR busy\r\n");
}

TEST(Server, NonsenseOnATlsPortIsClosedAndNotEchoed) {
    Served served;
    Client client(served.pop3s_port);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.rest().find("GET"), std::string::npos);
}

// What one device deletes another one, which asks for "recent:", is shown all the same; and its own DELE is
// no less of one.
TEST(Pop3Driver, RecentShowsWhatAnotherDeviceHasDeleted) {
    ServedOptions options;
    options.policy.deleted = maildrop::Deleted::hidden;
    Served served(std::move(options));
    served.deliver("one\r\n");
    served.deliver("two\r\n");
    std::string uidl;
    {
        Client first(served.pop3_port);
        log_in(first);
        uidl = first.ask("UIDL 1");
        EXPECT_EQ(first.ask("DELE 1").substr(0, 3), "+OK");
        EXPECT_EQ(first.ask("QUIT"), "+OK 1 messages removed, bye");
    }
    EXPECT_EQ(served.stored(), std::vector<std::string>{"two\r\n"});
    Client second(served.pop3_port);
    EXPECT_EQ(log_in_as(second, "recent:ada"), "+OK 2 messages (10 octets)");
    EXPECT_EQ(second.ask("UIDL 1"), uidl);
    EXPECT_EQ(second.ask("RETR 1"), "+OK 5 octets");
    EXPECT_EQ(second.until_dot(), "one\r\n");
    EXPECT_EQ(second.ask("RETR 2"), "+OK 5 octets");
    EXPECT_EQ(second.until_dot(), "two\r\n");
    EXPECT_EQ(second.ask("DELE 1").substr(0, 3), "+OK");
    EXPECT_EQ(second.ask("DELE 2").substr(0, 3), "+OK");
    EXPECT_EQ(second.ask("QUIT"), "+OK 2 messages removed, bye");
    EXPECT_TRUE(served.stored().empty());
    // By SCRAM, and as a name that is in no one's directory.
    Client third(served.pop3s_port);
    ASSERT_TRUE(third.start_tls());
    third.line();
    EXPECT_EQ(scram_login(third, "recent:ada", "secret"), "+OK 2 messages (10 octets)");
    Client fourth(served.pop3_port);
    EXPECT_EQ(log_in_as(fourth, "recent:nobody"), "-ERR [AUTH] Authentication failed");
}

TEST(Pop3Driver, RecentIsANameLikeOthersWhereItIsNotOffered) {
    ServedOptions options;
    options.policy.recent_days = 0;
    Served served(std::move(options));
    Client client(served.pop3_port);
    EXPECT_EQ(log_in_as(client, "recent:ada"), "-ERR [AUTH] Authentication failed");
}

TEST(Pop3Driver, OnlyTheLastMessagesAreShownAndTheOthersStay) {
    ServedOptions options;
    options.policy.show_messages = 2;
    options.policy.show_days = 10;
    options.policy.expire_days = 60;
    Served served(std::move(options));
    served.deliver("one\r\n");
    served.deliver("two\r\n");
    served.deliver("three\r\n", Time(std::chrono::hours(1)));
    served.deliver("four\r\n");
    Client client(served.pop3_port);
    EXPECT_EQ(log_in_as(client, "ada"), "+OK 2 messages (11 octets)") << "the third is of 1970";
    EXPECT_EQ(client.ask("RETR 1"), "+OK 5 octets");
    EXPECT_EQ(client.until_dot(), "two\r\n");
    EXPECT_EQ(client.ask("DELE 2").substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("CAPA").substr(0, 3), "+OK");
    EXPECT_NE(client.until_dot().find("EXPIRE 60\r\n"), std::string::npos);
    EXPECT_EQ(client.ask("QUIT").substr(0, 3), "+OK");
    EXPECT_EQ(served.stored(), (std::vector<std::string>{"one\r\n", "two\r\n", "three\r\n"}));
}

TEST(Pop3Driver, RefusalsAreInTheClientsLanguage) {
    ServedOptions options;
    options.exclusive = true;
    Served served(std::move(options));
    Client first(served.pop3_port), second(served.pop3_port);
    log_in(first);
    second.line();
    EXPECT_EQ(second.ask("LANG de"), "+OK de Sprache gewechselt");
    second.ask("USER ada");
    EXPECT_TRUE(second.ask("PASS secret").starts_with("-ERR [IN-USE] Das Postfach wird von 127.0.0.1:"));
    auth::AccountChange change;
    change.disabled = true;
    change.disabled_text = "Büro {12} fragen";
    ASSERT_TRUE(served.directory().change("ada", change));
    second.ask("USER ada");
    EXPECT_EQ(second.ask("PASS secret"), "-ERR [SYS/PERM] Dieses Konto ist gesperrt: Büro {12} fragen");
}

}  // namespace
}  // namespace pier::test
