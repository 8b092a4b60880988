#include "watch/prober.h"

#include <optional>
#include <utility>

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <poll.h>

#include "base/random.h"
#include "watch/dialogue.h"
#include "watch/pop3_dialogue.h"

namespace pier::watch {
namespace {

using Addresses = std::vector<IpAddress>;
using Instant = std::chrono::steady_clock::time_point;

std::chrono::microseconds since(Instant begin) {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
}

// Which protocol a client asks for in the handshake (RFC 7301 §6); SMTP has none.
TlsOffer usual_offer(Protocol protocol) {
    TlsOffer offer;
    if (protocol == Protocol::pop3) offer.alpn = "pop3";
    if (protocol == Protocol::imap) offer.alpn = "imap";
    return offer;
}

Plan plan_of(const Target& target, const ProbeOptions& options) {
    Plan plan;
    plan.protocol = target.protocol;
    plan.tls = target.tls;
    plan.hostname = options.hostname;
    plan.look = options.look;
    return plan;
}

// ---- extra connections ----

struct Tried {
    bool heard = false;  // an outcome is known
    std::string cipher, alpn;
    std::optional<bool> injected;
};

class ExtraConnections {
  public:
    ExtraConnections(const Target& target, const TlsTrust& trust, const ProbeOptions& options,
                     const Addresses& address)
        : target_(target), trust_(trust), options_(options), address_(address) {}

    TlsLimits try_all() const {
        TlsLimits found;
        found.takes_tls_1_0 = takes_version(TLS1_VERSION);
        found.takes_tls_1_1 = takes_version(TLS1_1_VERSION);
        found.without_encryption = cipher_of(weak_ciphers::without_encryption);
        found.anonymous = cipher_of(weak_ciphers::anonymous);
        found.broken = cipher_of(weak_ciphers::broken);
        found.no_forward_secrecy = cipher_of(weak_ciphers::no_forward_secrecy);
        found.wrong_alpn = wrong_alpn();
        if (target_.tls == TlsMode::starttls) found.takes_injected_command = run({}, true).injected;
        return found;
    }

  private:
    Tried run(const TlsOffer& offer, bool inject = false) const {
        Plan plan = plan_of(target_, options_);
        plan.only_tls = true;
        plan.look = false;
        plan.inject = inject;
        const auto dialogue = make_dialogue(std::move(plan));
        Conversation conversation(target_, trust_, options_.limits);
        if (conversation.connect(address_)) return {};
        const auto failure = conversation.run(*dialogue, offer, options_.clock());
        Tried tried;
        tried.injected = dialogue->injected_command_answered();
        // A server that refuses everything behind an injected command is safe from it.
        if (inject && !tried.injected && failure) tried.injected = false;
        tried.heard = conversation.tls() || conversation.handshake_failed();
        if (conversation.tls()) {
            tried.cipher = conversation.tls()->cipher;
            tried.alpn = conversation.tls()->alpn;
        }
        return tried;
    }

    std::optional<bool> takes_version(int version) const {
        const Tried tried = run({version, version, "ALL:@SECLEVEL=0", ""});
        if (!tried.heard) return std::nullopt;
        return !tried.cipher.empty();
    }

    std::optional<std::string> cipher_of(const char* ciphers) const {
        const TlsOffer offer{TLS1_VERSION, TLS1_2_VERSION, ciphers, ""};
        if (!trust_.make_ssl(target_.expected_name(), offer))
            return std::nullopt;  // this OpenSSL has none of them
        const Tried tried = run(offer);
        if (!tried.heard) return std::nullopt;
        return tried.cipher;
    }

    std::optional<TlsLimits::WrongAlpn> wrong_alpn() const {
        const Tried tried = run({0, 0, "", "http/1.1"});
        if (!tried.heard) return std::nullopt;
        if (tried.cipher.empty()) return TlsLimits::WrongAlpn::refused;
        return tried.alpn.empty() ? TlsLimits::WrongAlpn::ignored : TlsLimits::WrongAlpn::taken;
    }

