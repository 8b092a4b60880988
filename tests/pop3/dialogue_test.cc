// Plays the scripts in tests/scripts/pop3: whole, octet by octet, pipelined, cut at every octet, and with
// each write failing. The directives are in tests/scripts/pop3/README.md.
#include "support/dialogue.h"

#include <charconv>
#include <stdexcept>

#include <gtest/gtest.h>

#include "pop3/played_session.h"
#include "wire/base64.h"

namespace pier::pop3 {

namespace {

using test::Step;
using Stop = PlayedSession::Stop;

std::size_t number(const std::string& word) {
    std::size_t value = 0;
    if (std::from_chars(word.data(), word.data() + word.size(), value).ptr != word.data() + word.size()) {
        throw std::runtime_error("not a number: " + word);
    }
    return value;
}

LoginRefused::Why login_refusal(const std::string& word) {
    if (word == "credentials") return LoginRefused::Why::credentials;
    if (word == "temporary") return LoginRefused::Why::temporary;
    if (word == "permanent") return LoginRefused::Why::permanent;
    if (word == "in_use") return LoginRefused::Why::in_use;
    if (word == "login_delay") return LoginRefused::Why::login_delay;
    throw std::runtime_error("not a reason to refuse a login: " + word);
}

void set_limit(Limits& limits, const std::string& name, std::size_t value) {
    if (name == "line") {
        limits.line_octets_max = value;
    } else if (name == "auth_line") {
        limits.auth_line_octets_max = value;
    } else if (name == "output") {
        limits.output_octets_max = value;
    } else if (name == "bad_commands") {
        limits.bad_commands_max = value;
    } else if (name == "failed_logins") {
        limits.failed_logins_max = value;
    } else {
        throw std::runtime_error("no such limit: " + name);
    }
}

void set_fact(Facts& facts, const std::vector<std::string>& words) {
    const std::string& name = words.at(1);
    if (name == "tls") {
        facts.tls_active = true;
    } else if (name == "stls") {
        facts.tls_available = true;
    } else if (name == "clear") {
        facts.clear_login_allowed = true;
    } else if (name == "login_delay") {
        facts.login_delay_s = static_cast<std::uint32_t>(number(words.at(2)));
    } else if (name == "xclient") {
        facts.xclient = true;
    } else if (name == "tokens") {
        static const wire::SaslTokenSource source{"example_scope",
                                                  "https://example.com/.well-known/openid-configuration"};
        facts.sasl.tokens = &source;
    } else if (name == "certificate") {
        facts.sasl.certificate = true;
    } else if (name == "expire") {
        facts.expire_days = static_cast<std::uint32_t>(number(words.at(2)));
    } else if (name == "greeting") {
        facts.greeting = words.at(2);
    } else if (name == "implementation") {
        facts.implementation = words.at(2);
    } else {
        throw std::runtime_error("no such fact: " + name);
    }
}

// Directives that describe the world; false if it is one that happens in the dialogue.
bool describe(World& world, const std::vector<std::string>& words) {
    const std::string& name = words[0];
    if (name == "fact") {
        set_fact(world.facts, words);
    } else if (name == "limit") {
        set_limit(world.limits, words.at(1), number(words.at(2)));
    } else if (name == "message") {
        world.mails.push_back({words.at(1), words.at(2)});
    } else if (name == "account") {
        world.passwords[words.at(1)] = words.at(2);
    } else if (name == "token") {
        world.tokens[words.at(1)] = words.at(2);
    } else if (name == "certificate_user") {
        world.certificate_user = words.at(1);
    } else if (name == "refuse_keys") {
        world.key_refusals[words.at(1)] = {login_refusal(words.at(2)), words.at(3)};
    } else if (name == "refuse_login") {
        world.refusals[words.at(1)] = {login_refusal(words.at(2)), words.at(3)};
    } else if (name == "scram") {
        world.scram_salt = wire::base64_decode(words.at(1), 100).value();
        world.scram_iterations = static_cast<std::uint32_t>(number(words.at(2)));
        world.scram_nonce = words.at(3);
    } else if (name == "channel_binding") {
        world.channel_binding = words.at(1);
        world.facts.sasl.channel = wire::SaslChannel::bindable;
    } else if (name == "refuse_mail") {
        world.mail_reports[number(words.at(1)) - 1] = MailRefused{words.at(2) == "temporary", words.at(3)};
    } else if (name == "break_mail") {
        world.mail_reports[number(words.at(1)) - 1] = MailBroken{};
    } else if (name == "not_removed") {
        world.not_removed = number(words.at(1));
    } else {
        return false;
    }
    return true;
}

struct Script {
    World world;
    std::vector<Step> steps;  // without those that describe the world
    std::vector<std::size_t> removed;
    bool whole_only = false;

    explicit Script(const std::filesystem::path& path) {
        for (auto& step : test::load_dialogue(path).steps) {
            if (step.kind == Step::Kind::directive) {
                if (describe(world, step.words)) continue;
                if (step.words[0] == "removed") {
                    for (std::size_t i = 1; i < step.words.size(); ++i)
                        removed.push_back(number(step.words[i]) - 1);
                    continue;
                }
                if (step.words[0] == "whole_only") {
                    whole_only = true;
                    continue;
                }
            }
            steps.push_back(std::move(step));
        }
    }
};

struct Mode {
    bool octet_by_octet = false;
    bool check = true;                        // compare with the S: lines; else the caller compares
    std::optional<std::size_t> octets_max{};  // then the client goes away
    std::optional<std::size_t> failing_write{};
};

struct Played {
    std::string output;
    std::vector<std::size_t> removed;
    std::size_t octets_fed = 0;
    std::optional<std::size_t> removed_at;  // octets fed when Remove came
    std::size_t writes = 0;
    bool cut = false;
};

class Player {
  public:
    Player(const Script& script, const Mode& mode) : script_(script), mode_(mode), session_(script.world) {
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
            if (step.kind == Step::Kind::server) {
                expect_line(step);
            } else {
                happen(step);
            }
        }
        if (!over()) feed(block);
        if (mode_.check && !over()) {
            EXPECT_EQ(session_.output().substr(checked_), "") << "more than the script says";
        }
        return finish();
    }

