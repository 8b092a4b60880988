// Ports: who listens, who answers; the firewall in front of them.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <future>
#include <memory>

#include <boost/asio/ip/tcp.hpp>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/doctor/gathering.h"
#include "watch/listening.h"
#include "watch/prober.h"

namespace pier::program::doctor {
namespace {

namespace json = boost::json;

constexpr std::size_t together_max = 16;  // probes at once
constexpr std::size_t firewall_octets_max = 16 << 20;

int unprivileged_port_min() {
    int port = 1024;
    std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
    return port;
}

std::vector<IpAddress> addresses_of(const ListenerConfig& listener) {
    boost::system::error_code error;
    if (listener.address == "*")
        return {IpAddress(boost::asio::ip::address_v4::any()), IpAddress(boost::asio::ip::address_v6::any())};
    const IpAddress address = boost::asio::ip::make_address(listener.address, error);
    return error ? std::vector<IpAddress>() : std::vector<IpAddress>{address};
}

// A port of the kernel's choice at that address says whether it is one of ours.
std::string address_problem(const IpAddress& address) {
    if (address.is_unspecified()) return {};
    const int fd = ::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::strerror(errno);
    const boost::asio::ip::tcp::endpoint endpoint(address, 0);
    const int bound = ::bind(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size()));
    std::string out = bound == 0 ? std::string() : std::strerror(errno);
    ::close(fd);
    return out;
}

bool is_listed(const ServerFacts& server, const std::string& name) {
    const json::value* all = server.status.if_contains("listeners");
    return all != nullptr && all->is_object() && all->as_object().contains(name);
}

ListenerFacts facts_of(const ListenerConfig& listener, const std::vector<watch::ListeningSocket>& sockets,
                       const ServerFacts& server, const About& about) {
    ListenerFacts out{.name = listener.name,
                      .where = fmt::format("{}:{}", listener.address, listener.port),
                      .port = listener.port,
                      .address_problem = {}};
    out.needs_rights = ::geteuid() != 0 && listener.port < unprivileged_port_min();
    for (const IpAddress& address : addresses_of(listener)) {
        if (out.address_problem.empty()) out.address_problem = address_problem(address);
        for (const watch::ListeningSocket& socket : sockets) {
            if (socket.port != listener.port || !watch::covers(socket, address)) continue;
            out.listened = true;
            if (!out.holder) out.holder = watch::holder_of(socket.inode);
        }
        const IpAddress us =
            address.is_unspecified() ? IpAddress(boost::asio::ip::address_v4::loopback()) : address;
        // A proxy has to say first for whom it comes.
        if (!listener.access.admits(us) || contains(listener.proxies, us)) out.excludes_us = true;
    }
    // Who cannot ask the server blames nobody for what listens there.
    out.of_server = server.runs ? is_listed(server, listener.name) : !server.closed.empty() && out.listened;
    boost::system::error_code error;
    const IpAddress client = boost::asio::ip::make_address(about.client, error);
    out.admits_client = error || listener.access.admits(client);
    return out;
}

watch::ProbeOptions quick_look() {
    watch::ProbeOptions options;
    options.thorough = false;
    options.look = false;
    options.limits.wait = std::chrono::seconds(8);
    options.limits.total = std::chrono::seconds(20);
    return options;
}

bool turns_all_away(const ServerFacts& server) {
    const json::value* drain = server.status.if_contains("drain");
    const json::value* draining =
        drain != nullptr && drain->is_object() ? drain->as_object().if_contains("draining") : nullptr;
    return draining != nullptr && draining->is_bool() && draining->as_bool();
}

}  // namespace

std::vector<ListenerFacts> listener_facts(const Config& config, const ServerFacts& server,
                                          const About& about) {
    std::vector<ListenerFacts> out;
    const auto sockets = watch::listening_sockets();
    for (const ListenerConfig& listener : config.listeners) {
        if (!listener.path.empty() || listener.port == 0) continue;
        ListenerFacts one = facts_of(listener, sockets, server, about);
        // What everybody is told then is said once.
        if (turns_all_away(server)) one.excludes_us = true;
        out.push_back(std::move(one));
    }
    return out;
}

std::vector<watch::Probe> probe_targets(const std::vector<ProbeTarget>& targets,
                                        const watch::TlsTrust& trust) {
    std::vector<watch::Probe> out;
    const watch::ProbeOptions options = quick_look();
    for (std::size_t begin = 0; begin < targets.size(); begin += together_max) {
        std::vector<std::future<watch::Probe>> running;
        for (std::size_t i = begin; i < std::min(begin + together_max, targets.size()); ++i)
            running.push_back(std::async(std::launch::async,
                                         [&, i] { return watch::probe(targets[i].target, trust, options); }));
        for (auto& one : running)
            out.push_back(one.get());
    }
    return out;
}

void probe_listeners(const Config& config, const watch::TlsTrust& trust,
                     std::vector<ListenerFacts>& listeners) {
    std::vector<ProbeTarget> targets;
    std::vector<ListenerFacts*> whose;
    for (const ProbeTarget& target : own_listeners(config, {})) {
        const auto at = std::ranges::find_if(listeners, [&](const ListenerFacts& one) {
            return one.port == target.target.port && one.of_server && !one.excludes_us && !one.probe &&
                   std::ranges::find(whose, &one) == whose.end();
        });
        if (at == listeners.end()) continue;
        targets.push_back(target);
        whose.push_back(&*at);
    }
    auto probes = probe_targets(targets, trust);
    for (std::size_t i = 0; i < probes.size(); ++i)
        whose[i]->probe = std::move(probes[i]);
}

watch::Firewall firewall_facts() {
    constexpr int no_program = 127;
    // popen(3) runs a shell; nothing in the line comes from anybody.
    std::unique_ptr<FILE, int (*)(FILE*)> pipe(
        ::popen("PATH=$PATH:/usr/sbin:/sbin LC_ALL=C nft -j list ruleset 2>&1", "r"), ::pclose);
    if (!pipe) return {.unknown = std::strerror(errno), .chains = {}};
    std::string text;
    std::array<char, 16384> block;
    while (text.size() < firewall_octets_max)
        if (const std::size_t some = std::fread(block.data(), 1, block.size(), pipe.get()); some > 0)
            text.append(block.data(), some);
        else
            break;
    const int status = ::pclose(pipe.release());
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        const bool missing = WIFEXITED(status) && WEXITSTATUS(status) == no_program;
        return {
            .unknown = missing ? "there is no program nft on this machine" : text.substr(0, text.find('\n')),
            .chains = {}};
    }
    auto parsed = watch::parse_nft(text);
    if (!parsed) return {.unknown = parsed.error().text, .chains = {}};
    return std::move(*parsed);
}

}  // namespace pier::program::doctor
