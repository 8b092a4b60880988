// pier queue …, on the store itself; the messages are put there by the queue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/cli_fixture.h"
#include "main/config_queue.h"
#include "main/store_options.h"
#include "queue/mail_queue.h"
#include "store/wait.h"

namespace pier::program {
namespace {

using testing::HasSubstr, testing::Not;

class QueueCommands : public CliTest {
  protected:
    void add(const std::string& sender, const std::vector<std::string>& recipients) {
        const Loaded loaded = load_config(path("pier.toml"));
        auto store = store::open_log_store(store_options(loaded.config));
        ASSERT_TRUE(store) << store.error().text;
        queue::MailQueue queue(**store, queue_settings(loaded.config), system_now);
        ASSERT_TRUE(queue.open());
        store::NewMessage message;
        message.spool = (*store)->new_spool();
        ASSERT_TRUE(message.spool->write("Subject: x\r\n\r\n"));
        queue::NewOutgoing outgoing;
        outgoing.envelope.sender = {sender, "example.org"};
        for (const std::string& one : recipients)
            outgoing.recipients.push_back({{{one, "far.example"}, 0, ""}, outgoing.envelope.sender});
        const auto added = store::wait<std::vector<Result<store::Appended>>>(
            [&](auto done) { queue.append(std::move(message), std::move(outgoing), std::move(done)); });
        ASSERT_TRUE(added) << added.error().text;
    }
    std::string only_id() {
        return std::string(ask({"queue", "list"}).at("messages").at(0).at("id").as_string());
    }
    void refuse(std::vector<std::string> arguments, const std::string& text) {
        const Ran ran = run(std::move(arguments));
        EXPECT_NE(ran.code, 0) << ran.out;
        EXPECT_THAT(ran.err, HasSubstr(text));
    }
};

TEST_F(QueueCommands, AnEmptyQueueIsSaidToBeEmpty) {
    EXPECT_EQ(run({"queue", "list"}).out, "there are no such messages in the queue\n");
    EXPECT_EQ(ask({"queue", "list"}).at("matching").to_number<int>(), 0);
}

TEST_F(QueueCommands, FromListToDrop) {
    add("ada", {"bob", "carl"});
    const std::string listed = run({"queue", "list"}).out;
    EXPECT_THAT(listed, HasSubstr("ada@example.org  bob@far.example and 1 more"));
    EXPECT_THAT(listed, HasSubstr("1 message\n"));
    const std::string id = only_id();
    EXPECT_THAT(listed, HasSubstr(id));

    EXPECT_EQ(run({"queue", "list", "--sender", "eve"}).out, "there are no such messages in the queue\n");
    EXPECT_THAT(run({"queue", "list", "--destination", "far.example"}).out, HasSubstr(id));
    EXPECT_THAT(run({"queue", "list", "--recipient", "CARL"}).out, HasSubstr(id));
    EXPECT_THAT(run({"queue", "list", "--state", "waiting"}).out, HasSubstr(id));
    EXPECT_THAT(run({"queue", "list", "--held"}).out, Not(HasSubstr(id)));

    const std::string shown = run({"queue", "show", id}).out;
    EXPECT_THAT(shown, HasSubstr("sender     ada@example.org\n"));
    EXPECT_THAT(shown, HasSubstr("carl@far.example  waiting  0"));
    EXPECT_EQ(ask({"queue", "show", id}).at("each").as_array().size(), 2u);

    EXPECT_EQ(run({"queue", "hold", id}).out, id + " is on hold\n");
    EXPECT_THAT(run({"queue", "list", "--held"}).out, HasSubstr("on hold"));
    EXPECT_EQ(run({"queue", "release", id}).out, id + " is released\n");
    EXPECT_THAT(run({"queue", "list", "--held"}).out, Not(HasSubstr(id)));
    EXPECT_EQ(run({"queue", "drop", id}).out, id + " is dropped\n");
    refuse({"queue", "show", id}, "there is no message " + id + " in the queue");
}

TEST_F(QueueCommands, ABounceIsMadeWhenTheServerRuns) {
    add("ada", {"bob"});
    const std::string id = only_id();
    EXPECT_EQ(run({"queue", "drop", id, "--bounce"}).out, id + " goes back to its sender\n");
    EXPECT_EQ(ask({"queue", "show", id}).at("each").at(0).at("state").as_string(), "failed");
}

TEST_F(QueueCommands, NothingIsTriedWithoutAServer) {
    add("ada", {"bob"});
    refuse({"queue", "retry", only_id()}, "no server is running");
    refuse({"queue", "flush"}, "no server is running");
}

TEST_F(QueueCommands, WrongNumbersAreRefused) {
    refuse({"queue", "show", "17"}, "\"17\" is no number of a message");
    refuse({"queue", "hold", "0000000000001"}, "there is no message 0000000000001");
    refuse({"queue", "list", "--max", "many"}, "--max is a number");
    refuse({"queue", "list", "--state", "lost"}, "waiting");
}

TEST_F(QueueCommands, TheListCanBeShort) {
    for (int i = 0; i < 3; ++i)
        add("ada", {"bob"});
    EXPECT_THAT(run({"queue", "list", "--max", "2"}).out, HasSubstr("2 of 3 messages are shown"));
}

TEST(QueueConfigTest, WhatDoesNotFitTogetherIsTold) {
    const auto problems = [](const std::string& text) {
        std::string all;
        for (const Problem& problem : parse_config("[queue]\n" + text, "pier.toml").problems)
            if (problem.place.line > 0 && problem.text.find("queue.") != std::string::npos)
                all += problem.text + "\n";
        return all;
    };
    EXPECT_EQ(problems("enabled = false"), "");
    EXPECT_EQ(problems("retry_first = \"4h\"\nretry_max = \"4h\""), "");
    EXPECT_THAT(problems("retry_first = \"5h\""), HasSubstr("longer than queue.retry_max"));
    EXPECT_THAT(problems("give_up_after = \"4h\""), HasSubstr("nobody is told of a delay"));
    EXPECT_EQ(problems("give_up_after = \"4h\"\ndelay_notice_after = 0"), "");
}

}  // namespace
}  // namespace pier::program
