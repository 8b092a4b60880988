// What does not fit into a dialogue script: much of something, memory, and misuse at the edges.
#include "pop3/session.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <malloc.h>

#include "pop3/played_session.h"
#include "wire/base64.h"

namespace pier::pop3 {

namespace {

using Stop = PlayedSession::Stop;

World world_with_mail(std::size_t messages) {
    World world;
    world.facts.tls_active = true;
    world.passwords["ada"] = "secret";
    for (std::size_t i = 0; i < messages; ++i) {
        world.mails.push_back(
            {"uid-" + std::to_string(i + 1), "Subject: " + std::to_string(i + 1) + "\r\n\r\n"});
    }
    return world;
}

// A session that is logged in and has nothing in output().
class LoggedIn : public PlayedSession {
  public:
    explicit LoggedIn(const World& world) : PlayedSession(world) {
        EXPECT_EQ(run(), Stop::input);
        EXPECT_EQ(feed("USER ada\r\nPASS secret\r\n"), Stop::input);
        EXPECT_EQ(session().state(), Session::State::transaction);
        output().clear();
    }
};

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string_view::npos;
         at = text.find(what, at + what.size()))
        ++found;
    return found;
}

TEST(Pop3Session, a_wrong_proof_is_told_to_the_driver_also_when_it_ends_the_session) {
    World world = world_with_mail(0);
    world.limits.failed_logins_max = 1;
    PlayedSession session(world);
    EXPECT_EQ(session.run(), Stop::input);
    session.feed("AUTH SCRAM-SHA-256 " + wire::base64_encode("n,,n=ada,r=client") + "\r\n");
    EXPECT_TRUE(session.wrong_proofs().empty());
    const std::string final =
        "c=biws,r=client" + world.scram_nonce + ",p=" + wire::base64_encode(std::string(32, 'x'));
    EXPECT_EQ(session.feed(wire::base64_encode(final) + "\r\n"), Stop::closed);
    EXPECT_EQ(session.wrong_proofs(), std::vector<std::string>{"ada"});
    EXPECT_TRUE(session.output().ends_with("too many failed logins, closing\r\n")) << session.output();
}

TEST(Pop3Session, ten_thousand_pipelined_commands_are_answered_in_order_and_in_bounded_pieces) {
    const World world = world_with_mail(10000);
    for (const std::size_t block_octets : {std::size_t{1} << 30, std::size_t{16384}, std::size_t{7}}) {
        LoggedIn session(world);
        std::string commands, expected;
        for (int i = 1; i <= 10000; ++i) {
            commands += "LIST " + std::to_string(i) + "\r\n";
            expected +=
                "+OK " + std::to_string(i) + " " + std::to_string(world.mails[i - 1].content.size()) + "\r\n";
        }
        for (std::string_view rest = commands; !rest.empty();) {
            const auto block = rest.substr(0, block_octets);
            ASSERT_EQ(session.feed(block), Stop::input);
            rest.remove_prefix(block.size());
        }
        EXPECT_EQ(session.output(), expected);
        EXPECT_LE(session.longest_write_octets(), world.limits.output_octets_max);
    }
}

TEST(Pop3Session, pipelined_replies_leave_in_few_writes) {
    const World world = world_with_mail(1);
    LoggedIn session(world);
    const std::size_t writes = session.writes();
    std::string commands;
    for (int i = 0; i < 100; ++i)
        commands += "NOOP\r\n";
    session.feed(commands);
    EXPECT_EQ(count(session.output(), "+OK nothing done\r\n"), 100U);
    EXPECT_EQ(session.writes() - writes, 1U);
}

