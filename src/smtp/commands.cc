// The verbs of the SMTP family: what each does, where it is allowed, and which RFC says so.
#include <algorithm>

#include <fmt/format.h>

#include "smtp/engine.h"
#include "smtp/path.h"
#include "smtp/reply.h"
#include "wire/ascii.h"

namespace pier::smtp {

// clang-format off
const Session::Impl::Command Session::Impl::commands[] = {
    // verb    allowed in             function          defined in
    {"LHLO",   any,                   &Impl::lhlo,      "RFC 2033 §4.1"},
    {"HELO",   any,                   &Impl::not_lmtp,  "RFC 2033 §4.1"},
    {"EHLO",   any,                   &Impl::not_lmtp,  "RFC 2033 §4.1"},
    {"MAIL",   ready,                 &Impl::mail_from, "RFC 5321 §4.1.1.2"},
    {"RCPT",   mail,                  &Impl::rcpt_to,   "RFC 5321 §4.1.1.3"},
    {"DATA",   mail,                  &Impl::data,      "RFC 5321 §4.1.1.4"},
    {"BDAT",   any,                   &Impl::bdat,      "RFC 3030 §2"},         // its octets come whatever the state
    {"RSET",   any,                   &Impl::rset,      "RFC 5321 §4.1.1.5"},
    {"VRFY",   any,                   &Impl::vrfy,      "RFC 5321 §4.1.1.6"},
    {"EXPN",   any,                   &Impl::expn,      "RFC 5321 §4.1.1.7"},
    {"HELP",   any,                   &Impl::help,      "RFC 5321 §4.1.1.8"},
    {"NOOP",   any,                   &Impl::noop,      "RFC 5321 §4.1.1.9"},
    {"QUIT",   any,                   &Impl::quit,      "RFC 5321 §4.1.1.10"},
};
// clang-format on

namespace {

// "FROM:<…>" behind MAIL: what follows the keyword and colon; absent if they are not there.
std::optional<std::string_view> behind_keyword(std::string_view argument, std::string_view keyword) {
    if (!wire::ascii_starts_with(argument, keyword)) return std::nullopt;
    argument.remove_prefix(keyword.size());
    // liberal: "MAIL FROM: <x>", as many programs and people write it; RFC 5321 §3.3 wants no space.
    while (!argument.empty() && argument.front() == ' ')
        argument.remove_prefix(1);
    return argument;
}

}  // namespace

void Session::Impl::run_command(std::string_view line) {
    ++counts.commands;
    // liberal: blanks at the end of a line (RFC 5321 §4.1.1 asks for it), and lower case.
    line = line.substr(0, line.find_last_not_of(" \t") + 1);
    const std::string_view verb = line.substr(0, line.find(' '));
    std::string_view argument = line.substr(std::min(line.size(), verb.size() + 1));
    argument.remove_prefix(std::min(argument.size(), argument.find_first_not_of(' ')));

    const auto command = std::find_if(std::begin(commands), std::end(commands),
                                      [&](const Command& c) { return wire::ascii_equal(c.verb, verb); });
    if (command == std::end(commands)) return say_bad(500, "5.5.1", "unknown command");
    if (!(command->states & state)) return wrong_state();
    (this->*command->run)(argument);
}

void Session::Impl::wrong_state() {
    switch (state) {
        case fresh:
            return say_bad(503, "5.5.1", "say LHLO first");
        case ready:
            return say_bad(503, "5.5.1", "say MAIL first");
        case chunks:
            return say_bad(503, "5.5.1", "the message comes by BDAT; go on with it, or say RSET");
        case broken:
            return say_bad(503, "5.5.1", "the transaction has failed; say RSET");
        default:
            return say_bad(503, "5.5.1", "a transaction is open; end it, or say RSET");
    }
}

void Session::Impl::lhlo(std::string_view argument) {
    if (!is_host_name(argument)) return say_bad(501, "5.5.4", "LHLO needs your host name");
    drop_transaction();  // RFC 5321 §4.1.4
    helo = argument;
    state = ready;
    const std::string lines[] = {
        facts.hostname,
        "PIPELINING",                                       // RFC 2920
        fmt::format("SIZE {}", limits.message_octets_max),  // RFC 1870
        "8BITMIME",                                         // RFC 6152
        "ENHANCEDSTATUSCODES",                              // RFC 2034
        "SMTPUTF8",                                         // RFC 6531
        "CHUNKING",                                         // RFC 3030
    };
    append_lines(output, 250, lines);
}

void Session::Impl::not_lmtp(std::string_view) {
    say_bad(500, "5.5.1", "this is LMTP: say LHLO");
}

void Session::Impl::mail_from(std::string_view argument) {
    const auto path_text = behind_keyword(argument, "FROM:");
    if (!path_text) return say_bad(501, "5.5.4", "MAIL needs FROM:<address>");
    const auto path = parse_path(*path_text);
    if (!path) return say_bad(501, "5.1.7", "the sender's address is malformed");
    auto fresh_transaction = std::make_unique<Transaction>();
    fresh_transaction->sender = path->address;
    if (!mail_parameters(path->rest, *fresh_transaction)) return;
    if (path->has_utf8 && !fresh_transaction->utf8)
        return say_bad(553, "5.6.7", "a sender with UTF-8 needs the SMTPUTF8 parameter");
    transaction = std::move(fresh_transaction);
    state = mail;
    say(250, "2.1.0", "sender ok");
}

// False if a parameter was refused; the reply is said then.
bool Session::Impl::mail_parameters(std::string_view text, Transaction& t) {
    const auto refuse = [this](int code, std::string_view enhanced, std::string_view why) {
        say_bad(code, enhanced, why);
        return false;
    };
    const auto parameters = parse_parameters(text);
    if (!parameters) return refuse(501, "5.5.4", "the parameters are malformed");
    for (auto p = parameters->begin(); p != parameters->end(); ++p) {
        if (std::any_of(parameters->begin(), p, [&](const Parameter& q) { return q.keyword == p->keyword; }))
            return refuse(501, "5.5.4", "a parameter is given twice");
        if (p->keyword == "SIZE") {  // RFC 1870 §6.1
            const auto octets = p->value ? parse_number(*p->value) : std::nullopt;
            if (!octets) return refuse(501, "5.5.4", "SIZE needs a number of octets");
            if (*octets > limits.message_octets_max) {
                say(552, "5.3.4",
                    fmt::format("the message is larger than {} octets", limits.message_octets_max));
                return false;
            }
        } else if (p->keyword == "BODY") {  // RFC 6152 §3
            const std::string body = wire::ascii_upper(p->value.value_or(""));
            if (body != "7BIT" && body != "8BITMIME") return refuse(555, "5.5.4", "BODY is 7BIT or 8BITMIME");
            t.body_8bit = body == "8BITMIME";
        } else if (p->keyword == "SMTPUTF8") {  // RFC 6531 §3.4
            if (p->value) return refuse(501, "5.5.4", "SMTPUTF8 has no value");
            t.utf8 = true;
        } else {
            return refuse(555, "5.5.4", "a parameter of MAIL is not known");
        }
    }
    return true;
}

void Session::Impl::rcpt_to(std::string_view argument) {
    const auto path_text = behind_keyword(argument, "TO:");
    if (!path_text) return say_bad(501, "5.5.4", "RCPT needs TO:<address>");
    const auto path = parse_path(*path_text);
    if (!path || path->address.text().empty())
        return say_bad(501, "5.1.3", "the recipient's address is malformed");
    const auto parameters = parse_parameters(path->rest);
    if (!parameters) return say_bad(501, "5.5.4", "the parameters are malformed");
    if (!parameters->empty()) return say_bad(555, "5.5.4", "RCPT has no parameters here");
    if (path->has_utf8 && !transaction->utf8)
        return say_bad(553, "5.6.7", "a recipient with UTF-8 needs the SMTPUTF8 parameter of MAIL");
    if (transaction->recipients.size() >= limits.recipients_max)  // RFC 5321 §4.5.3.1.10
        return say(452, "4.5.3", "too many recipients; send the rest in another transaction");
    candidate = path->address;
    action = Recipient{path->address};
    wait = Wait::recipient;
}

void Session::Impl::data(std::string_view argument) {
    if (!no_argument(argument)) return;
    if (transaction->recipients.empty())
        return say_bad(503, "5.5.1", "no recipient was accepted");  // RFC 2033 §4.2
    transaction->dots.emplace();
    begin_message();
}

void Session::Impl::bdat(std::string_view argument) {
    const std::string_view digits = argument.substr(0, argument.find(' '));
    std::string_view rest = argument.substr(digits.size());
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    const auto octets = parse_number(digits);
    const bool last = wire::ascii_equal(rest, "LAST");
    if (!octets || *octets > INT64_MAX || (!rest.empty() && !last)) {
        // Attack: octets of unknown number follow; to read them as commands would let a message speak for its
        // sender.
        say_bad(501, "5.5.4", "BDAT needs a number of octets, and maybe LAST; closing the connection");
        return close();
    }
    chunk_left = chunk_octets = *octets;
    chunk_last = last;
    swallow_replies = 1;
    mode = Mode::swallow;
    if (state == fresh) {
        swallow_reply = {503, "5.5.1", "say LHLO first"};
    } else if (state == ready) {
        swallow_reply = {503, "5.5.1", "say MAIL first"};
    } else if (transaction->recipients.empty()) {
        swallow_reply = {503, "5.5.1", "no recipient was accepted"};
    } else if (state == broken) {
        swallow_reply = {503, "5.5.1", "the transaction has failed; say RSET"};
        if (last) swallow_replies = transaction->recipients.size();
    } else {
        mode = Mode::chunk;
        if (state == mail) {
            state = chunks;
            begin_message();
        }
    }
}

void Session::Impl::rset(std::string_view argument) {
    if (!no_argument(argument)) return;
    drop_transaction();
    say(250, "2.0.0", "ok");
}

void Session::Impl::noop(std::string_view) {
    say(250, "2.0.0", "ok");
}

void Session::Impl::vrfy(std::string_view) {
    // Attack: harvesting addresses. The answer is the same for every name (RFC 5321 §7.3).
    say(252, "2.5.0", "not verified; try to deliver to it");
}

void Session::Impl::expn(std::string_view) {
    say_bad(502, "5.5.1", "EXPN is not done here");
}

void Session::Impl::help(std::string_view) {
    say(214, "2.0.0", "LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT (RFC 2033)");
}

void Session::Impl::quit(std::string_view argument) {
    if (!no_argument(argument)) return;
    say(221, "2.0.0", fmt::format("{} closing", facts.hostname));
    close();
}

bool Session::Impl::no_argument(std::string_view argument) {
    if (argument.empty()) return true;
    say_bad(501, "5.5.4", "the command has no argument");
    return false;
}

}  // namespace pier::smtp
