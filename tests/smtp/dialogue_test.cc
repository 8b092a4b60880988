// Plays the scripts in tests/scripts/lmtp, smtp and submission: whole, octet by octet, in random pieces, cut
// at every octet, and with each write failing. The directives are in tests/scripts/lmtp/README.md.
#include "support/dialogue.h"

#include <charconv>
#include <random>
#include <stdexcept>

#include <gtest/gtest.h>

#include "smtp/played_session.h"
#include "wire/base64.h"

namespace pier::smtp {
namespace {

using test::Step;
using Stop = PlayedSession::Stop;
using Words = std::vector<std::string>;

const wire::SaslTokenSource token_source{"mail", "https://issuer.example/.well-known/openid-configuration"};

std::size_t number(const std::string& word) {
    std::size_t value = 0;
    if (std::from_chars(word.data(), word.data() + word.size(), value).ptr != word.data() + word.size())
        throw std::runtime_error("not a number: " + word);
    return value;
}

Reply reply(const Words& words, std::size_t at) {  // 550 5.1.1 "no such mailbox"
    return {static_cast<int>(number(words.at(at))), words.at(at + 1), words.at(at + 2)};
}

void set_limit(Limits& limits, const std::string& name, std::size_t value) {
    if (name == "line")
        limits.line_octets_max = value;
    else if (name == "text_line")
        limits.text_line_octets_max = value;
    else if (name == "message")
        limits.message_octets_max = value;
    else if (name == "recipients")
        limits.recipients_max = value;
    else if (name == "bad_commands")
        limits.bad_commands_max = value;
    else if (name == "output")
        limits.output_octets_max = value;
    else if (name == "auth_line")
        limits.auth_line_octets_max = value;
    else if (name == "failed_logins")
        limits.failed_logins_max = value;
    else if (name == "hops")
        limits.hops_max = value;
    else
        throw std::runtime_error("no such limit: " + name);
}

Kind kind_of(const std::filesystem::path& path) {
    const auto folder = path.parent_path().filename();
    return folder == "smtp" ? Kind::smtp : folder == "submission" ? Kind::submission : Kind::lmtp;
}

struct Script {
    World world;
    std::vector<Step> steps;          // without those that describe the world and what must come of it
    std::vector<Delivered> messages;  // what must have been delivered at the end
    bool whole_only = false;

    explicit Script(const std::filesystem::path& path) {
        world.facts.kind = kind_of(path);
        for (Step& step : test::load_dialogue(path).steps) {
            if (step.kind != Step::Kind::directive || !describe(step.words)) steps.push_back(std::move(step));
        }
    }

    bool describe(const Words& words) {
        const std::string& name = words[0];
        if (name == "limit")
            set_limit(world.limits, words.at(1), number(words.at(2)));
        else if (name == "recipient")
            world.recipients[words.at(1)] =
                words.size() > 2 ? reply(words, 2) : Reply{250, "2.1.5", "recipient ok"};
        else if (name == "store")
            world.store_replies[words.at(1)] = reply(words, 2);
        else if (name == "refuse_begin")
            world.begin_refusal = reply(words, 1);
        else if (name == "spool_max")
            world.spool_octets_max = number(words.at(1));
        else if (name == "tls_available")
            world.facts.tls_available = true;
        else if (name == "whole_only")
            whole_only = true;
        else if (name == "message")
            expect_message(words);
        else
            return describe_logins(words);
        return true;
    }

    bool describe_logins(const Words& words) {
        const std::string& name = words[0];
        if (name == "account")
            world.passwords[words.at(1)] = words.at(2);
        else if (name == "token")
            world.tokens[words.at(1)] = words.at(2);
        else if (name == "sender")
            world.senders[words.at(1)] = reply(words, 2);
        else if (name == "refused")
            world.refusals[words.at(1)] = {words.at(2) == "permanent"   ? LoginRefused::Why::permanent
                                           : words.at(2) == "temporary" ? LoginRefused::Why::temporary
                                                                        : LoginRefused::Why::credentials,
                                           words.at(3)};
        else if (name == "scram") {
            world.scram_salt = *wire::base64_decode(words.at(1), 1000);
            world.scram_iterations = static_cast<std::uint32_t>(number(words.at(2)));
            world.scram_nonce = words.at(3);
        } else if (name == "fact")
            set_fact(words);
        else
            return false;
        return true;
    }

    void set_fact(const Words& words) {
        const std::string& name = words.at(1);
        if (name == "tls")
            world.facts.tls_active = true;
        else if (name == "clear_login")
            world.facts.clear_login_allowed = true;
        else if (name == "no_scram")
            world.facts.scram = false;
        else if (name == "tokens")
            world.facts.sasl.tokens = &token_source;
        else if (name == "channel_binding") {
            world.facts.sasl.channel = wire::SaslChannel::bindable;
            world.channel_binding = words.at(2);
        } else if (name == "certificate") {
            world.facts.sasl.certificate = true;
            world.certificate_user = words.at(2);
        } else
            throw std::runtime_error("no such fact: " + name);
    }

