#include "watch/smtp_dialogue.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "wire/ascii.h"
#include "wire/base64.h"
#include "wire/dots.h"

namespace pier::watch {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// "250-…" or "250 …" or "250" (RFC 5321 §4.2).
bool is_reply_line(std::string_view line) {
    return line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && is_digit(line[1]) && is_digit(line[2]) &&
           (line.size() == 3 || line[3] == ' ' || line[3] == '-');
}

}  // namespace

SmtpDialogue::SmtpDialogue(Plan plan) : Dialogue(std::move(plan)) {}

void SmtpDialogue::say(Step step, std::string_view phase, std::string text) {
    step_ = step;
    ask(phase, std::move(text));
}

std::string SmtpDialogue::quit_command() {
    step_ = Step::quit;
    return "QUIT\r\n";
}

std::optional<Dialogue::Reply> SmtpDialogue::read_reply() {
    for (;;) {
        const auto line = take_line();
        if (!line) return std::nullopt;
        if (!is_reply_line(*line)) {
            fail(fmt::format("this is no answer of an SMTP server: {}", shown(*line)));
            return std::nullopt;
        }
        if (reply_.lines.size() >= plan_.limits.lines_max) {
            fail(fmt::format("the server sent a reply of more than {} lines", plan_.limits.lines_max));
            return std::nullopt;
        }
        reply_.code = line->substr(0, 3);
        reply_.lines.emplace_back(line->substr(std::min<std::size_t>(4, line->size())));
        if (line->size() > 3 && (*line)[3] == '-') continue;
        reply_.good = reply_.code.front() <= '3';
        reply_.text = fmt::format("{} {}", reply_.code, reply_.lines.back());
        return std::exchange(reply_, {});
    }
}

void SmtpDialogue::on_reply(const Reply& reply) {
    switch (step_) {
        case Step::greeting:
            if (reply.code != "220") return fail(fmt::format("the server refuses us: {}", shown(reply.text)));
            seen_.greeting = shown(reply.lines.front());
            if (plan_.only_tls && plan_.tls == TlsMode::implicit) return quit();
            return hello(Step::hello, "capabilities");
        case Step::hello:
        case Step::helo:
        case Step::hello_tls:
            return on_hello(reply);
        case Step::starttls:
            if (reply.code != "220" && plan_.inject) {
                injected_answered_ = false;
                return quit();
            }
            if (reply.code != "220") return fail(fmt::format("STARTTLS was refused: {}", shown(reply.text)));
            return start_tls();
        case Step::verify_known:
        case Step::verify_unknown:
        case Step::relay_mail:
        case Step::relay_recipient:
        case Step::relay_reset:
            return on_look_reply(reply);
        case Step::auth:
        case Step::auth_response:
            return on_auth_reply(reply);
        case Step::mail:
        case Step::recipient:
        case Step::data:
        case Step::message:
            return on_send_reply(reply);
        case Step::quit:
            // QUIT is answered with 221 (or 421): another reply is for the injected command.
            if (plan_.inject && tls_active()) injected_answered_ = reply.code != "221" && reply.code != "421";
            seen_.ended_well = reply.code == "221";
            return end();
    }
}

// ---- the beginning ----

void SmtpDialogue::hello(Step step, std::string_view phase) {
    const std::string_view verb = plan_.protocol == Protocol::lmtp ? "LHLO" : "EHLO";
    say(step, phase, fmt::format("{} {}\r\n", verb, plan_.hostname));
}

void SmtpDialogue::on_hello(const Reply& reply) {
    if (!reply.good && step_ == Step::hello && plan_.protocol == Protocol::smtp)
        return say(Step::helo, "capabilities", fmt::format("HELO {}\r\n", plan_.hostname));
    if (!reply.good) return fail(fmt::format("the server refuses us: {}", shown(reply.text)));
    const std::vector<std::string> extensions(reply.lines.begin() + 1, reply.lines.end());
    if (step_ == Step::hello_tls) {
        seen_.capabilities_tls = extensions;
        return look();
    }
    if (step_ == Step::hello) seen_.capabilities = extensions;
    if (plan_.tls == TlsMode::implicit) return look();
    seen_.starttls_offered = has_capability(extensions, "STARTTLS");
    if (plan_.tls == TlsMode::none) return look();
    if (!*seen_.starttls_offered) return plan_.only_tls ? quit() : look();
    say(Step::starttls, "starttls", plan_.inject ? "STARTTLS\r\nNOOP\r\n" : "STARTTLS\r\n");
}

