#include "main/listener_watch.h"

#include <optional>

#include <boost/asio/ip/tcp.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pier::program {
namespace {

using testing::HasSubstr;

net::ListenSockets bound() {
    auto sockets = net::ListenSockets::bind({boost::asio::ip::make_address("127.0.0.1"), 0, ""}, 2);
    EXPECT_TRUE(sockets);
    return std::move(*sockets);
}

// What another process of the same user could do.
class Intruder {
  public:
    explicit Intruder(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int on = 1;
        ::setsockopt(fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        const boost::asio::ip::tcp::endpoint where(boost::asio::ip::address_v4::loopback(), port);
        listens =
            ::bind(fd_, where.data(), static_cast<socklen_t>(where.size())) == 0 && ::listen(fd_, 1) == 0;
    }
    ~Intruder() { ::close(fd_); }
    Intruder(const Intruder&) = delete;
    Intruder& operator=(const Intruder&) = delete;

    bool listens = false;

  private:
    const int fd_;
};

// Of the keys "….closed" and "….foreign": which is ill.
std::string ill(const std::vector<watch::Observation>& seen) {
    std::string out;
    for (const watch::Observation& one : seen)
        if (one.severity) out += one.key.substr(one.key.rfind('.'));
    return out;
}

TEST(ListenerWatch, a_port_that_is_shared_and_lost) {
    const net::ListenSockets other = bound();  // so that somebody always listens
    std::optional<net::ListenSockets> sockets = bound();
    ListenerWatch watch;
    watch.add("pop3", *sockets);
    const Time now{std::chrono::seconds(1'800'000'000)};
    auto seen = watch.look(now);
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(seen[0].key, "listener.pop3." + sockets->local().text() + ".closed");
    EXPECT_EQ(ill(seen), "");
    {
        const Intruder intruder(sockets->local().port);
        ASSERT_TRUE(intruder.listens);
        seen = watch.look(now);
        EXPECT_EQ(ill(seen), ".foreign");
        EXPECT_THAT(seen[1].evidence, HasSubstr(sockets->local().text()));
    }
    EXPECT_EQ(ill(watch.look(now)), "");
    sockets.reset();
    EXPECT_EQ(ill(watch.look(now)), ".closed");
}

TEST(ListenerWatch, nothing_to_look_at) {
    ListenerWatch watch;
    EXPECT_TRUE(watch.look(Time{}).empty());
}

}  // namespace
}  // namespace pier::program
