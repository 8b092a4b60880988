#include "pop3/conversation.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/utf8.h"
#include "wire/ascii.h"

namespace pier::pop3 {

namespace {

// Attack: a CR LF in a text from outside (a greeting, an account's note) would be read as the next reply.
bool is_control(std::string_view character) {
    const auto octet = static_cast<unsigned char>(character[0]);
    if (character.size() == 1) return octet < 0x20 || octet == 0x7F;
    return character.size() == 2 && octet == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;  // C1
}

}  // namespace

Conversation::Conversation(const Limits& limits, Facts facts) : limits_(limits), facts_(std::move(facts)) {
    // With XCLIENT in it, by which Dovecot as a proxy knows that it may introduce its client.
    ok((facts_.xclient ? "[XCLIENT] " : "") + std::exchange(facts_.greeting, {}));
}

Action Conversation::next() {
    assert((awaiting_ == Awaiting::nothing || awaiting_ == Awaiting::input) &&
           "an action asked for before the last one was reported on");
    awaiting_ = Awaiting::nothing;
    for (;;) {
        if (!out_.empty() && out_.size() + reply_octets_max > limits_.output_octets_max) return write();
        if (listing_) {
            continue_listing();
        } else if (pending_) {
            // What was answered before comes first: under STLS, and in front of a message.
            const bool after_replies =
                std::holds_alternative<StartTls>(*pending_) || std::holds_alternative<SendMail>(*pending_);
            if (after_replies && !out_.empty()) return write();
            return take_pending();
        } else if (closing_) {
            if (!out_.empty()) return write();
            return Close{};
        } else if (!run_next_line()) {
            if (shutdown_) {
                error("SYS/TEMP", "the server is shutting down; nothing was deleted, try again later");
                close();
                continue;
            }
            if (!out_.empty()) return write();
            awaiting_ = Awaiting::input;
            return NeedInput{};
        }
    }
}

Action Conversation::write() {
    return Write{std::exchange(out_, {})};
}

Action Conversation::take_pending() {
    const auto awaiting = [](const Action& action) {
        if (std::holds_alternative<WrongProof>(action)) return Awaiting::nothing;
        if (std::holds_alternative<StartTls>(action)) return Awaiting::tls;
        if (std::holds_alternative<Introduce>(action)) return Awaiting::introduction;
        if (std::holds_alternative<NeedKeys>(action)) return Awaiting::keys;
        const bool login = std::holds_alternative<Login>(action) ||
                           std::holds_alternative<TokenLogin>(action) ||
                           std::holds_alternative<CertificateLogin>(action);
        if (login) return Awaiting::login;
        if (std::holds_alternative<SendMail>(action)) return Awaiting::mail;
        assert(std::holds_alternative<Remove>(action));
        return Awaiting::removal;
    };
    awaiting_ = awaiting(*pending_);
    Action action = std::move(*pending_);
    pending_.reset();
    return action;
}

// True if this is the report that was waited for. One that comes after on_eof has nothing left to say it to.
bool Conversation::take_report(Awaiting what) {
    assert((awaiting_ == what || closing_) && "a report on an action that was not asked for");
    return std::exchange(awaiting_, Awaiting::nothing) == what && !closing_;
}

void Conversation::on_bytes(std::string_view octets) {
    assert((awaiting_ == Awaiting::input || closing_) && "octets come only when NeedInput asked for them");
    if (!closing_) in_.append(octets);
}

void Conversation::on_eof() {
    abandon();
    if (awaiting_ != Awaiting::removal) awaiting_ = Awaiting::nothing;  // that one still counts
}

void Conversation::on_shutdown() {
    shutdown_ = true;
}

// Ends the session behind the replies gathered so far; what the client has sent besides is not read.
void Conversation::close() {
    closing_ = true;
    in_.clear();
    exchange_.reset();
    pending_.reset();
    listing_.reset();
}

// Ends it at once, without another octet. Only QUIT removes anything (RFC 1939 §6).
void Conversation::abandon() {
    close();
    peer_gone_ = true;
    out_ = {};
}

std::size_t Conversation::line_octets_max() const {
    if (exchange_) return limits_.auth_line_octets_max;
    // liberal: mpop and others put a token of any length behind AUTH, where RFC 5034 §4 has 255 octets.
    const bool token_may_follow = facts_.sasl.tokens != nullptr && login_allowed() &&
                                  state_ == Session::State::authorization &&
                                  wire::ascii_starts_with(in_.raw(), "AUTH ");
    return token_may_follow ? std::max(limits_.line_octets_max, limits_.auth_line_octets_max)
                            : limits_.line_octets_max;
}

bool Conversation::run_next_line() {
    const auto line = in_.next_line(line_octets_max());
    if (!line) return false;
    const std::size_t bad_before = bad_commands_;
    run_line(*line);
    if (bad_commands_ == bad_before) bad_commands_ = 0;
    // Passwords do not stay in memory that is given back.
    if (state_ == Session::State::authorization) in_.wipe_last_line();
    return true;
}

void Conversation::run_line(const wire::LineBuffer::Line& line) {
    if (line.too_long) {
        break_off_exchange("line too long");
    } else if (exchange_) {
        run_sasl_response(line.text);
    } else {
        run_command(line.text);
    }
}

void Conversation::tell_observer(const Command* command) {
    if (observer_ == nullptr) return;
    const auto all = commands();
    observer_->on_command(command != nullptr ? static_cast<std::size_t>(command - all.data()) : all.size());
}

void Conversation::run_command(std::string_view line) {
    ++counts_.commands;
    const Command* command = find_command(line);
    tell_observer(command);
    // Attack: octets that other programs take for the end of a string or of a line.
    if (line.find_first_of(std::string_view("\0\r", 2)) != std::string_view::npos) {
        return bad("a NUL or a lone CR in the command");
    }
    if (!command) return bad("unknown command");
    const bool in_session = state_ == Session::State::transaction;
    if (!(command->states & (in_session ? in_transaction : in_authorization))) {
        return bad(in_session ? "already logged in" : "log in first");
    }
    const auto arguments = split_arguments(*command, line);
    if (!arguments) {
        return bad(say("usage: {}", std::string(command->verb) + (command->usage.empty() ? "" : " ") +
                                        std::string(command->usage)));
    }
    (this->*command->run)(*arguments);
}

// Printable ASCII; UTF-8 only for a client that has asked for it (RFC 6856 §2, RFC 6856 §3).
void Conversation::line(std::string_view prefix, std::string_view text) {
    const bool more_than_ascii = utf8_ || language_ != Language::english;
    std::size_t room = reply_octets_max - 2 - prefix.size();
    out_.append(prefix);
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
        const bool shown = length == 1 || (length > 1 && more_than_ascii);
        if (!shown || is_control(character)) {
            if (room < 1) break;
            out_ += '?';
            --room;
            // What cannot be shown counts by its octets, as it did before there was a choice.
            text.remove_prefix(1);
            continue;
        }
        if (room < length) break;
        out_.append(character);
        room -= length;
        text.remove_prefix(length);
    }
    out_.append("\r\n");
}

void Conversation::ok(std::string_view text) {
    line("+OK ", translated(language_, text));
}

void Conversation::error(std::string_view text) {
    line("-ERR ", translated(language_, text));
}

void Conversation::error(std::string_view code, std::string_view text) {
    line("-ERR [" + std::string(code) + "] ", translated(language_, text));
}

void Conversation::bad(std::string_view text) {
    ++counts_.bad_commands;
    if (++bad_commands_ < limits_.bad_commands_max) return error(text);
    error(say("{}; too many bad commands, closing", translated(language_, text)));
    close();
}

}  // namespace pier::pop3
