// Dialogues of the client's side, as an RFC would show them: whole, octet by octet, and cut at each octet.
#include "smtp/client.h"

#include <deque>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/dialogue.h"

namespace pier::smtp {
namespace {

struct World {
    Client::Limits limits;
    Client::Facts facts{.hostname = "client.example.org"};
    Envelope envelope;
    std::string message = "Subject: hi\r\n\r\n.dot\r\nend\r\n";
    std::size_t chunk_octets = 1 << 16;
    bool verified = false;
};

Envelope::Recipient recipient(std::string local, std::string domain = "example.com") {
    Envelope::Recipient made;
    made.address = {std::move(local), std::move(domain)};
    return made;
}

World world_to(std::vector<std::string> locals) {
    World world;
    world.envelope.sender = {"ada", "example.org"};
    for (std::string& local : locals)
        world.envelope.recipients.push_back(recipient(std::move(local)));
    return world;
}

std::string_view to_string(Client::Cause cause) {
    constexpr std::string_view words[] = {"refused", "tls", "login", "broken", "closing"};
    return words[static_cast<int>(cause)];
}

std::string shown(const Reply& reply) {
    return fmt::format("{} {} {}", reply.code, reply.enhanced.empty() ? "-" : reply.enhanced, reply.text);
}

// A client, and what came of it.
class Player {
  public:
    explicit Player(const World& world) : world_(world), client_(world.limits, world.facts) { pump(); }

    void feed(std::string_view octets) {
        client_.on_bytes(octets);
        pump();
    }
    void begin() {
        sent_message_ = 0;
        client_.begin(world_.envelope, 0, world_.envelope.recipients.size(), world_.message.size());
        pump();
    }
    void quit() {
        client_.quit();
        pump();
    }
    void lost(std::string why) {
        client_.on_lost(std::move(why));
        pump();
    }
    std::string take_sent() { return std::exchange(sent_, {}); }
    std::string take_event() {
        if (events_.empty()) return "nothing";
        std::string event = std::move(events_.front());
        events_.pop_front();
        return event;
    }
    bool has_events() const { return !events_.empty(); }
    Client& client() { return client_; }

  private:
    void pump() {
        for (int steps = 0; steps < 100'000; ++steps) {
            Client::Action action = client_.next();
            if (auto* write = std::get_if<Client::Write>(&action)) {
                sent_ += write->text;
            } else if (std::holds_alternative<Client::NeedInput>(action)) {
                return;
            } else if (std::holds_alternative<Client::StartTls>(action)) {
                events_.push_back("tls");
                client_.on_tls(world_.verified);
            } else if (std::holds_alternative<Client::NeedChunk>(action)) {
                const std::string_view rest = std::string_view(world_.message).substr(sent_message_);
                if (rest.empty()) {
                    client_.on_message_end();
                } else {
                    client_.on_chunk(rest.substr(0, world_.chunk_octets));
                    sent_message_ += std::min(rest.size(), world_.chunk_octets);
                }
            } else if (auto* done = std::get_if<Client::Done>(&action)) {
                for (const Reply& reply : done->replies)
                    events_.push_back("done " + shown(reply));
            } else if (auto* failed = std::get_if<Client::Failed>(&action)) {
                events_.push_back(
                    fmt::format("failed {} {}", to_string(failed->cause), shown(failed->reply)));
                return;
            } else {
                events_.push_back(std::holds_alternative<Client::Ready>(action) ? "ready" : "closed");
                return;
            }
        }
        ADD_FAILURE() << "it does not come to an end";
    }