    void expect_message(const Words& words) {  // message SENDER RECIPIENT… [8bit] [utf8] [dsn=WORDS] OCTETS
        Delivered message;
        message.helo = "client.example.org";
        message.sender = words.at(1);
        for (std::size_t i = 2; i + 1 < words.size(); ++i) {
            if (words[i] == "8bit")
                message.body_8bit = true;
            else if (words[i] == "utf8")
                message.utf8 = true;
            else if (words[i] == "helo")
                message.extended = false;
            else if (words[i].starts_with("dsn="))
                message.dsn = words[i].substr(4);
            else
                message.recipients.push_back(words[i]);
        }
        message.octets = words.back();
        messages.push_back(std::move(message));
    }
};

struct Mode {
    std::optional<unsigned> pieces_seed{};    // 0: octet by octet; else pieces of random length
    bool check = true;                        // compare with the S: lines; else the caller compares
    std::optional<std::size_t> octets_max{};  // then the client goes away
    std::optional<std::size_t> failing_write{};
};

struct Played {
    std::string output;
    std::vector<Delivered> messages;
    std::vector<std::size_t> delivered_at;  // octets fed when each message was delivered
    std::size_t octets_fed = 0, writes = 0;
    bool cut = false;
};

class Player {
  public:
    Player(const Script& script, const Mode& mode)
        : script_(script), mode_(mode), session_(script.world), random_(mode.pieces_seed.value_or(0)) {
        if (mode.failing_write) session_.fail_write(*mode.failing_write);
    }

    Played play() {
        stop_ = session_.run();
        std::string block;
        for (const Step& step : script_.steps) {
            SCOPED_TRACE("line " + std::to_string(step.line));
            if (step.kind == Step::Kind::client) {
                block += step.text;
                continue;
            }
            feed(std::exchange(block, {}));
            if (over()) break;
            if (step.kind == Step::Kind::server)
                expect_line(step);
            else
                happen(step.words);
        }
        if (!over()) feed(block);
        if (mode_.check && !over()) {
            EXPECT_EQ(session_.output().substr(checked_), "") << "more than the script says";
        }
        result_.output = session_.output();
        result_.messages = session_.messages();
        result_.writes = session_.writes();
        return result_;
    }

  private:
    bool over() const { return result_.cut || session_.write_failed(); }

    std::size_t piece_octets(std::size_t left) {
        if (!mode_.pieces_seed) return left;
        if (*mode_.pieces_seed == 0) return 1;
        return std::min(left, std::uniform_int_distribution<std::size_t>(1, 40)(random_));
    }

    void feed(std::string_view block) {
        const std::size_t left = mode_.octets_max ? *mode_.octets_max - result_.octets_fed : block.size();
        const bool cut = mode_.octets_max && left < block.size();
        block = block.substr(0, left);
        while (!block.empty() && stop_ == Stop::input) {
            const std::size_t count = piece_octets(block.size());
            stop_ = session_.feed(block.substr(0, count));
            block.remove_prefix(count);
            result_.octets_fed += count;
            result_.delivered_at.resize(session_.messages().size(), result_.octets_fed);
        }
        result_.octets_fed += block.size();  // what comes behind the end is not read
        if (cut) go_away();
    }

    void go_away() {
        result_.cut = true;
        if (stop_ == Stop::closed) return;
        const std::size_t written = session_.output().size();
        session_.session().on_eof();
        EXPECT_EQ(session_.run(), Stop::closed);
        EXPECT_EQ(session_.output().size(), written) << "written to a client that is gone";
    }

    void expect_line(const Step& step) {
        if (!mode_.check) return;
        const std::string& output = session_.output();
        const std::size_t end = output.find("\r\n", checked_);
        if (end == std::string::npos) {
            ADD_FAILURE() << "no reply; expected: " << step.text << "\nthe rest: " << output.substr(checked_);
            return;
        }
        const std::string line = output.substr(checked_, end - checked_);
        EXPECT_TRUE(step.matches(line)) << "got:      " << line << "\nexpected: " << step.text;
        checked_ = end + 2;
    }

