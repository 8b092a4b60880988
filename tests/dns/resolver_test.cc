// The resolver and a server on loopback that answers what it is told to.
#include "dns/resolver.h"

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns/packet.h"

namespace pier::dns {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Kind = Answer::Kind;

// Answers over UDP; an empty answer is none.
class Server {
  public:
    using Respond = std::function<std::string(test::Packet reply, unsigned flags)>;
    explicit Server(Respond respond) : respond_(std::move(respond)), fd_(::socket(AF_INET, SOCK_DGRAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~Server() {
        ending_ = true;
        ::shutdown(fd_, SHUT_RDWR);
        thread_.join();
        ::close(fd_);
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    std::atomic<int> questions = 0;

  private:
    void run() {
        while (!ending_) {
            pollfd one{fd_, POLLIN, 0};
            if (::poll(&one, 1, 20) <= 0) continue;
            char octets[2048];
            sockaddr_in peer{};
            socklen_t size = sizeof peer;
            const ssize_t count = ::recvfrom(fd_, octets, sizeof octets, MSG_DONTWAIT,
                                             reinterpret_cast<sockaddr*>(&peer), &size);
            if (count < 12) continue;
            ++questions;
            const std::string packet(octets, static_cast<std::size_t>(count));
            test::Packet reply;
            reply.id = static_cast<unsigned>(static_cast<unsigned char>(packet[0]) << 8 |
                                             static_cast<unsigned char>(packet[1]));
            reply.question = packet.substr(12, packet.find('\0', 12) + 5 - 12);
            const std::string text = respond_(reply, static_cast<unsigned char>(packet[3]));
            if (!text.empty())
                ::sendto(fd_, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
        }
    }

    const Respond respond_;
    const int fd_;
    std::uint16_t port_ = 0;
    std::atomic<bool> ending_ = false;
    std::thread thread_;
};

std::unique_ptr<Resolver> resolver_of(const Server& server, std::optional<bool> trust_ad = {},
                                      std::chrono::milliseconds time_max = 10s) {
    ResolverSettings settings;
    settings.servers = {server.address()};
    settings.trust_ad = trust_ad;
    settings.try_time = 2s;
    settings.time_max = time_max;
    auto made = Resolver::make(settings);
    EXPECT_TRUE(made);
    return made ? std::move(*made) : nullptr;
}

TEST(Resolver, asks_for_ad_and_believes_it_on_loopback) {
    std::atomic<unsigned> flags = 0;
    Server server([&](test::Packet reply, unsigned asked) {
        flags = asked;
        return reply.add("example.org", 15, 60, "\0\1"s + test::name("mx.example.org")).text();
    });
    auto resolver = resolver_of(server);
    EXPECT_TRUE(resolver->trusts_ad());
    const Answer answer = resolver->ask("Example.ORG", Type::mx);
    EXPECT_EQ(answer.kind, Kind::found) << answer.why;
    EXPECT_TRUE(answer.authentic);
    EXPECT_EQ(answer.exchanges.at(0).exchange, "mx.example.org");
    EXPECT_EQ(flags & 0x20, 0x20u);
    // The second time it is known.
    EXPECT_EQ(resolver->ask("example.org", Type::mx).kind, Kind::found);
    EXPECT_EQ(server.questions, 1);
}

TEST(Resolver, does_not_believe_ad_where_it_is_told_not_to) {
    Server server(
        [](test::Packet reply, unsigned) { return reply.add("a.example", 1, 60, "\1\2\3\4"s).text(); });
    auto resolver = resolver_of(server, false);
    const Answer answer = resolver->ask("a.example", Type::a);
    EXPECT_EQ(answer.kind, Kind::found) << answer.why;
    EXPECT_FALSE(answer.authentic);
}

TEST(Resolver, tells_no_name_from_trouble) {
    Server server([](test::Packet reply, unsigned) {
        reply.flags = reply.question.find("none") != std::string::npos ? 0x81A3 : 0x8182;
        return reply.soa(60, 60).text();
    });
    auto resolver = resolver_of(server);
    EXPECT_EQ(resolver->ask("none.example", Type::mx).kind, Kind::no_name);
    const Answer failed = resolver->ask("trouble.example", Type::mx);
    EXPECT_EQ(failed.kind, Kind::failed);
    EXPECT_FALSE(failed.why.empty());
    EXPECT_EQ(resolver->ask("no name", Type::mx).kind, Kind::no_name);
}

TEST(Resolver, a_server_that_is_silent_costs_its_time_and_no_more) {
    Server server([](const test::Packet&, unsigned) { return ""s; });
    auto resolver = resolver_of(server, {}, 300ms);
    const Answer answer = resolver->ask("a.example", Type::a);
    EXPECT_EQ(answer.kind, Kind::failed);
    EXPECT_EQ(answer.why, "no answer within 300 ms");
}

TEST(Resolver, many_threads_ask_at_once) {
    Server server([](test::Packet reply, unsigned) {
        const std::string owner = reply.question.substr(1, static_cast<unsigned char>(reply.question[0]));
        return reply.add(owner, 1, 60, "\1\2\3\4"s).text();
    });
    auto resolver = resolver_of(server);
    std::vector<std::thread> threads;
    std::atomic<int> found = 0;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            for (int j = 0; j < 50; ++j)
                found += resolver->ask("n" + std::to_string(i * 100 + j), Type::a).kind == Kind::found;
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(found, 200);
}

TEST(Resolver, who_waits_is_told_when_it_ends) {
    Server server([](const test::Packet&, unsigned) { return ""s; });
    auto resolver = resolver_of(server);
    std::atomic<int> told = 0;
    for (int i = 0; i < 10; ++i)
        resolver->ask("a" + std::to_string(i), Type::a,
                      [&](const Answer& answer) { told += answer.kind == Kind::failed; });
    resolver.reset();
    EXPECT_EQ(told, 10);
}

TEST(Resolver, servers_that_are_no_addresses_are_refused) {
    ResolverSettings settings;
    settings.servers = {"dns.example.org"};
    EXPECT_FALSE(Resolver::make(settings));
}

}  // namespace
}  // namespace pier::dns