TEST(Pop3Session, a_long_listing_comes_in_pieces) {
    const World world = world_with_mail(100'000);
    for (const char* command : {"LIST\r\n", "UIDL\r\n"}) {
        LoggedIn session(world);
        session.feed(command);
        EXPECT_EQ(count(session.output(), "\r\n"), 100'000U + 2);
        EXPECT_TRUE(session.output().ends_with("\r\n.\r\n"));
        EXPECT_LE(session.longest_write_octets(), world.limits.output_octets_max);
        EXPECT_GT(session.longest_write_octets(), world.limits.output_octets_max / 2);
    }
}

TEST(Pop3Session, a_listing_in_pieces_ends_when_the_client_goes_away) {
    const World world = world_with_mail(100'000);
    LoggedIn session(world);
    session.fail_write(3);
    EXPECT_EQ(session.feed("DELE 1\r\nUIDL\r\nQUIT\r\n"), Stop::closed);
    EXPECT_TRUE(session.write_failed());
    EXPECT_TRUE(session.removals().empty());
}

TEST(Pop3Session, sums_are_64_bit) {
    class Huge final : public Maildrop {
      public:
        std::size_t messages() const override { return 3; }
        std::uint64_t octets() const override { return 3 * (std::uint64_t{5} << 30); }
        std::uint64_t octets(std::size_t) const override { return std::uint64_t{5} << 30; }
        void append_uidl(std::size_t index, std::string& out) const override { out += std::to_string(index); }
    };
    const Limits limits;
    Session session(limits, {.tls_active = true});
    std::string output;
    const auto run = [&] {
        for (;;) {
            Action action = session.next();
            if (std::holds_alternative<NeedInput>(action)) return;
            if (const auto* write = std::get_if<Write>(&action)) output += write->text;
            if (std::holds_alternative<Login>(action)) session.on_login(std::make_shared<Huge>());
        }
    };
    run();
    session.on_bytes("USER a\r\nPASS b\r\nSTAT\r\nDELE 1\r\nSTAT\r\nLIST 2\r\n");
    run();
    EXPECT_NE(output.find("+OK 3 16106127360\r\n"), std::string::npos) << output;
    EXPECT_NE(output.find("+OK 2 10737418240\r\n"), std::string::npos) << output;
    EXPECT_NE(output.find("+OK 2 5368709120\r\n"), std::string::npos) << output;
}

// Attack: 1 GiB without a line end.
TEST(Pop3Session, a_line_without_end_is_refused_once_and_takes_no_memory) {
    const World world = world_with_mail(1);
    PlayedSession session(world);
    session.run();
    session.output().clear();
    const std::string block(1 << 20, 'x');
    const std::size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 1024; ++i) {
        ASSERT_EQ(session.feed(block), Stop::input);
        ASSERT_LT(mallinfo2().uordblks, before + 4096);
    }
    EXPECT_EQ(session.output(), "-ERR line too long\r\n");
    EXPECT_EQ(session.feed("\r\nUSER ada\r\nPASS secret\r\n"), Stop::input);
    EXPECT_EQ(session.session().user(), "ada");
}

// 10,000 idle sessions are to cost what they must remember and no buffers. (Under a sanitizer mallinfo2 tells
// nothing, and this holds trivially.)
TEST(Pop3Session, an_idle_session_is_small) {
    const World world = world_with_mail(20);
    constexpr std::size_t sessions = 1000;
    std::vector<std::unique_ptr<Session>> idle;
    idle.reserve(sessions);
    const auto maildrop = std::make_shared<MemoryMaildrop>(world.mails);
    const std::size_t before = mallinfo2().uordblks;
    for (std::size_t i = 0; i < sessions; ++i) {
        idle.push_back(std::make_unique<Session>(world.limits, world.facts));
        Session& session = *idle.back();
        bool fed = false;
        for (;;) {
            Action action = session.next();
            if (std::holds_alternative<Login>(action)) session.on_login(maildrop);
            if (!std::holds_alternative<NeedInput>(action)) continue;
            if (std::exchange(fed, true)) break;
            session.on_bytes("USER ada\r\nPASS secret\r\nSTAT\r\nUIDL\r\nLIST\r\nNO");
        }
    }
    EXPECT_LT((mallinfo2().uordblks - before) / sessions, 1024U);
}

TEST(Pop3Session, marks_take_memory_only_after_dele) {
    const World world = world_with_mail(200'000);
    LoggedIn session(world);
    const std::size_t before = mallinfo2().uordblks;
    session.feed("STAT\r\n");
    session.output() = {};
    EXPECT_LT(mallinfo2().uordblks, before + 4096);
    session.feed("DELE 200000\r\n");
    session.output() = {};
    EXPECT_LT(mallinfo2().uordblks, before + 200'000 / 8 + 4096);
    EXPECT_EQ(session.feed("QUIT\r\n"), Stop::closed);
    ASSERT_EQ(session.removals().size(), 1U);
    EXPECT_EQ(session.removals()[0], std::vector<std::size_t>{199'999});
}

TEST(Pop3Session, user_and_password_at_their_limits) {
    World world = world_with_mail(0);
    world.limits.line_octets_max = 2000;
    const std::string limit_name(1024, 'n'), limit_password(1024, 'p');
    world.passwords[limit_name] = limit_password;
    world.passwords[limit_name.substr(1)] = limit_password.substr(1);
    for (const int extra : {-1, 0, 1}) {
        const std::string name(1024 + extra, 'n'), password(1024 + extra, 'p');
        PlayedSession session(world);
        session.run();
        session.feed("USER " + name + "\r\n");
        EXPECT_EQ(session.output().find("the user name is too long") != std::string::npos, extra > 0);
        session.feed("USER ada\r\nUSER " + limit_name.substr(extra < 0) + "\r\nPASS " + password + "\r\n");
        EXPECT_EQ(session.output().find("the password is too long") != std::string::npos, extra > 0);
        EXPECT_EQ(session.session().user().size(), extra > 0 ? 0U : name.size());
    }
}

// 64 KiB where a name is expected: neither kept nor an end of the session.
TEST(Pop3Session, a_name_of_64_kib) {
    const World world = world_with_mail(0);
    PlayedSession session(world);
    session.run();
    EXPECT_EQ(session.feed("USER " + std::string(65536, 'n') + "\r\nPASS x\r\n"), Stop::input);
    EXPECT_TRUE(session.output().ends_with("-ERR line too long\r\n-ERR send USER first\r\n"));
    EXPECT_TRUE(session.logins().empty());
}

TEST(Pop3Session, replies_are_at_most_512_octets) {
    for (const std::size_t octets : {506U, 507U, 508U, 5000U}) {
        World world = world_with_mail(0);
        world.facts.greeting = std::string(octets, 'g');
        PlayedSession session(world);
        session.run();
        EXPECT_EQ(session.output().size(), std::min<std::size_t>(octets + 6, 512));
        EXPECT_TRUE(session.output().ends_with("g\r\n"));
    }
}

// The peer goes away while the driver is busy: what it reports afterwards changes nothing and is no error.
TEST(Pop3Session, reports_behind_the_end_are_passed_over) {
    const World world = world_with_mail(3);
    const auto maildrop = std::make_shared<MemoryMaildrop>(world.mails);
    const auto until = [](Session& session, auto wanted) {
        for (;;) {
            const Action action = session.next();
            if (std::holds_alternative<decltype(wanted)>(action)) return;
            ASSERT_TRUE(std::holds_alternative<Write>(action));
        }
    };
    {
        Session session(world.limits, world.facts);
        until(session, NeedInput{});
        session.on_bytes("USER ada\r\nPASS secret\r\n");
        until(session, Login{});
        session.on_eof();
        EXPECT_TRUE(std::holds_alternative<Close>(session.next()));
        session.on_login(maildrop);
        EXPECT_EQ(session.state(), Session::State::authorization);
        EXPECT_TRUE(std::holds_alternative<Close>(session.next()));
        EXPECT_TRUE(std::holds_alternative<Close>(session.next()));
    }
    {
        Session session(world.limits, world.facts);
        until(session, NeedInput{});
        session.on_bytes("USER ada\r\nPASS secret\r\n");
        until(session, Login{});
        session.on_login(maildrop);
        until(session, NeedInput{});
        session.on_bytes("DELE 2\r\nQUIT\r\n");
        until(session, Remove{});
        session.on_eof();
        session.on_removed(0);  // that one is done, and counts
        EXPECT_TRUE(std::holds_alternative<Close>(session.next()));
        EXPECT_EQ(session.counts().removed, 1U);
        EXPECT_EQ(session.state(), Session::State::update);
    }
}

// The server stops while a password is being checked: the login's answer comes first, then the goodbye.
TEST(Pop3Session, shutdown_while_a_login_is_checked) {
    const World world = world_with_mail(1);
    Session session(world.limits, world.facts);
    std::string output;
    const auto run = [&] {
        for (;;) {
            Action action = session.next();
            if (const auto* write = std::get_if<Write>(&action)) {
                output += write->text;
                continue;
            }
            if (std::holds_alternative<Login>(action)) {
                session.on_shutdown();
                session.on_login(std::make_shared<MemoryMaildrop>(world.mails));
                continue;
            }
            return action;
        }
    };
    run();
    session.on_bytes("USER ada\r\nPASS secret\r\n");
    EXPECT_TRUE(std::holds_alternative<Close>(run()));
    EXPECT_NE(output.find("+OK 1 messages"), std::string::npos);
    EXPECT_TRUE(output.ends_with(
        "-ERR [SYS/TEMP] the server is shutting down; nothing was deleted, try again later\r\n"));
}

// Two sessions on one maildrop: what one deletes stays valid in the other, to its end (its snapshot is its
// own).
TEST(Pop3Session, two_sessions_on_one_maildrop_keep_their_numbers) {
    const World world = world_with_mail(3);
    LoggedIn first(world), second(world);
    first.feed("DELE 1\r\nDELE 2\r\n");
    EXPECT_EQ(first.feed("QUIT\r\n"), Stop::closed);
    second.feed("STAT\r\nUIDL 2\r\nRETR 2\r\n");
    EXPECT_NE(second.output().find("+OK 3 "), std::string::npos);
    EXPECT_NE(second.output().find("+OK 2 uid-2\r\n"), std::string::npos);
    EXPECT_NE(second.output().find("Subject: 2\r\n"), std::string::npos);
}

TEST(Pop3Session, a_moved_session_goes_on) {
    const World world = world_with_mail(1);
    Session first(world.limits, world.facts);
    EXPECT_TRUE(std::holds_alternative<Write>(first.next()));
    Session second(std::move(first));
    EXPECT_TRUE(std::holds_alternative<NeedInput>(second.next()));
    second.on_bytes("CAPA\r\n");
    EXPECT_TRUE(std::holds_alternative<Write>(second.next()));
}

}  // namespace

}  // namespace pier::pop3
