#include "serve/admin_driver.h"

#include <optional>
#include <string>

namespace pier::serve {
namespace {

using net::Connection;
using net::Task;

class Driver {
  public:
    Driver(Connection& connection, AdminService& service)
        : connection_(connection), service_(service), caller_(admin::caller_at(connection.socket())) {}

    Task<void> run() {
        while (true) {
            auto line = co_await read_line();
            if (!line) break;
            const auto request = admin::parse_request(*line, service_.body_octets_max);
            if (request) {
                const bool filled = co_await fill(request->octets);
                if (!filled) break;
            }
            // A request is worth finishing even when the server stops; the wait for the next one is not.
            connection_.set_worth_finishing(true);
            const std::string body = in_.substr(0, request ? request->octets : 0);
            in_.erase(0, body.size());
            const auto call = [&] {
                return service_.api.call(*line, body, service_.body_octets_max, caller_);
            };
            const std::string answer = co_await net::on_pool(connection_.loop(), service_.pool, call);
            connection_.set_worth_finishing(false);
            const auto written = co_await connection_.write(answer);
            if (!written) break;
            if (!request) break;  // nobody knows where the next request begins
        }
        co_await connection_.close(Connection::Unread::unlikely);
    }

  private:
    // The next line with its end; absent if there is none, or it has no end within the limit.
    Task<std::optional<std::string>> read_line() {
        std::size_t scanned = 0;
        while (true) {
            const auto end = in_.find('\n', scanned);
            if (end != std::string::npos) {
                std::string line = in_.substr(0, end + 1);
                in_.erase(0, end + 1);
                co_return line;
            }
            scanned = in_.size();
            if (scanned >= admin::request_line_octets_max) co_return std::nullopt;
            const bool more = co_await read_more();
            if (!more) co_return std::nullopt;
        }
    }

    Task<bool> fill(std::uint64_t octets) {
        while (in_.size() < octets) {
            const bool more = co_await read_more();
            if (!more) co_return false;
        }
        co_return true;
    }

    Task<bool> read_more() {
        const auto octets = co_await connection_.read();
        if (!octets || octets->empty()) co_return false;
        in_ += *octets;
        co_return true;
    }

    Connection& connection_;
    AdminService& service_;
    const admin::Caller caller_;
    std::string in_;
};

}  // namespace

Task<void> serve_admin(Connection& connection, AdminService& service) {
    Driver driver(connection, service);
    co_await driver.run();
}

}  // namespace pier::serve
