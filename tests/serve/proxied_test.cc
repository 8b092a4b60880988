// Behind a proxy that speaks the PROXY protocol: the client is whom it names, for everything that looks at
// addresses.
#include <gtest/gtest.h>

#include "serve/served.h"

namespace pier::test {
namespace {

using namespace std::string_literals;

constexpr const char* proxy = "127.0.0.9";

ServedOptions behind_a_proxy() {
    ServedOptions options;
    options.proxies = {*Network::parse(proxy)};
    options.guard.delay_max = std::chrono::seconds(0);
    options.guard.pair_failures_max = 3;
    return options;
}

std::string names(const std::string& client) {
    return "PROXY TCP4 " + client + " 198.51.100.1 56324 110\r\n";
}

// What a client that the proxy names gets; the header comes with what follows, in one piece.
std::string greeting(Served& served, const std::string& header) {
    Client client(served.pop3_port, proxy);
    client.send(header);
    return client.line();
}

std::string log_in(Served& served, const std::string& header, const std::string& password) {
    Client client(served.pop3s_port, proxy);
    client.send(header);
    if (!client.start_tls()) return "no TLS";
    client.line();
    client.ask("USER ada");
    return client.ask("PASS " + password);
}

TEST(Proxied, TheHeaderComesBeforeAllElse) {
    Served served(behind_a_proxy());
    Client client(served.pop3_port, proxy);
    client.send(names("192.0.2.1") + "CAPA\r\nQUIT\r\n");
    EXPECT_EQ(client.line().substr(0, 3), "+OK");
    EXPECT_EQ(client.line(), "+OK capabilities follow");
    EXPECT_EQ(client.until_dot().find("USER"), std::string::npos) << "this client is not on loopback";
    EXPECT_EQ(client.line(), "+OK bye");
}

TEST(Proxied, TheHeaderMayComeOctetByOctet) {
    Served served(behind_a_proxy());
    Client client(served.pop3_port, proxy);
    for (const char c : names("192.0.2.1"))
        client.send({&c, 1});
    EXPECT_EQ(client.line().substr(0, 3), "+OK");
}

TEST(Proxied, TlsBeginsBehindTheHeader) {
    Served served(behind_a_proxy());
    EXPECT_EQ(log_in(served, names("192.0.2.1"), "secret").substr(0, 3), "+OK");
    EXPECT_EQ(log_in(served, "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"s, "secret").substr(0, 3), "+OK")
        << "the proxy for itself";
}

TEST(Proxied, WhoIsNoProxyIsNotBelieved) {
    Served served(behind_a_proxy());
    Client client(served.pop3_port, "127.0.0.8");
    client.send(names("192.0.2.1"));
    EXPECT_EQ(client.line().substr(0, 3), "+OK");
    EXPECT_EQ(client.line().substr(0, 4), "-ERR") << "a command that there is not";
    EXPECT_EQ(client.ask("USER ada").substr(0, 3), "+OK") << "and it is still on loopback";
}

TEST(Proxied, AProxyThatDoesNotSayForWhomIsClosed) {
    Served served(behind_a_proxy());
    EXPECT_EQ(greeting(served, "CAPA\r\n"), "");
    EXPECT_EQ(greeting(served, "PROXY TCP4 192.0.2.1\r\n"), "");
    Client silent(served.pop3_port, proxy);
    silent.finish_sending();
    EXPECT_EQ(silent.line(), "");
}

TEST(Proxied, TheNetworksOfTheListenerAreTheClients) {
    auto options = behind_a_proxy();
    options.pop3_access.deny = {*Network::parse("192.0.2.0/24"), *Network::parse(proxy)};
    Served served(options);
    EXPECT_EQ(greeting(served, names("192.0.2.1")), "");
    EXPECT_EQ(greeting(served, names("203.0.113.1")).substr(0, 3), "+OK");
}

TEST(Proxied, LimitsCountTheClients) {
    auto options = behind_a_proxy();
    options.limits.connections_per_address_max = 1;
    Served served(options);
    Client first(served.pop3_port, proxy);
    first.send(names("192.0.2.1"));
    EXPECT_EQ(first.line().substr(0, 3), "+OK");
    EXPECT_EQ(greeting(served, names("192.0.2.1")), "-ERR busy");
    EXPECT_EQ(greeting(served, names("192.0.2.2")).substr(0, 3), "+OK");
    EXPECT_EQ(served.server().refused_per_address(), 1u);
}

TEST(Proxied, TheGuardCountsTheClients) {
    Served served(behind_a_proxy());
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(log_in(served, names("192.0.2.1"), "wrong" + std::to_string(i)),
                  "-ERR [AUTH] Authentication failed");
    EXPECT_EQ(log_in(served, names("192.0.2.1"), "secret"),
              "-ERR [SYS/TEMP] Too many failed logins; try again later");
    EXPECT_EQ(log_in(served, names("192.0.2.2"), "secret").substr(0, 3), "+OK");
}

TEST(Proxied, WhileDrainingHealthChecksFailBeforeClientsDo) {
    Served served(behind_a_proxy());
    const std::string check = "PROXY UNKNOWN\r\n";
    EXPECT_EQ(greeting(served, check).substr(0, 3), "+OK");
    served.server().drain(std::chrono::hours(1));
    EXPECT_EQ(greeting(served, check), "-ERR busy");
    EXPECT_EQ(greeting(served, names("192.0.2.1")).substr(0, 3), "+OK");
    served.server().drain(std::chrono::seconds(0));
    EXPECT_EQ(greeting(served, names("192.0.2.1")), "-ERR busy");
    served.server().resume();
    EXPECT_EQ(greeting(served, check).substr(0, 3), "+OK");
}

TEST(Proxied, TlsThatEndsAtTheProxyIsTls) {
    auto options = behind_a_proxy();
    options.clear_login = serve::ClearLogin::never;
    Served served(options);
    // Version 2: 192.0.2.1, with TLS 1.3 between it and the proxy.
    const std::string rest =
        "\xC0\x00\x02\x01\xC6\x33\x64\x01\xDC\x04\x00\x6E\x20\x00\x0F\x01\0\0\0\0\x21\x00\x07TLSv1.3"s;
    Client client(served.pop3_port, proxy);
    client.send("\r\n\r\n\0\r\nQUIT\n\x21\x11\0"s + static_cast<char>(rest.size()) + rest);
    EXPECT_EQ(client.line().substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("STLS"), "-ERR TLS is active already");
    EXPECT_EQ(client.ask("USER ada").substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("PASS secret").substr(0, 3), "+OK");
}

}  // namespace
}  // namespace pier::test
