#include "main/commands/commands.h"

#include <algorithm>

#include <boost/algorithm/string/join.hpp>
#include <fmt/format.h>

#include "main/quantity.h"
#include "main/suggestion.h"

namespace pier::program {
namespace {

// Terminal columns, near enough: UTF-8 characters.
std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

CLI::Option* argument(CLI::App& command, const std::string& name, std::string& value,
                      const std::string& help) {
    return command.add_option(name, value, help)->required()->type_name("");
}

CLI::Option* arguments(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                       const std::string& help) {
    return command.add_option(name, values, help)->required()->type_name("");
}

CLI::Option* word_argument(CLI::App& command, const std::string& name, std::string& value,
                           std::vector<std::string> words, const std::string& help) {
    CLI::Option* added = argument(command, name, value, help);
    allow_words(*added, std::move(words));
    return added;
}

CLI::Option* option(CLI::App& command, const std::string& name, std::string& value, const std::string& type,
                    const std::string& help) {
    return command.add_option(name, value, help)->type_name(type);
}

void allow_words(CLI::Option& option, std::vector<std::string> words) {
    option.type_name(boost::algorithm::join(words, "|"));
    option.check([words = std::move(words)](const std::string& value) -> std::string {
        const std::vector<std::string_view> known(words.begin(), words.end());
        if (std::find(known.begin(), known.end(), value) != known.end()) return {};
        return fmt::format("can't be \"{}\"{}", value, suggestion(value, known));
    });
}

Result<void> add_quota(const std::string& quota, boost::json::object& params) {
    if (quota.empty()) return {};
    const auto octets = quota == "none" ? Result<std::uint64_t>(0) : parse_octets(quota);
    if (!octets) return Error(ErrorKind::invalid, "--quota: " + octets.error().text + ", or \"none\"");
    params["quota_octets"] = *octets;
    return {};
}

std::string quota_text(const boost::json::object& described) {
    const std::uint64_t quota = described.at("quota_octets").to_number<std::uint64_t>();
    return quota == 0 ? "none" : about_octets(quota);
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], columns(row[i]));
    }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i)
            line += row[i] + std::string(widths[i] - columns(row[i]) + 2, ' ');
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

}  // namespace pier::program