    const World& world_;
    Client client_;
    std::string sent_;
    std::size_t sent_message_ = 0;
    std::deque<std::string> events_;
};

// How the server's octets are cut.
struct Cut {
    std::size_t at = std::string::npos;  // of all that the server says
    bool octets = false;
};

std::size_t play_once(const World& world, const test::Dialogue& dialogue, Cut cut) {
    Player player(world);
    std::size_t fed = 0;
    std::string waiting;  // what the server says until the client speaks
    const auto give = [&] {
        std::string_view rest = waiting;
        while (!rest.empty()) {
            std::size_t count = cut.octets ? 1 : rest.size();
            if (fed < cut.at && cut.at < fed + count) count = cut.at - fed;
            player.feed(rest.substr(0, count));
            rest.remove_prefix(count);
            fed += count;
        }
        waiting.clear();
    };
    std::string expected;
    const auto check_sent = [&](int line) {
        EXPECT_EQ(player.take_sent(), expected) << dialogue.name << ":" << line;
        expected.clear();
    };
    for (const test::Step& step : dialogue.steps) {
        if (step.kind == test::Step::Kind::server) {
            if (!expected.empty()) check_sent(step.line);
            waiting += step.text + "\r\n";
            continue;
        }
        give();
        if (step.kind == test::Step::Kind::client) {
            expected += step.text;
        } else if (step.words[0] == "begin") {
            EXPECT_EQ(player.take_event(), "ready") << dialogue.name << ":" << step.line;
            player.begin();
        } else if (step.words[0] == "quit") {
            EXPECT_EQ(player.take_event(), "ready") << dialogue.name << ":" << step.line;
            player.quit();
        } else if (step.words[0] == "lost") {
            player.lost(step.words[1]);
        } else {
            std::string words;
            for (const std::string& word : step.words)
                words += (words.empty() ? "" : " ") + word;
            EXPECT_EQ(player.take_event(), words) << dialogue.name << ":" << step.line;
        }
    }
    give();
    check_sent(-1);
    EXPECT_FALSE(player.has_events()) << dialogue.name << ": " << player.take_event();
    return fed;
}

void play(const World& world, std::string_view script) {
    const auto* name = testing::UnitTest::GetInstance()->current_test_info()->name();
    const test::Dialogue dialogue = test::parse_dialogue(script, name);
    const std::size_t octets = play_once(world, dialogue, {});
    play_once(world, dialogue, {.octets = true});
    for (std::size_t at = 1; at < octets && !testing::Test::HasFailure(); ++at)
        play_once(world, dialogue, {.at = at});
}

TEST(SmtpClient, a_message_to_a_plain_server_command_by_command) {
    play(world_to({"bob"}), R"(
S: 220 mx.example.com ready
C: EHLO client.example.org
S: 250 mx.example.com
! begin
C: MAIL FROM:<ada@example.org>
S: 250 ok
C: RCPT TO:<bob@example.com>
S: 250 2.1.5 ok
C: DATA
S: 354 go on
C: Subject: hi
C:
C: ..dot
C: end
C: .
S: 250 2.0.0 queued as 1
! done 250 2.0.0 queued as 1
! quit
C: QUIT
S: 221 bye
! closed
)");
}

TEST(SmtpClient, pipelining_sends_a_transaction_in_one_go) {
    World world = world_to({"bob", "eve", "joe"});
    world.envelope.body_8bit = true;
    play(world, R"(
S: 220-mx.example.com
S: 220 ready
C: EHLO client.example.org
S: 250-mx.example.com
S: 250-PIPELINING
S: 250-SIZE 1000
S: 250-ENHANCEDSTATUSCODES
S: 250 8bitmime
! begin
C: MAIL FROM:<ada@example.org> SIZE=26 BODY=8BITMIME
C: RCPT TO:<bob@example.com>
C: RCPT TO:<eve@example.com>
C: RCPT TO:<joe@example.com>
C: DATA
S: 250 2.1.0 ok
S: 250 2.1.5 ok
S: 550-5.1.1 no such
S: 550 5.1.1 user
S: 450 4.2.1 later
S: 354 go
C: Subject: hi
C:
C: ..dot
C: end
C: .
S: 250 2.0.0 kept
! done 250 2.0.0 kept
! done 550 5.1.1 no such user
! done 450 4.2.1 later
! begin
C: MAIL FROM:<ada@example.org> SIZE=26 BODY=8BITMIME
C: RCPT TO:<bob@example.com>
C: RCPT TO:<eve@example.com>
C: RCPT TO:<joe@example.com>
C: DATA
S: 250 2.1.0 ok
S: 550 5.1.1 no
S: 550 5.1.1 no
S: 550 5.1.1 no
S: 554 5.5.1 no valid recipients
! done 550 5.1.1 no
! done 550 5.1.1 no
! done 550 5.1.1 no
! begin
C: RSET
C: MAIL FROM:<ada@example.org> SIZE=26 BODY=8BITMIME
C: RCPT TO:<bob@example.com>
C: RCPT TO:<eve@example.com>
C: RCPT TO:<joe@example.com>
C: DATA
S: 250 ok
S: 452 4.3.1 full
S: 503 MAIL first
S: 503 MAIL first
S: 503 MAIL first
S: 503 MAIL first
! done 452 4.3.1 full
! done 452 4.3.1 full
! done 452 4.3.1 full
! ready
)");
}

TEST(SmtpClient, data_that_is_taken_with_no_recipient_left_is_ended_with_a_lone_dot) {
    play(world_to({"bob"}), R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250 PIPELINING
! begin
C: MAIL FROM:<ada@example.org>
C: RCPT TO:<bob@example.com>
C: DATA
S: 250 ok
S: 550 no
S: 354 go
C: .
S: 554 nobody
! done 550 - no
! ready
)");
}

TEST(SmtpClient, without_pipelining_data_is_not_said_when_nobody_is_left) {
    play(world_to({"bob", "eve"}), R"(
S: 220 ready
C: EHLO client.example.org
S: 250 mx
! begin
C: MAIL FROM:<ada@example.org>
S: 250 ok
C: RCPT TO:<bob@example.com>
S: 550 no
C: RCPT TO:<eve@example.com>
S: 450 later
! done 550 - no
! done 450 - later
! begin
C: RSET
S: 250 ok
C: MAIL FROM:<ada@example.org>
S: 550 5.7.1 go away
! done 550 5.7.1 go away
! done 550 5.7.1 go away
! ready
)");
}

TEST(SmtpClient, a_server_without_ehlo_is_greeted_with_helo) {
    play(world_to({"bob"}), R"(
S: 220 ready
C: EHLO client.example.org
S: 502 unknown
C: HELO client.example.org
S: 250 mx
! ready
)");
}

TEST(SmtpClient, what_the_greeting_refuses) {
    play(world_to({"bob"}),
         "S: 554-5.3.2 no mail\nS: 554 5.3.2 here\n! failed refused 554 5.3.2 no mail here\n");
    play(world_to({"bob"}), "S: 450 4.3.2 later\n! failed refused 450 4.3.2 later\n");
    play(world_to({"bob"}), "S: 421 4.3.2 too many\n! failed closing 421 4.3.2 too many\n");
    play(world_to({"bob"}),
         "S: SSH-2.0-x\n! failed broken 451 4.5.0 \"this is not SMTP: the server said \\\"SSH-2.0-x\\\"\"\n");
    play(world_to({"bob"}), "! lost \"it broke\"\n! failed broken 451 4.4.2 it broke\n");
}

TEST(SmtpClient, starttls_forgets_what_was_said_in_clear) {
    World world = world_to({"bob"});
    world.envelope.utf8 = true;
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250-SMTPUTF8
S: 250 STARTTLS
C: STARTTLS
S: 220 go
! tls
C: EHLO client.example.org
S: 250 mx
! begin
! done 553 5.6.7 the message has addresses or header fields in UTF-8, and the server does not offer SMTPUTF8
! ready
)");
}

TEST(SmtpClient, tls_that_is_required) {
    World world = world_to({"bob"});
    world.facts.tls = Client::Tls::required;
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250 mx
! failed tls 451 4.7.4 TLS is required, and the server does not offer STARTTLS
)");
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250 STARTTLS
C: STARTTLS
S: 454 4.7.0 not now
! failed tls 451 4.7.4 TLS is required, and STARTTLS was refused: not now
)");
    play(world, "S: 220 ready\nC: EHLO client.example.org\nS: 500 what\n! failed refused 500 - what\n");
}

