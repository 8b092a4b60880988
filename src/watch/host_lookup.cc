#include "watch/host_lookup.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pier::watch {
namespace {

using Addresses = std::vector<IpAddress>;

std::atomic<int> lookups = 0;  // under way, also those that nobody waits for any more

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

Result<Addresses> ask(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0)
        return Error(ErrorKind::not_found, fmt::format("{}: {}", host, gai_strerror(code)));
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> hold(found, freeaddrinfo);
    Addresses addresses;
    for (const addrinfo* at = found; at && addresses.size() < host_addresses_max; at = at->ai_next) {
        if (const auto address = address_of(at->ai_addr)) addresses.push_back(*address);
    }
    if (addresses.empty()) return Error(ErrorKind::not_found, host + ": it has no address");
    return addresses;
}

// What the two threads share; the last of them closes it.
struct Question {
    explicit Question(std::string name) : host(std::move(name)), answered(::eventfd(0, EFD_CLOEXEC)) {}
    ~Question() {
        if (answered >= 0) ::close(answered);
    }
    Question(const Question&) = delete;
    Question& operator=(const Question&) = delete;

    const std::string host;
    const int answered;  // readable: `answer` is there
    std::optional<Result<Addresses>> answer{};
};

void work_on(const std::shared_ptr<Question>& question) {
    question->answer = ask(question->host);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(question->answered, &one, sizeof one);
    --lookups;
}

}  // namespace

Result<Addresses> resolve(const std::string& host, std::chrono::milliseconds limit, int stop_fd) {
    boost::system::error_code is_name;
    const IpAddress literal = boost::asio::ip::make_address(host, is_name);
    if (!is_name) return std::vector{literal};
    if (lookups.fetch_add(1) >= lookups_left_behind_max) {
        --lookups;
        return Error(ErrorKind::busy,
                     fmt::format("{}: {} look-ups of names hang; look at this machine's resolver "
                                 "(/etc/resolv.conf)",
                                 host, lookups_left_behind_max));
    }
    const auto question = std::make_shared<Question>(host);
    try {
        if (question->answered < 0) throw std::system_error(errno, std::generic_category());
        std::thread(work_on, question).detach();
    } catch (const std::system_error& refused) {
        --lookups;
        return Error(ErrorKind::io, fmt::format("{}: no thread to look it up: {}", host, refused.what()));
    }
    std::array<pollfd, 2> fds{{{question->answered, POLLIN, 0}, {stop_fd, POLLIN, 0}}};
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        const int count =
            ::poll(fds.data(), fds.size(), left.count() > 0 ? static_cast<int>(left.count()) : 0);
        if (count < 0 && errno == EINTR) continue;
        if (count > 0 && fds[0].revents != 0) {
            std::uint64_t one = 0;
            [[maybe_unused]] const auto got = ::read(question->answered, &one, sizeof one);
            return *question->answer;
        }
        if (count > 0) return Error(ErrorKind::stopped, "the look-up was broken off");
        return Error(ErrorKind::stopped,
                     fmt::format("{}: the resolver has not answered for {} ms", host, limit.count()));
    }
}

}  // namespace pier::watch
