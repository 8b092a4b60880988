// Real processes: a worker that answers, hangs and dies, and the server's end of it.
#include "backends/process.h"

#include <condition_variable>
#include <csignal>
#include <future>

#include <gtest/gtest.h>
#include <unistd.h>

#include "backends/channel.h"
#include "backends/worker.h"

namespace pier::backends {
namespace {

class Played : public Service {
  public:
    Message answer(const Message& request) override {
        if (request.word == "die") ::_exit(9);
        if (request.word == "hang") ::pause();
        if (request.word == "long") return {0, "long", {{"text", std::string(message_octets_max, 'x')}}};
        return {0, "echo", {{"text", request.fields.get("text")}, {"pid", std::to_string(::getpid())}}};
    }
};

struct ProcessTest : testing::Test {
    void start(std::uint64_t threads, std::chrono::seconds timeout, std::uint64_t waiting_max = 100) {
        const WorkerLimits limits{.name = "test", .threads = threads, .timeout = timeout};
        const auto fd =
            start_process({.name = "test",
                           .confine = [] { return Result<void>(); },
                           .work =
                               [limits](int end) {
                                   return run_worker(end, limits, [] { return std::make_unique<Played>(); });
                               }});
        ASSERT_TRUE(fd);
        channel = std::make_unique<Channel>("test", *fd, ChannelLimits{timeout, waiting_max});
    }
    std::future<Result<Message>> ask(std::string word, std::string_view text = {}) {
        auto promise = std::make_shared<std::promise<Result<Message>>>();
        channel->ask({0, std::move(word), {{"text", text}}},
                     [promise](Result<Message> reply) { promise->set_value(std::move(reply)); });
        return promise->get_future();
    }
    // A request that was lost with a worker is answered by nobody: asked again until there is a new one.
    std::string pid_of_worker() {
        for (;;) {
            const auto reply = ask("echo").get();
            if (reply) return std::string(reply->fields.get("pid"));
        }
    }
    std::unique_ptr<Channel> channel;
};

TEST_F(ProcessTest, RequestsAreAnsweredEachWithItsOwn) {
    start(3, std::chrono::seconds(60));
    std::vector<std::future<Result<Message>>> replies;
    for (int i = 0; i < 50; ++i)
        replies.push_back(ask("echo", std::to_string(i)));
    for (int i = 0; i < 50; ++i) {
        const auto reply = replies[static_cast<std::size_t>(i)].get();
        ASSERT_TRUE(reply) << reply.error().text;
        EXPECT_EQ(reply->fields.get("text"), std::to_string(i));
    }
    EXPECT_EQ(channel->state().requests, 50U);
    EXPECT_EQ(channel->state().worker, "ready");
}

TEST_F(ProcessTest, AWorkerThatDiesIsMadeAnewAndNobodyWaitsForTheOldOne) {
    start(2, std::chrono::seconds(60));
    const std::string before = pid_of_worker();
    const auto lost = ask("die").get();
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().kind, ErrorKind::busy);
    EXPECT_NE(pid_of_worker(), before);
    EXPECT_EQ(channel->state().restarts, 1U);
}

TEST_F(ProcessTest, AWorkerThatIsKilledIsMadeAnew) {
    start(2, std::chrono::seconds(60));
    const std::string before = pid_of_worker();
    ::kill(std::stoi(before), SIGKILL);
    EXPECT_NE(pid_of_worker(), before);
}

TEST_F(ProcessTest, WhatTakesTooLongIsAnError) {
    start(2, std::chrono::seconds(1));
    const auto late = ask("hang").get();
    ASSERT_FALSE(late);
    EXPECT_NE(late.error().text.find("within 1 s"), std::string::npos);
    EXPECT_TRUE(ask("echo").get()) << "the other thread is free";
}

TEST_F(ProcessTest, AWorkerAllOfWhoseThreadsHangIsMadeAnew) {
    start(2, std::chrono::seconds(1));
    const std::string before = pid_of_worker();
    auto a = ask("hang"), b = ask("hang");
    EXPECT_FALSE(a.get());
    EXPECT_FALSE(b.get());
    EXPECT_NE(pid_of_worker(), before);
}

TEST_F(ProcessTest, MoreRequestsThanMayWaitAreRefused) {
    start(1, std::chrono::seconds(60), 3);
    pid_of_worker();
    auto a = ask("hang"), b = ask("hang"), c = ask("hang");
    const auto refused = ask("echo").get();
    ASSERT_FALSE(refused);
    EXPECT_EQ(channel->state().waiting, 3U);
    channel->stop();
    EXPECT_FALSE(a.get());
    EXPECT_FALSE(b.get());
    EXPECT_FALSE(c.get());
    EXPECT_FALSE(ask("echo").get()) << "nobody is asked any more";
}

TEST_F(ProcessTest, MessagesThatAreTooLargeAreAnError) {
    start(1, std::chrono::seconds(60));
    EXPECT_FALSE(ask("echo", std::string(message_octets_max, 'x')).get());
    const auto reply = ask("long").get();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->word, "outage");
}

TEST_F(ProcessTest, TheProcessesEndWithTheServersEnd) {
    start(1, std::chrono::seconds(60));
    const int worker = std::stoi(pid_of_worker());
    channel.reset();
    while (::kill(worker, 0) == 0)  // until it is gone, and somebody has taken its exit status
        std::this_thread::yield();
}

}  // namespace
}  // namespace pier::backends