    const Target& target_;
    const TlsTrust& trust_;
    const ProbeOptions& options_;
    const Addresses& address_;
};

void look_at(Probe& seen, const TlsTrust& trust, const ProbeOptions& options) {
    const Target& target = seen.target;
    Conversation conversation(target, trust, options.limits);
    const Instant begin = std::chrono::steady_clock::now();
    const auto addresses = resolve(target.host, options.limits.wait, options.limits.stop_fd);
    conversation.note("resolve", since(begin));
    if (!addresses) {
        seen.failure = Failure{"resolve", addresses.error().text};
        return;
    }
    seen.failure = conversation.connect(*addresses);
    if (!seen.failure) {
        seen.address = conversation.address().to_string();
        seen.near = is_near(conversation.address());
        Plan plan = plan_of(target, options);
        plan.login = options.login;
        plan.relay_from = options.relay_from;
        if (target.protocol != Protocol::lmtp) plan.relay_to = options.relay_to;
        if (!options.look) plan.relay_to.clear();
        const auto dialogue = make_dialogue(std::move(plan));
        seen.failure = conversation.run(*dialogue, usual_offer(target.protocol), seen.begun);
        seen.seen = dialogue->seen();
        seen.tls = conversation.tls();
    }
    seen.phases = conversation.phases();
    seen.total = since(begin);
    if (!options.thorough || !seen.tls) return;
    seen.limits = ExtraConnections(target, trust, options, {conversation.address()}).try_all();
}

// ---- the canary ----

std::string new_token(Time now) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    constexpr std::size_t random_letters = 24;
    return fmt::format("{}-{}", seconds, random_text(random_letters));
}

// Waits; false: it is to stop.
bool pause(Milliseconds time, int stop_fd) {
    pollfd stop{stop_fd, POLLIN, 0};  // -1: is left out
    return ::poll(&stop, 1, static_cast<int>(time.count())) == 0;
}

struct Talk {
    Seen seen;
    std::optional<Failure> failure;
};

Talk talk(const Target& target, const TlsTrust& trust, const ProbeOptions& options, Plan plan,
          std::string_view part, std::vector<Phase>& phases) {
    Conversation conversation(target, trust, options.limits);
    const Instant begin = std::chrono::steady_clock::now();
    Talk done;
    const auto addresses = resolve(target.host, options.limits.wait, options.limits.stop_fd);
    if (!addresses) {
        done.failure = Failure{"resolve", addresses.error().text};
        return done;
    }
    done.failure = conversation.connect(*addresses);
    if (!done.failure) {
        const auto dialogue = make_dialogue(std::move(plan));
        done.failure = conversation.run(*dialogue, usual_offer(target.protocol), options.clock());
        done.seen = dialogue->seen();
    }
    phases.push_back({std::string(part), since(begin)});
    for (const Phase& phase : conversation.phases())
        phases.push_back({fmt::format("{}.{}", part, phase.name), phase.time});
    return done;
}

std::optional<Failure> why_not_logged_in(const Talk& fetched) {
    if (fetched.failure) return fetched.failure;
    if (!fetched.seen.login_refusal.empty()) return Failure{"login", fetched.seen.login_refusal};
    if (!fetched.seen.login_held_back.empty()) return Failure{"login", fetched.seen.login_held_back};
    return std::nullopt;
}

// Looks for the canary until it is there or its time is over.
void fetch(Canary& canary, const Target& fetcher, const TlsTrust& trust, const CanaryOptions& wanted,
           const ProbeOptions& options, const std::string& token, const std::string& hash) {
    constexpr int slower_every = 5;
    const Instant begin = std::chrono::steady_clock::now();
    Milliseconds interval = wanted.poll;
    CanaryToFind find{token, canary.begun, {}};
    for (int looks = 1;; ++looks) {
        Plan plan = plan_of(fetcher, options);
        plan.look = false;
        plan.login = options.login;
        plan.find = find;
        std::vector<Phase> phases;
        const auto waited = since(begin);
        const Talk fetched = talk(fetcher, trust, options, std::move(plan), "fetch", phases);
        canary.old_ones_deleted += fetched.seen.old_canaries_deleted;
        if (fetched.seen.canary_found) {
            canary.came = true;
            canary.unchanged = fetched.seen.canary_hash == hash;
            canary.deleted = fetched.seen.canary_deleted;
            canary.phases.push_back({"wait", waited});
            canary.phases.insert(canary.phases.end(), phases.begin(), phases.end());
            canary.failure.reset();
            return;
        }
        canary.failure = why_not_logged_in(fetched);
        find.uidls_known = fetched.seen.uidls_known;
        const bool refused = !fetched.seen.login_refusal.empty() || !fetched.seen.login_held_back.empty();
        const bool over = since(begin) + interval > wanted.wait;
        if (refused || over || !pause(interval, options.limits.stop_fd)) {
            canary.phases.push_back({"wait", since(begin)});
            if (!canary.failure)
                canary.failure =
                    Failure{"wait", fmt::format("it had not come after {} s", wanted.wait.count() / 1000)};
            return;
        }
        if (looks % slower_every == 0) interval *= 2;
    }
}

}  // namespace

Probe probe(const Target& target, const TlsTrust& trust, const ProbeOptions& options) {
    Probe seen;
    seen.target = target;
    seen.begun = options.clock();
    look_at(seen, trust, options);
    judge(seen, options.rules);
    return seen;
}

std::string canary_message(const CanaryOptions& canary, const std::string& token, const std::string& hostname,
                           Time now) {
    // A dot in front, blanks at the end and a line that looks like an mbox's: what careless servers change.
    std::string message = fmt::format(
        "From: <{}>\r\nTo: <{}>\r\nDate: {}\r\nMessage-ID: <{}@{}>\r\nSubject: Pier canary\r\n"
        "X-Pier-Canary: {}\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        "This mail was sent by a probe of this mail server. The probe deletes it.\r\n"
        ".a line that begins with a dot\r\n",
        canary.from, canary.to, to_rfc5322(now), token, hostname, token);
    constexpr int lines = 16;
    constexpr std::size_t letters = 64;
    for (int i = 0; i < lines; ++i)
        message += "x" + random_text(letters) + "\r\n";
    return message;
}

Canary fly_canary(const Target& sender, const Target& fetcher, const TlsTrust& trust,
                  const CanaryOptions& wanted, const ProbeOptions& options) {
    Canary canary;
    canary.from = wanted.from;
    canary.to = wanted.to;
    canary.sent_by = sender.text();
    canary.fetched_by = fetcher.text();
    canary.begun = options.clock();
    const std::string token = new_token(canary.begun);
    const std::string message = canary_message(wanted, token, options.hostname, canary.begun);
    Plan plan = plan_of(sender, options);
    if (sender.protocol == Protocol::submission) plan.login = options.login;
    plan.send = CanaryToSend{wanted.from, wanted.to, message};
    const Talk sent = talk(sender, trust, options, std::move(plan), "send", canary.phases);
    canary.sent = sent.seen.sent;
    canary.failure = sent.failure;
    if (!canary.sent) {
        if (!canary.failure && !sent.seen.sent_reply.empty())
            canary.failure = Failure{"send", sent.seen.sent_reply};
        if (!canary.failure) canary.failure = why_not_logged_in(sent);
    } else {
        fetch(canary, fetcher, trust, wanted, options, token, body_hash(message));
    }
    judge(canary, options.rules);
    return canary;
}

}  // namespace pier::watch
