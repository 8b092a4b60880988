#include "watch/imap_dialogue.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "wire/ascii.h"
#include "wire/base64.h"

namespace pier::watch {
namespace {

constexpr std::string_view injected_tag = "injected";

std::optional<std::uint64_t> number(std::string_view digits) {
    std::uint64_t value = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (digits.empty() || error != std::errc() || stop != end) return std::nullopt;
    return value;
}

// The octets of the literal that the line announces at its end: "… {310}" (RFC 3501 §4.3).
std::optional<std::uint64_t> literal_of(std::string_view line) {
    const auto brace = line.rfind('{');
    if (brace == std::string_view::npos || !line.ends_with('}')) return std::nullopt;
    return number(line.substr(brace + 1, line.size() - brace - 2));
}

// As a quoted string; absent if it has octets that none may have.
std::optional<std::string> quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (static_cast<unsigned char>(c) >= 0x80) return std::nullopt;
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

}  // namespace

ImapDialogue::ImapDialogue(Plan plan) : Dialogue(std::move(plan)) {}

void ImapDialogue::say(Step step, std::string_view phase, std::string_view command) {
    step_ = step;
    tag_ = fmt::format("p{}", ++tags_);
    lines_ = 0;
    capabilities_.clear();
    capabilities_told_ = false;
    ask(phase, fmt::format("{} {}\r\n", tag_, command));
}

std::string ImapDialogue::quit_command() {
    step_ = Step::logout;
    tag_ = fmt::format("p{}", ++tags_);
    lines_ = 0;
    return tag_ + " LOGOUT\r\n";
}

// ---- replies ----

std::optional<Dialogue::Reply> ImapDialogue::read_reply() {
    for (;;) {
        if (in_literal_ && !skip_literal()) return std::nullopt;
        const auto line = take_line();
        if (!line) return std::nullopt;
        if (++lines_ > plan_.limits.lines_max) {
            fail(fmt::format("the server sent more than {} lines", plan_.limits.lines_max));
            return std::nullopt;
        }
        if (auto reply = on_line(*line)) return reply;
        if (failed()) return std::nullopt;
    }
}

bool ImapDialogue::skip_literal() {
    const std::size_t some = std::min<std::uint64_t>(literal_left_, in_.raw().size());
    in_.consume(some);
    literal_left_ -= some;
    in_literal_ = literal_left_ > 0;
    return !in_literal_;
}

std::optional<Dialogue::Reply> ImapDialogue::on_line(std::string_view line) {
    if (const auto octets = literal_of(line)) {
        if (*octets > plan_.limits.message_octets_max) {
            fail(fmt::format("the server sent a literal of {} octets", *octets));
            return std::nullopt;
        }
        literal_octets_ = literal_left_ = *octets;
        in_literal_ = *octets > 0;
    }
    const auto words = words_of(line);
    if (words.empty()) return std::nullopt;
    Reply reply;
    if (step_ == Step::greeting) {
        const bool right = words.size() >= 2 && words[0] == "*";
        const auto is = [&](std::string_view word) { return right && wire::ascii_equal(words[1], word); };
        if (!is("OK") && !is("PREAUTH") && !is("BYE")) {
            fail(fmt::format("this is no greeting of an IMAP server: {}", shown(line)));
            return std::nullopt;
        }
        reply.good = !is("BYE");
    } else if (words[0] == "+" && step_ == Step::authenticate) {
        reply.good = true;
        return reply;
    } else if (words[0] == injected_tag) {
        if (plan_.inject && tls_active()) injected_answered_ = true;
        return std::nullopt;
    } else if (words[0] != tag_ || words.size() < 2) {
        on_untagged(line);
        return std::nullopt;
    } else {
        reply.good = wire::ascii_equal(words[1], "OK");
    }
    reply.code = words[1];
    reply.text = words.size() > 2 ? line.substr(static_cast<std::size_t>(words[2].data() - line.data())) : "";
    return reply;
}

void ImapDialogue::on_untagged(std::string_view line) {
    const auto words = words_of(line);
    if (words.size() < 3 || words[0] != "*") return;
    if (wire::ascii_equal(words[1], "CAPABILITY")) {
        capabilities_told_ = true;
        for (std::size_t i = 2; i < words.size() && capabilities_.size() < plan_.limits.lines_max; ++i)
            capabilities_.emplace_back(words[i]);
    } else if (wire::ascii_equal(words[2], "EXISTS")) {
        exists_ = number(words[1]).value_or(0);
    }
}

void ImapDialogue::on_reply(const Reply& reply) {
    switch (step_) {
        case Step::greeting:
            if (!reply.good) return fail(fmt::format("the server refuses us: {}", shown(reply.text)));
            if (plan_.only_tls && plan_.tls == TlsMode::implicit) return quit();
            return say(Step::capabilities, "capabilities", "CAPABILITY");
        case Step::capabilities:
        case Step::capabilities_tls:
        case Step::capabilities_login:
            if (!reply.good) return fail(fmt::format("CAPABILITY was refused: {}", shown(reply.text)));
            return on_capabilities();
        case Step::starttls:
            if (!reply.good && plan_.inject) {
                injected_answered_ = false;
                return quit();
            }
            if (!reply.good) return fail(fmt::format("STARTTLS was refused: {}", shown(reply.text)));
            return start_tls();
        case Step::login:
        case Step::authenticate:
        case Step::response:
            return on_login_reply(reply);
        case Step::examine:
            if (!reply.good) return fail(fmt::format("EXAMINE INBOX was refused: {}", shown(reply.text)));
            seen_.messages = exists_;
            if (exists_ == 0 || !plan_.retrieve) return quit();
            return say(Step::fetch, "retrieve",
                       fmt::format("FETCH {} BODY.PEEK[]<0.{}>", exists_, plan_.limits.message_octets_max));
        case Step::fetch:
            if (reply.good) seen_.retrieved_octets = literal_octets_;
            return quit();
        case Step::logout:
            seen_.ended_well = reply.good;
            if (plan_.inject && tls_active() && !injected_answered_) injected_answered_ = false;
            return end();
    }
}

// ---- capabilities, TLS, login ----

void ImapDialogue::on_capabilities() {
    std::optional<std::vector<std::string>> capabilities;
    if (capabilities_told_) capabilities = capabilities_;
    if (step_ == Step::capabilities_login) {
        seen_.capabilities_login = std::move(capabilities);
        exists_ = 0;
        return say(Step::examine, "status", "EXAMINE INBOX");
    }
    if (step_ == Step::capabilities_tls) {
        seen_.capabilities_tls = std::move(capabilities);
        return log_in();
    }
    seen_.capabilities = std::move(capabilities);
    if (plan_.tls == TlsMode::implicit) return log_in();
    seen_.starttls_offered = seen_.capabilities && has_capability(*seen_.capabilities, "STARTTLS");
    if (plan_.tls == TlsMode::none) return log_in();
    if (!*seen_.starttls_offered) return plan_.only_tls ? quit() : log_in();
    say(Step::starttls, "starttls",
        plan_.inject ? fmt::format("STARTTLS\r\n{} CAPABILITY", injected_tag) : "STARTTLS");
}

void ImapDialogue::on_secured() {
    say(Step::capabilities_tls, "capabilities_tls", "CAPABILITY");
}

void ImapDialogue::log_in() {
    if (!may_log_in()) return quit();
    const auto& capabilities = seen_.capabilities_tls ? seen_.capabilities_tls : seen_.capabilities;
    const auto user = quoted(plan_.login->user), password = quoted(plan_.login->password);
    const bool plain = capabilities && has_mechanism(*capabilities, "PLAIN");
    if (plain || !user || !password) return say(Step::authenticate, "login", "AUTHENTICATE PLAIN");
    say(Step::login, "login", fmt::format("LOGIN {} {}", *user, *password));
}

void ImapDialogue::on_login_reply(const Reply& reply) {
    if (!reply.good) {
        refuse_login(reply);
        return quit();
    }
    if (step_ == Step::authenticate) {
        step_ = Step::response;
        const std::string secret =
            fmt::format("{0}{1}{0}{2}", '\0', plan_.login->user, plan_.login->password);
        return ask("login", wire::base64_encode(secret) + "\r\n");
    }
    seen_.logged_in = true;
    say(Step::capabilities_login, "capabilities_login", "CAPABILITY");
}

}  // namespace pier::watch
