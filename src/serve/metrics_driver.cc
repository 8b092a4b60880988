#include "serve/metrics_driver.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <fmt/format.h>

namespace pier::serve {
namespace {

namespace http = boost::beast::http;
using net::Connection;
using net::Task;

constexpr std::size_t request_octets_max = 8192;
constexpr std::chrono::seconds page_is_fresh{1};

std::string_view view_of(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

// The request's head, as far as it has come.
class Head {
  public:
    enum class State { incomplete, complete, bad, too_long };

    Head() {
        parser_.header_limit(request_octets_max);
        parser_.body_limit(0);
    }

    State take(std::string_view octets) {
        taken_ += octets.size();
        text_ += octets;
        boost::system::error_code error;
        const std::size_t used = parser_.put(boost::asio::buffer(text_), error);
        text_.erase(0, used);
        if (parser_.is_header_done()) return State::complete;
        if (error == http::error::header_limit || taken_ > request_octets_max) return State::too_long;
        return !error || error == http::error::need_more ? State::incomplete : State::bad;
    }

    const http::request_header<>& get() const { return parser_.get(); }

  private:
    http::request_parser<http::empty_body> parser_;
    std::string text_;
    std::size_t taken_ = 0;
};

std::string reply(std::string_view status, std::string_view type, std::string_view body,
                  std::string_view more_fields = {}) {
    return fmt::format(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n{}"
        "Connection: close\r\n\r\n{}",
        status, type, body.size(), more_fields, body);
}

std::string refusal(std::string_view status, std::string_view text, std::string_view more_fields = {}) {
    return reply(status, "text/plain; charset=utf-8", text, more_fields);
}

// The path without the query, which is not looked at.
bool asks_for_metrics(const http::request_header<>& head) {
    const std::string_view target = view_of(head.target());
    return target.substr(0, target.find('?')) == "/metrics";
}

Task<std::string> answer(Connection& connection, MetricsService& service,
                         const http::request_header<>& head) {
    if (!asks_for_metrics(head)) co_return refusal("404 Not Found", "There is only /metrics here.\n");
    const bool get = head.method() == http::verb::get;
    if (!get && head.method() != http::verb::head)
        co_return refusal("405 Method Not Allowed", "GET or HEAD\n", "Allow: GET, HEAD\r\n");
    const auto format = metrics::format_for(view_of(head[http::field::accept]));
    const std::string page = co_await net::on_pool(connection.loop(), service.pool(), [&service, format] {
        return service.text(format, std::chrono::steady_clock::now());
    });
    std::string text = reply("200 OK", metrics::content_type(format), page, "Vary: Accept\r\n");
    if (!get) text.resize(text.size() - page.size());  // RFC 9110 §9.3.2: the same fields
    co_return text;
}

}  // namespace

std::string MetricsService::text(metrics::Format format, SteadyTime now) {
    const std::lock_guard lock(mutex_);
    if (!page_ || now - made_ >= page_is_fresh) {
        page_.emplace(collect_());
        made_ = now;
    }
    return page_->text(format);
}

Task<void> serve_metrics(Connection& connection, MetricsService& service) {
    // For request and reply together: who reads slowly gets no more time than who writes slowly.
    connection.set_deadline(service.timeout());
    Head head;
    auto state = Head::State::incomplete;
    while (state == Head::State::incomplete) {
        auto octets = co_await connection.read();
        if (!octets || octets->empty()) co_return;
        state = head.take(*octets);
    }
    std::string text;
    if (state == Head::State::complete) {
        text = co_await answer(connection, service, head.get());
    } else if (state == Head::State::too_long) {
        text = refusal("431 Request Header Fields Too Large", "The request is too long.\n");  // RFC 6585 §5
    } else {
        text = refusal("400 Bad Request", "This is no HTTP request.\n");
    }
    auto written = co_await connection.write(text);
    if (!written) co_return;
    co_await connection.close(Connection::Unread::likely);
}

}  // namespace pier::serve
