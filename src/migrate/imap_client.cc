#include "migrate/imap_client.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "migrate/dates.h"
#include "migrate/maildir.h"
#include "migrate/server_text.h"
#include "wire/ascii.h"
#include "wire/base64.h"

namespace pier::migrate {
namespace {

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

std::string imap_quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string_view next_word(std::string_view& line) {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), word.size() + 1));
    return word;
}

void add_flag(std::string_view name, ImapClient::Message& message) {
    using namespace store::flag;
    static constexpr std::pair<std::string_view, store::Flags> known[] = {
        {"\\Seen", seen},   {"\\Answered", answered}, {"\\Flagged", flagged},
        {"\\Draft", draft}, {"\\Deleted", deleted},   {"$Forwarded", forwarded}};
    if (wire::ascii_equal(name, "\\Recent")) return;
    for (const auto& [text, flag] : known) {
        if (!wire::ascii_equal(name, text)) continue;
        message.flags |= flag;
        return;
    }
    message.keywords = true;
}

}  // namespace

ImapClient::ImapClient(Login login, Limits limits)
    : login_(std::move(login)), limits_(limits), in_(limits.reader), tls_(login_.tls_already) {
    if (!fits_a_line(login_.user) || !fits_a_line(login_.password) || !fits_a_line(login_.act_as))
        fail(ErrorKind::invalid, "the user name or the password has a line end in it");
    asked_.push_back({Kind::greeting, "*", "", 0, false});
}

ImapClient::~ImapClient() {
    wipe(login_.password);
    for (Command& command : waiting_)
        wipe(command.text);
}

void ImapClient::on_bytes(std::string_view octets) {
    if (!failed_) in_.append(octets);
}
void ImapClient::on_eof() {
    eof_ = true;
}
void ImapClient::on_tls() {
    tls_ = true;
    starting_tls_ = false;
    ask(Kind::capability, "CAPABILITY");
}

void ImapClient::list_mailboxes() {
    mailboxes_.clear();
    ask(Kind::list, "LIST \"\" \"*\"");
}
void ImapClient::open(const std::string& mailbox) {
    ask(Kind::examine, "EXAMINE " + imap_quoted(mailbox));
}
void ImapClient::list_messages() {
    if (exists_ > 0) ask(Kind::uids, "UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)");
}
void ImapClient::message(std::uint32_t uid) {
    ask(Kind::message, fmt::format("UID FETCH {} (BODY.PEEK[])", uid), uid);
}
void ImapClient::heads() {
    if (exists_ > 0) ask(Kind::heads, "UID FETCH 1:* (BODY.PEEK[HEADER])");
}
void ImapClient::log_out() {
    ask(Kind::logout, "LOGOUT");
}

void ImapClient::ask(Kind kind, std::string text, std::uint32_t uid) {
    std::string tag = fmt::format("a{}", ++tags_);
    std::string line = fmt::format("{} {}\r\n", tag, text);
    wipe(text);
    waiting_.push_back({kind, std::move(tag), std::move(line), uid, false});
}

// Only messages are asked for before the answers to earlier commands are there: all else may depend on them.
bool ImapClient::may_send() const {
    if (waiting_.empty()) return false;
    return asked_.empty() || (waiting_.front().kind == Kind::message && asked_.back().kind == Kind::message);
}

void ImapClient::send_waiting() {
    while (may_send()) {
        Command command = std::move(waiting_.front());
        waiting_.pop_front();
        out_ += command.text;
        wipe(command.text);
        if (command.kind == Kind::examine) {
            opened_ = {};
            exists_ = 0;
        }
        asked_.push_back(std::move(command));
    }
}

ImapClient::Action ImapClient::next() {
    for (;;) {
        if (failed_) return Failed{*failed_};
        if (starting_tls_) return StartTls{};
        send_waiting();
        if (!out_.empty()) return Write{std::exchange(out_, {})};
        if (asked_.empty()) return Idle{};
        auto response = in_.next();
        if (!response) {
            fail(response.error().kind, response.error().text);
        } else if (*response) {
            if (auto action = on_response(std::move(**response))) return std::move(*action);
        } else if (eof_) {
            fail(ErrorKind::stopped, "the server closed the connection");
        } else {
            return NeedInput{};
        }
    }
}

std::optional<ImapClient::Action> ImapClient::on_response(ImapResponse response) {
    if (asked_.front().kind == Kind::greeting) {
        on_greeting(response.line);
        return std::nullopt;
    }
    if (response.line.starts_with("* ")) return on_untagged(response);
    if (response.line.starts_with('+')) {
        on_continuation();
        return std::nullopt;
    }
    return on_tagged(response.line);
}

void ImapClient::on_greeting(std::string_view line) {
    asked_.pop_front();
    if (!wire::ascii_starts_with(line, "* OK")) {
        fail(ErrorKind::stopped, fmt::format("the server does not take the login: {}", shown(line)));
        return;
    }
    ask(Kind::capability, "CAPABILITY");
}

