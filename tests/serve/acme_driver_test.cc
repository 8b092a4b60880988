// Who asks as an ACME authority does is answered; nobody else is told anything.
#include "serve/acme_driver.h"

#include <gtest/gtest.h>

#include "net/event_loop.h"
#include "serve/http_answer.h"
#include "serve/server.h"

namespace pier::serve {
namespace {

class AcmeHttp : public testing::Test {
  protected:
    AcmeHttp() {
        service_.set_answers({{"token-1", "token-1.thumbprint"}});
        auto sockets = net::ListenSockets::bind({boost::asio::ip::make_address("127.0.0.1"), 0, ""}, 1, 0);
        ListenerOptions options;
        options.name = name_;
        options.protocol = [this](net::Connection& connection) {
            return serve_acme_http(connection, service_, name_);
        };
        server_.listen(std::move(*sockets), std::move(options));
        port_ = server_.listeners()[0].second.port;
        server_.start();
    }

    std::string answer(const std::vector<std::string>& pieces) const {
        return test::http_answer(port_, pieces);
    }
    std::string status(const std::string& request) const { return test::http_status(port_, request); }

    auth::Guard guard_{{}, system_now};
    const std::string name_ = "acme-http";
    AcmeService service_;
    Server server_{1, ServerLimits{}, guard_};
    std::uint16_t port_ = 0;
};

const std::string path = "/.well-known/acme-challenge/";

TEST_F(AcmeHttp, AChallengeIsAnswered) {
    const std::string request = "GET " + path + "token-1 HTTP/1.1\r\nHost: mail.example.org\r\n\r\n";
    const std::string whole = answer({request});
    EXPECT_EQ(whole,
              "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 18\r\n"
              "Connection: close\r\n\r\ntoken-1.thumbprint");
    std::vector<std::string> octets;
    for (const char c : request)
        octets.emplace_back(1, c);
    EXPECT_EQ(answer(octets), whole);
    EXPECT_EQ(service_.answered, 2u);
}

TEST_F(AcmeHttp, NothingElseIsThere) {
    for (const std::string& target :
         {std::string("/"), path, path + "token-2", path + "token-1/", path + "../token-1",
          "/x" + path + "token-1", path + "token-1?x", std::string("*")})
        EXPECT_EQ(status("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 Not Found")
            << target;
    for (const std::string& method :
         {std::string("HEAD"), std::string("POST"), std::string("DELETE"), std::string("BREW")})
        EXPECT_EQ(status(method + " " + path + "token-1 HTTP/1.1\r\nHost: x\r\n\r\n"),
                  "HTTP/1.1 404 Not Found")
            << method;
    EXPECT_EQ(service_.answered, 0u);
}

TEST_F(AcmeHttp, WhatIsNoRequestIsRefused) {
    const std::string bad = "HTTP/1.1 400 Bad Request";
    EXPECT_EQ(status("nonsense\r\n\r\n"), bad);
    EXPECT_EQ(status("\x16\x03\x01\x02\x00\x01"), bad) << "TLS";
    EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"), bad);
    EXPECT_EQ(status("GET /" + std::string(5000, 'x')), bad) << "longer than a request may be";
    EXPECT_EQ(status("GET / HTTP/1.1\r\nX: " + std::string(5000, 'x')), bad);
}

TEST_F(AcmeHttp, ANewAnswerTakesThePlaceOfTheOld) {
    service_.set_answers({{"token-3", "text"}});
    EXPECT_EQ(status("GET " + path + "token-1 HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 Not Found");
    EXPECT_EQ(status("GET " + path + "token-3 HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 200 OK");
}

}  // namespace
}  // namespace pier::serve
