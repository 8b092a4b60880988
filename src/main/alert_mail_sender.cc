// Mail about alerts: by this server itself, or by another one, for ours may be what is down.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "auth/password.h"
#include "backends/secret_file.h"
#include "main/alert_message.h"
#include "main/alert_sender.h"
#include "queue/server_session.h"
#include "smtp/path.h"
#include "watch/host_lookup.h"

namespace pier::program {
namespace {

using std::chrono::milliseconds;

constexpr std::uint16_t implicit_tls_port = 465;  // RFC 8314 §3.3
constexpr milliseconds quit_time{2000};           // the notice is taken then

std::string sender_of(const AlertChannelConfig& config, const SenderFacts& facts) {
    return config.from.empty() ? "postmaster@" + facts.server : config.from;
}

std::string message_of(const AlertChannelConfig& config, const SenderFacts& facts, const Shipment& shipment) {
    return alert_message({sender_of(config, facts), config.to, facts.server, shipment.id, shipment.at},
                         watch::notice_mail(shipment.notice, facts.server));
}

class OwnMailSender final : public AlertSender {
  public:
    OwnMailSender(const AlertChannelConfig& config, const SenderFacts& facts)
        : config_(config), facts_(facts) {}

    Attempt send(const Shipment& shipment) const override {
        if (!facts_.send_mail) return {Attempt::End::never, "this server sends no mail of its own"};
        const auto sent =
            facts_.send_mail(sender_of(config_, facts_), config_.to, message_of(config_, facts_, shipment));
        if (sent) return {};
        return {sent.error().kind == ErrorKind::invalid ? Attempt::End::never : Attempt::End::later,
                sent.error().text};
    }

  private:
    const AlertChannelConfig config_;
    const SenderFacts& facts_;
};

// The end of a try: readable when its time is over, or the server stops.
class TryEnd {
  public:
    TryEnd(std::chrono::seconds time, int stop_fd)
        : both_(::epoll_create1(EPOLL_CLOEXEC)), timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
        itimerspec due{};
        due.it_value.tv_sec = time.count();
        epoll_event event{};
        event.events = EPOLLIN;
        ready_ = both_ >= 0 && timer_ >= 0 && ::timerfd_settime(timer_, 0, &due, nullptr) == 0 &&
                 ::epoll_ctl(both_, EPOLL_CTL_ADD, timer_, &event) == 0 &&
                 ::epoll_ctl(both_, EPOLL_CTL_ADD, stop_fd, &event) == 0;
    }
    ~TryEnd() {
        for (const int fd : {both_, timer_})
            if (fd >= 0) ::close(fd);
    }
    TryEnd(const TryEnd&) = delete;
    TryEnd& operator=(const TryEnd&) = delete;

    bool ready() const { return ready_; }
    int fd() const { return both_; }
    bool time_is_over() const {
        pollfd one{timer_, POLLIN, 0};
        return ::poll(&one, 1, 0) == 1;
    }

  private:
    const int both_, timer_;
    bool ready_ = false;
};

// A message in memory, as the client of the queue reads it.
class Text final : public store::Body {
  public:
    explicit Text(std::string octets) : octets_(std::move(octets)) {}
    std::uint64_t octets() const override { return octets_.size(); }
    bool has_dot_lines() const override { return octets_.find("\n.") != std::string::npos; }
    bool complete() const override { return octets_.ends_with("\r\n"); }
    Result<std::size_t> read(std::uint64_t offset, std::span<char> out, store::Wait) override {
        const std::string_view rest =
            std::string_view(octets_).substr(std::min<std::size_t>(offset, octets_.size()));
        const std::size_t count = std::min(rest.size(), out.size());
        std::memcpy(out.data(), rest.data(), count);
        return count;
    }
    Result<void> verify(store::Wait) override { return {}; }
    Result<std::string_view> load(std::span<char>, store::Wait) override { return std::string_view(octets_); }
    std::optional<store::FileRange> file() const override { return std::nullopt; }

