#include "serve/acme_driver.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <fmt/format.h>

#include "base/log.h"

namespace pier::serve {
namespace {

namespace http = boost::beast::http;
using net::Connection;
using net::Task;

constexpr std::size_t request_octets_max = 4096;
constexpr std::string_view challenge_folder = "/.well-known/acme-challenge/";
constexpr const char* no_other_protocol = "none";  // a client that names any other by ALPN is refused

std::string reply(std::string_view status, std::string_view body) {
    return fmt::format(
        "HTTP/1.1 {}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n"
        "Connection: close\r\n\r\n{}",
        status, body.size(), body);
}

// The request's head, as far as it has come.
class Head {
  public:
    enum class State { incomplete, complete, bad };

    Head() {
        parser_.header_limit(request_octets_max);
        parser_.body_limit(0);
    }

    State take(std::string_view octets) {
        text_ += octets;
        if (text_.size() > request_octets_max) return State::bad;
        boost::system::error_code error;
        const std::size_t taken = parser_.put(boost::asio::buffer(text_), error);
        text_.erase(0, taken);
        if (parser_.is_header_done()) return State::complete;
        return !error || error == http::error::need_more ? State::incomplete : State::bad;
    }

    // Empty: this is no request for an answer to a challenge.
    std::string token() const {
        const auto target = parser_.get().target();
        const std::string_view path(target.data(), target.size());
        if (parser_.get().method() != http::verb::get || !path.starts_with(challenge_folder)) return {};
        return std::string(path.substr(challenge_folder.size()));
    }

  private:
    http::request_parser<http::empty_body> parser_;
    std::string text_;
};

}  // namespace

void AcmeService::set_answers(std::map<std::string, std::string> answers) {
    std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
}

std::string AcmeService::answer(const std::string& token) const {
    std::lock_guard lock(mutex_);
    const auto found = answers_.find(token);
    return found != answers_.end() ? found->second : std::string();
}

Task<void> serve_acme_http(Connection& connection, AcmeService& service, const std::string& listener) {
    connection.set_deadline(service.timeout);
    Head head;
    auto state = Head::State::incomplete;
    while (state == Head::State::incomplete) {
        auto octets = co_await connection.read();
        if (!octets || octets->empty()) co_return;
        state = head.take(*octets);
    }
    std::string text = reply("400 Bad Request", "");
    if (state == Head::State::complete) {
        const std::string token = head.token();
        const std::string answer = token.empty() ? std::string() : service.answer(token);
        text = answer.empty() ? reply("404 Not Found", "") : reply("200 OK", answer);
        if (!answer.empty()) {
            ++service.answered;
            log::info("acme.asked", {{"listener", listener}, {"peer", connection.peer().text()}});
        }
    }
    auto written = co_await connection.write(text);
    if (!written) co_return;
    co_await connection.close(Connection::Unread::likely);
}

Task<void> serve_acme_tls(Connection& connection, AcmeService& service, const std::string& listener) {
    connection.set_deadline(service.timeout);
    auto done = co_await connection.start_tls(*service.tls, no_other_protocol);
    if (!done) {
        log::debug(
            "tls.failed",
            {{"listener", listener}, {"peer", connection.peer().text()}, {"reason", done.error().text}});
        co_return;
    }
    if (connection.answered_challenge()) {
        ++service.answered;
        log::info("acme.asked", {{"listener", listener}, {"peer", connection.peer().text()}});
    }
    co_await connection.close(Connection::Unread::likely);
}

}  // namespace pier::serve
