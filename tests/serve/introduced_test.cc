// Behind a proxy that introduces its clients with XCLIENT: the client is whom it names, for everything that
// looks at addresses.
#include <gtest/gtest.h>

#include "serve/served.h"

namespace pier::test {
namespace {

constexpr const char* proxy = "127.0.0.9";

ServedOptions behind_a_proxy() {
    ServedOptions options;
    options.introducers = {*Network::parse(proxy)};
    options.guard.delay_max = std::chrono::seconds(0);
    options.guard.pair_failures_max = 3;
    return options;
}

std::string log_in(Client& client, const std::string& password) {
    client.ask("USER ada");
    return client.ask("PASS " + password);
}

TEST(Introduced, WhoIsNotOnLoopbackMayNotLogInInClearText) {
    Served served(behind_a_proxy());
    Client client(served.pop3_port, proxy);
    EXPECT_EQ(client.line(), "+OK [XCLIENT] Pier POP3 server ready");
    EXPECT_EQ(client.ask("XCLIENT ADDR=192.0.2.1 PORT=4000 SESSION=x"), "+OK client known");
    EXPECT_EQ(client.ask("USER ada").substr(0, 18), "-ERR logging in ne");
    EXPECT_EQ(client.ask("XCLIENT ADDR=192.0.2.1 PORT=4000 CLIENT-TRANSPORT=TLS"), "+OK client known");
    EXPECT_EQ(log_in(client, "secret").substr(0, 3), "+OK") << "the proxy has TLS with him";
}

TEST(Introduced, TheGuardCountsTheClientAndNotTheProxy) {
    Served served(behind_a_proxy());
    const auto try_from = [&](const std::string& address, const std::string& password) {
        Client client(served.pop3_port, proxy);
        client.line();
        const std::string known = client.ask("XCLIENT ADDR=" + address + " PORT=4000 CLIENT-TRANSPORT=TLS");
        return known == "+OK client known" ? log_in(client, password) : known;
    };
    for (const char* wrong : {"a", "b", "c", "d", "e"})
        try_from("192.0.2.1", wrong);
    EXPECT_NE(try_from("192.0.2.1", "secret").substr(0, 3), "+OK") << "he has guessed too often";
    EXPECT_EQ(try_from("192.0.2.2", "secret").substr(0, 3), "+OK");
    EXPECT_EQ(try_from("IPV6:2001:db8::1", "secret").substr(0, 3), "+OK");
    EXPECT_EQ(try_from("nonsense", "secret"), "-ERR XCLIENT: ADDR is no IP address");
}

TEST(Introduced, TheListenersNetworksAreTheClients) {
    ServedOptions options = behind_a_proxy();
    options.pop3_access.allow = {*Network::parse("192.0.2.0/24")};
    Served served(std::move(options));
    Client good(served.pop3_port, proxy);
    good.line();
    EXPECT_EQ(good.ask("XCLIENT ADDR=192.0.2.77 PORT=1"), "+OK client known");
    Client bad(served.pop3_port, proxy);
    bad.line();
    EXPECT_EQ(bad.ask("XCLIENT ADDR=198.51.100.1 PORT=1"), "-ERR this client may not connect; closing");
    EXPECT_EQ(bad.rest(), "");
}

TEST(Introduced, NobodyElseIsBelieved) {
    Served served(behind_a_proxy());
    Client client(served.pop3_port, "127.0.0.8");
    EXPECT_EQ(client.line(), "+OK Pier POP3 server ready");
    EXPECT_EQ(client.ask("XCLIENT ADDR=192.0.2.1 PORT=1"), "-ERR unknown command");
}

}  // namespace
}  // namespace pier::test
