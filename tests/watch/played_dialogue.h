// Plays a probe's dialogue against a server that follows a script: what it waits for, and what it then says.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "watch/dialogue.h"

namespace pier::test {

struct Turn {
    std::string wanted;  // from the client; empty: the server speaks first
    std::string answer;
};
using Script = std::deque<Turn>;

struct Played {
    watch::Seen seen;
    std::vector<std::string> phases;  // as they followed one another
    std::string failure;              // empty: it came to its end
    std::string unexpected;           // what the client said and the script did not want
    int handshakes = 0;
    std::optional<bool> injected;
};

// How the server's octets come: `piece` at a time; it hangs up behind the octet `cut`.
struct Pieces {
    std::size_t piece = std::string::npos, cut = std::string::npos;
};

class ScriptedServer {
  public:
    ScriptedServer(Script script, Pieces pieces) : script_(std::move(script)), pieces_(pieces) { answer(); }

    void hear(std::string_view text) {
        sent_ += text;
        answer();
    }
    // What comes next; empty: it has hung up.
    std::string say() {
        const std::size_t count = std::min({pieces_.piece, coming_.size(), pieces_.cut - given_});
        given_ += count;
        return std::exchange(coming_, coming_.substr(count)).substr(0, count);
    }
    const std::string& unheard() const { return sent_; }

  private:
    void answer() {
        while (!script_.empty() && sent_.starts_with(script_.front().wanted)) {
            sent_.erase(0, script_.front().wanted.size());
            coming_ += script_.front().answer;
            script_.pop_front();
        }
    }

    Script script_;
    const Pieces pieces_;
    std::string sent_, coming_;
    std::size_t given_ = 0;
};

inline Played play(watch::Plan plan, Script script, Pieces pieces = {}, bool trusted = true) {
    using watch::Dialogue;
    const bool implicit = plan.tls == watch::TlsMode::implicit;
    const auto dialogue = watch::make_dialogue(std::move(plan));
    ScriptedServer server(std::move(script), pieces);
    Played played;
    if (implicit) dialogue->on_tls(trusted);
    constexpr int steps_max = 1'000'000;
    for (int steps = 0; steps < steps_max; ++steps) {
        auto action = dialogue->next();
        if (played.phases.empty() || played.phases.back() != dialogue->phase())
            played.phases.emplace_back(dialogue->phase());
        if (auto* write = std::get_if<Dialogue::Write>(&action)) {
            server.hear(write->text);
        } else if (std::holds_alternative<Dialogue::NeedInput>(action)) {
            const std::string octets = server.say();
            if (octets.empty())
                dialogue->on_eof();
            else
                dialogue->on_bytes(octets);
        } else if (std::holds_alternative<Dialogue::StartTls>(action)) {
            ++played.handshakes;
            dialogue->on_tls(trusted);
        } else {
            if (auto* failed = std::get_if<Dialogue::Failed>(&action)) played.failure = failed->error.text;
            break;
        }
    }
    played.seen = dialogue->seen();
    played.unexpected = server.unheard();
    played.injected = dialogue->injected_command_answered();
    return played;
}

inline std::size_t octets_of(const Script& script) {
    std::size_t octets = 0;
    for (const Turn& turn : script)
        octets += turn.answer.size();
    return octets;
}

}  // namespace pier::test
