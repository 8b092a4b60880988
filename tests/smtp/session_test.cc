// What does not fit into a dialogue script: much of something, and memory.
#include "smtp/session.h"

#include <string>

#include <gtest/gtest.h>
#include <malloc.h>

#include "smtp/played_session.h"

namespace pier::smtp {
namespace {

using Stop = PlayedSession::Stop;

World world_with_ada() {
    World world;
    world.recipients["ada@example.org"] = {250, "2.1.5", "recipient ok"};
    return world;
}

const std::string hello = "LHLO client.example.org\r\n";
const std::string envelope = "MAIL FROM:<eve@example.com>\r\nRCPT TO:<ada@example.org>\r\n";

// In use, that is allocated and not freed, by the whole program.
std::size_t memory_octets() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

void feed_in_blocks(PlayedSession& session, std::string_view octets, std::size_t block_octets) {
    for (; !octets.empty(); octets.remove_prefix(std::min(block_octets, octets.size())))
        ASSERT_EQ(session.feed(octets.substr(0, block_octets)), Stop::input);
}

TEST(LmtpSession, ten_thousand_pipelined_commands_are_answered_in_order_and_in_bounded_pieces) {
    World world = world_with_ada();
    world.limits.recipients_max = 5'001;
    std::string commands = hello + "MAIL FROM:<>\r\n", expected;
    for (int i = 1; i <= 10'000; ++i) {
        const std::string name = i % 2 ? "ada" : "nobody";
        commands += "RCPT TO:<" + name + "@example.org>\r\n";
        expected += i % 2 ? "250 2.1.5 recipient ok\r\n" : "550 5.1.1 no such mailbox here\r\n";
    }
    for (const std::size_t block_octets : {std::size_t{1} << 30, std::size_t{16384}, std::size_t{7}}) {
        PlayedSession session(world);
        session.run();
        feed_in_blocks(session, commands, block_octets);
        const std::size_t sender_ok = session.output().find("250 2.1.0 sender ok\r\n");
        ASSERT_NE(sender_ok, std::string::npos);
        EXPECT_TRUE(session.output().substr(sender_ok + 21) == expected);  // not _EQ: nobody reads 500 KB
        EXPECT_LE(session.longest_write_octets(), world.limits.output_octets_max + 512);
    }
}

TEST(LmtpSession, every_recipient_up_to_the_limit_gets_its_reply_at_the_end) {
    World world = world_with_ada();
    PlayedSession session(world);
    session.run();
    std::string commands = hello + "MAIL FROM:<>\r\n";
    for (std::size_t i = 0; i < world.limits.recipients_max; ++i)
        commands += "RCPT TO:<ada@example.org>\r\n";
    session.feed(commands + "DATA\r\n");
    session.forget_output();
    session.feed("Hi\r\n.\r\n");
    std::string expected;
    for (std::size_t i = 0; i < world.limits.recipients_max; ++i)
        expected += "250 2.0.0 delivered to ada@example.org\r\n";
    EXPECT_EQ(session.output(), expected);
    EXPECT_LE(session.longest_write_octets(), world.limits.output_octets_max + expected.size());
}

// Attack 14: 1 GiB without a line end, as a command and as a line of a message.
TEST(LmtpSession, a_line_without_end_costs_no_memory) {
    const World world = world_with_ada();
    const std::string block(1 << 20, 'x');
    for (const bool in_data : {false, true}) {
        PlayedSession session(world);
        session.run();
        session.feed(hello + envelope);
        if (in_data) session.feed("DATA\r\n");
        std::size_t most = 0;
        for (int i = 0; i < 1024; ++i) {
            ASSERT_EQ(session.feed(block), Stop::input);
            if (i == 64) most = memory_octets();  // beyond the limit of a line, and of a message
            if (i > 64) {
                ASSERT_LE(memory_octets(), most + 65536) << "behind " << i << " MiB";
            }
        }
        session.forget_output();
        session.feed(in_data ? "\r\n.\r\nNOOP\r\n" : "\r\nNOOP\r\n");
        EXPECT_EQ(session.output().find("250 2.0.0 ok\r\n"), session.output().size() - 14);
        EXPECT_TRUE(session.messages().empty());
    }
}

TEST(LmtpSession, a_message_over_the_limit_costs_no_memory) {
    const World world = world_with_ada();
    std::string block;
    while (block.size() < 1 << 20)
        block += std::string(70, 'x') + "\n";
    PlayedSession session(world);
    session.run();
    session.feed(hello + envelope + "DATA\r\n");
    std::size_t most = 0;
    for (int i = 0; i < 512; ++i) {
        ASSERT_EQ(session.feed(block), Stop::input);
        if (i == 100) most = memory_octets();
        if (i > 100) {
            ASSERT_LE(memory_octets(), most + 65536) << "behind " << i << " MiB";
        }
    }
    session.forget_output();
    session.feed(".\r\n\r\n.\r\n");
    EXPECT_EQ(session.output(), "552 5.3.4 the message is larger than 67108864 octets\r\n");
    EXPECT_EQ(session.abandoned(), 1U);
}

TEST(LmtpSession, chunks_are_bounded_whatever_arrives_at_once) {
    const World world = world_with_ada();
    const std::string lines(1 << 20, '\n');  // each becomes two octets
    for (const std::string& command :
         {std::string("DATA\r\n"), "BDAT " + std::to_string(lines.size()) + " LAST\r\n"}) {
        PlayedSession session(world);
        session.run();
        session.feed(hello + envelope);
        session.feed(command + lines + "\r\n.\r\n");
        ASSERT_EQ(session.messages().size(), 1U);
        EXPECT_LE(session.longest_chunk_octets(), 65536U);
        EXPECT_GE(session.messages()[0].octets.size(), 2 * lines.size());
    }
}

TEST(LmtpSession, an_idle_session_holds_little_memory) {
    constexpr std::size_t count = 1000, octets_max = 2048;
    const World world = world_with_ada();
    std::vector<Session> sessions;
    sessions.reserve(count);
    const std::size_t before = memory_octets();
    for (std::size_t i = 0; i < count; ++i) {
        Session session(world.limits, world.facts);
        // A whole delivery, and half a command behind it.
        session.on_bytes(hello + envelope + "DATA\r\n" + std::string(100'000, 'x') + "\r\n.\r\nNO");
        for (bool waits = false; !waits;) {
            Action action = session.next();
            waits = std::holds_alternative<NeedInput>(action);
            if (std::holds_alternative<Recipient>(action)) session.on_recipient({250, "2.1.5", "ok"});
            if (std::holds_alternative<BeginMessage>(action)) session.on_begin(std::nullopt);
            if (std::holds_alternative<Chunk>(action)) session.on_chunk(std::nullopt);
            if (std::holds_alternative<EndMessage>(action)) session.on_end({{250, "2.0.0", "ok"}});
        }
        EXPECT_EQ(session.counts().messages, 1U);
        sessions.push_back(std::move(session));
    }
    EXPECT_LE((memory_octets() - before) / count, octets_max);
}

TEST(LmtpSession, closed_stays_closed) {
    const World world = world_with_ada();
    PlayedSession session(world);
    session.run();
    EXPECT_EQ(session.feed("QUIT\r\n"), Stop::closed);
    const std::string said = session.output();
    EXPECT_EQ(session.feed("NOOP\r\n"), Stop::closed);
    session.session().on_shutdown();
    EXPECT_EQ(session.run(), Stop::closed);
    session.session().on_eof();
    EXPECT_EQ(session.run(), Stop::closed);
    EXPECT_EQ(session.output(), said);
}

TEST(LmtpSession, shutdown_before_the_greeting) {
    const World world;
    PlayedSession session(world);
    session.session().on_shutdown();
    EXPECT_EQ(session.run(), Stop::closed);
    EXPECT_EQ(session.output(), "421 4.3.2 mx.example.org is stopping; try again later\r\n");
}

}  // namespace
}  // namespace pier::smtp