  private:
    const std::string octets_;
};

struct Relay {
    std::string host;
    std::uint16_t port = 0;
};

// "host:port", "[::1]:port".
std::optional<Relay> parse_relay(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const auto port = smtp::parse_number(text.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return std::nullopt;
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host.empty()) return std::nullopt;
    return Relay{std::string(host), static_cast<std::uint16_t>(*port)};
}

bool is_ascii(const smtp::Address& address) {
    return std::ranges::none_of(address.text(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

Result<smtp::Envelope> envelope_of(const AlertChannelConfig& config, const SenderFacts& facts) {
    smtp::Envelope envelope;
    const auto wrong = [](const std::string& address) {
        return Error(ErrorKind::invalid, fmt::format("\"{}\" is no mail address", address));
    };
    const std::string from = sender_of(config, facts);
    const auto sender = smtp::parse_address(from);
    if (!sender) return wrong(from);
    envelope.sender = *sender;
    envelope.utf8 = !is_ascii(*sender);
    for (const std::string& one : config.to) {
        const auto address = smtp::parse_address(one);
        if (!address) return wrong(one);
        envelope.utf8 = envelope.utf8 || !is_ascii(*address);
        envelope.recipients.push_back({*address, 0, {}});
    }
    return envelope;
}

class RelayedMailSender final : public AlertSender {
  public:
    RelayedMailSender(const AlertChannelConfig& config, const SenderFacts& facts, Relay relay,
                      smtp::Envelope envelope, queue::ClientTls tls, std::optional<smtp::Client::Login> login)
        : config_(config),
          facts_(facts),
          relay_(std::move(relay)),
          envelope_(std::move(envelope)),
          tls_(std::move(tls)),
          login_(std::move(login)) {
        settings_.hostname = facts.server;
        const milliseconds time = config.timeout;
        settings_.times = {time, time, time, time, time, time, time, std::min(time, quit_time), time};
    }
    ~RelayedMailSender() override {
        if (login_) auth::wipe(login_->password);
    }

    Attempt send(const Shipment& shipment) const override {
        const TryEnd end(config_.timeout, facts_.stop_fd);
        if (!end.ready()) return {Attempt::End::later, "the system has no descriptor left for it"};
        Attempt attempt = send_until(end.fd(), shipment);
        if (attempt.end == Attempt::End::later && end.time_is_over())
            attempt.error =
                fmt::format("{}: it has not taken it within {} s", config_.through, config_.timeout.count());
        return attempt;
    }

  private:
    Attempt send_until(int stop_fd, const Shipment& shipment) const {
        const auto addresses = watch::resolve(relay_.host, config_.timeout, stop_fd);
        if (!addresses) return {Attempt::End::later, addresses.error().text};
        Attempt attempt{Attempt::End::later, relay_.host + " has no address"};
        for (const IpAddress& address : *addresses) {
            queue::ServerSession session({settings_, tls_.get(), stop_fd, login_},
                                         {relay_.host, address, relay_.port}, demand());
            if (const auto trouble = session.open()) {
                attempt.error = text_of(trouble->outcome);
                continue;
            }
            const queue::Job job{shipment.id, envelope_,
                                 std::make_unique<Text>(message_of(config_, facts_, shipment))};
            attempt = attempt_of(session.perform(job).outcomes);
            session.quit();
            break;
        }
        return attempt;
    }

    queue::TlsDemand demand() const {
        queue::TlsDemand demand;
        demand.implicit = relay_.port == implicit_tls_port;
        // Attack: who puts himself in between gets the password, or the notice, and lets none through.
        if (login_ || demand.implicit || !config_.ca_file.empty())
            demand.kind = queue::TlsDemand::Kind::certificate;
        return demand;
    }

    static std::string text_of(const queue::Outcome& outcome) {
        // A reply of our own says by itself whom it is about.
        return fmt::format("{}{}{} {} {}", outcome.server, outcome.server.empty() ? "" : ": ",
                           outcome.reply.code, outcome.reply.enhanced, outcome.reply.text);
    }

    Attempt attempt_of(const std::vector<queue::Outcome>& outcomes) const {
        Attempt attempt;
        std::size_t taken = 0;
        bool later = false;
        for (std::size_t index = 0; index < outcomes.size(); ++index) {
            const queue::Outcome& one = outcomes[index];
            if (one.kind == queue::Outcome::Kind::delivered) {
                ++taken;
                continue;
            }
            later = later || one.kind == queue::Outcome::Kind::deferred;
            if (attempt.error.empty()) attempt.error = fmt::format("{}: {}", config_.to[index], text_of(one));
        }
        if (taken == outcomes.size()) return attempt;
        attempt.end = taken > 0 ? Attempt::End::in_part : later ? Attempt::End::later : Attempt::End::never;
        return attempt;
    }

    const AlertChannelConfig config_;
    const SenderFacts& facts_;
    const Relay relay_;
    const smtp::Envelope envelope_;
    const queue::ClientTls tls_;
    std::optional<smtp::Client::Login> login_;
    queue::TransportSettings settings_;
};

}  // namespace

MadeSender make_mail_sender(const AlertChannelConfig& config, const SenderFacts& facts) {
    auto envelope = envelope_of(config, facts);
    if (!envelope) return envelope.error();
    if (envelope->recipients.empty()) return Error(ErrorKind::invalid, "it has no address to send mail to");
    if (config.through.empty())
        return std::unique_ptr<AlertSender>(std::make_unique<OwnMailSender>(config, facts));
    auto relay = parse_relay(config.through);
    if (!relay)
        return Error(ErrorKind::invalid, fmt::format("\"{}\" is no server; write host:port", config.through));
    auto tls = queue::make_client_tls(config.ca_file);
    if (!tls) return tls.error();
    std::optional<smtp::Client::Login> login;
    if (!config.account.empty()) {
        auto password = backends::read_secret(config.password_file, "password_file");
        if (!password) return password.error();
        login = smtp::Client::Login{config.account, std::move(*password)};
    }
    return std::unique_ptr<AlertSender>(std::make_unique<RelayedMailSender>(
        config, facts, std::move(*relay), std::move(*envelope), std::move(*tls), std::move(login)));
}

}  // namespace pier::program