TEST(SmtpClient, starttls_that_is_refused_is_done_without_where_nothing_requires_it) {
    play(world_to({"bob"}), R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250 STARTTLS
C: STARTTLS
S: 454 not now
! ready
)");
}

TEST(SmtpClient, octets_in_clear_behind_the_answer_to_starttls_end_it) {
    const World world = world_to({"bob"});
    for (const std::string_view behind : {"250 mx\r\n", "2", "\r\n"}) {
        Player player(world);
        player.feed("220 ready\r\n");
        player.feed("250-mx\r\n250 STARTTLS\r\n");
        player.feed("220 go\r\n" + std::string(behind));
        EXPECT_EQ(player.take_event(),
                  "failed tls 451 4.7.5 there were octets in clear behind the answer to STARTTLS");
    }
}

TEST(SmtpClient, a_smarthost_gets_our_password_inside_tls_alone) {
    World world = world_to({"bob"});
    world.facts.login = Client::Login{"ada", "secret"};
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250 AUTH PLAIN LOGIN
! failed login 451 4.7.11 our password is sent inside TLS only, and there is none
)");
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250-AUTH=LOGIN
S: 250 STARTTLS
C: STARTTLS
S: 220 go
! tls
C: EHLO client.example.org
S: 250-mx
S: 250 AUTH CRAM-MD5 plain login
C: AUTH PLAIN AGFkYQBzZWNyZXQ=
S: 235 2.7.0 ok
! ready
)");
    world.facts.tls_active = true;
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250 AUTH LOGIN
C: AUTH LOGIN
S: 334 VXNlcm5hbWU6
C: YWRh
S: 334 UGFzc3dvcmQ6
C: c2VjcmV0
S: 535 5.7.8 wrong
! failed login 451 4.7.8 our login was refused: 535 wrong
)");
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250 mx
! failed login 451 4.7.8 the server offers neither AUTH PLAIN nor AUTH LOGIN
)");
}

