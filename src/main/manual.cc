#include "main/manual.h"

#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <fmt/format.h>

#include "main/config.h"
#include "main/config_text.h"

namespace pier::program {
namespace {

OptionInfo describe_option(const CLI::Option& option) {
    OptionInfo info;
    const std::string type = option.get_type_name();
    info.takes_value = !option.get_positional() && option.get_items_expected_max() > 0;
    info.takes_file = type == "FILE" || type == "PATH" || option.get_name(true) == "PATH";
    info.required = option.get_required();
    info.repeated = option.get_items_expected_max() > 1;
    info.help = option.get_description();
    if (type.find('|') != std::string::npos) boost::split(info.words, type, boost::is_any_of("|"));
    if (option.get_positional()) {
        info.names = option.get_name(true);
        return info;
    }
    for (const std::string& name : option.get_lnames())
        info.flags.push_back("--" + name);
    for (const std::string& name : option.get_snames())
        info.flags.push_back("-" + name);
    for (const std::string& flag : info.flags)
        info.names += (info.names.empty() ? "" : ", ") + flag;
    if (info.takes_value && !type.empty()) info.names += " " + type;
    return info;
}

CommandInfo describe_command(const CLI::App& app, const std::string& above) {
    CommandInfo info;
    info.name = above.empty() ? app.get_name() : above + " " + app.get_name();
    info.help = app.get_description();
    info.footer = app.get_footer();
    for (const CLI::Option* option : app.get_options())
        info.options.push_back(describe_option(*option));
    const auto all = [](const CLI::App*) { return true; };
    for (const CLI::App* child : app.get_subcommands(std::function<bool(const CLI::App*)>(all)))
        info.children.push_back(describe_command(*child, info.name));
    return info;
}

// The code point of the UTF-8 character at `text`'s front, which is taken away.
std::uint32_t take_character(std::string_view& text) {
    const auto first = static_cast<unsigned char>(text[0]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    std::uint32_t code = length == 1 ? first : first & (0x7Fu >> length);
    for (std::size_t i = 1; i < length && i < text.size(); ++i)
        code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
    text.remove_prefix(std::min(length, text.size()));
    return code;
}

// Text for roff: nothing in it is a request or an escape, and a hyphen stays one when it is copied.
std::string roff(std::string_view text) {
    std::string out;
    bool line_begins = true;
    while (!text.empty()) {
        const std::uint32_t c = take_character(text);
        if (line_begins && (c == '.' || c == '\'')) out += "\\&";
        line_begins = c == '\n';
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if (c == '`')
            out += "\\(ga";
        else if (c < 0x80)
            out += static_cast<char>(c);
        else
            out += fmt::format("\\[u{:04X}]", c);
    }
    return out;
}

void describe_options(std::string& out, const CommandInfo& command, bool root) {
    for (const OptionInfo& option : command.options) {
        if (!root && option.names.find("--help") != std::string::npos) continue;
        out += fmt::format(".TP\n.B {}\n{}\n", roff(option.names), roff(option.help));
    }
}

std::string synopsis(const CommandInfo& command) {
    std::string line = fmt::format("\\fB{}\\fR", roff(command.name));
    for (const OptionInfo& option : command.options) {
        if (option.names.find("--help") != std::string::npos) continue;
        std::string text = roff(option.names);
        if (option.repeated && option.flags.empty()) text += " ...";
        line += option.required ? " " + text : fmt::format(" [{}]", text);
    }
    return line;
}

void describe_leaves(std::string& out, const CommandInfo& command) {
    if (command.children.empty()) {
        out += fmt::format(".SS {}\n{}\n", roff(command.name), synopsis(command));
        out += fmt::format(".PP\n{}\n", roff(command.help));
        describe_options(out, command, false);
        if (!command.footer.empty()) out += fmt::format(".PP\n{}\n", roff(command.footer));
    }
    for (const CommandInfo& child : command.children)
        describe_leaves(out, child);
}

void describe_configuration(std::string& out) {
    out +=
        ".SH CONFIGURATION\n"
        "The file is TOML. Every key is optional. Sizes are written as \"64 MiB\" or as a number of octets, "
        "durations as "
        "\"10m\" or \"1h30m\" or as a number of seconds. Relative paths begin at the file's folder.\n"
        "\\fBpier config sample\\fR prints a file with every key, \\fBpier check\\fR tells what is wrong "
        "with one.\n";
    Config defaults;
    for (const Section& section : sections())
        if (section.repeated()) section.add(defaults);
    for (const Section& section : sections()) {
        out += fmt::format(".SS {}\n", section.repeated() ? fmt::format("[[{}]]", section.name)
                                                          : fmt::format("[{}]", section.name));
        out += roff(section.help) + "\n";
        if (!section.reload.empty()) out += roff(section.reload) + "\n";
        for (const Field& field : section.fields) {
            out += fmt::format(".TP\n.B {}\n{}\n", roff(field.key), roff(field.help));
            out += fmt::format("Takes {}; default {}.\n", roff(describe_range(field)),
                               roff(toml_value(field, field.get(defaults, 0))));
        }
    }
}

}  // namespace

CommandInfo describe(const CLI::App& app) {
    return describe_command(app, "");
}

std::string manual_page(const CommandInfo& root, std::string_view version) {
    std::string out = fmt::format(".TH PIER 1 \"\" \"Pier {}\" \"User Commands\"\n", roff(version));
    out += fmt::format(".SH NAME\npier \\- {}\n", "a mail server: POP3 and LMTP on a durable store");
    out += ".SH SYNOPSIS\n\\fBpier\\fR [\\fIoption\\fR ...] \\fIcommand\\fR [\\fIargument\\fR ...]\n";
    out +=
        ".SH DESCRIPTION\n"
        "\\fBpier serve\\fR is the server. All other commands manage it: while it runs they talk to it over "
        "its management "
        "socket, and when it does not they work on the store themselves.\n";
    out += ".SH OPTIONS\nThese go with every command, before or behind its name.\n";
    describe_options(out, root, true);
    out += ".SH COMMANDS\n";
    describe_leaves(out, root);
    describe_configuration(out);
    out +=
        ".SH EXIT STATUS\n"
        ".TP\n.B 0\nDone.\n"
        ".TP\n.B 1\nNot done; the message says why. \\fBpier check\\fR: there are warnings.\n"
        ".TP\n.B 2\nWrong use, or a configuration with errors.\n"
        ".TP\n.B 0, 1, 2, 3\n\\fBpier probe \\-\\-nagios\\fR, as monitoring plug-ins have it: well, a "
        "warning, "
        "critical, nothing was found out.\n"
        ".TP\n.B 65, 67, 73, 75\n\\fBpier deliver\\fR, as sysexits(3) has it: an unusable message, an "
        "unknown account, an "
        "account that is full for good, a failure that goes away.\n"
        ".SH FILES\n"
        ".TP\n.I /etc/pier/pier.toml\nThe configuration.\n"
        ".TP\n.I /var/lib/pier\nThe store.\n"
        ".TP\n.I /run/pier/pier.sock\nThe management socket.\n";
    return out;
}

}  // namespace pier::program
