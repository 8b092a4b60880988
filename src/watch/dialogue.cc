#include "watch/dialogue.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "base/utf8.h"
#include "watch/imap_dialogue.h"
#include "watch/pop3_dialogue.h"
#include "watch/smtp_dialogue.h"
#include "wire/ascii.h"

namespace pier::watch {
namespace {

bool fits_a_line(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

bool fits(const Plan& plan) {
    const bool login = !plan.login || (fits_a_line(plan.login->user) && fits_a_line(plan.login->password));
    const bool send = !plan.send || (fits_a_line(plan.send->from) && fits_a_line(plan.send->to));
    return login && send && fits_a_line(plan.hostname) && fits_a_line(plan.relay_from) &&
           fits_a_line(plan.relay_to);
}

}  // namespace

Dialogue::Dialogue(Plan plan) : plan_(std::move(plan)), tls_active_(plan_.tls == TlsMode::implicit) {
    if (plan_.find) seen_.uidls_known = plan_.find->uidls_known;
    if (!fits(plan_)) fail("a user name, password or address has a line end in it");
}

Dialogue::~Dialogue() {
    if (plan_.login) OPENSSL_cleanse(plan_.login->password.data(), plan_.login->password.size());
}

void Dialogue::on_bytes(std::string_view octets) {
    if (!failed_ && !ended_) in_.append(octets);
}
void Dialogue::on_eof() {
    eof_ = true;
}
void Dialogue::on_tls(bool trusted) {
    trusted_ = trusted;
    if (!starting_tls_) return;  // the port began with TLS
    starting_tls_ = false;
    tls_active_ = true;
    if (plan_.only_tls) return quit();
    on_secured();
}

Dialogue::Action Dialogue::next() {
    for (;;) {
        if (failed_) return Failed{*failed_};
        if (!out_.empty()) return Write{std::exchange(out_, {})};
        if (starting_tls_) return StartTls{};
        if (ended_ || !waiting_) return Ended{};
        auto reply = read_reply();
        if (failed_) continue;
        if (reply) {
            waiting_ = false;
            if (seen_.greeting.empty() && phase_ == "greeting") seen_.greeting = shown(reply->text);
            on_reply(*reply);
            continue;
        }
        if (!eof_) return NeedInput{};
        if (quitting_) {  // it has hung up in place of an answer
            ended_ = true;
        } else {
            fail("the server closed the connection");
        }
    }
}

void Dialogue::ask(std::string_view phase, std::string text) {
    phase_ = phase;
    out_ += text;
    OPENSSL_cleanse(text.data(), text.size());
    waiting_ = true;
}

void Dialogue::start_tls() {
    // Attack: octets in clear behind the answer would be taken for the server's own inside TLS.
    if (!in_.empty()) return fail("the server sent octets in clear behind its answer to STARTTLS");
    starting_tls_ = true;
    phase_ = "tls";
}

void Dialogue::quit() {
    quitting_ = true;
    ask("quit", quit_command());
}

void Dialogue::end() {
    ended_ = true;
}

// Whatever of it the server has said, its reply code too, can be shown.
void Dialogue::fail(const std::string& text) {
    constexpr std::size_t octets_max = 1000;
    if (!failed_) failed_ = Error(ErrorKind::stopped, shown(text, octets_max));
    in_.clear();
}

bool Dialogue::may_log_in() {
    if (!plan_.login) return false;
    if (!tls_active_ && !plan_.login->clear_allowed)
        seen_.login_held_back = "the connection is in clear";
    else if (tls_active_ && !trusted_ && !plan_.login->untrusted_allowed)
        seen_.login_held_back = "the server's certificate is not trusted";
    return seen_.login_held_back.empty();
}

void Dialogue::refuse_login(const Reply& reply) {
    seen_.login_refusal = shown(reply.text.empty() ? reply.code : reply.text);
}

std::optional<std::string_view> Dialogue::take_line() {
    if (in_.empty()) return std::nullopt;
    const auto line = in_.next_line(plan_.limits.line_octets_max);
    if (!line) return std::nullopt;
    if (!line->too_long) return line->text;
    fail(fmt::format("the server sent a line of more than {} octets", plan_.limits.line_octets_max));
    return std::nullopt;
}

std::unique_ptr<Dialogue> make_dialogue(Plan plan) {
    switch (plan.protocol) {
        case Protocol::pop3:
            return std::make_unique<Pop3Dialogue>(std::move(plan));
        case Protocol::imap:
            return std::make_unique<ImapDialogue>(std::move(plan));
        default:
            return std::make_unique<SmtpDialogue>(std::move(plan));
    }
}

std::string shown(std::string_view text, std::size_t octets_max) {
    std::string out(text.substr(0, octets_max));
    // U+0080 to U+009F are control characters too; what is cut inside a character is no UTF-8 any more.
    const bool plain = is_utf8(out) && out.find('\xC2') == std::string::npos;
    std::ranges::replace_if(
        out,
        [plain](char c) {
            const auto octet = static_cast<unsigned char>(c);
            return octet < 0x20 || octet == 0x7F || (octet >= 0x80 && !plain);
        },
        '?');
    if (text.size() > octets_max) out += "...";
    return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (;;) {
        line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
        if (line.empty()) return words;
        words.push_back(line.substr(0, line.find_first_of(" \t")));
        line.remove_prefix(words.back().size());
    }
}

bool has_capability(const std::vector<std::string>& capabilities, std::string_view word) {
    return std::ranges::any_of(capabilities, [word](const std::string& one) {
        return wire::ascii_starts_with(one, word) &&
               (one.size() == word.size() || one[word.size()] == ' ' || one[word.size()] == '=');
    });
}

bool has_mechanism(const std::vector<std::string>& capabilities, std::string_view mechanism) {
    for (const std::string& one : capabilities) {
        const auto words = words_of(one);
        if (words.empty()) continue;
        const bool has_list = wire::ascii_equal(words[0], "SASL") || wire::ascii_equal(words[0], "AUTH");
        if (has_list && std::any_of(words.begin() + 1, words.end(), [&](std::string_view word) {
                return wire::ascii_equal(word, mechanism);
            }))
            return true;
        // "AUTH=PLAIN" of IMAP, and of SMTP servers that speak to old clients ("AUTH=PLAIN LOGIN").
        if (!wire::ascii_starts_with(words[0], "AUTH=")) continue;
        if (wire::ascii_equal(words[0].substr(5), mechanism)) return true;
    }
    return false;
}

}  // namespace pier::watch
