// AUTHORIZATION: USER PASS (RFC 1939 §7), AUTH (RFC 5034), STLS (RFC 2595 §4), XCLIENT.
#include <algorithm>
#include <utility>

#include <openssl/crypto.h>

#include "pop3/conversation.h"
#include "wire/ascii.h"
#include "wire/base64.h"
#include "wire/sasl_limits.h"

namespace pier::pop3 {

namespace {

std::string_view response_code(LoginRefused::Why why) {
    switch (why) {
        case LoginRefused::Why::credentials:
            return "AUTH";  // RFC 3206 §4
        case LoginRefused::Why::temporary:
            return "SYS/TEMP";  // RFC 3206 §5
        case LoginRefused::Why::permanent:
            return "SYS/PERM";
        case LoginRefused::Why::in_use:
            return "IN-USE";  // RFC 2449 §8.1.2
        case LoginRefused::Why::login_delay:
            return "LOGIN-DELAY";  // RFC 2449 §8.1.1
    }
    return "SYS/TEMP";
}

// Its text may come from outside, and then has braces of its own: only what has values is a template.
std::string with_values(Language language, const LoginRefused& refused) {
    const auto& values = refused.values;
    if (values.empty()) return refused.text;
    if (values.size() == 1) return say(language, refused.text, values[0]);
    return say(language, refused.text, values[0], values[1]);
}

}  // namespace

// Without TLS nothing that belongs to a login is taken, SCRAM neither: one rule that a person can remember,
// and a client that falls back from SCRAM to PLAIN has shown its password before anybody can refuse it. No
// [AUTH]: clients forget a saved password when they read it, and this one may be right.
void Conversation::refuse_clear_login() {
    bad(facts_.tls_available ? "logging in needs TLS; send STLS first"
                             : "logging in needs TLS; connect to the POP3S port (995)");
}

void Conversation::run_user(const Arguments& arguments) {
    if (!login_allowed()) return refuse_clear_login();
    // liberal: trailing spaces; a name has none, but may have some inside.
    const std::string_view name = arguments[0].substr(0, arguments[0].find_last_not_of(' ') + 1);
    name_given_ = false;
    if (name.empty()) return bad(say("usage: {}", "USER name"));
    if (name.size() > wire::sasl_user_octets_max) return bad("the user name is too long");
    name_ = name;
    name_given_ = true;
    ok("send PASS");  // for every name: whether it exists is not told
}

void Conversation::run_pass(const Arguments& arguments) {
    if (!login_allowed()) return refuse_clear_login();
    if (!name_given_) return bad("send USER first");
    if (arguments[0].size() > wire::sasl_password_octets_max) return bad("the password is too long");
    name_given_ = false;
    // liberal: RFC 1939 §7 allows spaces in the password; they are all part of it, those at the end too.
    ask_login({}, std::exchange(name_, {}), std::string(arguments[0]));
}

void Conversation::run_auth(const Arguments& arguments) {
    if (!login_allowed()) return refuse_clear_login();
    name_given_ = false;
    // liberal: AUTH alone is in no RFC that is in force, but older clients ask so for the mechanisms.
    if (arguments.count == 0) return list_mechanisms();
    exchange_ = offers(arguments[0]) ? wire::SaslExchange::begin(arguments[0], facts_.sasl) : nullptr;
    if (!exchange_) return error("unknown SASL mechanism; CAPA lists them");
    keys_given_ = false;
    token_refused_ = {};
    if (arguments.count == 1) return take_sasl_step(exchange_->start(std::nullopt));
    // RFC 5034 §4: a single = stands for an initial response that is empty.
    auto initial = arguments[1] == "=" ? std::optional<std::string>("")
                                       : wire::base64_decode(arguments[1], wire::sasl_message_octets_max);
    if (!initial) {
        exchange_.reset();
        return bad("the initial response is not base64");
    }
    take_sasl_step(exchange_->start(*initial));
    OPENSSL_cleanse(initial->data(), initial->size());
}

bool Conversation::offers(std::string_view mechanism) const {
    return facts_.scram || !wire::ascii_starts_with(mechanism, "SCRAM-");
}

void Conversation::list_mechanisms() {
    ok("mechanisms follow");
    for (const auto mechanism : wire::sasl_mechanisms(facts_.sasl))
        if (offers(mechanism)) out_.append(mechanism).append("\r\n");
    out_ += ".\r\n";
}

void Conversation::run_sasl_response(std::string_view line) {
    // liberal: trailing spaces, as behind every command.
    line = line.substr(0, line.find_last_not_of(' ') + 1);
    if (line == "*") return break_off_exchange("AUTH cancelled");
    auto response = wire::base64_decode(line, wire::sasl_message_octets_max);
    if (!response) return break_off_exchange("the response is not base64; AUTH ended");
    take_sasl_step(exchange_->on_response(*response));
    OPENSSL_cleanse(response->data(), response->size());
}

void Conversation::break_off_exchange(std::string_view text) {
    exchange_.reset();
    if (token_refused_.empty()) return bad(text);
    fail_login(token_refused_);
}

void Conversation::take_sasl_step(wire::SaslStep step) {
    if (auto* challenge = std::get_if<wire::SaslChallenge>(&step)) {
        out_.append("+ ").append(wire::base64_encode(challenge->text)).append("\r\n");
        return;
    }
    if (auto* keys = std::get_if<wire::SaslNeedKeys>(&step)) {
        name_ = keys->user;
        pending_ = std::move(*keys);
        return;
    }
    if (auto* check = std::get_if<wire::SaslCheckToken>(&step)) {
        name_ = check->authzid;
        pending_ = std::move(*check);
        return;
    }
    exchange_.reset();
    if (auto* certificate = std::get_if<wire::SaslCheckCertificate>(&step)) {
        name_ = certificate->authzid;
        pending_ = std::move(*certificate);
    } else if (auto* check = std::get_if<wire::SaslCheckPassword>(&step)) {
        ask_login(std::move(check->authzid), std::move(check->user), std::move(check->password));
    } else if (auto* proven = std::get_if<wire::SaslProven>(&step)) {
        ask_login(std::move(proven->authzid), std::move(proven->user), std::nullopt);
    } else if (const auto& failed = std::get<wire::SaslFailed>(step); keys_given_) {
        fail_login(failed.text);
        pending_ = WrongProof{std::exchange(name_, {})};
    } else if (!token_refused_.empty()) {
        fail_login(token_refused_);
    } else {
        bad(failed.text);
    }
}

void Conversation::on_keys(const wire::ScramKeys& keys, std::string_view nonce,
                           std::string_view channel_binding) {
    if (!take_report(Awaiting::keys)) return;
    keys_given_ = true;
    take_sasl_step(exchange_->on_keys(keys, nonce, channel_binding));
}

void Conversation::on_keys_refused(const LoginRefused& refused) {
    if (!take_report(Awaiting::keys)) return;
    exchange_.reset();
    name_ = {};
    refuse(refused);
}

void Conversation::refuse(const LoginRefused& refused) {
    error(response_code(refused.why), with_values(language_, refused));
}

void Conversation::ask_login(std::string authzid, std::string user, std::optional<std::string> password) {
    name_ = authzid.empty() ? user : authzid;
    pending_ = Login{std::move(authzid), std::move(user), std::move(password)};
}

void Conversation::fail_login(std::string_view text) {
    if (++counts_.failed_logins < limits_.failed_logins_max) return error("AUTH", text);
    error("AUTH", say("{}; too many failed logins, closing", translated(language_, text)));
    close();
}

void Conversation::on_login(LoginReport report) {
    if (!take_report(Awaiting::login)) return;
    if (const auto* refused = std::get_if<LoginRefused>(&report)) {
        name_ = {};
        const bool wrong = refused->why == LoginRefused::Why::credentials;
        // Whose token is not good is told so in the mechanism's words, and answers before it is over.
        if (wrong && exchange_) {
            token_refused_ = refused->text;
            return take_sasl_step(exchange_->on_token_refused());
        }
        exchange_.reset();
        if (wrong) return fail_login(refused->text);
        return refuse(*refused);
    }
    exchange_.reset();
    maildrop_ = std::get<std::shared_ptr<const Maildrop>>(std::move(report));
    user_ = std::exchange(name_, {});
    state_ = Session::State::transaction;
    ok(maildrop_text());
}

void Conversation::run_stls(const Arguments&) {
    if (facts_.tls_active) return bad("TLS is active already");
    if (!facts_.tls_available) return bad("STLS is not offered here");
    if (utf8_) return bad("STLS comes before UTF8");  // RFC 6856 §2.1
    // Attack: commands sent behind STLS in clear text, by somebody between, would be answered inside TLS.
    if (!in_.empty()) {
        error("nothing may follow STLS before TLS is active; closing");
        return close();
    }
    ok("begin TLS");
    pending_ = StartTls{};
}

// Not of an RFC: how Dovecot as a proxy says who its client is. What else it says (SESSION, TTL, FORWARD …)
// is for another Dovecot.
void Conversation::run_xclient(const Arguments& arguments) {
    if (!facts_.xclient) return bad("unknown command");
    Introduce introduce;
    std::string_view rest = arguments[0];
    while (!rest.empty()) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        const std::size_t equals = word.find('=');
        if (word.empty()) continue;
        if (equals == std::string_view::npos) return bad("XCLIENT takes NAME=value");
        const std::string_view name = word.substr(0, equals), value = word.substr(equals + 1);
        if (wire::ascii_equal(name, "ADDR")) {
            introduce.address = wire::ascii_starts_with(value, "IPV6:") ? value.substr(5) : value;
        } else if (wire::ascii_equal(name, "PORT")) {
            const auto port = parse_number(value);
            if (!port || *port > 65535) return bad("XCLIENT: this is no port");
            introduce.port = static_cast<std::uint16_t>(*port);
        } else if (wire::ascii_equal(name, "CLIENT-TRANSPORT")) {
            introduce.tls = wire::ascii_equal(value, "TLS");
        }
    }
    pending_ = std::move(introduce);
}

void Conversation::on_introduced(const Introduced& report) {
    if (!take_report(Awaiting::introduction)) return;
    if (report.how == Introduced::How::no_address) return bad("XCLIENT: ADDR is no IP address");
    if (report.how == Introduced::How::not_welcome) {
        error("this client may not connect; closing");
        return close();
    }
    facts_.tls_active = report.tls_active;
    facts_.clear_login_allowed = report.clear_login_allowed;
    facts_.sasl.certificate = false;  // it was the proxy's
    name_ = {};
    name_given_ = false;
    ok("client known");
}

// RFC 2595 §4: what was said before TLS is forgotten; an attacker may have said it.
void Conversation::on_tls(const wire::SaslOffer& sasl) {
    if (!take_report(Awaiting::tls)) return;
    facts_.tls_active = true;
    facts_.sasl = sasl;
    language_ = Language::english;
    name_ = {};
    name_given_ = false;
    bad_commands_ = 0;
}

}  // namespace pier::pop3
