#include "migrate/pop3_client.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "migrate/server_text.h"
#include "wire/ascii.h"
#include "wire/base64.h"

namespace pier::migrate {
namespace {

// Takes the next word off `line`, and the blanks behind it.
std::string_view next_word(std::string_view& line) {
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    line.remove_prefix(word.size());
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
    return word;
}

template <class Number>
std::optional<Number> number(std::string_view digits) {
    Number value = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (digits.empty() || error != std::errc() || stop != end) return std::nullopt;
    return value;
}

void wipe(std::string& secret) {
    OPENSSL_cleanse(secret.data(), secret.size());
    secret.clear();
}

}  // namespace

Pop3Client::Pop3Client(Login login, Limits limits)
    : login_(std::move(login)), limits_(limits), tls_(login_.tls_already) {
    if (!fits_a_line(login_.user) || !fits_a_line(login_.password) || !fits_a_line(login_.act_as))
        fail(ErrorKind::invalid, "the user name or the password has a line end in it");
    asked_.push_back({Kind::greeting, "", 0});
}

Pop3Client::~Pop3Client() {
    wipe(login_.password);
    for (Command& command : waiting_)
        wipe(command.text);
}

void Pop3Client::on_bytes(std::string_view octets) {
    if (!failed_) in_.append(octets);
}
void Pop3Client::on_eof() {
    eof_ = true;
}
void Pop3Client::on_tls() {
    tls_ = true;
    starting_tls_ = false;
    ask(Kind::capa, "CAPA\r\n");
}

void Pop3Client::list() {
    messages_.clear();
    sizes_.clear();
    ask(Kind::uidl, "UIDL\r\n");
    ask(Kind::list, "LIST\r\n");
}
void Pop3Client::message(std::size_t number) {
    ask(Kind::retr, fmt::format("RETR {}\r\n", number), number);
}
void Pop3Client::head(std::size_t number) {
    ask(Kind::top, fmt::format("TOP {} 0\r\n", number), number);
}
void Pop3Client::quit() {
    ask(Kind::quit, "QUIT\r\n");
}

void Pop3Client::ask(Kind kind, std::string text, std::size_t number) {
    waiting_.push_back({kind, std::move(text), number});
}

bool Pop3Client::may_send() const {
    return !waiting_.empty() && (pipelining_ || (asked_.empty() && !body_of_));
}

void Pop3Client::send_waiting() {
    while (may_send()) {
        Command command = std::move(waiting_.front());
        waiting_.pop_front();
        out_ += command.text;
        wipe(command.text);
        asked_.push_back(std::move(command));
    }
}

Pop3Client::Action Pop3Client::next() {
    for (;;) {
        if (failed_) return Failed{*failed_};
        if (starting_tls_) return StartTls{};
        send_waiting();
        if (!out_.empty()) return Write{std::exchange(out_, {})};
        if (asked_.empty() && !body_of_) return Idle{};
        if (auto action = read()) return std::move(*action);
        if (failed_ || starting_tls_ || may_send() || (asked_.empty() && !body_of_)) continue;
        if (eof_) {
            fail(ErrorKind::stopped, "the server closed the connection");
            continue;
        }
        return NeedInput{};
    }
}

// What came in, until it makes an action or more is needed.
std::optional<Pop3Client::Action> Pop3Client::read() {
    while (!failed_ && !starting_tls_) {
        if (body_of_ && (body_of_->kind == Kind::retr || body_of_->kind == Kind::top)) {
            auto action = read_mail();
            if (action || body_of_) return action;
            continue;
        }
        if (body_of_) {
            if (in_.empty()) return std::nullopt;
            const auto line = in_.next_line(limits_.line_octets_max);
            if (!line) return std::nullopt;
            if (line->too_long) {
                fail(ErrorKind::stopped, "the server sent an endless line");
            } else if (line->text == ".") {
                end_list();
            } else {
                on_list_line(body_of_->kind, line->text);
            }
            continue;
        }
        if (asked_.empty()) return std::nullopt;
        const auto line = in_.next_line(limits_.line_octets_max);
        if (!line) return std::nullopt;
        if (line->too_long) {
            fail(ErrorKind::stopped, "the server sent an endless line");
            return std::nullopt;
        }
        if (auto action = on_status(line->text)) return action;
        if (may_send()) return std::nullopt;
    }
    return std::nullopt;
}

std::optional<Pop3Client::Action> Pop3Client::on_status(std::string_view line) {
    Command command = std::move(asked_.front());
    asked_.pop_front();
    if (wire::ascii_starts_with(line, "+OK")) return on_accepted(command);
    if (wire::ascii_starts_with(line, "-ERR")) {
        line.remove_prefix(4);
        line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
        return on_refused(command, line);
    }
    if (command.kind == Kind::auth && line.starts_with('+')) {  // RFC 5034 §4: it waits for the response
        std::string plain =
            fmt::format("{}{}{}{}{}", login_.act_as, '\0', login_.user, '\0', login_.password);
        ask(Kind::auth_response, wire::base64_encode(plain) + "\r\n");
        wipe(plain);
        return std::nullopt;
    }
    fail(ErrorKind::stopped, fmt::format("this is not POP3: the server said \"{}\"", shown(line)));
    return std::nullopt;
}

std::optional<Pop3Client::Action> Pop3Client::on_accepted(const Command& command) {
    switch (command.kind) {
        case Kind::greeting:
            ask(tls_ ? Kind::capa : Kind::stls, tls_ ? "CAPA\r\n" : "STLS\r\n");
            break;
        case Kind::stls:
            // Octets behind the +OK came in clear: somebody in the middle may have put them there.
            if (!in_.empty())
                fail(ErrorKind::stopped, "there were octets in clear behind the answer to STLS");
            else
                starting_tls_ = true;
            break;
        case Kind::capa:
        case Kind::uidl:
        case Kind::list:
            body_of_ = command;
            break;
        case Kind::retr:
        case Kind::top:
            body_of_ = command;
            unstuffer_ = {};
            mail_.clear();
            mail_too_large_ = false;
            skipped_octets_ = 0;
            break;
        case Kind::user: {
            std::string text = fmt::format("PASS {}\r\n", login_.password);
            ask(Kind::pass, text);
            wipe(text);
            break;
        }
        case Kind::auth:
            fail(ErrorKind::stopped, "the server let in somebody who had not given a password");
            break;
        case Kind::pass:
        case Kind::auth_response:
        case Kind::quit:
            break;
    }
    return std::nullopt;
}

std::optional<Pop3Client::Action> Pop3Client::on_refused(const Command& command, std::string_view text) {
    switch (command.kind) {
        case Kind::greeting:
            fail(ErrorKind::stopped, fmt::format("the server refused the connection: {}", shown(text)));
            break;
        case Kind::stls:
            if (login_.clear_allowed)
                ask(Kind::capa, "CAPA\r\n");
            else
                fail(ErrorKind::invalid,
                     "the server has no STLS: use pops://, or --insecure to send the password in clear");
            break;
        case Kind::capa:
            log_in();
            break;
        case Kind::user:
        case Kind::pass:
        case Kind::auth:
        case Kind::auth_response:
            fail(ErrorKind::invalid,
                 fmt::format("the login of {} was refused: {}", shown(login_.user), shown(text)));
            break;
        case Kind::uidl:
            fail(ErrorKind::invalid, fmt::format("the server does not give its UIDLs ({})", shown(text)));
            break;
        case Kind::list:
            fail(ErrorKind::stopped, fmt::format("the server does not list its messages ({})", shown(text)));
            break;
        case Kind::retr:
        case Kind::top:
            return Fetched{command.number,
                           Error(ErrorKind::io, fmt::format("the server refused it: {}", shown(text)))};
        case Kind::quit:
            break;
    }
    return std::nullopt;
}

std::optional<Pop3Client::Action> Pop3Client::read_mail() {
    const bool head = body_of_->kind == Kind::top;
    const std::uint64_t octets_max = head ? limits_.head_octets_max : limits_.message_octets_max;
    while (!unstuffer_.done() && !in_.raw().empty()) {
        // In pieces, so that a message that is too large never takes more than one piece above the limit.
        const std::string_view piece = in_.raw().substr(0, 1 << 16);
        in_.consume(unstuffer_.feed(piece, mail_));
        if (mail_.size() > octets_max) mail_too_large_ = true;
        if (!mail_too_large_) continue;
        skipped_octets_ += mail_.size();
        mail_.clear();
        if (skipped_octets_ <= limits_.skipped_octets_max) continue;
        fail(ErrorKind::stopped, "the server sends a message without end");
        return std::nullopt;
    }
    if (!unstuffer_.done()) return std::nullopt;
    const std::size_t number = body_of_->number;
    body_of_.reset();
    std::string mail = std::exchange(mail_, {});
    if (mail_too_large_)
        return Fetched{number, Error(ErrorKind::invalid, fmt::format("it is larger than {} octets; raise "
                                                                     "store.message_size_max to take it",
                                                                     octets_max))};
    return Fetched{number, std::move(mail)};
}

void Pop3Client::on_list_line(Kind kind, std::string_view line) {
    if (kind == Kind::capa) {
        if (++capabilities_ > limits_.capabilities_max)
            return fail(ErrorKind::stopped, "the server lists capabilities without end");
        return on_capability(line);
    }
    const auto message = number<std::size_t>(next_word(line));
    if (!message || *message == 0) return;
    if (std::max(messages_.size(), sizes_.size()) >= limits_.messages_max)
        return fail(ErrorKind::stopped,
                    fmt::format("the server lists more than {} messages", limits_.messages_max));
    if (kind == Kind::uidl) {
        messages_.push_back({*message, std::string(next_word(line)), 0});
    } else if (const auto octets = number<std::uint64_t>(next_word(line))) {
        sizes_.emplace_back(*message, *octets);
    }
}

void Pop3Client::on_capability(std::string_view line) {
    const std::string_view word = next_word(line);
    if (wire::ascii_equal(word, "PIPELINING")) pipelining_ = true;
    if (wire::ascii_equal(word, "USER")) has_user_ = true;
    while (wire::ascii_equal(word, "SASL") && !line.empty())
        has_plain_ |= wire::ascii_equal(next_word(line), "PLAIN");
}

void Pop3Client::end_list() {
    const Kind kind = body_of_->kind;
    body_of_.reset();
    if (kind == Kind::capa) return log_in();
    if (kind != Kind::list) return;
    std::ranges::stable_sort(messages_, {}, &Message::number);
    std::ranges::stable_sort(sizes_);
    auto size = sizes_.begin();
    for (Message& message : messages_) {
        while (size != sizes_.end() && size->first < message.number)
            ++size;
        if (size != sizes_.end() && size->first == message.number) message.octets = size->second;
    }
    sizes_ = {};
}

void Pop3Client::log_in() {
    if (!login_.act_as.empty() || (has_plain_ && !has_user_))
        ask(Kind::auth, "AUTH PLAIN\r\n");
    else
        ask(Kind::user, fmt::format("USER {}\r\n", login_.user));
}

void Pop3Client::fail(ErrorKind kind, std::string text) {
    if (!failed_) failed_ = Error(kind, std::move(text));
    in_.clear();
    waiting_.clear();
}

}  // namespace pier::migrate