std::optional<ImapClient::Action> ImapClient::on_untagged(ImapResponse& response) {
    std::string_view rest = std::string_view(response.line).substr(2);
    const std::string_view word = next_word(rest);
    if (wire::ascii_equal(word, "BYE")) {
        if (asked_.front().kind != Kind::logout)
            fail(ErrorKind::stopped, fmt::format("the server ended the session: {}", shown(rest)));
    } else if (wire::ascii_equal(word, "OK")) {
        on_status(rest);
    } else if (wire::ascii_equal(word, "CAPABILITY")) {
        on_capabilities(response.values);
    } else if (wire::ascii_equal(word, "LIST")) {
        if (asked_.front().kind == Kind::list) on_list(response.values);
    } else if (const auto count = number<std::uint64_t>(word)) {
        if (wire::ascii_starts_with(rest, "EXISTS")) exists_ = *count;
        // "*", the number, "FETCH", the list
        if (response.values.size() == 4 && response.values[2].is_atom("FETCH"))
            return on_fetch(response.values[3].items);
    }
    return std::nullopt;
}

// "[UIDVALIDITY 1234] UIDs valid"
void ImapClient::on_status(std::string_view line) {
    if (!wire::ascii_starts_with(line, "[UIDVALIDITY ")) return;
    line.remove_prefix(13);
    opened_.uid_validity = number<std::uint32_t>(line.substr(0, line.find(']'))).value_or(0);
}

void ImapClient::on_capabilities(const std::vector<ImapValue>& values) {
    for (const ImapValue& value : values) {
        if (value.is_atom("STARTTLS")) has_starttls_ = true;
        if (value.is_atom("AUTH=PLAIN")) has_plain_ = true;
        if (value.is_atom("LOGINDISABLED")) login_disabled_ = true;
    }
}

// "*", "LIST", the attributes, the separator, the name
void ImapClient::on_list(const std::vector<ImapValue>& values) {
    if (values.size() < 5 || values[2].kind != ImapValue::Kind::list) return;
    if (mailboxes_.size() == limits_.mailboxes_max)
        return fail(ErrorKind::stopped,
                    fmt::format("the server lists more than {} mailboxes", limits_.mailboxes_max));
    Mailbox mailbox;
    mailbox.name = values[4].text;
    if (values[3].kind == ImapValue::Kind::string) mailbox.separator = values[3].text.substr(0, 1);
    for (const ImapValue& attribute : values[2].items) {
        if (attribute.is_atom("\\Noselect") || attribute.is_atom("\\NonExistent")) mailbox.selectable = false;
    }
    if (!fits_a_line(mailbox.name)) return;  // it could not be asked for
    mailboxes_.push_back(std::move(mailbox));
}

std::optional<ImapClient::Action> ImapClient::on_fetch(std::vector<ImapValue>& attributes) {
    Message message;
    ImapValue* body = nullptr;
    for (std::size_t i = 0; i + 1 < attributes.size(); i += 2) {
        const ImapValue& name = attributes[i];
        ImapValue& value = attributes[i + 1];
        if (name.is_atom("UID")) message.uid = number<std::uint32_t>(value.text).value_or(0);
        if (name.is_atom("RFC822.SIZE")) message.octets = number<std::uint64_t>(value.text).value_or(0);
        if (name.is_atom("INTERNALDATE")) message.internal_date = parse_internal_date(value.text);
        if (name.is_atom("FLAGS")) {
            for (const ImapValue& flag : value.items)
                add_flag(flag.text, message);
        }
        if (name.is_atom("BODY[]") || name.is_atom("BODY[HEADER]")) body = &value;
    }
    if (message.uid == 0) return std::nullopt;  // a change of flags that nobody asked for
    if (body) return on_body(message.uid, *body);
    if (asked_.front().kind != Kind::uids) return std::nullopt;
    if (opened_.messages.size() == limits_.messages_max) {
        fail(ErrorKind::stopped, fmt::format("the server lists more than {} messages", limits_.messages_max));
        return std::nullopt;
    }
    opened_.messages.push_back(message);
    return std::nullopt;
}

std::optional<ImapClient::Action> ImapClient::on_body(std::uint32_t uid, ImapValue& body) {
    if (asked_.front().kind == Kind::message) {
        // Usually the first that was asked for, but a server may answer them in another order (§5.5).
        const auto command = std::ranges::find_if(asked_, [&](const Command& one) {
            return one.kind == Kind::message && one.uid == uid && !one.answered;
        });
        if (command == asked_.end()) return std::nullopt;
        command->answered = true;
    } else if (asked_.front().kind != Kind::heads) {
        return std::nullopt;
    }
    if (body.too_large)
        return Fetched{uid, Error(ErrorKind::invalid,
                                  fmt::format("it has {} octets; raise store.message_size_max to take it",
                                              body.octets))};
    if (body.kind == ImapValue::Kind::nil)
        return Fetched{uid, Error(ErrorKind::io, "the server has no content for it")};
    return Fetched{uid, std::move(body.text)};
}

