#include "backends/ldap_text.h"

#include <fmt/format.h>

namespace pier::backends {
namespace {

std::string hex_pair(char c) {
    return fmt::format("\\{:02X}", static_cast<unsigned char>(c));
}

bool is_plain(char c) {
    return static_cast<unsigned char>(c) > 0x1F && static_cast<unsigned char>(c) < 0x7F;
}

}  // namespace

std::string escape_filter_value(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (is_plain(c) && c != '(' && c != ')' && c != '*' && c != '\\')
            out += c;
        else
            out += hex_pair(c);
    }
    return out;
}

std::string escape_dn_value(std::string_view value) {
    constexpr std::string_view special = "\"+,;<>=#\\";
    std::string out;
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        const bool outer_space = c == ' ' && (i == 0 || i + 1 == value.size());
        if (!is_plain(c))
            out += hex_pair(c);
        else if (outer_space || special.find(c) != std::string_view::npos)
            (out += '\\') += c;
        else
            out += c;
    }
    return out;
}

bool filter_is_closed(std::string_view filter) {
    if (!filter.starts_with('(')) return false;
    int open = 0;
    for (std::size_t i = 0; i < filter.size(); ++i) {
        if (filter[i] == '(') ++open;
        if (filter[i] == ')') --open;
        if (open <= 0) return open == 0 && i + 1 == filter.size();
    }
    return false;
}

}  // namespace pier::backends
