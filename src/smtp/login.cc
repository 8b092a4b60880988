// AUTH (RFC 4954): who submits mail says who he is, by SASL.
#include <cassert>
#include <utility>

#include <openssl/crypto.h>

#include "smtp/engine.h"
#include "wire/ascii.h"
#include "wire/base64.h"
#include "wire/sasl_limits.h"

namespace pier::smtp {

bool Session::Impl::offers(std::string_view mechanism) const {
    return facts.scram || !wire::ascii_starts_with(mechanism, "SCRAM-");
}

std::string Session::Impl::mechanisms() const {
    std::string names;
    for (const auto mechanism : wire::sasl_mechanisms(facts.sasl)) {
        if (!offers(mechanism)) continue;
        if (!names.empty()) names += ' ';
        names += mechanism;
    }
    return names;
}

void Session::Impl::refuse_without_login() {
    if (login_allowed()) return say_bad(530, "5.7.0", "log in first, with AUTH");
    say_bad(530, "5.7.0",
            facts.tls_available ? "log in first: STARTTLS, then AUTH"
                                : "log in first, where there is TLS: on the port for submissions (465)");
}

void Session::Impl::auth(std::string_view argument) {
    if (logged_in) return say_bad(503, "5.5.1", "logged in already");  // RFC 4954 §4
    // Without TLS nothing that belongs to a login is taken, SCRAM neither: as POP3 does it.
    if (!login_allowed())
        return say_bad(538, "5.7.11",
                       facts.tls_available
                           ? "logging in needs TLS; send STARTTLS first"
                           : "logging in needs TLS; connect to the port for submissions (465)");
    const std::string_view mechanism = argument.substr(0, argument.find(' '));
    std::string_view rest = argument.substr(mechanism.size());
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    if (mechanism.empty() || rest.find(' ') != std::string_view::npos)
        return say_bad(501, "5.5.4", "AUTH needs a mechanism, and maybe an initial response");
    exchange = offers(mechanism) ? wire::SaslExchange::begin(mechanism, facts.sasl) : nullptr;
    if (!exchange) return say_bad(504, "5.5.4", "unknown SASL mechanism; EHLO lists them");
    keys_given = false;
    token_refused.clear();
    login_name.clear();
    mode = Mode::auth;
    if (rest.empty()) return take_sasl_step(exchange->start(std::nullopt));
    // RFC 4954 §4: a single = stands for an initial response that is empty.
    auto initial = rest == "=" ? std::optional<std::string>("")
                               : wire::base64_decode(rest, wire::sasl_message_octets_max);
    if (!initial) return break_off(501, "5.5.2", "the initial response is not base64");
    take_sasl_step(exchange->start(*initial));
    OPENSSL_cleanse(initial->data(), initial->size());
}

bool Session::Impl::read_auth() {
    if (shutdown) {
        break_off(454, "4.3.2", "the server is stopping");
        return true;
    }
    const auto line = input.next_line(limits.auth_line_octets_max);
    if (!line) return false;
    if (line->too_long)
        break_off(500, "5.5.6", "the line is too long; AUTH ended");
    else if (line->bare_lf)
        break_off(500, "5.5.2", "a line ends with CRLF; AUTH ended");
    else
        run_response(line->text);
    input.wipe_last_line();
    return true;
}

void Session::Impl::run_response(std::string_view line) {
    // liberal: blanks at the end, as behind every command.
    line = line.substr(0, line.find_last_not_of(" \t") + 1);
    if (line == "*") return break_off(501, "5.7.0", "AUTH cancelled");
    auto response = wire::base64_decode(line, wire::sasl_message_octets_max);
    if (!response) return break_off(501, "5.5.2", "the response is not base64; AUTH ended");
    take_sasl_step(exchange->on_response(*response));
    OPENSSL_cleanse(response->data(), response->size());
}

// Whose token is refused, and who then breaks off, has failed to log in.
void Session::Impl::break_off(int code, std::string_view enhanced, std::string_view text) {
    exchange.reset();
    mode = Mode::commands;
    if (token_refused.empty()) return say_bad(code, enhanced, text);
    fail_login(std::exchange(token_refused, {}));
}

void Session::Impl::take_sasl_step(wire::SaslStep step) {
    if (auto* challenge = std::get_if<wire::SaslChallenge>(&step)) {
        // Not by say(): a challenge may be longer than a reply (RFC 4954 §4).
        output.append("334 ").append(wire::base64_encode(challenge->text)).append("\r\n");
        return;
    }
    if (auto* keys = std::get_if<wire::SaslNeedKeys>(&step)) {
        login_name = keys->user;
        action = std::move(*keys);
        wait = Wait::keys;
        return;
    }
    if (auto* check = std::get_if<wire::SaslCheckToken>(&step)) {
        std::string name = check->authzid;
        return ask_login(std::move(*check), std::move(name));
    }
    exchange.reset();
    if (auto* certificate = std::get_if<wire::SaslCheckCertificate>(&step)) {
        std::string name = certificate->authzid;
        ask_login(std::move(*certificate), std::move(name));
    } else if (auto* check = std::get_if<wire::SaslCheckPassword>(&step)) {
        std::string name = check->authzid.empty() ? check->user : check->authzid;
        ask_login(Login{std::move(check->authzid), std::move(check->user), std::move(check->password)},
                  std::move(name));
    } else if (auto* proven = std::get_if<wire::SaslProven>(&step)) {
        std::string name = proven->authzid.empty() ? proven->user : proven->authzid;
        ask_login(Login{std::move(proven->authzid), std::move(proven->user), std::nullopt}, std::move(name));
    } else if (const auto& failed = std::get<wire::SaslFailed>(step); keys_given) {
        mode = Mode::commands;
        action = WrongProof{std::exchange(login_name, {})};
        fail_login(failed.text);
    } else {
        break_off(501, "5.5.2", failed.text);
    }
}

void Session::Impl::ask_login(Action wanted, std::string user) {
    login_name = std::move(user);
    action = std::move(wanted);
    wait = Wait::login;
}

void Session::Impl::refuse_login(const LoginRefused& refused) {
    exchange.reset();
    login_name.clear();
    mode = Mode::commands;
    switch (refused.why) {
        case LoginRefused::Why::credentials:
            return fail_login(refused.text);
        case LoginRefused::Why::temporary:
            return say(454, "4.7.0", refused.text);
        case LoginRefused::Why::permanent:
            return say(535, "5.7.13", refused.text);  // RFC 5248: the account is disabled
    }
}

void Session::Impl::fail_login(std::string_view text) {
    say(535, "5.7.8", text);
    if (++counts.failed_logins < limits.failed_logins_max) return;
    say(421, "4.7.0", "too many failed logins; closing the connection");
    close();
}

void Session::on_keys(const wire::ScramKeys& keys, std::string_view nonce, std::string_view channel_binding) {
    Impl& s = *impl_;
    assert(s.wait == Impl::Wait::keys);
    s.wait = Impl::Wait::none;
    s.keys_given = true;
    s.take_sasl_step(s.exchange->on_keys(keys, nonce, channel_binding));
}

void Session::on_keys_refused(const LoginRefused& refused) {
    assert(impl_->wait == Impl::Wait::keys);
    impl_->wait = Impl::Wait::none;
    impl_->refuse_login(refused);
}

void Session::on_login(std::optional<LoginRefused> refusal) {
    Impl& s = *impl_;
    assert(s.wait == Impl::Wait::login);
    s.wait = Impl::Wait::none;
    if (refusal) {
        // Whose token is not good is told so in the mechanism's words, and answers before it is over.
        if (refusal->why == LoginRefused::Why::credentials && s.exchange) {
            s.token_refused = refusal->text;
            return s.take_sasl_step(s.exchange->on_token_refused());
        }
        return s.refuse_login(*refusal);
    }
    s.exchange.reset();
    s.mode = Impl::Mode::commands;
    s.logged_in = true;
    s.bad_commands = 0;
    s.say(235, "2.7.0", "logged in");
}

}  // namespace pier::smtp