TEST(SmtpClient, what_the_sender_has_asked_for_is_asked_for_again) {
    World world = world_to({"bob", "eve", "joe"});
    world.facts.tls_active = world.facts.tls_verified = true;
    Envelope& envelope = world.envelope;
    envelope.require_tls = envelope.utf8 = true;
    envelope.ret = Return::headers;
    envelope.id = "a+2Bb";
    envelope.recipients[0].notify = notify::never;
    envelope.recipients[1].notify = notify::success | notify::failure | notify::delay;
    envelope.recipients[1].original = "rfc822;eve@example.net";
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250-PIPELINING
S: 250-DSN
S: 250-SMTPUTF8
S: 250 REQUIRETLS
! begin
C: MAIL FROM:<ada@example.org> SMTPUTF8 REQUIRETLS RET=HDRS ENVID=a+2Bb
C: RCPT TO:<bob@example.com> NOTIFY=NEVER
C: RCPT TO:<eve@example.com> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;eve@example.net
C: RCPT TO:<joe@example.com>
C: DATA
S: 250 ok
S: 250 ok
S: 250 ok
S: 250 ok
S: 451 4.3.0 no
! done 451 4.3.0 no
! done 451 4.3.0 no
! done 451 4.3.0 no
! ready
)");
}

TEST(SmtpClient, requiretls_needs_the_servers_word_and_verified_tls) {
    World world = world_to({"bob"});
    world.envelope.require_tls = true;
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250 REQUIRETLS
! begin
! done 550 5.7.30 no verified TLS to the server, which the sender has asked for (REQUIRETLS)
! ready
)");
    world.facts.tls_active = world.facts.tls_verified = true;
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250 mx
! begin
! done 550 5.7.30 the server does not offer REQUIRETLS, which the sender has asked for
! ready
)");
}

TEST(SmtpClient, a_message_is_as_large_as_the_server_takes_or_one_octet_larger) {
    for (const bool fits : {true, false}) {
        World world = world_to({"bob"});
        world.message.assign(fits ? 98 : 99, 'x');
        world.message += "\r\n";
        play(world,
             std::string("S: 220 ready\nC: EHLO client.example.org\nS: 250-mx\nS: 250 SIZE 100\n! begin\n") +
                 (fits ? "C: MAIL FROM:<ada@example.org> SIZE=100\nS: 421 4.3.2 down\n! done 421 4.3.2 down\n"
                         "! failed closing 421 4.3.2 down\n"
                       : "! done 552 5.3.4 the message has 101 octets, and the server takes 100\n! ready\n"));
    }
}

constexpr std::string_view until_data = R"(
S: 220 ready
C: EHLO client.example.org
S: 250 mx
! begin
C: MAIL FROM:<ada@example.org>
S: 250 ok
C: RCPT TO:<bob@example.com>
S: 250 ok
C: RCPT TO:<eve@example.com>
S: 550 5.1.1 no
C: DATA
S: 354 go
C: Subject: hi
C:
C: ..dot
C: end
C: .
)";

TEST(SmtpClient, a_connection_that_breaks_behind_the_last_dot_leaves_the_message_to_be_sent_again) {
    play(world_to({"bob", "eve"}), std::string(until_data) + R"(
! lost "no answer"
! done 451 4.4.2 no answer
! done 550 5.1.1 no
! failed broken 451 4.4.2 no answer
)");
    play(world_to({"bob", "eve"}), std::string(until_data) + R"(
S: 421 4.3.2 going down
! done 421 4.3.2 going down
! done 550 5.1.1 no
! failed closing 421 4.3.2 going down
)");
    play(world_to({"bob", "eve"}), std::string(until_data) + R"(
S: 334 what
! done 451 4.5.0 the server said 334 in the wrong place
! done 550 5.1.1 no
! failed broken 451 4.5.0 the server said 334 in the wrong place
)");
}

