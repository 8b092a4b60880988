// The guard as a client meets it. No delays here: nothing waits.
#include <gtest/gtest.h>

#include "serve/served.h"

namespace pier::test {
namespace {

constexpr const char* attacker = "127.0.0.2";
constexpr const char* home = "127.0.0.3";

ServedOptions quick() {
    ServedOptions options;
    options.guard.delay_max = std::chrono::seconds(0);
    options.guard.pair_failures_max = 4;
    options.guard.address_failures_max = 8;
    options.guard.account_failures_max = 12;
    options.guard.scans_max = 5;
    options.pop3.limits.failed_logins_max = 100;
    return options;
}

// The answer to PASS; empty if the connection was closed at once.
std::string log_in(Served& served, const char* from, const std::string& user, const std::string& password) {
    Client client(served.pop3_port, from);
    if (client.line().empty()) return {};
    client.ask("USER " + user);
    std::string answer = client.ask("PASS " + password);
    if (answer.starts_with("+OK")) client.ask("QUIT");
    return answer;
}

constexpr std::string_view wrong = "-ERR [AUTH] Authentication failed";
constexpr std::string_view held = "-ERR [SYS/TEMP] Too many failed logins; try again later";

TEST(GuardedLogin, GuessingIsRefusedWithoutALookAtThePassword) {
    Served served(quick());
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(log_in(served, attacker, "ada", "wrong" + std::to_string(i)), wrong) << i;
    EXPECT_EQ(log_in(served, attacker, "ada", "another"), held);
    EXPECT_EQ(log_in(served, attacker, "ADA", "secret"), held) << "it is the same account";
    EXPECT_EQ(log_in(served, home, "ada", "secret").substr(0, 3), "+OK");
}

TEST(GuardedLogin, ARememberedPasswordDoesNotGoRoundTheGuard) {
    Served served(quick());
    EXPECT_EQ(log_in(served, home, "ada", "secret").substr(0, 3), "+OK");
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(log_in(served, attacker, "ada", "wrong" + std::to_string(i)), wrong) << i;
    EXPECT_EQ(log_in(served, attacker, "ada", "secret"), held);
}

TEST(GuardedLogin, NamesThatDoNotExistMeetTheSame) {
    Served served(quick());
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(log_in(served, attacker, "nobody", "wrong" + std::to_string(i)), wrong) << i;
    EXPECT_EQ(log_in(served, attacker, "nobody", "another"), held);
}

TEST(GuardedLogin, AnAddressThatSpraysIsClosedBeforeItsGreeting) {
    Served served(quick());
    for (int i = 0; i < 8; ++i)
        EXPECT_EQ(log_in(served, attacker, "user" + std::to_string(i), "summer2026"), wrong) << i;
    EXPECT_EQ(log_in(served, attacker, "ada", "secret"), "");
    Client tls(served.pop3s_port, attacker);
    EXPECT_FALSE(tls.start_tls());
    EXPECT_EQ(log_in(served, home, "ada", "secret").substr(0, 3), "+OK");
}

TEST(GuardedLogin, TheOwnerEntersWhileOthersAttack) {
    Served served(quick());
    EXPECT_EQ(log_in(served, home, "ada", "secret").substr(0, 3), "+OK");
    int tried = 0;
    for (int host = 10; host < 20; ++host)
        for (int i = 0; i < 3; ++i, ++tried)
            log_in(served, ("127.0.0." + std::to_string(host)).c_str(), "ada", "w" + std::to_string(tried));
    EXPECT_EQ(log_in(served, "127.0.0.99", "ada", "secret"), held);
    EXPECT_EQ(log_in(served, home, "ada", "secret").substr(0, 3), "+OK");
}

TEST(GuardedLogin, TheSameWrongPasswordAgainAndAgainBlocksNobody) {
    Served served(quick());
    for (int i = 0; i < 30; ++i)
        EXPECT_EQ(log_in(served, attacker, "ada", "last year's"), wrong);
    EXPECT_EQ(log_in(served, attacker, "ada", "secret").substr(0, 3), "+OK");
}

TEST(GuardedLogin, AMasterIsHimselfForGuardAndNetworks) {
    Served served(quick());
    ASSERT_TRUE(served.directory().add({.name = "root", .password = "keyring"}));
    auth::AccountChange change;
    change.master = true;
    change.allow = Networks{*Network::parse(home)};
    ASSERT_TRUE(served.directory().change("root", change));
    served.deliver("one\r\n");
    Client client(served.pop3_port, home);
    client.line();
    client.ask("USER ada*root");
    EXPECT_EQ(client.ask("PASS keyring").substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("STAT").substr(0, 6), "+OK 1 ");
    EXPECT_EQ(log_in(served, attacker, "ada*root", "keyring"), wrong) << "the master's networks count";

    change = {};
    change.deny = Networks{*Network::parse(home)};
    ASSERT_TRUE(served.directory().change("ada", change));
    EXPECT_EQ(log_in(served, home, "ada*root", "keyring").substr(0, 3), "+OK") << "not the account's";
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(log_in(served, attacker, "eve" + std::to_string(i) + "*root", "wrong" + std::to_string(i)),
                  wrong);
    EXPECT_EQ(log_in(served, attacker, "ada*root", "keyring"), held);
    EXPECT_EQ(log_in(served, attacker, "ada", "secret").substr(0, 3), "+OK");
}

TEST(GuardedLogin, AnAccountMayBeKeptFromAProtocol) {
    Served served(quick());
    auth::AccountChange change;
    change.protocols = auth::Protocols(std::in_place);
    ASSERT_TRUE(served.directory().change("ada", change));
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(log_in(served, attacker, "ada", "secret"),
                  "-ERR [SYS/PERM] This account may not log in by this protocol")
            << "who knows the password is no attacker: he is not held";
    EXPECT_EQ(log_in(served, attacker, "ada", "wrong"), wrong) << "and others learn nothing";
    change.protocols = auth::Protocols({"pop3"});
    ASSERT_TRUE(served.directory().change("ada", change));
    EXPECT_EQ(log_in(served, attacker, "ada", "secret").substr(0, 3), "+OK");
}

TEST(GuardedLogin, ScramIsGuardedToo) {
    Served served(quick());
    const auto try_scram = [&](const std::string& password) {
        Client client(served.pop3_port, attacker);
        client.line();
        return scram_login(client, "ada", password);
    };
    // A proof does not show which password it was made with: each counts.
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(try_scram("wrong" + std::to_string(i)), wrong) << i;
    EXPECT_EQ(try_scram("secret"), held);
    EXPECT_EQ(log_in(served, attacker, "ada", "secret"), held);
}

TEST(GuardedLogin, ParallelGuessesGainNothing) {
    Served served(quick());
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(std::make_unique<Client>(served.pop3_port, attacker));
        clients.back()->line();
        clients.back()->ask("USER ada");
        clients.back()->send("PASS wrong" + std::to_string(i) + "\r\n");
    }
    int checked = 0;
    for (auto& client : clients)
        checked += client->line() == wrong ? 1 : 0;
    EXPECT_EQ(checked, 4);
}

TEST(GuardedLogin, ManySessionsOfOneOwnerAtOnceAllEnter) {
    Served served(quick());
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 40; ++i) {
        clients.push_back(std::make_unique<Client>(served.pop3_port, home));
        clients.back()->line();
        clients.back()->send("USER ada\r\nPASS secret\r\n");
    }
    for (auto& client : clients) {
        EXPECT_EQ(client->line(), "+OK send PASS");
        EXPECT_EQ(client->line().substr(0, 3), "+OK");
    }
}

