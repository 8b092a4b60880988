// The event loop and its coroutines: who goes on when, on which thread, and what is left when the loop goes.
#include "net/event_loop.h"

#include <stdexcept>
#include <string>
#include <thread>

#include <boost/asio/thread_pool.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connection.h"
#include "net/listener.h"
#include "net/task.h"

namespace pier::net {
namespace {

Task<int> seven() {
    co_return 7;
}

Task<int> fails(EventLoop& loop, bool after_waiting) {
    if (after_waiting) co_await yield(loop);
    throw std::runtime_error("on purpose");
}

TEST(TaskTest, AMillionThatDoNotWaitNeedNoMoreStackThanOne) {
    EventLoop loop;
    std::int64_t sum = 0;
    const auto add = [&]() -> Task<void> {
        for (int i = 0; i < 1'000'000; ++i) {
            sum += co_await seven();
        }
        loop.stop();
    };
    spawn(loop, add());
    EXPECT_EQ(sum, 7'000'000) << "it does not wait, so it has ended before the loop runs";
    loop.run();
}

TEST(TaskTest, AMillionThatWaitNeedNoMoreStackThanOne) {
    EventLoop loop;
    int turns = 0;
    const auto turn = [&]() -> Task<void> {
        for (; turns < 1'000'000; ++turns) {
            co_await yield(loop);
        }
        loop.stop();
    };
    spawn(loop, turn());
    loop.run();
    EXPECT_EQ(turns, 1'000'000);
}

TEST(TaskTest, AFailureReachesWhoAwaits) {
    for (const bool after_waiting : {false, true}) {
        EventLoop loop;
        std::string caught;
        const auto catches = [&]() -> Task<void> {
            try {
                co_await fails(loop, after_waiting);
            } catch (const std::runtime_error& failure) {
                caught = failure.what();
            }
            loop.stop();
        };
        spawn(loop, catches());
        loop.run();
        EXPECT_EQ(caught, "on purpose") << after_waiting;
    }
}

struct Counted {
    explicit Counted(int& alive) : alive_(alive) { ++alive_; }
    ~Counted() { --alive_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    int& alive_;
};

Task<void> wait_inside(EventLoop& loop, int& alive) {
    const Counted here(alive);
    co_await yield(loop);
}

TEST(TaskTest, WhatStillWaitsGoesWithTheLoop) {
    int alive = 0;
    {
        EventLoop loop;
        const auto waits = [&]() -> Task<void> {
            const Counted here(alive);
            co_await wait_inside(loop, alive);
        };
        spawn(loop, waits());
        spawn(loop, waits());
        EXPECT_EQ(alive, 4);
    }
    EXPECT_EQ(alive, 0);
}

TEST(EventLoopTest, AnswersFromOtherThreadsComeBackToTheLoopsThread) {
    EventLoop loop;
    boost::asio::thread_pool pool(4);
    constexpr int tasks = 50, rounds = 200;
    int ended = 0;
    std::int64_t sum = 0;
    const auto own = std::this_thread::get_id();
    const auto asks = [&](int n) -> Task<void> {
        for (int i = 0; i < rounds; ++i) {
            const int got = co_await on_pool(loop, pool, [&n] { return n; });
            EXPECT_EQ(std::this_thread::get_id(), own);
            sum += got;
        }
        if (++ended == tasks) loop.stop();
    };
    for (int i = 0; i < tasks; ++i)
        spawn(loop, asks(i));
    loop.run();
    pool.join();
    EXPECT_EQ(sum, rounds * (tasks - 1) * tasks / 2);
}

TEST(EventLoopTest, WhatWorkOnAPoolThrowsReachesWhoWaitsForIt) {
    EventLoop loop;
    boost::asio::thread_pool pool(1);
    bool caught = false;
    const auto asks = [&]() -> Task<void> {
        try {
            co_await on_pool(loop, pool, []() -> int { throw std::bad_alloc(); });
        } catch (const std::bad_alloc&) {
            caught = true;
        }
        loop.stop();
    };
    spawn(loop, asks());
    loop.run();
    pool.join();
    EXPECT_TRUE(caught);
}

TEST(EventLoopTest, ALoopThatSleepsIsWokenByEachPost) {
    EventLoop loop;
    std::atomic<int> done = 0;
    std::thread other([&] {
        for (int i = 1; i <= 1000; ++i) {
            loop.post([&] { ++done; });
            while (done < i)
                std::this_thread::yield();
        }
        loop.stop();
    });
    loop.run();
    other.join();
    EXPECT_EQ(done, 1000);
}

// Events that were fetched together: the first one's work closes the connection that the second is for.
TEST(EventLoopTest, AConnectionThatIsGoneGetsNoMoreEvents) {
    EventLoop loop;
    int pairs[2][2];
    std::vector<std::unique_ptr<Connection>> connections;
    for (auto& pair : pairs) {
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        connections.push_back(
            std::make_unique<Connection>(loop, pair[0], Endpoint{{}, 0, "a"}, Endpoint{{}, 0, "a"}));
        ASSERT_EQ(::write(pair[1], "x", 1), 1);
    }
    int woken = 0;
    const auto closes = [&](std::size_t own) -> Task<void> {
        auto octets = co_await connections[own]->read();
        EXPECT_TRUE(octets.has_value());
        ++woken;
        connections[1 - own].reset();
        loop.stop();
    };
    spawn(loop, closes(0));
    loop.run();
    EXPECT_EQ(woken, 1);
    for (auto& pair : pairs)
        ::close(pair[1]);
}

// More than the read buffer holds, and the end right behind it: each edge is told once, nothing may be
// missed.
TEST(EventLoopTest, EverythingAndTheEndArriveHoweverTheyCome) {
    for (const std::size_t size : {1u, 65535u, 65536u, 65537u, 131072u, 150'000u}) {
        EventLoop loop;
        int pair[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        ::fcntl(pair[0], F_SETFL, O_NONBLOCK);
        const int room = 400'000;
        ::setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        const std::string sent(size, 'x');
        std::size_t got = 0;
        bool ended = false;
        const auto reads = [&]() -> Task<void> {
            {
                Connection connection(loop, pair[0], Endpoint{{}, 0, "a"}, Endpoint{{}, 0, "a"});
                while (true) {
                    auto octets = co_await connection.read();
                    if (!octets || octets->empty()) break;
                    got += octets->size();
                    co_await yield(loop);
                }
                ended = true;
            }
            loop.stop();
        };
        std::thread writer([&] {
            EXPECT_EQ(::write(pair[1], sent.data(), sent.size()), static_cast<ssize_t>(size));
            ::close(pair[1]);
        });
        spawn(loop, reads());
        loop.run();
        writer.join();
        EXPECT_EQ(got, size);
        EXPECT_TRUE(ended);
    }
}

TEST(AcceptorTest, AcceptsWhatComesAndNothingAfterStop) {
    EventLoop loop;
    auto sockets = ListenSockets::bind({boost::asio::ip::make_address("127.0.0.1"), 0, ""}, 1);
    ASSERT_TRUE(sockets.has_value()) << sockets.error().text;
    int accepted = 0;
    std::shared_ptr<Acceptor> acceptor;
    const auto on_accept = [&](EventLoop&, int fd, const Endpoint& peer) {
        EXPECT_TRUE(peer.is_loopback());
        ::close(fd);
        if (++accepted < 100) return;
        acceptor->stop();
        loop.stop();
    };
    acceptor = std::make_shared<Acceptor>(loop, sockets->fds()[0], on_accept, "test");
    acceptor->start();
    std::thread clients([&] {
        for (int i = 0; i < 101; ++i) {
            const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            sockaddr_storage address{};
            socklen_t length = sizeof address;
            ::getsockname(sockets->fds()[0], reinterpret_cast<sockaddr*>(&address), &length);
            EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
            ::close(fd);
        }
    });
    loop.run();
    clients.join();
    EXPECT_EQ(accepted, 100);
}

}  // namespace
}  // namespace pier::net
