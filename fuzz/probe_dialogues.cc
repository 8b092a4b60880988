// What a mail server sends to a probe, by a server that sends anything. Input: one octet of bits (0-2: the
// protocol; 3: TLS from the first octet on; 4: a canary is sent or looked for; 5: the injected command; 6:
// a certificate that is not trusted; 7: clear logins allowed), then the server's octets. Inside TLS it does
// not matter where they are cut; in clear it does, because octets behind the answer to STARTTLS end the
// dialogue.
#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "fuzz/require.h"
#include "watch/dialogue.h"
#include "watch/findings.h"
#include "watch/nagios.h"

namespace {

using namespace pier;
using namespace pier::watch;
using fuzz::require;

constexpr std::uint64_t message_octets_max = 2000;
constexpr std::size_t lines_max = 20, uidls_max = 50;
constexpr std::string_view password = "secret-words";

Plan plan_of(unsigned bits) {
    Plan plan;
    plan.protocol = static_cast<Protocol>((bits & 7) % 5);
    plan.tls = (bits & 8) != 0 ? TlsMode::implicit : TlsMode::starttls;
    plan.relay_from = "a@example.org";
    plan.relay_to = "b@example.net";
    plan.login = Login{"ada", std::string(password), (bits & 128) != 0, false};
    if ((bits & 16) != 0) {
        plan.send = CanaryToSend{"a@example.org", "ada@example.com", "Subject: x\r\n\r\nx\r\n"};
        plan.find = CanaryToFind{"1000-abc", Time(std::chrono::seconds(9999)), {"known"}};
    }
    plan.only_tls = plan.inject = (bits & 32) != 0;
    plan.limits.message_octets_max = message_octets_max;
    plan.limits.lines_max = lines_max;
    plan.limits.uidls_max = uidls_max;
    return plan;
}

bool is_plain(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

struct Played {
    std::vector<std::string> events;
    Seen seen;
};

// Who may get the password: in clear only if that is allowed, and inside TLS only who is trusted.
void check_sent(const Plan& plan, std::string_view sent, bool tls, bool trusted) {
    require(sent.ends_with("\r\n"), "commands are whole lines");
    const bool has_password = sent.find(password) != std::string_view::npos;
    require(!has_password || (tls ? trusted : plan.login->clear_allowed),
            "the password is kept from strangers");
}

void check_seen(const Seen& seen) {
    for (const std::string* text :
         {&seen.greeting, &seen.login_refusal, &seen.login_held_back, &seen.sent_reply})
        require(is_plain(*text), "what the server says can be shown");
    require(!seen.capabilities || seen.capabilities->size() <= lines_max, "capabilities are bounded");
    require(seen.uidls_known.size() <= uidls_max + 1, "UIDLs are bounded");
    require(!seen.relays || seen.relay_reply, "who relays has said so");
    require(!seen.canary_deleted || seen.canary_found, "only what was found is deleted");
}

// `piece`: so many octets at a time.
Played play(const Plan& plan, bool trusted, std::string_view octets, std::size_t piece) {
    Played played;
    const auto dialogue = make_dialogue(plan);
    bool tls = plan.tls == TlsMode::implicit;
    if (tls) dialogue->on_tls(trusted);
    for (std::size_t steps = 0;; ++steps) {
        require(steps < 100'000, "it comes to an end");
        auto action = dialogue->next();
        if (auto* write = std::get_if<Dialogue::Write>(&action)) {
            check_sent(plan, write->text, tls, trusted);
            played.events.push_back(std::string(dialogue->phase()) + " " + write->text);
        } else if (std::holds_alternative<Dialogue::NeedInput>(action)) {
            if (octets.empty()) {
                dialogue->on_eof();
                continue;
            }
            const std::size_t count = std::min(piece, octets.size());
            dialogue->on_bytes(octets.substr(0, count));
            octets.remove_prefix(count);
        } else if (std::holds_alternative<Dialogue::StartTls>(action)) {
            require(!tls, "TLS begins once");
            tls = true;
            dialogue->on_tls(trusted);
        } else {
            if (auto* failed = std::get_if<Dialogue::Failed>(&action)) {
                require(is_plain(failed->error.text), "an error can be shown");
                played.events.push_back("failed " + failed->error.text);
            }
            break;
        }
    }
    played.seen = dialogue->seen();
    return played;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Plan plan = plan_of(data[0]);
    const bool trusted = (data[0] & 64) == 0;
    const std::string_view octets = fuzz::text_of(data + 1, size - 1);
    const Played whole = play(plan, trusted, octets, std::max<std::size_t>(octets.size(), 1));
    check_seen(whole.seen);
    const Played single = play(plan, trusted, octets, 1);
    check_seen(single.seen);
    if (plan.tls == TlsMode::implicit)
        require(whole.events == single.events, "it does not matter where octets are cut");

    Probe probe;
    probe.target = {"mail.example.org", 110, plan.protocol, plan.tls, ""};
    probe.address = "192.0.2.1";
    probe.seen = whole.seen;
    judge(probe, Rules());
    for (const Finding& one : probe.findings)
        require(is_plain(one.what + one.evidence + one.step), "findings can be shown");
    const NagiosAnswer answer = nagios_answer({probe}, {}, Rules());
    require(is_plain(answer.line) && std::ranges::count(answer.line, '|') == 1,
            "one line for the monitoring");
    return 0;
}
