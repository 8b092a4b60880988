#include "pop3/commands.h"

#include <algorithm>
#include <charconv>

#include "pop3/conversation.h"
#include "pop3/session.h"
#include "wire/ascii.h"

namespace pier::pop3 {

namespace {

using C = Conversation;

// clang-format off
constexpr Command table[] = {
    // verb   arguments            states            how many         run            where it is defined
    {"USER", "name",               in_authorization, 1, rest_of_line, &C::run_user,  "RFC 1939 §7"},
    {"PASS", "password",           in_authorization, 1, rest_of_line, &C::run_pass,  "RFC 1939 §7"},
    {"AUTH", "mechanism [initial]", in_authorization, 0, 2,           &C::run_auth,  "RFC 5034 §4"},
    {"STLS", "",                   in_authorization, 0, 0,            &C::run_stls,  "RFC 2595 §4"},
    {"XCLIENT", "NAME=value ...", in_authorization, 1, rest_of_line, &C::run_xclient, "Dovecot's XCLIENT"},
    {"CAPA", "",                   in_both,          0, 0,            &C::run_capa,  "RFC 2449 §5"},
    {"UTF8", "",                   in_authorization, 0, 0,            &C::run_utf8,  "RFC 6856 §2"},
    {"LANG", "[range]",            in_both,          0, 1,            &C::run_lang,  "RFC 6856 §3"},
    {"STAT", "",                   in_transaction,   0, 0,            &C::run_stat,  "RFC 1939 §5"},
    {"LIST", "[msg]",              in_transaction,   0, 1,            &C::run_list,  "RFC 1939 §5"},
    {"UIDL", "[msg]",              in_transaction,   0, 1,            &C::run_uidl,  "RFC 1939 §7"},
    {"RETR", "msg",                in_transaction,   1, 1,            &C::run_retr,  "RFC 1939 §5"},
    {"TOP",  "msg lines",          in_transaction,   2, 2,            &C::run_top,   "RFC 1939 §7"},
    {"DELE", "msg",                in_transaction,   1, 1,            &C::run_dele,  "RFC 1939 §5"},
    {"NOOP", "",                   in_transaction,   0, 0,            &C::run_noop,  "RFC 1939 §5"},
    {"RSET", "",                   in_transaction,   0, 0,            &C::run_rset,  "RFC 1939 §5"},
    {"QUIT", "",                   in_both,          0, 0,            &C::run_quit,  "RFC 1939 §4, RFC 1939 §6"},
};
// clang-format on

std::string_view verb_of(std::string_view line) {
    return line.substr(0, line.find(' '));
}

std::string_view without_trailing_spaces(std::string_view text) {
    const std::size_t last = text.find_last_not_of(' ');
    return text.substr(0, last + 1);  // npos + 1 is 0
}

}  // namespace

std::span<const Command> commands() {
    return table;
}

std::vector<std::string_view> command_names() {
    std::vector<std::string_view> names;
    for (const Command& command : table)
        names.push_back(command.verb);
    names.emplace_back("other");
    return names;
}

const Command* find_command(std::string_view line) {
    const std::string_view verb = verb_of(line);
    // liberal: RFC 1939 §3 itself says that keywords come in any case; scripts send lower case.
    const auto found = std::ranges::find_if(
        table, [&](const Command& command) { return wire::ascii_equal(command.verb, verb); });
    return found == std::end(table) ? nullptr : found;
}

std::optional<Arguments> split_arguments(const Command& command, std::string_view line) {
    std::string_view rest = line.substr(verb_of(line).size());
    Arguments arguments;
    if (command.args_max == rest_of_line) {
        if (rest.size() < 2) return std::nullopt;
        arguments.words[arguments.count++] = rest.substr(1);
        return arguments;
    }
    // liberal: Outlook Express and scripts send spaces at the end, or more than one between arguments.
    rest = without_trailing_spaces(rest);
    while (!rest.empty()) {
        if (arguments.count == command.args_max) return std::nullopt;
        rest.remove_prefix(rest.find_first_not_of(' '));
        const std::string_view word = verb_of(rest);
        arguments.words[arguments.count++] = word;
        rest.remove_prefix(word.size());
    }
    if (arguments.count < command.args_min) return std::nullopt;
    return arguments;
}

std::optional<std::uint64_t> parse_number(std::string_view word) {
    std::uint64_t number = 0;
    const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (problem != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return number;
}

}  // namespace pier::pop3
