#include "main/user_list.h"

#include <cerrno>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <sodium.h>

namespace pier::program {
namespace {

constexpr std::size_t list_octets_max = 64 << 20;

std::string_view next_word(std::string_view& line) {
    const auto begin = line.find_first_not_of(" \t");
    line.remove_prefix(std::min(line.size(), begin));
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    line.remove_prefix(word.size());
    if (!line.empty()) line.remove_prefix(1);
    return word;
}

}  // namespace

Result<std::vector<UserLine>> parse_user_list(std::string_view text, bool passwords) {
    std::vector<UserLine> users;
    for (std::size_t number = 1; !text.empty(); ++number) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.starts_with('#') || line.find_first_not_of(" \t") == std::string_view::npos) continue;
        UserLine user;
        user.old_user = next_word(line);
        user.account = next_word(line);
        if (passwords) {
            user.password = line;
        } else if (line.find_first_not_of(" \t") != std::string_view::npos) {
            return Error(
                ErrorKind::invalid,
                fmt::format("line {} of the user list has more than the old user and the account", number));
        }
        if (!passwords && user.account.empty()) user.account = user.old_user;
        if (user.account.empty() || (passwords && user.password.empty()))
            return Error(
                ErrorKind::invalid,
                fmt::format("line {} of the user list does not have old user, account and password", number));
        users.push_back(std::move(user));
    }
    if (users.empty()) return Error(ErrorKind::invalid, "the user list names nobody");
    return users;
}

Result<std::vector<UserLine>> read_user_list(const std::string& file, bool passwords) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return errno_error(errno, fmt::format("read {}", file));
    std::string text;
    std::string block(64 << 10, '\0');
    while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0) {
        text.append(block, 0, static_cast<std::size_t>(in.gcount()));
        if (text.size() > list_octets_max)
            return Error(ErrorKind::invalid, fmt::format("{} is too large for a user list", file));
    }
    auto users = parse_user_list(text, passwords);
    sodium_memzero(text.data(), text.size());
    sodium_memzero(block.data(), block.size());
    return users;
}

std::string path_of_user(std::string_view path, std::string_view user) {
    const auto at = user.rfind('@');
    const std::string_view domain = at == std::string_view::npos ? "" : user.substr(at + 1);
    std::string out;
    for (std::size_t i = 0; i < path.size(); ++i) {
        const char next = path[i] == '%' && i + 1 < path.size() ? path[i + 1] : '\0';
        if (next == 'u') out += user;
        if (next == 'n') out += user.substr(0, at);
        if (next == 'd') out += domain;
        if (next == '%') out += '%';
        if (next == 'u' || next == 'n' || next == 'd' || next == '%')
            ++i;
        else
            out += path[i];
    }
    return out;
}

}  // namespace pier::program