std::optional<ImapClient::Action> ImapClient::on_tagged(std::string_view line) {
    const std::string_view tag = next_word(line);
    const std::string_view status = next_word(line);
    if (tag != asked_.front().tag) {
        fail(ErrorKind::stopped, fmt::format("this is not IMAP: the server said \"{} {} {}\"", shown(tag),
                                             shown(status), shown(line)));
        return std::nullopt;
    }
    const Command command = std::move(asked_.front());
    asked_.pop_front();
    if (!wire::ascii_equal(status, "OK")) return on_refused(command, line);
    switch (command.kind) {
        case Kind::capability:
            if (tls_ || (!has_starttls_ && login_.clear_allowed))
                log_in();
            else if (has_starttls_)
                ask(Kind::starttls, "STARTTLS");
            else
                fail(ErrorKind::invalid,
                     "the server has no STARTTLS: use imaps://, or --insecure to send the password in clear");
            break;
        case Kind::starttls:
            // Octets behind the OK came in clear: somebody in the middle may have put them there.
            if (!in_.empty())
                fail(ErrorKind::stopped, "there were octets in clear behind the answer to STARTTLS");
            else
                starting_tls_ = true;
            has_plain_ = login_disabled_ = false;
            break;
        case Kind::examine:
            opened_.done = true;
            break;
        case Kind::uids:
            std::ranges::sort(opened_.messages, {}, &Message::uid);
            break;
        case Kind::message:
            if (!command.answered)
                return Fetched{command.uid, Error(ErrorKind::not_found, "it is gone at the source")};
            break;
        default:
            break;
    }
    return std::nullopt;
}

std::optional<ImapClient::Action> ImapClient::on_refused(const Command& command, std::string_view text) {
    switch (command.kind) {
        case Kind::message:
            return Fetched{command.uid,
                           Error(ErrorKind::io, fmt::format("the server refused it: {}", shown(text)))};
        case Kind::examine:
            opened_.refusal = shown(text);
            break;
        case Kind::login:
        case Kind::authenticate:
            fail(ErrorKind::invalid,
                 fmt::format("the login of {} was refused: {}", shown(login_.user), shown(text)));
            break;
        case Kind::logout:
            break;
        default:
            fail(ErrorKind::stopped, fmt::format("the server refused a command: {}", shown(text)));
            break;
    }
    return std::nullopt;
}

void ImapClient::log_in() {
    if (has_plain_ || !login_.act_as.empty()) return ask(Kind::authenticate, "AUTHENTICATE PLAIN");
    if (login_disabled_)
        return fail(ErrorKind::invalid, "the server takes no password on this connection: use imaps://");
    std::string text = fmt::format("LOGIN {} {}", imap_quoted(login_.user), imap_quoted(login_.password));
    ask(Kind::login, text);
    wipe(text);
}

void ImapClient::on_continuation() {
    if (asked_.front().kind != Kind::authenticate || asked_.front().answered)
        return fail(ErrorKind::stopped, "the server waits for something that nobody has");
    asked_.front().answered = true;
    std::string plain = fmt::format("{}{}{}{}{}", login_.act_as, '\0', login_.user, '\0', login_.password);
    std::string line = wire::base64_encode(plain);
    out_ += line + "\r\n";
    wipe(plain);
    wipe(line);
}

void ImapClient::fail(ErrorKind kind, std::string text) {
    if (!failed_) failed_ = Error(kind, std::move(text));
    waiting_.clear();
}

std::optional<Time> parse_internal_date(std::string_view text) {
    std::string words(text);
    for (int dashes = 0; dashes < 2; ++dashes) {
        const auto dash = words.find('-');
        if (dash == std::string::npos) return std::nullopt;
        words[dash] = ' ';
    }
    return find_date(words);
}

std::string local_mailbox(const ImapClient::Mailbox& mailbox) {
    if (wire::ascii_equal(mailbox.name, "INBOX")) return "INBOX";
    std::string_view name = mailbox.name;
    if (!mailbox.separator.empty() && wire::ascii_starts_with(name, "INBOX" + mailbox.separator))
        name.remove_prefix(6);  // the personal namespace of Courier and Cyrus
    std::string local;
    for (;;) {
        const auto end = mailbox.separator.empty() ? std::string_view::npos : name.find(mailbox.separator);
        const std::string_view part = name.substr(0, end);
        // A dot begins what is kept aside here, and inside a part it would be a level for
        // mailbox_of_folder().
        std::string plain = decode_modified_utf7(part).value_or(std::string(part));
        plain = text_of_mailbox(plain);
        local += plain;
        if (end == std::string_view::npos) break;
        name.remove_prefix(end + 1);
        local += '/';
    }
    if (local.empty() || local.front() == '.') local.insert(0, "_");
    return wire::ascii_equal(local, "INBOX") ? "_INBOX" : local;
}

}  // namespace pier::migrate