    void happen(const Words& words) {
        if (words[0] == "eof") {
            go_away();
        } else if (words[0] == "shutdown") {
            session_.session().on_shutdown();
            stop_ = session_.run();
        } else if (words[0] == "closed") {
            EXPECT_EQ(stop_, Stop::closed) << "the session goes on";
        } else if (words[0] == "open") {
            EXPECT_EQ(stop_, Stop::input) << "the session is closed";
        } else if (words[0] == "tls") {
            EXPECT_EQ(session_.in_tls(), words.at(1) == "yes");
        } else if (words[0] == "login") {
            ASSERT_FALSE(session_.logins().empty());
            EXPECT_EQ(session_.logins().back(), words.at(1));
        } else if (words[0] == "wrong_proof") {
            ASSERT_FALSE(session_.wrong_proofs().empty());
            EXPECT_EQ(session_.wrong_proofs().back(), words.at(1));
        } else if (words[0] == "receiving") {
            EXPECT_EQ(session_.message_is_open(), words.at(1) == "yes");
        } else if (words[0] == "counts") {
            const auto& counts = session_.session().counts();
            EXPECT_EQ(counts.commands, number(words.at(1)));
            EXPECT_EQ(counts.messages, number(words.at(2)));
            EXPECT_EQ(counts.recipients, number(words.at(3)));
            EXPECT_EQ(counts.octets, number(words.at(4)));
        } else {
            FAIL() << "unknown directive: " << words[0];
        }
    }

    const Script& script_;
    const Mode& mode_;
    PlayedSession session_;
    std::mt19937 random_;
    Stop stop_ = Stop::input;
    std::size_t checked_ = 0;  // octets of the output that S: lines have matched
    Played result_;
};

Played play(const Script& script, const Mode& mode) {
    return Player(script, mode).play();
}

void expect_messages(const Script& script, const Played& played) {
    ASSERT_EQ(played.messages.size(), script.messages.size());
    for (std::size_t i = 0; i < script.messages.size(); ++i) {
        const Delivered &got = played.messages[i], &expected = script.messages[i];
        EXPECT_EQ(got.octets, expected.octets);
        EXPECT_EQ(got.sender, expected.sender);
        EXPECT_EQ(got.recipients, expected.recipients);
        EXPECT_EQ(got.helo, expected.helo);
        EXPECT_EQ(got.body_8bit, expected.body_8bit);
        EXPECT_EQ(got.utf8, expected.utf8);
        EXPECT_EQ(got.extended, expected.extended);
        EXPECT_EQ(got.dsn, expected.dsn);
    }
}

class MailDialogue : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(MailDialogue, whole) {
    const Script script(GetParam());
    expect_messages(script, play(script, {}));
}

TEST_P(MailDialogue, in_pieces) {
    const Script script(GetParam());
    if (script.whole_only) return;
    for (unsigned seed = 0; seed < 20; ++seed) {  // seed 0: octet by octet
        SCOPED_TRACE("seed " + std::to_string(seed));
        expect_messages(script, play(script, {.pieces_seed = seed}));
    }
}

// The client goes away behind every octet: what was written is a beginning of what would have been, and a
// message is delivered if and only if its last octet has come.
TEST_P(MailDialogue, cut_at_every_octet) {
    const Script script(GetParam());
    if (script.whole_only) return;
    const Played full = play(script, {.pieces_seed = 0, .check = false});
    for (std::size_t octets = 0; octets < full.octets_fed; ++octets) {
        SCOPED_TRACE("cut behind " + std::to_string(octets) + " octets");
        for (const std::optional<unsigned> seed : {std::optional<unsigned>(), std::optional<unsigned>(0)}) {
            const Played cut = play(script, {.pieces_seed = seed, .check = false, .octets_max = octets});
            ASSERT_TRUE(cut.cut);
            ASSERT_TRUE(full.output.starts_with(cut.output));
            const auto complete = std::count_if(full.delivered_at.begin(), full.delivered_at.end(),
                                                [&](std::size_t at) { return at <= octets; });
            ASSERT_EQ(cut.messages.size(), static_cast<std::size_t>(complete));
            ASSERT_TRUE(std::equal(cut.messages.begin(), cut.messages.end(), full.messages.begin()));
        }
    }
}

TEST_P(MailDialogue, with_each_write_failing) {
    const Script script(GetParam());
    const Played full = play(script, {.check = false});
    for (std::size_t i = 0; i < full.writes; ++i) {
        SCOPED_TRACE("write " + std::to_string(i) + " fails");
        const Played failed = play(script, {.check = false, .failing_write = i});
        ASSERT_EQ(failed.writes, i);
        ASSERT_TRUE(full.output.starts_with(failed.output));
        ASSERT_LE(failed.messages.size(), full.messages.size());
        ASSERT_TRUE(std::equal(failed.messages.begin(), failed.messages.end(), full.messages.begin()));
    }
}

INSTANTIATE_TEST_SUITE_P(Lmtp, MailDialogue, testing::ValuesIn(test::dialogue_paths("lmtp")),
                         [](const auto& script) { return test::dialogue_test_name(script.param); });
INSTANTIATE_TEST_SUITE_P(Smtp, MailDialogue, testing::ValuesIn(test::dialogue_paths("smtp")),
                         [](const auto& script) { return test::dialogue_test_name(script.param); });
INSTANTIATE_TEST_SUITE_P(Submission, MailDialogue, testing::ValuesIn(test::dialogue_paths("submission")),
                         [](const auto& script) { return test::dialogue_test_name(script.param); });

}  // namespace
}  // namespace pier::smtp
