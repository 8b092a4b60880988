#include "main/config_text.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <fmt/format.h>

#include "main/quantity.h"

namespace pier::program {
namespace {

constexpr std::size_t text_width = 100;

std::string quoted(std::string_view text) {
    // A TOML basic string escapes what a JSON string does; control characters do not get into a Config.
    return boost::json::serialize(boost::json::string(text));
}

// `text` in lines of at most text_width, each behind "# ".
std::string comment(std::string_view text) {
    std::string out;
    std::size_t column = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (column == 0 || column + 1 + word.size() > text_width) {
            out += column == 0 ? "# " : "\n# ";
            column = 2;
        } else {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
    }
    return out + "\n";
}

std::size_t count_of(const Section& section, const Config& config) {
    return section.repeated() ? section.count(config) : 1;
}

boost::json::value json_value(const Value& value) {
    if (const auto* texts = std::get_if<std::vector<std::string>>(&value))
        return boost::json::array(texts->begin(), texts->end());
    if (const auto* flag = std::get_if<bool>(&value)) return *flag;
    if (const auto* number = std::get_if<std::uint64_t>(&value)) return *number;
    return boost::json::string(std::get<std::string>(value));
}

boost::json::object section_to_json(const Section& section, const Config& config, std::size_t index) {
    boost::json::object object;
    for (const Field& field : section.fields)
        object[field.key] = json_value(field.get(config, index));
    return object;
}

}  // namespace

std::string toml_value(const Field& field, const Value& value) {
    switch (field.kind) {
        case Kind::flag:
            return std::get<bool>(value) ? "true" : "false";
        case Kind::count:
            return fmt::format("{}", std::get<std::uint64_t>(value));
        case Kind::octets:
            return quoted(format_octets(std::get<std::uint64_t>(value)));
        case Kind::duration:
            return quoted(format_duration(std::get<std::uint64_t>(value)));
        case Kind::networks:
        case Kind::names:
            return boost::json::serialize(json_value(value));
        case Kind::text:
        case Kind::path:
        case Kind::word:
            return quoted(std::get<std::string>(value));
    }
    return {};
}

std::string describe_range(const Field& field) {
    switch (field.kind) {
        case Kind::flag:
            return "true or false";
        case Kind::count:
            return fmt::format("a number from {} to {}", field.min, field.max);
        case Kind::octets:
            return fmt::format("a size from {} to {}", format_octets(field.min), format_octets(field.max));
        case Kind::duration:
            return fmt::format("a duration from {} to {}", format_duration(field.min),
                               format_duration(field.max));
        case Kind::text:
            return fmt::format("a text of at most {} octets", field.max);
        case Kind::path:
            return "a path; a relative one begins at this file's folder";
        case Kind::networks:
            return fmt::format("a list of at most {} networks", field.max);
        case Kind::names:
            return fmt::format("a list of at most {} names", field.max);
        case Kind::word:
            break;
    }
    std::string text;
    for (std::size_t i = 0; i < field.words.size(); ++i) {
        if (i > 0) text += i + 1 == field.words.size() ? " or " : ", ";
        text += quoted(field.words[i]);
    }
    return text;
}

std::string sample_config() {
    Config defaults;
    for (const Section& section : sections())
        if (section.repeated()) section.add(defaults);
    std::string out =
        "# The configuration of Pier. Every key is optional: a line that is commented out shows the "
        "default.\n"
        "# `pier check` tells everything that is wrong with this file, and where.\n";
    for (const Section& section : sections()) {
        out += "\n" + comment(section.reload.empty() ? std::string(section.help)
                                                     : fmt::format("{} {}", section.help, section.reload));
        out +=
            section.repeated() ? fmt::format("#[[{}]]\n", section.name) : fmt::format("[{}]\n", section.name);
        for (const Field& field : section.fields) {
            out += "\n" + comment(field.help) + comment(fmt::format("({})", describe_range(field)));
            out += fmt::format("#{} = {}\n", field.key, toml_value(field, field.get(defaults, 0)));
        }
    }
    return out;
}

std::string show_config(const Config& config) {
    std::string out;
    for (const Section& section : sections()) {
        for (std::size_t index = 0; index < count_of(section, config); ++index) {
            if (!out.empty()) out += "\n";
            out += section.repeated() ? fmt::format("[[{}]]\n", section.name)
                                      : fmt::format("[{}]\n", section.name);
            const auto speaks = [&](Protocol protocol) {
                return section.name == "listener" && config.listeners[index].protocol == protocol;
            };
            const bool without_logins = speaks(Protocol::lmtp) || speaks(Protocol::smtp);
            const bool unix_socket = section.name == "listener" && !config.listeners[index].path.empty();
            for (const Field& field : section.fields) {
                // Beside a path, and where nobody logs in, they would be refused.
                if (unix_socket && (field.key == "address" || field.key == "port")) continue;
                if (without_logins && field.key == "clear_login") continue;
                out += fmt::format("{} = {}\n", field.key, toml_value(field, field.get(config, index)));
            }
        }
    }
    return out;
}

boost::json::object config_to_json(const Config& config) {
    boost::json::object root;
    for (const Section& section : sections()) {
        if (!section.repeated()) {
            root[section.name] = section_to_json(section, config, 0);
            continue;
        }
        boost::json::array all;
        for (std::size_t index = 0; index < count_of(section, config); ++index)
            all.push_back(section_to_json(section, config, index));
        const std::size_t dot = section.name.find('.');
        if (dot == std::string_view::npos)
            root[section.name] = std::move(all);
        else
            root[section.name.substr(0, dot)].as_object()[section.name.substr(dot + 1)] = std::move(all);
    }
    return root;
}

}  // namespace pier::program
