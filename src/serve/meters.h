// What the drivers measure: of each protocol the commands, logins and phases, of each listener TLS. Adding
// takes no lock (base/metrics.h); any thread. The labels are fixed when the server is built: nothing that a
// client says, and no name of an account, becomes one.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "auth/verdict.h"
#include "base/metrics.h"
#include "net/connection.h"

namespace pier::serve {

enum class Mechanism { password, scram, token, certificate };
inline constexpr std::array<std::string_view, 4> mechanism_names{"password", "scram", "token", "certificate"};

enum class LoginOutcome { success, credentials, disabled, busy, held, outage };
inline constexpr std::array<std::string_view, 6> login_outcome_names{"success", "credentials", "disabled",
                                                                     "busy",    "held",        "outage"};
LoginOutcome outcome_of(const auth::Verdict& verdict);

class ProtocolMeters {
  public:
    // `commands` as the protocol's command_names() has them; a literal's life.
    ProtocolMeters(std::string_view protocol, std::vector<std::string_view> commands)
        : protocol_(protocol), commands_(std::move(commands)), command_times_(commands_.size()) {}

    std::string_view protocol() const { return protocol_; }
    const std::vector<std::string_view>& commands() const { return commands_; }
    metrics::Histogram& command_time(std::size_t command) { return command_times_[command]; }
    const metrics::Histogram& command_time(std::size_t command) const { return command_times_[command]; }

    void count_login(Mechanism mechanism, LoginOutcome outcome) {
        ++logins_[static_cast<std::size_t>(mechanism)][static_cast<std::size_t>(outcome)];
    }
    std::uint64_t logins(Mechanism mechanism, LoginOutcome outcome) const {
        return logins_[static_cast<std::size_t>(mechanism)][static_cast<std::size_t>(outcome)];
    }

    // From the credentials to the reply, the guard's delay with it.
    metrics::Histogram login_time;
    // Of it, opening the maildrop.
    metrics::Histogram open_time;
    // From RETR to the moment before its first octet is written: read, if need be from the disk, and
    // verified.
    metrics::Histogram first_octet_time;
    // From the end of a message to the reply: appended, and durable.
    metrics::Histogram delivery_time;
    // RCPT, by what became of it: 2xx, 4xx, 5xx.
    std::array<std::atomic<std::uint64_t>, 3> recipients{};
    // Messages at their end, each recipient (SMTP: all at once): 2xx, 4xx, 5xx.
    std::array<std::atomic<std::uint64_t>, 3> messages{};
    std::atomic<std::int64_t> sessions = 0;  // logged in now

  private:
    const std::string_view protocol_;
    const std::vector<std::string_view> commands_;
    std::deque<metrics::Histogram> command_times_;
    std::array<std::array<std::atomic<std::uint64_t>, login_outcome_names.size()>, mechanism_names.size()>
        logins_{};
};

// The place of a reply in ProtocolMeters::recipients and messages; what is none of them counts as 5xx.
inline constexpr std::array<std::string_view, 3> reply_class_names{"2xx", "4xx", "5xx"};
constexpr std::size_t reply_class(int code) {
    return code / 100 == 2 ? 0 : code / 100 == 4 ? 1 : 2;
}

// TLS of one listener.
class TlsMeters {
  public:
    enum class Version { tls12, tls13 };
    enum class Kind { full, resumed };
    static constexpr std::array<std::string_view, 2> version_names{"TLSv1.2", "TLSv1.3"};
    static constexpr std::array<std::string_view, 2> kind_names{"full", "resumed"};

    // After Connection::start_tls() has ended well; an ACME authority's is not counted.
    void note_done(const net::Connection& connection, std::chrono::nanoseconds time);
    void note_failed() { ++failed_; }

    std::uint64_t done(Version version, Kind kind) const {
        return done_[static_cast<std::size_t>(version)][static_cast<std::size_t>(kind)];
    }
    std::uint64_t failed() const { return failed_; }
    const metrics::Histogram& time() const { return time_; }

  private:
    std::array<std::array<std::atomic<std::uint64_t>, 2>, 2> done_{};
    std::atomic<std::uint64_t> failed_ = 0;
    metrics::Histogram time_;
};

// Connection::start_tls(), measured. `meters` may be null.
net::Task<Result<void>> measured_start_tls(net::Connection& connection, const net::Tls& tls, const char* alpn,
                                           TlsMeters* meters);

}  // namespace pier::serve
