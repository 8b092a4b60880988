// The ways by which notices leave: each tried by itself on a thread of these channels, so that one that hangs
// delays neither another nor the server. What cannot be sent is tried again (retry_after, twice as long each
// time), `tries_max` times; at most waiting_max notices wait for one channel, of those beyond the oldest is
// dropped. They leave in the order in which they came. Commands are run by a helper process that is made
// before the sandbox closes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "watch/notice.h"

namespace pier::program {

// Changes in one notice; of more, several are made. As JSON it fits into a message to the process of commands
// (backends/message.h) even if each text is as long as it may be and each character of it is escaped.
inline constexpr std::size_t alerts_per_notice_max = 16;

enum class ChannelKind { mail, webhook, command, journal, alertmanager };

// One [[alerts.channel]]; checked before it comes here.
struct AlertChannelConfig {
    std::string name;
    ChannelKind kind = ChannelKind::journal;
    watch::Severity at_least = watch::Severity::warning;  // what is less is not sent there
    std::string url;                                      // webhook, alertmanager: "https://host/path"
    std::string secret_file;      // webhook: signs with its first line; empty: unsigned
    std::string ca_file;          // PEM, of url or through; empty: the system's
    std::vector<std::string> to;  // mail: addresses
    std::string from;             // mail: sender; empty: postmaster of this server
    std::string through;  // mail: "host:port" of another server; empty: this server's own delivery and queue
    std::string account, password_file;  // mail: a login there; empty: none
    std::string command;                 // an absolute path; no shell, no arguments
    std::chrono::seconds timeout{20};    // of one try
};

class AlertChannels {
  public:
    struct Settings {
        std::vector<AlertChannelConfig> channels;
        std::string server;  // who tells: server.hostname
        // Of Alertmanager: what it hears no more of for so long is well. More than the time between
        // reminders.
        std::chrono::seconds resolve_after{std::chrono::hours(5)};
        std::chrono::seconds retry_after{5};
        unsigned tries_max = 8;
        std::size_t waiting_max = 100;
        std::string user{};  // whose rights commands run with (server.user); empty: those that we have
    };
    // Takes a whole message (header and body, CRLF) for these recipients, and returns when it is on disk.
    using SendMail = std::function<Result<void>(const std::string& from, const std::vector<std::string>& to,
                                                const std::string& message)>;

    // Before the sandbox closes and before there are threads: makes the helper process if a channel has a
    // command. `invalid`: a file that cannot be used.
    static Result<std::unique_ptr<AlertChannels>> make(Settings settings);
    virtual ~AlertChannels() = default;  // as stop()

    // Behind the start of the server. `send_mail`: for mail without `through`; may be empty if no channel
    // wants it.
    virtual void start(SendMail send_mail) = 0;
    virtual void stop() = 0;  // what waits is lost; the alerts are told again as reminders

    virtual void send(const watch::Notice& notice,
                      Time at) = 0;  // to all that want its severity; any thread, does not wait

    struct Tried {
        std::string channel;
        std::optional<std::string> error;  // absent: it has taken it
    };
    // One try now of one channel (empty: of all), waited for. `not_found`: no such channel.
    virtual Result<std::vector<Tried>> test(const std::string& channel, Time at) = 0;

    struct State {
        std::string name;
        ChannelKind kind{};
        std::uint64_t sent = 0, failed = 0, dropped = 0;  // notices; failed: given up
        std::size_t waiting = 0;
        std::string last_error;  // empty: the last try went well
        std::optional<Time> last_sent;
    };
    virtual std::vector<State> states() const = 0;
};

std::string_view to_string(ChannelKind kind);

}  // namespace pier::program
