// The verbs of the SMTP family: what each does, where it is allowed, and which RFC says so.
#include <algorithm>
#include <array>
#include <variant>

#include <fmt/format.h>

#include "smtp/dsn.h"
#include "smtp/engine.h"
#include "smtp/path.h"
#include "smtp/reply.h"
#include "wire/ascii.h"

namespace pier::smtp {

// clang-format off
const Session::Impl::Command Session::Impl::commands[] = {
    // verb      of     allowed in     function          defined in
    {"LHLO",     lmtp,  any,           &Impl::ehlo,      "RFC 2033 §4.1"},
    {"EHLO",     both,  any,           &Impl::ehlo,      "RFC 5321 §4.1.1.1"},
    {"HELO",     both,  any,           &Impl::helo_old,  "RFC 5321 §4.1.1.1"},
    {"STARTTLS", both,  fresh | ready, &Impl::starttls,  "RFC 3207 §4"},
    {"AUTH",     submission, ready,    &Impl::auth,      "RFC 4954 §4"},
    {"MAIL",     all,   ready,         &Impl::mail_from, "RFC 5321 §4.1.1.2"},
    {"RCPT",     all,   mail,          &Impl::rcpt_to,   "RFC 5321 §4.1.1.3"},
    {"DATA",     all,   mail,          &Impl::data,      "RFC 5321 §4.1.1.4"},
    {"BDAT",     all,   any,           &Impl::bdat,      "RFC 3030 §2"},         // its octets come whatever the state
    {"RSET",     all,   any,           &Impl::rset,      "RFC 5321 §4.1.1.5"},
    {"VRFY",     all,   any,           &Impl::vrfy,      "RFC 5321 §4.1.1.6"},
    {"EXPN",     all,   any,           &Impl::expn,      "RFC 5321 §4.1.1.7"},
    {"HELP",     all,   any,           &Impl::help,      "RFC 5321 §4.1.1.8"},
    {"NOOP",     all,   any,           &Impl::noop,      "RFC 5321 §4.1.1.9"},
    {"QUIT",     all,   any,           &Impl::quit,      "RFC 5321 §4.1.1.10"},
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

std::vector<std::string_view> command_names() {
    std::vector<std::string_view> names;
    for (const auto& command : Session::Impl::commands)
        names.push_back(command.verb);
    names.emplace_back("other");
    return names;
}

void Session::Impl::tell_observer(const Command* command) {
    if (observer == nullptr) return;
    const bool known = command != std::end(commands) && (command->kinds & kind_bit()) != 0;
    observer->on_command(static_cast<std::size_t>((known ? command : std::end(commands)) - commands));
}

void Session::Impl::run_command(std::string_view line) {
    ++counts.commands;
    // liberal: blanks at the end of a line (RFC 5321 §4.1.1 asks for it), and lower case.
    line = line.substr(0, line.find_last_not_of(" \t") + 1);
    const std::string_view verb = line.substr(0, line.find(' '));
    std::string_view argument = line.substr(std::min(line.size(), verb.size() + 1));
    argument.remove_prefix(std::min(argument.size(), argument.find_first_not_of(' ')));

    const auto* command = std::find_if(std::begin(commands), std::end(commands),
                                       [&](const Command& c) { return wire::ascii_equal(c.verb, verb); });
    tell_observer(command);
    if (command == std::end(commands)) return say_bad(500, "5.5.1", "unknown command");
    const bool is_hello = command->run == &Impl::ehlo || command->run == &Impl::helo_old;
    if (!(command->kinds & kind_bit()))
        return say_bad(500, "5.5.1",
                       is_hello ? fmt::format("this is {}: say {}", is_smtp() ? "SMTP" : "LMTP", hello_verb())
                                : "unknown command");
    if (!(command->states & state)) return wrong_state();
    (this->*command->run)(argument);
}

void Session::Impl::wrong_state() {
    switch (state) {
        case fresh:
            return say_bad(503, "5.5.1", fmt::format("say {} first", hello_verb()));
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

// False if the name is none; the reply is said then.
bool Session::Impl::begin_dialogue(std::string_view name) {
    if (!is_host_name(name)) {
        say_bad(501, "5.5.4", fmt::format("{} needs your host name", hello_verb()));
        return false;
    }
    drop_transaction();  // RFC 5321 §4.1.4
    helo = name;
    state = ready;
    return true;
}

void Session::Impl::ehlo(std::string_view argument) {
    if (!begin_dialogue(argument)) return;
    extended = true;
    std::vector<std::string> lines{
        facts.hostname,
        "PIPELINING",                                       // RFC 2920
        fmt::format("SIZE {}", limits.message_octets_max),  // RFC 1870
        "8BITMIME",                                         // RFC 6152
        "ENHANCEDSTATUSCODES",                              // RFC 2034
        "SMTPUTF8",                                         // RFC 6531
    };
    if (is_smtp()) {
        lines.emplace_back("DSN");                                                 // RFC 3461
        lines.push_back(fmt::format("LIMITS RCPTMAX={}", limits.recipients_max));  // RFC 9422
    }
    if (is_smtp() && facts.tls_active) lines.emplace_back("REQUIRETLS");              // RFC 8689
    if (facts.tls_available && !facts.tls_active) lines.emplace_back("STARTTLS");     // RFC 3207
    if (is_submission() && login_allowed()) lines.push_back("AUTH " + mechanisms());  // RFC 4954
    lines.emplace_back("CHUNKING");                                                   // RFC 3030
    append_lines(output, 250, lines);
}

void Session::Impl::helo_old(std::string_view argument) {
    if (!begin_dialogue(argument)) return;
    extended = false;
    append_lines(output, 250, std::array{facts.hostname});
}

void Session::Impl::starttls(std::string_view argument) {
    if (!no_argument(argument)) return;
    if (facts.tls_active) return say_bad(503, "5.5.1", "TLS is active already");
    if (logged_in) return say_bad(503, "5.5.1", "STARTTLS comes before AUTH");
    if (!facts.tls_available) return say_bad(502, "5.5.1", "STARTTLS is not offered here");
    // Attack: commands sent behind STARTTLS in clear text, by somebody between, would be answered inside TLS.
    if (!input.empty()) {
        say(503, "5.5.1", "nothing may follow STARTTLS before TLS is active; closing the connection");
        return close();
    }
    say(220, "2.0.0", "begin TLS");
    begin_tls = true;
}

void Session::Impl::mail_from(std::string_view argument) {
    if (is_submission() && !logged_in) return refuse_without_login();
    const auto path_text = behind_keyword(argument, "FROM:");
    if (!path_text) return say_bad(501, "5.5.4", "MAIL needs FROM:<address>");
    const auto path = parse_path(*path_text);
    if (!path) return say_bad(501, "5.1.7", "the sender's address is malformed");
    auto fresh_transaction = std::make_unique<Transaction>();
    Envelope& envelope = fresh_transaction->envelope;
    envelope.sender = path->address;
    if (!mail_parameters(path->rest, *fresh_transaction)) return;
    if (is_smtp() && path->address.domain.empty() && !path->address.local.empty())
        return say_bad(553, "5.1.7", "the sender's address needs a domain");
    if (path->has_utf8 && !envelope.utf8)
        return say_bad(553, "5.6.7", "a sender with UTF-8 needs the SMTPUTF8 parameter");
    if (is_submission()) {
        action = Sender{envelope.sender};
        asked = std::move(fresh_transaction);
        wait = Wait::sender;
        return;
    }
    transaction = std::move(fresh_transaction);
    state = mail;
    say(250, "2.1.0", "sender ok");
}

namespace {

// The parameters, or why not: malformed, or one of them given twice.
std::variant<std::vector<Parameter>, Reply> parameters_of(std::string_view text) {
    auto parameters = parse_parameters(text);
    if (!parameters) return Reply{501, "5.5.4", "the parameters are malformed"};
    for (auto p = parameters->begin(); p != parameters->end(); ++p) {
        if (std::any_of(parameters->begin(), p, [&](const Parameter& q) { return q.keyword == p->keyword; }))
            return Reply{501, "5.5.4", "a parameter is given twice"};
    }
    return std::move(*parameters);
}

}  // namespace

// False if a parameter was refused; the reply is said then.
bool Session::Impl::mail_parameters(std::string_view text, Transaction& t) {
    const auto parameters = parameters_of(text);
    auto refusal =
        std::holds_alternative<Reply>(parameters) ? std::optional(std::get<Reply>(parameters)) : std::nullopt;
    if (!refusal) {
        for (const Parameter& parameter : std::get<std::vector<Parameter>>(parameters)) {
            refusal = mail_parameter(parameter, t);
            if (refusal) break;
        }
    }
    if (!refusal) return true;
    if (refusal->code == 552)
        append_reply(output, *refusal);  // a message that is too large is no nonsense
    else
        say_bad(refusal->code, refusal->enhanced, refusal->text);
    return false;
}

std::optional<Reply> Session::Impl::mail_parameter(const Parameter& p, Transaction& t) const {
    if (p.keyword == "SIZE") {  // RFC 1870 §6.1
        const auto octets = p.value ? parse_number(*p.value) : std::nullopt;
        if (!octets) return Reply{501, "5.5.4", "SIZE needs a number of octets"};
        if (*octets > limits.message_octets_max)
            return Reply{552, "5.3.4",
                         fmt::format("the message is larger than {} octets", limits.message_octets_max)};
        t.declared_octets = *octets;
    } else if (p.keyword == "BODY") {  // RFC 6152 §3
        const std::string body = wire::ascii_upper(p.value.value_or(""));
        if (body != "7BIT" && body != "8BITMIME") return Reply{555, "5.5.4", "BODY is 7BIT or 8BITMIME"};
        t.envelope.body_8bit = body == "8BITMIME";
    } else if (p.keyword == "SMTPUTF8") {  // RFC 6531 §3.4
        if (p.value) return Reply{501, "5.5.4", "SMTPUTF8 has no value"};
        t.envelope.utf8 = true;
    } else if (is_smtp() && p.keyword == "REQUIRETLS") {  // RFC 8689 §2
        if (p.value) return Reply{501, "5.5.4", "REQUIRETLS has no value"};
        if (!facts.tls_active) return Reply{530, "5.7.10", "REQUIRETLS needs TLS on this connection too"};
        t.envelope.require_tls = true;
    } else if (is_submission() && p.keyword == "AUTH") {
        // RFC 4954 §5: taken and not looked at: who has logged in is known, and nobody else is told.
        if (!p.value || (*p.value != "<>" && !is_xtext(*p.value)))
            return Reply{501, "5.5.4", "AUTH needs an address in xtext, or <>"};
    } else if (is_smtp() && (p.keyword == "RET" || p.keyword == "ENVID")) {
        return dsn_of_mail(p, t.envelope);
    } else {
        return Reply{555, "5.5.4", "a parameter of MAIL is not known"};
    }
    return std::nullopt;
}

std::optional<Reply> Session::Impl::dsn_of_mail(const Parameter& p, Envelope& envelope) const {
    if (p.keyword == "RET") {  // RFC 3461 §4.3
        const auto ret = parse_return(p.value.value_or(""));
        if (!ret) return Reply{501, "5.5.4", "RET is FULL or HDRS"};
        envelope.ret = *ret;
    } else {  // RFC 3461 §4.4
        if (!p.value || !is_envelope_id(*p.value))
            return Reply{501, "5.5.4", "ENVID needs at most 100 characters of xtext"};
        envelope.id = *p.value;
    }
    return std::nullopt;
}

std::optional<Reply> Session::Impl::rcpt_parameters(std::string_view text,
                                                    Envelope::Recipient& recipient) const {
    const auto parameters = parameters_of(text);
    if (const auto* bad = std::get_if<Reply>(&parameters)) return *bad;
    for (const Parameter& p : std::get<std::vector<Parameter>>(parameters)) {
        if (is_smtp() && p.keyword == "NOTIFY") {  // RFC 3461 §4.1
            const auto notify = parse_notify(p.value.value_or(""));
            if (!notify) return Reply{501, "5.5.4", "NOTIFY is NEVER, or some of SUCCESS, FAILURE, DELAY"};
            recipient.notify = *notify;
        } else if (is_smtp() && p.keyword == "ORCPT") {  // RFC 3461 §4.2
            if (!p.value || !is_original_recipient(*p.value, transaction->envelope.utf8))
                return Reply{501, "5.5.4", "ORCPT needs a type, a semicolon and an address in xtext"};
            recipient.original = *p.value;
        } else {
            return Reply{555, "5.5.4",
                         is_smtp() ? "a parameter of RCPT is not known" : "RCPT has no parameters here"};
        }
    }
    return std::nullopt;
}

void Session::Impl::rcpt_to(std::string_view argument) {
    const auto path_text = behind_keyword(argument, "TO:");
    if (!path_text) return say_bad(501, "5.5.4", "RCPT needs TO:<address>");
    const auto path = parse_path(*path_text);
    if (!path || path->address.text().empty())
        return say_bad(501, "5.1.3", "the recipient's address is malformed");
    Envelope::Recipient recipient;
    recipient.address = path->address;
    if (const auto refusal = rcpt_parameters(path->rest, recipient))
        return say_bad(refusal->code, refusal->enhanced, refusal->text);
    if (is_smtp() && path->address.domain.empty() && !wire::ascii_equal(path->address.local, "postmaster"))
        return say_bad(553, "5.1.3", "the recipient's address needs a domain");  // RFC 5321 §4.1.1.3
    if (path->has_utf8 && !transaction->envelope.utf8)
        return say_bad(553, "5.6.7", "a recipient with UTF-8 needs the SMTPUTF8 parameter of MAIL");
    if (transaction->envelope.recipients.size() >= limits.recipients_max)  // RFC 5321 §4.5.3.1.10
        return say(452, "4.5.3", "too many recipients; send the rest in another transaction");
    candidate = std::move(recipient);
    action = Recipient{path->address, transaction->declared_octets};
    wait = Wait::recipient;
}

void Session::Impl::data(std::string_view argument) {
    if (!no_argument(argument)) return;
    if (transaction->envelope.recipients.empty())
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
        swallow_reply = {503, "5.5.1", fmt::format("say {} first", hello_verb())};
    } else if (state == ready) {
        swallow_reply = {503, "5.5.1", "say MAIL first"};
    } else if (transaction->envelope.recipients.empty()) {
        swallow_reply = {503, "5.5.1", "no recipient was accepted"};
    } else if (state == broken) {
        swallow_reply = {503, "5.5.1", "the transaction has failed; say RSET"};
        if (last) swallow_replies = replies_at_end();
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
    say(214, "2.0.0",
        is_submission() ? "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT (RFC 6409)"
        : is_smtp()     ? "EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT (RFC 5321)"
                        : "LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT (RFC 2033)");
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
