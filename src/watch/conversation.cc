#include "watch/conversation.h"

#include <algorithm>
#include <array>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pier::watch {
namespace {

std::chrono::microseconds since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
}

std::optional<IpAddress> address_of(const sockaddr* address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* octets = nullptr;
    if (address->sa_family == AF_INET) octets = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
    if (address->sa_family == AF_INET6) octets = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    if (!octets || !::inet_ntop(address->sa_family, octets, text.data(), text.size())) return std::nullopt;
    boost::system::error_code error;
    const IpAddress found = boost::asio::ip::make_address(text.data(), error);
    return error ? std::nullopt : std::optional(found);
}

// Whether one of this machine's interfaces has it: who connects to himself comes from the same address.
bool is_own(const IpAddress& address) {
    const std::string text = address.to_string();
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(text.c_str(), "9", &hints, &found) != 0) return false;
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> hold(found, freeaddrinfo);
    const int fd = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    sockaddr_storage local{};
    socklen_t size = sizeof local;
    // Of a datagram socket this asks the routes alone; nothing is sent.
    const bool known = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                       ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0;
    ::close(fd);
    return known && address_of(reinterpret_cast<const sockaddr*>(&local)) == address;
}

}  // namespace

bool is_near(const IpAddress& address) {
    static const Networks networks = [] {
        const std::array<std::string, 7> texts{"10.0.0.0/8",  "172.16.0.0/12",  "192.168.0.0/16",
                                               "127.0.0.0/8", "169.254.0.0/16", "fc00::/7",
                                               "fe80::/10"};
        return *parse_networks(texts);
    }();
    return address.is_loopback() || contains(networks, address) || is_own(address);
}

Conversation::Conversation(const Target& target, const TlsTrust& trust, const ConversationLimits& limits)
    : target_(target),
      trust_(trust),
      limits_(limits),
      end_(std::chrono::steady_clock::now() + limits.total) {}

void Conversation::note(std::string_view phase, std::chrono::microseconds time) {
    if (phases_.empty() || phases_.back().name != phase)
        phases_.push_back({std::string(phase), time});
    else
        phases_.back().time += time;
}

Milliseconds Conversation::limit() const {
    const auto left = std::chrono::ceil<Milliseconds>(end_ - std::chrono::steady_clock::now());
    return std::clamp(left, Milliseconds(1), limits_.wait);
}

std::optional<Failure> Conversation::connect(const std::vector<IpAddress>& addresses) {
    net::ClientConnection::Options options;
    options.stop_fd = limits_.stop_fd;
    options.source = limits_.source;
    options.visits = limits_.visits;
    std::string why;
    for (const IpAddress& address : addresses) {
        const Instant begin = std::chrono::steady_clock::now();
        auto connected = net::ClientConnection::connect(address, target_.port, limit(), options);
        if (connected) {
            note("connect", since(begin));
            connection_ = std::move(*connected);
            address_ = address;
            return std::nullopt;
        }
        why += fmt::format("{}{}: {}", why.empty() ? "" : "; ", address.to_string(), connected.error().text);
    }
    return Failure{"connect", why};
}

Result<void> Conversation::start_tls(const TlsOffer& offer, Time now) {
    auto ssl = trust_.make_ssl(target_.expected_name(), offer);
    if (!ssl) return ssl.error();
    auto started = connection_->start_tls(std::move(*ssl), limit());
    if (!started) {
        // Silence is no refusal.
        handshake_failed_ = started.error().text.starts_with("start TLS");
        return started;
    }
    tls_ = trust_.facts(connection_->tls(), target_.expected_name(), now);
    return {};
}

Result<bool> Conversation::step(Dialogue& dialogue, const TlsOffer& offer, Time now) {
    auto action = dialogue.next();
    enter(dialogue.phase());
    if (auto* write = std::get_if<Dialogue::Write>(&action)) {
        const auto written = connection_->write(write->text, limit());
        OPENSSL_cleanse(write->text.data(), write->text.size());
        if (!written) return written.error();
    } else if (std::holds_alternative<Dialogue::NeedInput>(action)) {
        const auto octets = connection_->read(limit());
        if (!octets) return octets.error();
        if (octets->empty())
            dialogue.on_eof();
        else
            dialogue.on_bytes(*octets);
    } else if (std::holds_alternative<Dialogue::StartTls>(action)) {
        if (auto started = start_tls(offer, now); !started) return started.error();
        dialogue.on_tls(tls_->trusted());
    } else if (auto* failed = std::get_if<Dialogue::Failed>(&action)) {
        return failed->error;
    } else {
        return false;
    }
    if (std::chrono::steady_clock::now() < end_) return true;
    return Error(ErrorKind::stopped,
                 fmt::format("all of it took longer than {} s", limits_.total.count() / 1000));
}

void Conversation::enter(std::string_view phase) {
    if (phase == phase_) return;
    const Instant now = std::chrono::steady_clock::now();
    if (!phase_.empty())
        note(phase_, std::chrono::duration_cast<std::chrono::microseconds>(now - phase_begin_));
    phase_ = phase;
    phase_begin_ = now;
}

std::optional<Failure> Conversation::run(Dialogue& dialogue, const TlsOffer& offer, Time now) {
    if (target_.tls == TlsMode::implicit) {
        enter("tls");
        const auto started = start_tls(offer, now);
        if (!started) {
            enter("");
            return Failure{"tls", started.error().text};
        }
        dialogue.on_tls(tls_->trusted());
    }
    enter(dialogue.phase());
    for (;;) {
        const auto more = step(dialogue, offer, now);
        if (more && *more) continue;
        const std::string last = phase_;
        enter("");
        // Who hangs up in place of an answer to QUIT has said all the same.
        if (more || last == "quit") return std::nullopt;
        return Failure{last, more.error().text};
    }
}

}  // namespace pier::watch
