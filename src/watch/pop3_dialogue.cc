#include "watch/pop3_dialogue.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "wire/ascii.h"
#include "wire/base64.h"

namespace pier::watch {
namespace {

constexpr std::chrono::hours old_canary{1};

std::optional<std::uint64_t> number(std::string_view digits) {
    std::uint64_t value = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (digits.empty() || error != std::errc() || stop != end) return std::nullopt;
    return value;
}

bool is_good_line(std::string_view line) {
    return wire::ascii_starts_with(line, "+OK") && (line.size() == 3 || line[3] == ' ' || line[3] == '\t');
}

}  // namespace

Pop3Dialogue::Pop3Dialogue(Plan plan) : Dialogue(std::move(plan)) {}

void Pop3Dialogue::say(Step step, std::string_view phase, std::string text, Shape shape) {
    step_ = step;
    shape_ = shape;
    ask(phase, std::move(text));
}

std::string Pop3Dialogue::quit_command() {
    step_ = Step::quit;
    shape_ = Shape::line;
    return "QUIT\r\n";
}

// ---- replies ----

std::optional<Dialogue::Reply> Pop3Dialogue::read_reply() {
    if (!status_) {
        const auto line = take_line();
        if (!line) return std::nullopt;
        Reply reply;
        if (step_ == Step::behind_quit) return reply;
        reply.good = is_good_line(*line);
        // "+ " is the challenge of a SASL mechanism.
        if (!reply.good && step_ == Step::auth && (*line == "+" || line->starts_with("+ ")))
            reply.good = true;
        if (!reply.good && !wire::ascii_starts_with(*line, "-ERR")) {
            fail(fmt::format("this is no answer of a POP3 server: {}", shown(*line)));
            return std::nullopt;
        }
        const auto blank = std::min(line->find(' '), line->size());
        reply.code = line->substr(0, blank);
        reply.text = line->substr(std::min(blank + 1, line->size()));
        status_ = std::move(reply);
        unstuffer_ = {};
        mail_.clear();
        mail_octets_ = 0;
    }
    if (status_->good && shape_ == Shape::list && !read_list(*status_)) return std::nullopt;
    if (status_->good && shape_ == Shape::mail && !read_mail()) return std::nullopt;
    return std::exchange(status_, std::nullopt);
}

bool Pop3Dialogue::read_list(Reply& reply) {
    const std::size_t lines_max = step_ == Step::uidl ? plan_.limits.uidls_max : plan_.limits.lines_max;
    for (;;) {
        const auto line = take_line();
        if (!line) return false;
        if (*line == ".") return true;
        if (reply.lines.size() >= lines_max) {
            fail(fmt::format("the server sent a list of more than {} lines", lines_max));
            return false;
        }
        reply.lines.emplace_back(line->substr(line->starts_with('.') ? 1 : 0));
    }
}

bool Pop3Dialogue::read_mail() {
    std::string some;
    in_.consume(unstuffer_.feed(in_.raw(), some));
    mail_octets_ += some.size();
    // A server may send more than it has told.
    if (mail_octets_ > plan_.limits.message_octets_max * 2) {
        fail(fmt::format("the server sent a message of more than {} octets", mail_octets_));
        return false;
    }
    if (keeps_mail_) mail_ += some;
    return unstuffer_.done();
}

void Pop3Dialogue::on_reply(const Reply& reply) {
    switch (step_) {
        case Step::greeting:
            if (!reply.good) return fail(fmt::format("the server refuses us: {}", shown(reply.text)));
            if (plan_.only_tls && plan_.tls == TlsMode::implicit) return quit();
            return say(Step::capabilities, "capabilities", "CAPA\r\n", Shape::list);
        case Step::capabilities:
        case Step::capabilities_tls:
            return on_capabilities(reply);
        case Step::clear_user:
            seen_.clear_user_taken = reply.good;
            return before_tls();
        case Step::stls:
            if (!reply.good && plan_.inject) {
                injected_answered_ = false;
                return quit();
            }
            if (!reply.good) return fail(fmt::format("STLS was refused: {}", shown(reply.text)));
            return start_tls();
        case Step::user:
        case Step::pass:
        case Step::auth:
        case Step::auth_response:
            return on_login_reply(reply);
        case Step::stat:
            return on_stat(reply);
        case Step::size:
            return on_size(reply);
        case Step::retrieve:
            if (reply.good) seen_.retrieved_octets = mail_octets_;
            return quit();
        case Step::uidl:
            return on_uidls(reply);
        case Step::top:
            return on_head(reply);
        case Step::canary:
            return on_canary(reply);
        case Step::remove:
            return on_removed(reply);
        case Step::quit:
            seen_.ended_well = reply.good;
            seen_.canary_deleted = seen_.canary_deleted && reply.good;
            if (!plan_.inject || !tls_active()) return end();
            injected_answered_ = false;
            step_ = Step::behind_quit;
            return ask("quit", "");  // until it hangs up
        case Step::behind_quit:
            // QUIT is answered with one line: the first was for the injected command.
            injected_answered_ = true;
            return end();
    }
}

// ---- capabilities and TLS ----

void Pop3Dialogue::on_capabilities(const Reply& reply) {
    std::optional<std::vector<std::string>> capabilities;
    if (reply.good) capabilities = reply.lines;
    if (step_ == Step::capabilities_tls) {
        seen_.capabilities_tls = std::move(capabilities);
        return log_in();
    }
    seen_.capabilities = std::move(capabilities);
    if (plan_.tls == TlsMode::implicit) return log_in();
    seen_.starttls_offered = seen_.capabilities && has_capability(*seen_.capabilities, "STLS");
    // What is offered may be refused all the same (Courier's does so), so it is tried, with nobody's name.
    if (plan_.look && !plan_.only_tls) return say(Step::clear_user, "clear_user", "USER pier-probe\r\n");
    before_tls();
}

void Pop3Dialogue::before_tls() {
    if (plan_.tls == TlsMode::none) return log_in();
    if (!*seen_.starttls_offered) return plan_.only_tls ? quit() : log_in();
    say(Step::stls, "starttls", plan_.inject ? "STLS\r\nCAPA\r\n" : "STLS\r\n");
}

void Pop3Dialogue::on_secured() {
    say(Step::capabilities_tls, "capabilities_tls", "CAPA\r\n", Shape::list);
}

// ---- login ----

void Pop3Dialogue::log_in() {
    if (!may_log_in()) return quit();
    const auto& capabilities = seen_.capabilities_tls ? seen_.capabilities_tls : seen_.capabilities;
    const bool user = !capabilities || has_capability(*capabilities, "USER");
    if (!user && has_mechanism(*capabilities, "PLAIN")) return say(Step::auth, "login", "AUTH PLAIN\r\n");
    say(Step::user, "login", fmt::format("USER {}\r\n", plan_.login->user));
}

void Pop3Dialogue::on_login_reply(const Reply& reply) {
    if (!reply.good) {
        refuse_login(reply);
        return quit();
    }
    if (step_ == Step::user)
        return say(Step::pass, "login", fmt::format("PASS {}\r\n", plan_.login->password));
    if (step_ == Step::auth) {
        std::string secret = fmt::format("{0}{1}{0}{2}", '\0', plan_.login->user, plan_.login->password);
        return say(Step::auth_response, "login", wire::base64_encode(secret) + "\r\n");
    }
    seen_.logged_in = true;
    say(Step::stat, "status", "STAT\r\n");
}

// ---- the maildrop ----

void Pop3Dialogue::on_stat(const Reply& reply) {
    const auto words = words_of(reply.text);
    if (!reply.good || words.size() < 2 || !number(words[0]) || !number(words[1]))
        return fail(fmt::format("STAT was answered with: {} {}", reply.code, shown(reply.text)));
    seen_.messages = *number(words[0]);
    seen_.maildrop_octets = *number(words[1]);
    if (*seen_.messages == 0) return quit();
    if (plan_.find) return say(Step::uidl, "find", "UIDL\r\n", Shape::list);
    if (!plan_.retrieve) return quit();
    say(Step::size, "retrieve", fmt::format("LIST {}\r\n", *seen_.messages));
}

void Pop3Dialogue::on_size(const Reply& reply) {
    const auto words = words_of(reply.text);
    const auto octets = words.size() >= 2 ? number(words[1]) : std::nullopt;
    if (!reply.good || !octets || *octets > plan_.limits.message_octets_max) return quit();
    say(Step::retrieve, "retrieve", fmt::format("RETR {}\r\n", *seen_.messages), Shape::mail);
}

// ---- the canary ----

void Pop3Dialogue::on_uidls(const Reply& reply) {
    if (!reply.good) return fail(fmt::format("UIDL was refused: {}", shown(reply.text)));
    std::vector<std::string>& known = seen_.uidls_known;
    std::ranges::sort(known);
    for (const std::string& line : reply.lines) {
        const auto words = words_of(line);
        const auto message = words.size() == 2 ? number(words[0]) : std::nullopt;
        if (message && !std::ranges::binary_search(known, words[1]))
            candidates_.push_back({*message, std::string(words[1])});
    }
    if (const std::size_t most = plan_.limits.looked_at_max; candidates_.size() > most)
        candidates_.erase(candidates_.begin(), candidates_.end() - static_cast<std::ptrdiff_t>(most));
    look_at_next();
}

void Pop3Dialogue::look_at_next() {
    if (candidates_.empty()) return quit();
    keeps_mail_ = true;
    const std::size_t message = candidates_.back().number;
    say(Step::top, "find",
        has_top_ ? fmt::format("TOP {} 0\r\n", message) : fmt::format("RETR {}\r\n", message), Shape::mail);
}

void Pop3Dialogue::on_head(const Reply& reply) {
    if (!reply.good && has_top_) {
        has_top_ = false;
        return look_at_next();
    }
    const std::size_t message = candidates_.back().number;
    const auto token = reply.good ? canary_token(mail_) : std::nullopt;
    if (token && *token == plan_.find->token)
        return say(Step::canary, "retrieve", fmt::format("RETR {}\r\n", message), Shape::mail);
    const auto sent = token ? canary_time(*token) : std::nullopt;
    if (sent && *sent + old_canary < plan_.find->now) {
        removing_found_ = false;
        return say(Step::remove, "delete", fmt::format("DELE {}\r\n", message));
    }
    // Another canary that is under way is looked at again: it may grow old.
    if (!token) seen_.uidls_known.push_back(candidates_.back().uidl);
    candidates_.pop_back();
    look_at_next();
}

void Pop3Dialogue::on_canary(const Reply& reply) {
    if (!reply.good) return fail(fmt::format("RETR was refused: {}", shown(reply.text)));
    seen_.canary_found = true;
    seen_.retrieved_octets = mail_octets_;
    seen_.canary_hash = body_hash(mail_);
    removing_found_ = true;
    say(Step::remove, "delete", fmt::format("DELE {}\r\n", candidates_.back().number));
}

void Pop3Dialogue::on_removed(const Reply& reply) {
    if (removing_found_)
        seen_.canary_deleted = reply.good;
    else if (reply.good)
        ++seen_.old_canaries_deleted;
    candidates_.pop_back();
    look_at_next();
}

// ---- what a canary is known by ----

std::string body_hash(std::string_view message) {
    const auto empty_line = message.find("\r\n\r\n");
    const std::string_view body =
        empty_line == std::string_view::npos ? std::string_view() : message.substr(empty_line + 4);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned octets = 0;
    EVP_Digest(body.data(), body.size(), digest.data(), &octets, EVP_sha256(), nullptr);
    std::string text;
    for (unsigned i = 0; i < octets; ++i)
        text += fmt::format("{:02x}", digest.at(i));
    return text;
}

std::optional<std::string> canary_token(std::string_view message) {
    constexpr std::string_view field = "X-Pier-Canary:";
    while (!message.empty()) {
        const std::string_view line = message.substr(0, message.find("\r\n"));
        if (line.empty()) return std::nullopt;  // the header's end
        if (wire::ascii_starts_with(line, field)) {
            const auto words = words_of(line.substr(field.size()));
            return words.empty() ? std::string() : std::string(words[0]);
        }
        message.remove_prefix(std::min(message.size(), line.size() + 2));
    }
    return std::nullopt;
}

std::optional<Time> canary_time(std::string_view token) {
    constexpr std::uint64_t seconds_max = 100'000'000'000;  // the year 5138
    const auto seconds = number(token.substr(0, token.find('-')));
    if (!seconds || *seconds > seconds_max || token.find('-') == std::string_view::npos) return std::nullopt;
    return Time(std::chrono::seconds(*seconds));
}

}  // namespace pier::watch
