// The filter and a server that stands in for rspamd, on loopback.
#include "filter/filter.h"

#include <future>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pier::filter {
namespace {

using boost::asio::ip::tcp;
using testing::HasSubstr;

// Answers one connection after the other, with what it is given; keeps what it was sent.
class Stub {
  public:
    explicit Stub(std::vector<std::string> answers)
        : acceptor_(io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)),
          thread_([this, answers = std::move(answers)] {
              for (const std::string& answer : answers)
                  serve(answer);
          }) {}
    ~Stub() { thread_.join(); }

    std::string server() const { return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }
    std::vector<std::string> asked;

  private:
    void serve(const std::string& answer) {
        tcp::socket socket(io_);
        acceptor_.accept(socket);
        std::string text;
        boost::system::error_code error;
        std::array<char, 65536> block;
        for (std::size_t whole = std::string::npos; text.size() < whole;) {
            const std::size_t count = socket.read_some(boost::asio::buffer(block), error);
            if (error) break;
            text.append(block.data(), count);
            const std::size_t end = text.find("\r\n\r\n"), at = text.find("Content-Length: ");
            if (end != text.npos && at != text.npos) whole = end + 4 + std::stoul(text.substr(at + 16));
        }
        asked.push_back(std::move(text));
        boost::asio::write(socket, boost::asio::buffer(answer), error);
    }

    boost::asio::io_context io_;
    tcp::acceptor acceptor_;
    std::thread thread_;
};

std::string http(const std::string& json) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(json.size()) + "\r\n\r\n" + json;
}

Judgement judged(Filter& filter, const std::string& message) {
    std::promise<Judgement> promise;
    Question question;
    question.helo = "client.example";
    filter.ask(
        question, message.size(),
        [&](std::uint64_t offset, std::span<char> out) -> Result<std::size_t> {
            return message.copy(out.data(), std::min<std::size_t>(out.size(), 1000), offset);
        },
        [&](Judgement one) { promise.set_value(std::move(one)); });
    return promise.get_future().get();
}

TEST(Filter, sends_the_message_and_obeys) {
    Stub stub({http(R"({"action":"no action","score":1.5,"milter":{"add_headers":{"X-A":"b"}}})"),
               http(R"({"action":"reject","score":20})"), http(R"({"action":"add header","score":7})")});
    Filter filter({.server = stub.server()});
    const std::string message = "Subject: x\r\n\r\n" + std::string(100'000, 'x') + "\r\n";
    const Judgement first = judged(filter, message);
    EXPECT_FALSE(first.refusal);
    EXPECT_EQ(first.fields, "X-A: b\r\n");
    EXPECT_EQ(first.log, "no action score=1.50");
    EXPECT_FALSE(first.spam);
    const Judgement second = judged(filter, message);
    ASSERT_TRUE(second.refusal);
    EXPECT_EQ(second.refusal->code, 554);
    EXPECT_TRUE(judged(filter, message).spam);
    EXPECT_TRUE(stub.asked.at(0).ends_with("\r\n\r\n" + message));
    const auto counts = filter.counts();
    EXPECT_EQ(counts.asked, 3u);
    EXPECT_EQ(counts.refused, 1u);
    EXPECT_EQ(counts.marked, 1u);
    EXPECT_EQ(counts.unchecked, 0u);
    EXPECT_EQ(counts.under_way, 0u);
    EXPECT_FALSE(counts.down);
    EXPECT_EQ(filter.times().count(), 3u);
}

TEST(Filter, whoever_is_down_is_chosen_for) {
    std::string nobody;
    {
        Stub stub({});
        nobody = stub.server();
    }
    Filter takes({.server = nobody});
    const Judgement taken = judged(takes, "x\r\n");
    EXPECT_FALSE(taken.refusal);
    EXPECT_EQ(taken.fields, "X-Spam-Status: unchecked (the filter did not answer)\r\n");
    EXPECT_THAT(taken.log, HasSubstr("not looked at"));
    Filter refuses({.server = nobody, .refuse_when_down = true});
    const Judgement refused = judged(refuses, "x\r\n");
    ASSERT_TRUE(refused.refusal);
    EXPECT_EQ(refused.refusal->code, 451);
    EXPECT_EQ(refused.refusal->enhanced, "4.7.1");
    EXPECT_EQ(refuses.counts().unchecked, 1u);
    EXPECT_TRUE(refuses.counts().down);
    EXPECT_EQ(refuses.times().count(), 0u);
}

TEST(Filter, answers_that_are_none_count_as_down) {
    Stub stub({"", "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", http("nonsense"),
               http(R"({"action":"reject"})").substr(0, 50)});
    Filter filter({.server = stub.server()});
    for (int i = 0; i < 4; ++i)
        EXPECT_THAT(judged(filter, "x\r\n").log, HasSubstr("not looked at")) << i;
}

TEST(Filter, who_does_not_answer_is_not_waited_for) {
    boost::asio::io_context io;
    tcp::acceptor silent(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    Filter filter({.server = "127.0.0.1:" + std::to_string(silent.local_endpoint().port()),
                   .timeout = std::chrono::milliseconds(50)});
    EXPECT_THAT(judged(filter, "x\r\n").fields, HasSubstr("unchecked"));
}

TEST(Filter, large_messages_pass) {
    Stub stub({http(R"({"action":"no action"})"), http(R"({"action":"no action"})")});
    Filter filter({.server = stub.server(), .octets_max = 1000});
    EXPECT_EQ(judged(filter, std::string(999, 'x')).fields, "");
    EXPECT_EQ(judged(filter, std::string(1000, 'x')).fields, "");
    EXPECT_EQ(judged(filter, std::string(1001, 'x')).fields, "X-Spam-Status: unchecked (too large)\r\n");
}

TEST(Filter, is_on_this_machine) {
    for (const char* good : {"127.0.0.1:11333", "[::1]:11333", "127.5.5.5:1", "/run/rspamd.sock"})
        EXPECT_TRUE(check_server(good)) << good;
    for (const char* bad : {"", "localhost:11333", "192.0.2.1:11333", "127.0.0.1", "127.0.0.1:0",
                            "127.0.0.1:65536", "127.0.0.1:x", "http://127.0.0.1:11333"})
        EXPECT_FALSE(check_server(bad)) << bad;
    EXPECT_THAT(check_server("192.0.2.1:1").error().text, HasSubstr("another machine"));
    EXPECT_TRUE(check_server("/" + std::string(106, 'x')));
    EXPECT_FALSE(check_server("/" + std::string(107, 'x')));
}

}  // namespace
}  // namespace pier::filter
