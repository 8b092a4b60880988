// The page of measurements over HTTP: who asks rightly gets it, all else is refused.
#include "serve/metrics_driver.h"

#include <atomic>

#include <gtest/gtest.h>

#include "net/event_loop.h"
#include "serve/http_answer.h"
#include "serve/server.h"

namespace pier::serve {
namespace {

constexpr metrics::Description table[] = {{"made", metrics::Kind::counter, "", {}, "How often."}};

class MetricsHttp : public testing::Test {
  protected:
    MetricsHttp() {
        auto sockets = net::ListenSockets::bind({boost::asio::ip::make_address("127.0.0.1"), 0, ""}, 1, 0);
        ListenerOptions options;
        options.name = "metrics";
        options.protocol = [this](net::Connection& connection) {
            return serve_metrics(connection, service_);
        };
        server_.listen(std::move(*sockets), std::move(options));
        port_ = server_.listeners()[0].second.port;
        server_.start();
    }
    ~MetricsHttp() override {
        server_.stop(std::chrono::seconds(0));
        pool_.join();
    }

    std::string answer(const std::vector<std::string>& pieces) const {
        return test::http_answer(port_, pieces);
    }
    std::string status(const std::string& request) const { return test::http_status(port_, request); }

    std::atomic<int> made_ = 0;
    boost::asio::thread_pool pool_{1};
    MetricsService service_{[this] {
                                metrics::Page page(table);
                                page.add("made", ++made_);
                                return page;
                            },
                            pool_, std::chrono::seconds(10)};
    auth::Guard guard_{{}, system_now};
    Server server_{1, ServerLimits{}, guard_};
    std::uint16_t port_ = 0;
};

TEST_F(MetricsHttp, ThePageInBothFormats) {
    const std::string plain = answer({"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"});
    EXPECT_TRUE(plain.starts_with("HTTP/1.1 200 OK\r\n")) << plain;
    EXPECT_NE(plain.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), std::string::npos);
    EXPECT_TRUE(plain.ends_with("made_total 1\n")) << plain;
    const std::string open =
        answer({"GET /metrics?x=y HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text; "
                "version=1.0.0\r\n\r\n"});
    EXPECT_NE(open.find("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
              std::string::npos);
    EXPECT_TRUE(open.ends_with("# EOF\n")) << open;
}

TEST_F(MetricsHttp, ARequestInSingleOctets) {
    std::vector<std::string> octets;
    for (const char c : std::string("GET /metrics HTTP/1.0\r\n\r\n"))
        octets.emplace_back(1, c);
    EXPECT_TRUE(answer(octets).starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(MetricsHttp, HeadIsGetWithoutItsBody) {
    const std::string got = answer({"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"});
    const std::string head = answer({"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"});
    EXPECT_EQ(head, got.substr(0, got.find("\r\n\r\n") + 4));
}

TEST_F(MetricsHttp, NothingElseIsThere) {
    for (const char* target : {"/", "/metrics/", "/metricsx", "//metrics", "/../metrics", "*"})
        EXPECT_EQ(status(std::string("GET ") + target + " HTTP/1.1\r\nHost: x\r\n\r\n"),
                  "HTTP/1.1 404 Not Found")
            << target;
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
        const std::string all = answer({std::string(method) + " /metrics HTTP/1.1\r\nHost: x\r\n\r\n"});
        EXPECT_TRUE(all.starts_with("HTTP/1.1 405 Method Not Allowed\r\n")) << method;
        EXPECT_NE(all.find("Allow: GET, HEAD\r\n"), std::string::npos) << method;
    }
    EXPECT_EQ(made_, 0);
}

TEST_F(MetricsHttp, WhatIsNoRequestIsRefused) {
    EXPECT_EQ(status("nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    EXPECT_EQ(status("\x16\x03\x01\x02\x00\x01"), "HTTP/1.1 400 Bad Request") << "TLS";
    const std::string endless = "GET /metrics HTTP/1.1\r\nX: " + std::string(20'000, 'x');
    EXPECT_EQ(status(endless), "HTTP/1.1 431 Request Header Fields Too Large");
}

TEST_F(MetricsHttp, ThePageIsMadeAtMostOnceASecond) {
    const auto now = std::chrono::steady_clock::now();
    const auto text = [&](std::chrono::milliseconds later) {
        return service_.text(metrics::Format::prometheus, now + later);
    };
    const std::string first = text(std::chrono::milliseconds(0));
    EXPECT_EQ(text(std::chrono::milliseconds(999)), first);
    EXPECT_EQ(made_, 1);
    EXPECT_NE(text(std::chrono::milliseconds(1000)), first);
    EXPECT_EQ(made_, 2);
}

}  // namespace
}  // namespace pier::serve
