#include "auth/name.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "wire/ascii.h"

namespace pier::auth {

namespace {

constexpr std::size_t domain_octets_max = 253;
constexpr std::size_t label_octets_max = 63;
constexpr std::string_view marks_allowed = "._-+'=&#";
constexpr std::string_view atom_marks = ".!#$%&'*+-/=?^_`{|}~";  // RFC 5322 §3.2.3, and the dot

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

bool letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// The code point of one valid UTF-8 character.
char32_t code_point(std::string_view character) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
    if (character.size() == 1) return byte(0);
    char32_t point = byte(0) & (0x7Fu >> character.size());
    for (std::size_t i = 1; i < character.size(); ++i)
        point = (point << 6) | (byte(i) & 0x3Fu);
    return point;
}

// Attack: names that look the same, or turn the text around them: C1 controls, spaces, joiners, direction
// marks.
bool invisible(char32_t c) {
    return (c >= 0x80 && c <= 0xA0) || c == 0xAD || c == 0x1680 || (c >= 0x2000 && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x206F) || c == 0x3000 || c == 0xFEFF ||
           (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE0FFF) || (c & 0xFFFE) == 0xFFFE;
}

// Checks the characters of a folded part; `marks` are the ASCII ones allowed beside letters and digits.
Result<void> check_characters(std::string_view text, std::string_view what, std::string_view marks) {
    for (std::string_view rest = text; !rest.empty();) {
        const std::size_t octets = utf8_length(rest);
        if (octets == 0) return invalid(fmt::format("the {} is not valid UTF-8", what));
        const char c = rest[0];
        if (octets == 1 && (c < 0x20 || c == 0x7F))
            return invalid(fmt::format("the {} has a control character", what));
        if (octets == 1 && !letter_or_digit(c) && marks.find(c) == std::string_view::npos)
            return invalid(fmt::format("the {} may not have '{}' in it", what, c));
        if (octets > 1 && invisible(code_point(rest.substr(0, octets))))
            return invalid(fmt::format("the {} has an invisible character", what));
        rest.remove_prefix(octets);
    }
    return {};
}

Result<void> check_local_part(std::string_view local) {
    if (local.empty()) return invalid("the name is empty");
    if (auto good = check_characters(local, "name", marks_allowed); !good) return good.error();
    if (local.starts_with('.') || local.ends_with('.') || local.find("..") != std::string_view::npos)
        return invalid("the name may not begin or end with a dot, nor have two in a row");
    if (local.starts_with('-')) return invalid("the name may not begin with '-'");
    return {};
}

}  // namespace

std::string fold_name(std::string_view name) {
    return wire::ascii_lower(name);
}

LoginName split_login(std::string_view authzid, std::string_view user) {
    const std::size_t star = user.rfind('*');
    if (!authzid.empty() || star == std::string_view::npos) return {authzid, user};
    return {user.substr(0, star), user.substr(star + 1)};
}

std::pair<std::string_view, std::string_view> split_address(std::string_view address) {
    const std::size_t at = address.rfind('@');
    if (at == std::string_view::npos) return {address, {}};
    return {address.substr(0, at), address.substr(at + 1)};
}

Result<std::string> account_name(std::string_view name) {
    if (name.size() > name_octets_max)
        return invalid(fmt::format("the name is longer than {} octets", name_octets_max));
    std::string folded = fold_name(name);
    const auto [local, domain] = split_address(folded);
    if (auto good = check_local_part(local); !good) return good.error();
    if (local.size() != folded.size())
        if (auto good = domain_name(domain); !good) return good.error();
    return folded;
}

Result<std::string> alias_address(std::string_view address) {
    if (!address.starts_with('@')) return account_name(address);
    auto domain = domain_name(address.substr(1));
    if (!domain) return domain.error();
    return "@" + *domain;
}

Result<std::string> outside_address(std::string_view address) {
    const auto [local, domain] = split_address(address);
    if (address.size() > name_octets_max)
        return invalid(fmt::format("the address is longer than {} octets", name_octets_max));
    if (local.size() == address.size()) return invalid("the address has no domain");
    if (local.empty()) return invalid("the address has nothing before the @");
    if (auto good = check_characters(fold_name(local), "address", atom_marks); !good) return good.error();
    if (local.starts_with('.') || local.ends_with('.') || local.find("..") != std::string_view::npos)
        return invalid("what stands before the @ may not begin or end with a dot, nor have two in a row");
    auto good = domain_name(domain);
    if (!good) return good.error();
    return fmt::format("{}@{}", local, *good);
}

Result<std::string> domain_name(std::string_view name) {
    if (name.empty()) return invalid("the domain is empty");
    if (name.size() > domain_octets_max)
        return invalid(fmt::format("the domain is longer than {} octets", domain_octets_max));
    std::string folded = fold_name(name);
    if (auto good = check_characters(folded, "domain", ".-"); !good) return good.error();
    for (std::string_view rest = folded;;) {
        const std::size_t dot = rest.find('.');
        const std::string_view label = rest.substr(0, dot);
        if (label.empty()) return invalid("the domain has an empty part: write it as in example.org");
        if (label.size() > label_octets_max)
            return invalid(fmt::format("a part of the domain is longer than {} octets", label_octets_max));
        if (label.starts_with('-') || label.ends_with('-'))
            return invalid("a part of the domain begins or ends with '-'");
        if (dot == std::string_view::npos) return folded;
        rest.remove_prefix(dot + 1);
    }
}

}  // namespace pier::auth