  private:
    bool over() const { return result_.cut || session_.write_failed(); }

    void feed(std::string_view block) {
        const std::size_t left = mode_.octets_max ? *mode_.octets_max - result_.octets_fed : block.size();
        const bool cut = mode_.octets_max && left < block.size();
        block = block.substr(0, left);
        const std::size_t step = mode_.octet_by_octet ? 1 : std::max<std::size_t>(block.size(), 1);
        for (; !block.empty() && stop_ == Stop::input; block.remove_prefix(std::min(step, block.size()))) {
            stop_ = session_.feed(block.substr(0, step));
            result_.octets_fed += std::min(step, block.size());
            note_removal();
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

    void happen(const Step& step) {
        const std::string& what = step.words[0];
        if (what == "tls") {
            ASSERT_EQ(stop_, Stop::tls) << "the session does not start TLS here";
            session_.session().on_tls(script_.world.facts.sasl);
            stop_ = session_.run();
        } else if (what == "eof") {
            go_away();
        } else if (what == "shutdown") {
            session_.session().on_shutdown();
            stop_ = session_.run();
        } else if (what == "closed") {
            EXPECT_EQ(stop_, Stop::closed) << "the session goes on";
        } else if (what == "open") {
            EXPECT_EQ(stop_, Stop::input) << "the session is closed";
        } else if (what == "user") {
            EXPECT_EQ(session_.session().user(), step.words.at(1));
        } else if (what == "login") {
            ASSERT_FALSE(session_.logins().empty());
            EXPECT_EQ(session_.logins().back(), step.words.at(1));
        } else if (what == "no_login") {
            EXPECT_TRUE(session_.logins().empty()) << session_.logins().back();
        } else if (what == "counts") {
            const auto& counts = session_.session().counts();
            EXPECT_EQ(counts.commands, number(step.words.at(1)));
            EXPECT_EQ(counts.retrieved, number(step.words.at(2)));
            EXPECT_EQ(counts.retrieved_octets, number(step.words.at(3)));
            EXPECT_EQ(counts.removed, number(step.words.at(4)));
            EXPECT_EQ(counts.failed_logins, number(step.words.at(5)));
        } else {
            FAIL() << "unknown directive: " << what;
        }
    }

    void note_removal() {
        if (!session_.removals().empty() && !result_.removed_at) result_.removed_at = result_.octets_fed;
    }

    Played finish() {
        EXPECT_LE(session_.removals().size(), 1U);
        if (!session_.removals().empty()) result_.removed = session_.removals().front();
        result_.output = session_.output();
        result_.writes = session_.writes();
        return result_;
    }

    const Script& script_;
    const Mode& mode_;
    PlayedSession session_;
    Stop stop_ = Stop::input;
    std::size_t checked_ = 0;  // octets of the output that S: lines have matched
    Played result_;
};

Played play(const Script& script, const Mode& mode) {
    return Player(script, mode).play();
}

class Pop3Dialogue : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Pop3Dialogue, whole) {
    const Script script(GetParam());
    EXPECT_EQ(play(script, {}).removed, script.removed);
}

TEST_P(Pop3Dialogue, octet_by_octet) {
    const Script script(GetParam());
    if (script.whole_only) return;
    EXPECT_EQ(play(script, {.octet_by_octet = true}).removed, script.removed);
}

// The client goes away behind every octet: what was written is a beginning of what would have been, and
// messages are removed if and only if QUIT has come whole, with its line end.
TEST_P(Pop3Dialogue, cut_at_every_octet) {
    const Script script(GetParam());
    if (script.whole_only) return;
    const Played full = play(script, {.octet_by_octet = true, .check = false});
    for (std::size_t octets = 0; octets < full.octets_fed; ++octets) {
        SCOPED_TRACE("cut behind " + std::to_string(octets) + " octets");
        for (const bool octet_by_octet : {false, true}) {
            const Played cut =
                play(script, {.octet_by_octet = octet_by_octet, .check = false, .octets_max = octets});
            ASSERT_TRUE(cut.cut);
            ASSERT_TRUE(full.output.starts_with(cut.output));
            ASSERT_EQ(!cut.removed.empty(), full.removed_at && octets >= *full.removed_at);
        }
    }
}

TEST_P(Pop3Dialogue, with_each_write_failing) {
    const Script script(GetParam());
    const Played full = play(script, {.check = false});
    for (std::size_t i = 0; i < full.writes; ++i) {
        SCOPED_TRACE("write " + std::to_string(i) + " fails");
        const Played failed = play(script, {.check = false, .failing_write = i});
        ASSERT_EQ(failed.writes, i);
        ASSERT_TRUE(full.output.starts_with(failed.output));
        // QUIT's reply is the one write that may fail behind a removal.
        ASSERT_TRUE(failed.removed.empty() || i + 1 == full.writes);
    }
}

INSTANTIATE_TEST_SUITE_P(Scripts, Pop3Dialogue, testing::ValuesIn(test::dialogue_paths("pop3")),
                         [](const auto& script) { return test::dialogue_test_name(script.param); });

}  // namespace

}  // namespace pier::pop3
