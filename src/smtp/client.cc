#include "smtp/client.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "smtp/path.h"
#include "wire/ascii.h"
#include "wire/base64.h"

namespace pier::smtp {
namespace {

void wipe(std::string& secret) {
    OPENSSL_cleanse(secret.data(), secret.size());
    secret.clear();
}

bool is_8bit(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

// Attack: a line end inside an address or a parameter would begin another command.
bool fits_a_command(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

// xtext (RFC 3461 §4): no blank ends the parameter early.
bool is_parameter_value(std::string_view text) {
    return fits_a_command(text) && text.find(' ') == std::string_view::npos;
}

std::string_view next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return word;
}

void parse_auth(std::string_view mechanisms, Extensions& found) {
    for (std::string_view word = next_word(mechanisms); !word.empty(); word = next_word(mechanisms)) {
        if (wire::ascii_equal(word, "PLAIN")) found.auth_plain = true;
        if (wire::ascii_equal(word, "LOGIN")) found.auth_login = true;
    }
}

void parse_limits(std::string_view limits, Extensions& found) {
    for (std::string_view word = next_word(limits); !word.empty(); word = next_word(limits)) {
        const std::size_t equals = word.find('=');
        if (equals == std::string_view::npos) continue;
        const auto value = parse_number(word.substr(equals + 1));
        if (!value || *value == 0) continue;
        if (wire::ascii_equal(word.substr(0, equals), "RCPTMAX")) found.recipients_max = *value;
        if (wire::ascii_equal(word.substr(0, equals), "MAILMAX")) found.messages_max = *value;
    }
}

}  // namespace

Extensions parse_extensions(const std::vector<std::string>& lines) {
    Extensions found;
    for (std::size_t i = 1; i < lines.size(); ++i) {  // the first is the server's name
        std::string_view rest = lines[i];
        const std::string keyword = wire::ascii_upper(next_word(rest));
        if (keyword == "STARTTLS") found.starttls = true;
        if (keyword == "PIPELINING") found.pipelining = true;
        if (keyword == "DSN") found.dsn = true;
        if (keyword == "SMTPUTF8") found.utf8 = true;
        if (keyword == "8BITMIME") found.body_8bit = true;
        if (keyword == "REQUIRETLS") found.require_tls = true;
        if (keyword == "SIZE") found.size = parse_number(next_word(rest)).value_or(0);
        if (keyword == "AUTH") parse_auth(rest, found);
        // liberal: an old form, which some servers offer beside the right one
        if (keyword.starts_with("AUTH=")) parse_auth(lines[i].substr(5), found);
        if (keyword == "LIMITS") parse_limits(rest, found);
    }
    return found;
}

Client::Client(const Limits& limits, Facts facts)
    : limits_(limits), facts_(std::move(facts)), in_(limits.replies), tls_(facts_.tls_active) {
    asked_.push_back({Kind::greeting, "", 0});
}

Client::~Client() {
    if (facts_.login) wipe(facts_.login->password);
    for (std::string& response : login_responses_)
        wipe(response);
    for (Command& command : waiting_)
        wipe(command.text);
    wipe(out_);
}

void Client::on_bytes(std::string_view octets) {
    if (!failed_) in_.append(octets);
}

void Client::on_tls(bool verified) {
    tls_ = true;
    facts_.tls_verified = verified;
    state_ = State::opening;
    // RFC 3207 §4.2: what was said in clear is forgotten.
    extensions_ = {};
    ask(Kind::ehlo, fmt::format("EHLO {}\r\n", facts_.hostname));
}

void Client::on_lost(std::string why) {
    if (failed_ || state_ == State::closed) return;
    // What it has said in the middle of the message explains why it is gone.
    if (state_ == State::sending && asked_.empty()) {
        if (const auto reply = in_.next()) {
            on_early_reply(*reply);
            return;
        }
    }
    if (state_ == State::starting_tls)
        fail(Cause::tls, {451, "4.7.5", std::move(why)});
    else
        fail(Cause::broken, {451, "4.4.2", std::move(why)});
}

Client::Action Client::next() {
    for (;;) {
        if (done_) return *std::exchange(done_, std::nullopt);
        if (failed_) return *failed_;
        if (state_ == State::closed) return Closed{};
        if (state_ == State::starting_tls) return StartTls{};
        send_waiting();
        if (done_) continue;
        if (!out_.empty()) return Write{std::exchange(out_, {})};
        if (state_ == State::ready && asked_.empty()) return Ready{};
        if (auto reply = in_.next()) {
            ++replies_count_;
            if (asked_.empty()) {
                on_early_reply(*reply);
                continue;
            }
            const Command command = std::move(asked_.front());
            asked_.pop_front();
            on_reply(command, *reply);
            continue;
        }
        if (!in_.broken().empty()) {
            fail(Cause::broken, {451, "4.5.0", in_.broken()});
            continue;
        }
        if (state_ == State::sending && asked_.empty()) return NeedChunk{};
        return NeedInput{};
    }
}

Client::Stage Client::stage() const {
    if (state_ == State::quitting) return Stage::quit;
    if (asked_.empty()) return state_ == State::sending ? Stage::block : Stage::command;
    switch (asked_.front().kind) {
        case Kind::greeting:
            return Stage::greeting;
        case Kind::mail:
            return Stage::mail;
        case Kind::recipient:
            return Stage::recipient;
        case Kind::data:
            return Stage::data;
        case Kind::end_of_data:
        case Kind::lone_dot:
            return Stage::end_of_data;
        default:
            return Stage::command;
    }
}

void Client::ask(Kind kind, std::string text, std::size_t recipient) {
    waiting_.push_back({kind, std::move(text), recipient});
}

void Client::send_waiting() {
    const bool pipelining = state_ == State::transaction && extensions_.pipelining;
    const std::size_t outstanding_max = pipelining ? limits_.outstanding_max : 1;
    while (!waiting_.empty() && asked_.size() < outstanding_max) {
        // Nobody to send it to: known before DATA was said, so it is not said.
        if (waiting_.front().kind == Kind::data && asked_.empty() && accepted_ == 0) {
            waiting_.clear();
            finish({451, "4.5.0", "no recipient was accepted"});
            return;
        }
        Command command = std::move(waiting_.front());
        waiting_.pop_front();
        out_ += command.text;
        wipe(command.text);
        asked_.push_back(std::move(command));
    }
}

void Client::on_reply(const Command& command, const Reply& reply) {
    if (reply.code == 421 && command.kind != Kind::quit && command.kind != Kind::end_of_data) {
        fail(Cause::closing, reply);
        return;
    }
    switch (command.kind) {
        case Kind::reset:
            if (!reply.positive()) fail(Cause::broken, {451, "4.5.0", "RSET was refused: " + reply.text});
            dirty_ = false;
            break;
        case Kind::quit:
            state_ = State::closed;
            break;
        case Kind::mail:
        case Kind::recipient:
        case Kind::data:
        case Kind::lone_dot:
        case Kind::end_of_data:
            on_transaction_reply(command, reply);
            break;
        default:
            on_opening_reply(command, reply);
    }
}

void Client::on_opening_reply(const Command& command, const Reply& reply) {
    switch (command.kind) {
        case Kind::greeting:
            // RFC 5321 §3.1: 554 in place of 220 means that no mail is taken here.
            if (reply.positive())
                ask(Kind::ehlo, fmt::format("EHLO {}\r\n", facts_.hostname));
            else
                fail(Cause::refused, reply);
            break;
        case Kind::ehlo:
            if (reply.positive()) {
                extensions_ = parse_extensions(in_.lines());
                on_hello();
            } else if (reply.code >= 500 && (tls_ || facts_.tls != Tls::required)) {
                ask(Kind::helo, fmt::format("HELO {}\r\n", facts_.hostname));  // RFC 5321 §3.2
            } else {
                fail(Cause::refused, reply);
            }
            break;
        case Kind::helo:
            if (reply.positive())
                on_hello();
            else
                fail(Cause::refused, reply);
            break;
        case Kind::starttls:
            if (reply.positive())
                start_tls();
            else if (facts_.tls == Tls::required)
                fail(Cause::tls, {451, "4.7.4", "TLS is required, and STARTTLS was refused: " + reply.text});
            else
                log_in();
            break;
        default:  // auth, auth_response
            if (reply.code == 334 && !login_responses_.empty()) {
                ask(Kind::auth_response, login_responses_.front() + "\r\n");
                wipe(login_responses_.front());
                login_responses_.pop_front();
            } else if (reply.positive()) {
                logged_in_ = true;
                state_ = State::ready;
            } else {
                // It is our password that is wrong, which somebody will mend: no reason to bounce mail.
                fail(Cause::login,
                     {451, "4.7.8", fmt::format("our login was refused: {} {}", reply.code, reply.text)});
            }
    }
}

void Client::on_hello() {
    if (tls_ || facts_.tls == Tls::never) {
        log_in();
    } else if (extensions_.starttls) {
        ask(Kind::starttls, "STARTTLS\r\n");
    } else if (facts_.tls == Tls::required) {
        fail(Cause::tls, {451, "4.7.4", "TLS is required, and the server does not offer STARTTLS"});
    } else {
        log_in();
    }
}

void Client::start_tls() {
    // Octets behind the 220 came in clear: somebody in the middle may have put them there, to be taken for
    // the server's words inside TLS.
    if (!in_.empty())
        fail(Cause::tls, {451, "4.7.5", "there were octets in clear behind the answer to STARTTLS"});
    else
        state_ = State::starting_tls;
}

void Client::log_in() {
    if (!facts_.login) {
        state_ = State::ready;
        return;
    }
    const Login& login = *facts_.login;
    if (!tls_ && !facts_.clear_login_allowed) {
        fail(Cause::login, {451, "4.7.11", "our password is sent inside TLS only, and there is none"});
    } else if (extensions_.auth_plain) {  // RFC 4616
        std::string plain = fmt::format("{}{}{}{}", '\0', login.user, '\0', login.password);
        std::string text = fmt::format("AUTH PLAIN {}\r\n", wire::base64_encode(plain));
        ask(Kind::auth, text);
        wipe(plain);
        wipe(text);
    } else if (extensions_.auth_login) {  // Exchange has no other
        login_responses_ = {wire::base64_encode(login.user), wire::base64_encode(login.password)};
        ask(Kind::auth, "AUTH LOGIN\r\n");
    } else {
        fail(Cause::login, {451, "4.7.8", "the server offers neither AUTH PLAIN nor AUTH LOGIN"});
    }
}

void Client::begin(const Envelope& envelope, std::size_t first, std::size_t count, std::uint64_t octets) {
    replies_.assign(count, std::nullopt);
    accepted_ = 0;
    mail_refusal_.reset();
    stuffer_ = {};
    line_ends_ = {};
    held_cr_ = false;
    state_ = State::transaction;
    if (auto refusal = unsendable(envelope, octets)) {
        finish(*refusal);
        return;
    }
    if (dirty_) ask(Kind::reset, "RSET\r\n");
    ask(Kind::mail, mail_command(envelope, octets));
    const std::size_t commands = waiting_.size();
    for (std::size_t i = 0; i < count; ++i) {
        const Envelope::Recipient& recipient = envelope.recipients[first + i];
        const std::string address = recipient.address.text();
        if (!fits_a_command(address))
            replies_[i] = Reply{553, "5.1.3", "the address has characters that no command can hold"};
        else if (is_8bit(address) && !envelope.utf8)
            replies_[i] = Reply{553, "5.6.7", "the address is not ASCII, and the message is not SMTPUTF8"};
        else
            ask(Kind::recipient, recipient_command(recipient), i);
    }
    if (waiting_.size() == commands) {
        waiting_.clear();
        finish({553, "5.1.3", "no recipient"});
        return;
    }
    ask(Kind::data, "DATA\r\n");
}

// Why this message cannot go to this server at all.
std::optional<Reply> Client::unsendable(const Envelope& envelope, std::uint64_t octets) const {
    if (envelope.require_tls && (!tls_ || !facts_.tls_verified || !extensions_.require_tls))
        return Reply{550, "5.7.30",  // RFC 8689 §4.2.1
                     tls_ && facts_.tls_verified
                         ? "the server does not offer REQUIRETLS, which the sender has asked for"
                         : "no verified TLS to the server, which the sender has asked for (REQUIRETLS)"};
    if (envelope.utf8 && !extensions_.utf8)  // RFC 6531 §3.5
        return Reply{
            553, "5.6.7",
            "the message has addresses or header fields in UTF-8, and the server does not offer SMTPUTF8"};
    // BODY=8BITMIME where it is not offered: RFC 6152 §3 would have the message recoded or returned. Recoding
    // breaks signatures, and there is no server left that strips the eighth bit: so it is sent as it is, as
    // every other server does.
    if (extensions_.size && *extensions_.size != 0 && octets > *extensions_.size)
        return Reply{
            552, "5.3.4",
            fmt::format("the message has {} octets, and the server takes {}", octets, *extensions_.size)};
    const std::string sender = envelope.sender.text();
    if (!fits_a_command(sender) || (is_8bit(sender) && !envelope.utf8) || !is_parameter_value(envelope.id))
        return Reply{553, "5.1.7", "the sender has characters that no command can hold"};
    return std::nullopt;
}

std::string Client::mail_command(const Envelope& envelope, std::uint64_t octets) const {
    std::string text = fmt::format("MAIL FROM:<{}>", envelope.sender.text());
    if (extensions_.size) text += fmt::format(" SIZE={}", octets);
    if (extensions_.body_8bit && envelope.body_8bit) text += " BODY=8BITMIME";
    if (envelope.utf8) text += " SMTPUTF8";
    if (envelope.require_tls) text += " REQUIRETLS";
    if (extensions_.dsn) {
        if (envelope.ret != Return::unsaid) text += envelope.ret == Return::full ? " RET=FULL" : " RET=HDRS";
        if (!envelope.id.empty()) text += " ENVID=" + envelope.id;
    }
    return text + "\r\n";
}

std::string Client::recipient_command(const Envelope::Recipient& recipient) const {
    std::string text = fmt::format("RCPT TO:<{}>", recipient.address.text());
    if (!extensions_.dsn) return text + "\r\n";
    std::string wanted;
    const auto add = [&](std::uint8_t bit, std::string_view word) {
        if ((recipient.notify & bit) != 0) wanted.append(wanted.empty() ? "" : ",").append(word);
    };
    if ((recipient.notify & notify::never) != 0) {
        wanted = "NEVER";  // RFC 3461 §4.1: alone
    } else {
        add(notify::success, "SUCCESS");
        add(notify::failure, "FAILURE");
        add(notify::delay, "DELAY");
    }
    if (!wanted.empty()) text += " NOTIFY=" + wanted;
    if (!recipient.original.empty() && is_parameter_value(recipient.original))
        text += " ORCPT=" + recipient.original;
    return text + "\r\n";
}

void Client::on_transaction_reply(const Command& command, const Reply& reply) {
    const bool refused = reply.code >= 400;
    if (!refused && !reply.positive() && command.kind != Kind::data) {
        fail(Cause::broken, {451, "4.5.0", fmt::format("the server said {} in the wrong place", reply.code)});
        return;
    }
    switch (command.kind) {
        case Kind::mail:
            dirty_ = !refused;
            if (!refused) return;
            mail_refusal_ = reply;
            waiting_.clear();
            break;
        case Kind::recipient: {
            if (mail_refusal_) break;  // "503 MAIL first"
            Reply answer = reply;
            // RFC 5321 §4.5.3.1.10: 552 for too many recipients is meant as 452; a full mailbox says 5.2.2.
            if (answer.code == 552 && accepted_ > 0 &&
                (answer.enhanced.empty() || answer.enhanced == "5.5.3"))
                answer = {452, "4.5.3", answer.text};
            if (refused)
                replies_[command.recipient] = answer;
            else
                ++accepted_;
            return;
        }
        case Kind::data:
            on_data_reply(reply);
            return;
        default:  // end_of_data, lone_dot
            dirty_ = false;
            finish(mail_refusal_.value_or(reply));
            if (reply.code == 421) fail(Cause::closing, reply);
            return;
    }
    if (transaction_is_over()) finish(*mail_refusal_);
}

void Client::on_data_reply(const Reply& reply) {
    if (reply.code == 354 && accepted_ > 0) {
        state_ = State::sending;
    } else if (reply.code == 354) {
        // RFC 2920 §3.1: it was sent before it was known that nobody is left; an empty message ends it.
        ask(Kind::lone_dot, ".\r\n");
    } else if (reply.code >= 400) {
        finish(mail_refusal_.value_or(reply));
    } else {
        fail(Cause::broken, {451, "4.5.0", fmt::format("the server said {} to DATA", reply.code)});
    }
}

// A reply that nobody has asked for: in the middle of the message, or between two.
void Client::on_early_reply(const Reply& reply) {
    if (state_ == State::sending && reply.code >= 400) {
        finish(reply);
        fail(reply.code == 421 ? Cause::closing : Cause::broken,
             {451, "4.5.0", "the server has refused the message before its end"});
    } else {
        fail(reply.code == 421 ? Cause::closing : Cause::broken,
             {451, "4.5.0", fmt::format("the server said {} without being asked", reply.code)});
    }
}

bool Client::transaction_is_over() const {
    return waiting_.empty() && asked_.empty();
}

// The transaction is over: recipients without a reply of their own get this one.
void Client::finish(const Reply& for_the_rest) {
    Done done;
    for (std::optional<Reply>& each : replies_)
        done.replies.push_back(each ? std::move(*each) : for_the_rest);
    replies_.clear();
    done_ = std::move(done);
    state_ = State::ready;
}

void Client::fail(Cause cause, Reply reply) {
    out_.clear();
    waiting_.clear();
    asked_.clear();
    if (reply.code < 400)
        reply = {451, "4.5.0", fmt::format("the server said {} {}", reply.code, reply.text)};
    if (state_ == State::transaction || state_ == State::sending) {
        // What the server has not answered for is not lost, and not delivered: it is tried again. Only a
        // server's own 421 is passed on.
        finish(reply);
    }
    state_ = State::failed;
    failed_ = Failed{cause, std::move(reply)};
}

void Client::quit() {
    state_ = State::quitting;
    ask(Kind::quit, "QUIT\r\n");
}

void Client::on_chunk(std::string_view octets) {
    if (octets.empty()) return;
    line_ends_.feed(octets);
    // Attack 31: a line end that another server might see where we see none.
    if (line_ends_.bare()) {
        on_no_message({554, "5.6.0", "the message has a CR or LF that stands alone"});
        return;
    }
    const auto emit = [this](std::string_view piece) { out_ += piece; };
    out_.reserve(octets.size() + octets.size() / 16 + 8);
    // A CR at the end stays here until the LF behind it has come.
    if (std::exchange(held_cr_, octets.back() == '\r')) stuffer_.feed("\r", emit);
    stuffer_.feed(octets.substr(0, octets.size() - (held_cr_ ? 1 : 0)), emit);
}

void Client::on_message_end() {
    if (state_ != State::sending) return;  // on_chunk() has found a fault
    if (held_cr_) {
        on_no_message({554, "5.6.0", "the message ends with a CR that stands alone"});
        return;
    }
    stuffer_.finish([this](std::string_view piece) { out_ += piece; });
    asked_.push_back({Kind::end_of_data, "", 0});
}

void Client::on_no_message(Reply why) {
    finish(why);
    fail(Cause::broken, {451, "4.3.0", "a message could not be sent to its end"});
}

}  // namespace pier::smtp