TEST(SmtpClient, a_server_that_refuses_in_the_middle_of_the_message_is_heard) {
    World world = world_to({"bob"});
    Client client(world.limits, world.facts);
    const auto say = [&](std::string_view octets) {
        client.on_bytes(octets);
        return client.next();
    };
    static_cast<void>(client.next());
    static_cast<void>(say("220 ready\r\n"));
    static_cast<void>(say("250 mx\r\n"));
    client.begin(world.envelope, 0, 1, 100);
    static_cast<void>(client.next());
    static_cast<void>(say("250 ok\r\n"));
    static_cast<void>(say("250 ok\r\n"));
    EXPECT_TRUE(std::holds_alternative<Client::NeedChunk>(say("354 go\r\n")));
    EXPECT_EQ(client.stage(), Client::Stage::block);
    const Client::Action action = say("552 5.3.4 too large\r\n");
    ASSERT_TRUE(std::holds_alternative<Client::Done>(action));
    EXPECT_EQ(shown(std::get<Client::Done>(action).replies.at(0)), "552 5.3.4 too large");
    EXPECT_TRUE(std::holds_alternative<Client::Failed>(client.next()));
}

// RFC 5321 §4.5.3.1.10.
TEST(SmtpClient, too_many_recipients_is_for_now_and_a_full_mailbox_for_good) {
    play(world_to({"bob", "eve", "joe"}), R"(
S: 220 ready
C: EHLO client.example.org
S: 250-mx
S: 250 PIPELINING
! begin
C: MAIL FROM:<ada@example.org>
C: RCPT TO:<bob@example.com>
C: RCPT TO:<eve@example.com>
C: RCPT TO:<joe@example.com>
C: DATA
S: 250 ok
S: 250 ok
S: 552 5.2.2 full
S: 552 too many
S: 451 no
! done 451 - no
! done 552 5.2.2 full
! done 452 4.5.3 too many
! ready
)");
}

// Attack 31.
TEST(SmtpClient, a_message_with_a_lone_cr_or_lf_never_gets_its_last_dot) {
    for (const std::string_view message :
         {"a\nb\r\n", "a\rb\r\n", "a\r\n\r", "\r\r\n", "\n.\r\n", "\r\n.\r\r\n", "\r\n.\n", "a\r"}) {
        for (std::size_t chunk = 1; chunk <= message.size(); ++chunk) {
            World world = world_to({"bob"});
            world.message = message;
            world.chunk_octets = chunk;
            Player player(world);
            player.feed("220 ready\r\n");
            player.feed("250 mx\r\n");
            EXPECT_EQ(player.take_event(), "ready");
            player.begin();
            player.feed("250 ok\r\n");
            player.feed("250 ok\r\n");
            static_cast<void>(player.take_sent());
            player.feed("354 go\r\n");
            const std::string sent = player.take_sent();
            EXPECT_EQ(player.take_event().substr(0, 14), "done 554 5.6.0");
            EXPECT_EQ(player.take_event().substr(0, 13), "failed broken");
            EXPECT_FALSE(("\r\n" + sent).find("\r\n.\r\n") != std::string::npos) << sent;
            wire::LineEnds ends;
            ends.feed(sent);
            ends.finish();
            EXPECT_FALSE(ends.bare()) << sent;
        }
    }
}

TEST(SmtpClient, a_message_is_the_same_whatever_its_chunks) {
    for (const std::string_view message : {"", "x", "x\r\n", ".\r\n", "..\r\n.\r\n\r\n.x", "\r\n\r\n"}) {
        for (std::size_t chunk = 1; chunk <= message.size() + 1; ++chunk) {
            World world = world_to({"bob"});
            world.message = message;
            world.chunk_octets = chunk;
            Player player(world);
            player.feed("220 ready\r\n");
            player.feed("250 mx\r\n");
            player.begin();
            player.feed("250 ok\r\n");
            player.feed("250 ok\r\n");
            static_cast<void>(player.take_sent());
            player.feed("354 go\r\n");
            wire::DotUnstuffer unstuffer;
            std::string got;
            const std::string sent = player.take_sent();
            EXPECT_EQ(unstuffer.feed(sent, got), sent.size());
            EXPECT_TRUE(unstuffer.done());
            EXPECT_EQ(got,
                      std::string(message) + (message.empty() || message.ends_with("\r\n") ? "" : "\r\n"));
        }
    }
}

