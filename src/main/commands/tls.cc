// pier tls ticket-keys
#include <span>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "net/tls_ticket_keys.h"

namespace pier::program {
namespace {

namespace json = boost::json;

constexpr std::size_t old_keys_default = 2;

struct TicketKeysArguments {
    std::string file;
    bool rotate = false;
    std::size_t keep = old_keys_default;
};

std::string hexadecimal(std::span<const unsigned char> octets) {
    std::string text;
    for (const unsigned char octet : octets)
        text += fmt::format("{:02x}", octet);
    return text;
}

Result<int> ticket_keys(Program& program, const TicketKeysArguments& arguments) {
    auto keys = arguments.rotate ? net::rotate_tls_ticket_keys(arguments.file, arguments.keep, system_now())
                                 : net::read_tls_ticket_keys(arguments.file);
    if (!keys) return keys.error();
    json::array rows;
    std::vector<std::vector<std::string>> lines{{"KEY", "MADE", "USE"}};
    for (const net::TlsTicketKey& key : *keys) {
        const std::string name = hexadecimal(key.name);
        const std::string made = key.made == Time{} ? std::string("-") : to_rfc3339(key.made).substr(0, 10);
        const char* use = rows.empty() ? "seals" : "opens";
        rows.push_back(json::object{{"name", name}, {"made", made}, {"use", use}});
        lines.push_back({name, made, use});
    }
    program.say(table(lines), json::object{{"keys", std::move(rows)}});
    return exit_code::fine;
}

}  // namespace

void define_tls_commands(Program& program) {
    CLI::App* group = program.command(program.app(), "tls", "What TLS needs beside certificates.", nullptr);
    const auto arguments = std::make_shared<TicketKeysArguments>();
    CLI::App* keys = program.command(*group, "ticket-keys",
                                     "Show or rotate a file of session ticket keys that nodes share.",
                                     [&program, arguments] { return ticket_keys(program, *arguments); });
    argument(*keys, "FILE", arguments->file, "The file that tls.ticket_keys names.");
    keys->add_flag("--rotate", arguments->rotate, "Put a new key in front; makes the file if there is none.");
    keys->add_option("--keep", arguments->keep,
                     "Earlier keys that stay, so that their tickets open; 2 by default.")
        ->type_name("N")
        ->check(CLI::Range(std::size_t{0}, net::tls_ticket_keys_max - 1));
    keys->footer(
        "Running servers take the file up by themselves. Rotate at least once a day, on one node, and copy "
        "the file to the others; it is as secret as the certificate's key.");
}

}  // namespace pier::program