TEST(GuardedConnection, AScannerIsClosedAtOnceAndAPoliteClientIsNot) {
    Served served(quick());
    for (int i = 0; i < 20; ++i) {
        Client polite(served.pop3_port, home);
        EXPECT_EQ(polite.line().substr(0, 3), "+OK");
        EXPECT_EQ(polite.ask("QUIT").substr(0, 3), "+OK");
        polite.rest();
    }
    const auto scan = [&](const std::string& nonsense) {
        Client scanner(served.pop3_port, attacker);
        const bool greeted = !scanner.line().empty();
        scanner.send(nonsense + "\r\nQUIT\r\n");
        scanner.rest();
        return greeted;
    };
    for (int i = 0; i < 5; ++i)
        EXPECT_TRUE(scan("GET / HTTP/1.1")) << i;
    EXPECT_FALSE(scan("GET / HTTP/1.1"));
    Client still_polite(served.pop3_port, home);
    EXPECT_EQ(still_polite.line().substr(0, 3), "+OK");
}

TEST(GuardedConnection, AListenersNetworksAreLookedAtBeforeTheGreeting) {
    ServedOptions options = quick();
    options.pop3_access.allow = {*Network::parse("127.0.0.0/24")};
    options.pop3_access.deny = {*Network::parse("127.0.0.2")};
    Served served(options);
    EXPECT_EQ(log_in(served, attacker, "ada", "secret"), "");
    EXPECT_EQ(log_in(served, "127.0.1.1", "ada", "secret"), "");
    EXPECT_EQ(log_in(served, home, "ada", "secret").substr(0, 3), "+OK");
}

TEST(GuardedConnection, AnAccountsNetworksLookLikeAWrongPassword) {
    Served served(quick());
    auth::AccountChange change;
    change.allow = {*Network::parse("127.0.0.3")};
    ASSERT_TRUE(served.directory().change("ada", change));
    EXPECT_EQ(log_in(served, attacker, "ada", "secret"), wrong);
    EXPECT_EQ(log_in(served, home, "ada", "secret").substr(0, 3), "+OK");
    EXPECT_EQ(log_in(served, attacker, "ada", "secret"), wrong) << "also when it is remembered";
}

TEST(GuardedConnection, AnAccountHasAsManySessionsAsAllowed) {
    ServedOptions options = quick();
    options.sessions_per_account_max = 2;
    Served served(options);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<Client>(served.pop3_port));
        clients.back()->line();
        clients.back()->ask("USER ada");
        const std::string answer = clients.back()->ask("PASS secret");
        EXPECT_EQ(answer.substr(0, 13), i < 2 ? answer.substr(0, 13) : "-ERR [IN-USE]") << answer;
        EXPECT_EQ(answer.starts_with("+OK"), i < 2) << answer;
    }
    EXPECT_EQ(clients[0]->ask("QUIT").substr(0, 3), "+OK");
    clients[0]->rest();
    clients[2]->ask("USER ada");
    EXPECT_EQ(clients[2]->ask("PASS secret").substr(0, 3), "+OK");
}

TEST(GuardedConnection, LoopbackIsNotCountedByTheRateOfNewConnections) {
    ServedOptions options = quick();
    options.limits.new_per_address_per_minute_max = 3;
    Served served(options);
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(log_in(served, home, "ada", "secret").substr(0, 3), "+OK");
    EXPECT_EQ(served.server().refused_by_rate(), 0u);
}

}  // namespace
}  // namespace pier::test
