// Plays a client's dialogue (Pop3Client, ImapClient) against a server that follows a script: what it waits
// for, and what it then says. Octets may be cut anywhere.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "base/result.h"

namespace pier::test {

struct Turn {
    std::string wanted;  // from the client; empty: the server speaks first
    std::string answer;
};

// What came of it, as texts: "sent …" is missing, because the script checks it.
struct Played {
    std::vector<std::string>
        events;  // "idle", "tls", "fetched 3: …", "refused 3: …", "failed: …", "wrong: …"
    std::string failure() const {
        return !events.empty() && events.back().starts_with("failed: ") ? events.back().substr(8) : "";
    }
};

inline std::size_t id_of(const auto& fetched) {
    if constexpr (requires { fetched.number; })
        return fetched.number;
    else
        return fetched.uid;
}

// `on_idle` is called with 0, 1, … and asks the client for more; false: that was all. The server's octets
// come in two pieces in all, the first of `cut` octets; cut 0: one at a time; npos: as they are said.
template <class Client>
Played play(Client& client, std::deque<Turn> script, const std::function<bool(int)>& on_idle,
            std::size_t cut = std::string::npos) {
    Played played;
    std::string sent, coming;
    std::size_t given = 0;
    int idle = 0;
    const auto server = [&] {
        while (!script.empty() && sent.starts_with(script.front().wanted)) {
            sent.erase(0, script.front().wanted.size());
            coming += script.front().answer;
            script.pop_front();
        }
    };
    server();
    for (int steps = 0; steps < 1'000'000; ++steps) {
        auto action = client.next();
        if (auto* write = std::get_if<typename Client::Write>(&action)) {
            sent += write->text;
            server();
        } else if (std::holds_alternative<typename Client::NeedInput>(action)) {
            if (coming.empty()) {
                if (!sent.empty()) {
                    played.events.push_back("wrong: " + sent);
                    return played;
                }
                client.on_eof();
                continue;
            }
            std::size_t piece = coming.size();
            if (cut == 0)
                piece = 1;
            else if (given < cut)
                piece = std::min(piece, cut - given);
            client.on_bytes(coming.substr(0, piece));
            coming.erase(0, piece);
            given += piece;
        } else if (std::holds_alternative<typename Client::StartTls>(action)) {
            played.events.push_back("tls");
            client.on_tls();
        } else if (auto* fetched = std::get_if<typename Client::Fetched>(&action)) {
            played.events.push_back(
                fetched->octets
                    ? fmt::format("fetched {}: {}", id_of(*fetched), *fetched->octets)
                    : fmt::format("refused {}: {}", id_of(*fetched), fetched->octets.error().text));
        } else if (auto* failed = std::get_if<typename Client::Failed>(&action)) {
            played.events.push_back("failed: " + failed->error.text);
            return played;
        } else {
            played.events.push_back("idle");
            if (!on_idle(idle++)) return played;
        }
    }
    played.events.push_back("wrong: it never ends");
    return played;
}

}  // namespace pier::test