void SmtpDialogue::on_secured() {
    hello(Step::hello_tls, "capabilities_tls");
}

const std::vector<std::string>& SmtpDialogue::extensions() const {
    static const std::vector<std::string> none;
    if (seen_.capabilities_tls) return *seen_.capabilities_tls;
    return seen_.capabilities ? *seen_.capabilities : none;
}

// ---- what it gives away ----

void SmtpDialogue::look() {
    if (plan_.send || !plan_.look || plan_.protocol == Protocol::lmtp) return log_in();
    say(Step::verify_known, "verify", "VRFY postmaster\r\n");
}

void SmtpDialogue::try_relaying() {
    if (plan_.relay_to.empty()) return log_in();
    say(Step::relay_mail, "relay", fmt::format("MAIL FROM:<{}>\r\n", plan_.relay_from));
}

void SmtpDialogue::on_look_reply(const Reply& reply) {
    switch (step_) {
        case Step::verify_known:
            verify_known_code_ = reply.code;
            return say(Step::verify_unknown, "verify", "VRFY no-such-user-of-pier-probe\r\n");
        case Step::verify_unknown:
            // 252: it would take mail for it (RFC 5321 §3.5.3), which is said of nobody if not of everybody.
            seen_.verify_tells_names = verify_known_code_.starts_with("25") && reply.code.front() == '5';
            return try_relaying();
        case Step::relay_mail:
            if (reply.good)
                return say(Step::relay_recipient, "relay", fmt::format("RCPT TO:<{}>\r\n", plan_.relay_to));
            seen_.relay_reply = shown(reply.text);
            return log_in();
        case Step::relay_recipient:
            seen_.relay_reply = shown(reply.text);
            seen_.relays = reply.code.front() == '2';
            return say(Step::relay_reset, "relay", "RSET\r\n");
        default:
            return log_in();
    }
}

// ---- login ----

void SmtpDialogue::log_in() {
    if (plan_.login && plan_.protocol != Protocol::lmtp && may_log_in()) {
        std::string secret = fmt::format("{0}{1}{0}{2}", '\0', plan_.login->user, plan_.login->password);
        if (has_mechanism(extensions(), "PLAIN")) {
            responses_ = {wire::base64_encode(secret)};
            return say(Step::auth, "login", "AUTH PLAIN\r\n");
        }
        if (has_mechanism(extensions(), "LOGIN")) {
            responses_ = {wire::base64_encode(plan_.login->user), wire::base64_encode(plan_.login->password)};
            return say(Step::auth, "login", "AUTH LOGIN\r\n");
        }
        // Between servers nobody logs in.
        if (plan_.protocol == Protocol::submission)
            seen_.login_refusal = "neither PLAIN nor LOGIN is offered";
    }
    send();
}

void SmtpDialogue::on_auth_reply(const Reply& reply) {
    if (reply.code == "334" && !responses_.empty()) {
        std::string response = std::move(responses_.front());
        responses_.pop_front();
        return say(Step::auth_response, "login", response + "\r\n");
    }
    if (reply.code == "235") {
        seen_.logged_in = true;
        return send();
    }
    refuse_login(reply);
    quit();
}

// ---- the canary ----

void SmtpDialogue::send() {
    if (!plan_.send) return quit();
    say(Step::mail, "mail", fmt::format("MAIL FROM:<{}>\r\n", plan_.send->from));
}

void SmtpDialogue::on_send_reply(const Reply& reply) {
    const bool go_on = step_ == Step::data ? reply.code == "354" : reply.code.front() == '2';
    if (!go_on || step_ == Step::message) {
        seen_.sent_reply = shown(reply.text);
        seen_.sent = go_on;
        return quit();
    }
    if (step_ == Step::mail)
        return say(Step::recipient, "recipient", fmt::format("RCPT TO:<{}>\r\n", plan_.send->to));
    if (step_ == Step::recipient) return say(Step::data, "data", "DATA\r\n");
    wire::DotStuffer stuffer;
    std::string stuffed;
    const auto emit = [&stuffed](std::string_view piece) { stuffed += piece; };
    stuffer.feed(plan_.send->octets, emit);
    stuffer.finish(emit);
    say(Step::message, "message", std::move(stuffed));
}

}  // namespace pier::watch