TEST(SmtpClient, addresses_that_would_write_commands_are_not_said) {
    World world = world_to({"bob", "a\r\nRCPT TO:<x@example.net>", "j\xC3\xB6rg"});
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250 mx
! begin
C: MAIL FROM:<ada@example.org>
S: 250 ok
C: RCPT TO:<bob@example.com>
S: 250 ok
C: DATA
S: 451 no
! done 451 - no
! done 553 5.1.3 the address has characters that no command can hold
! done 553 5.6.7 the address is not ASCII, and the message is not SMTPUTF8
! ready
)");
    world.envelope.sender = {"a\nb", "example.org"};
    play(world, R"(
S: 220 ready
C: EHLO client.example.org
S: 250 mx
! begin
! done 553 5.1.7 the sender has characters that no command can hold
! done 553 5.1.7 the sender has characters that no command can hold
! done 553 5.1.7 the sender has characters that no command can hold
! ready
)");
}

TEST(SmtpClient, no_more_commands_are_outstanding_than_its_limit) {
    World world = world_to({});
    world.envelope.recipients.assign(1000, recipient("bob"));
    Player player(world);
    player.feed("220 ready\r\n");
    player.feed("250-mx\r\n250 PIPELINING\r\n");
    static_cast<void>(player.take_sent());
    player.begin();
    std::size_t outstanding = 0, commands = 0;
    const auto count = [&] {
        const std::string sent = player.take_sent();
        const auto lines = static_cast<std::size_t>(std::count(sent.begin(), sent.end(), '\n'));
        outstanding += lines;
        commands += lines;
    };
    count();
    EXPECT_EQ(outstanding, 50u);
    while (commands < 1002) {
        player.feed("250 ok\r\n");
        --outstanding;
        count();
        ASSERT_LE(outstanding, 50u);
    }
    EXPECT_EQ(player.client().stage(), Client::Stage::recipient);
}

TEST(SmtpClient, replies_are_bounded) {
    const World world = world_to({"bob"});
    const auto end_of = [&](const std::string& octets) {
        Player player(world);
        player.feed(octets);
        return player.take_event();
    };
    const std::string fits = "220 " + std::string(world.limits.replies.line_octets_max - 6, 'x') + "\r\n";
    EXPECT_EQ(end_of(fits), "nothing");
    EXPECT_EQ(end_of("x" + fits), "failed broken 451 4.5.0 the server sent an endless line");
    std::string lines;
    for (std::size_t i = 1; i < world.limits.replies.lines_max; ++i)
        lines += "554-no\r\n";
    EXPECT_EQ(end_of(lines + "554 no\r\n").substr(0, 18), "failed refused 554");
    EXPECT_EQ(end_of(lines + "554-no\r\n554 no\r\n"),
              "failed broken 451 4.5.0 the server sent an endless reply");
    EXPECT_EQ(end_of("554-no\r\n553 no\r\n").substr(0, 23), "failed broken 451 4.5.0");
    EXPECT_EQ(end_of("554 a\x1b[31mb\xff\r\n"), "failed refused 554 - a?[31mb?");
}

TEST(EnhancedCode, goes_with_its_code) {
    const auto taken = [](int code, std::string_view text) {
        const std::string enhanced = take_enhanced_code(code, text);
        return enhanced + "|" + std::string(text);
    };
    EXPECT_EQ(taken(550, "5.1.1 no"), "5.1.1|no");
    EXPECT_EQ(taken(550, "5.1.1"), "5.1.1|");
    EXPECT_EQ(taken(550, "5.123.999 x"), "5.123.999|x");
    for (const char* text :
         {"4.1.1 no", "5.1.1no", "5.1234.1 x", "5..1 x", "5.1. x", "5.1 x", "5", "", "5.1.1.1 x"})
        EXPECT_EQ(taken(550, text), std::string("|") + text);
    EXPECT_EQ(taken(334, "3.1.1 x"), "|3.1.1 x");
}

TEST(Extensions, are_parsed_in_any_case) {
    const Extensions found = parse_extensions(
        {"mx STARTTLS", "size", "AUTH  LOGIN", "limits RCPTMAX=20 MAILMAX=0 X=1", "Dsn", ""});
    EXPECT_FALSE(found.starttls);
    EXPECT_EQ(found.size, 0u);
    EXPECT_TRUE(found.auth_login && !found.auth_plain && found.dsn);
    EXPECT_EQ(found.recipients_max, 20u);
    EXPECT_EQ(found.messages_max, 0u);
    EXPECT_FALSE(parse_extensions({}).size);
}

}  // namespace
}  // namespace pier::smtp
