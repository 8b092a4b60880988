#include "smtp/path.h"

#include <algorithm>
#include <charconv>

#include "base/utf8.h"
#include "wire/ascii.h"

namespace pier::smtp {
namespace {

bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_8bit(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}

bool is_atext(char c) {  // RFC 5322 §3.2.3, with RFC 6531 §3.3
    return is_alnum(c) || is_8bit(c) ||
           std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool is_printable(char c) {
    return c >= 0x20 && c <= 0x7e;
}

// Reads from the front of a text; each function leaves `rest` behind what it has taken.
struct Reader {
    std::string_view rest;

    bool take(char c) {
        if (rest.empty() || rest.front() != c) return false;
        rest.remove_prefix(1);
        return true;
    }

    bool quoted_string(std::string& out) {
        if (!take('"')) return false;
        while (!rest.empty()) {
            if (take('"')) return true;
            take('\\');
            if (rest.empty() || !(is_printable(rest.front()) || is_8bit(rest.front()))) return false;
            out += rest.front();
            rest.remove_prefix(1);
        }
        return false;
    }

    bool local_part(std::string& out) {
        if (!rest.empty() && rest.front() == '"') return quoted_string(out);
        // liberal: dots anywhere; docomo.ne.jp has given out addresses with ".." and with a dot at the end.
        const auto end =
            std::find_if(rest.begin(), rest.end(), [](char c) { return !is_atext(c) && c != '.'; });
        out.assign(rest.begin(), end);
        rest.remove_prefix(out.size());
        return !out.empty();
    }

    bool domain(std::string& out) {
        const bool literal = !rest.empty() && rest.front() == '[';
        std::size_t length = 0;
        if (literal) {
            const auto close = rest.find(']');
            if (close == std::string_view::npos || close == 1) return false;
            length = close + 1;
            const std::string_view inside = rest.substr(1, close - 1);
            if (!std::all_of(inside.begin(), inside.end(),
                             [](char c) { return is_alnum(c) || c == '.' || c == ':'; }))
                return false;  // IPv4, "IPv6:…" (RFC 5321 §4.1.3)
        } else {
            // liberal: '_' is no letter of a host name, and yet some mail comes from such domains.
            const auto is_label = [](char c) { return is_alnum(c) || is_8bit(c) || c == '-' || c == '_'; };
            while (length < rest.size() && (is_label(rest[length]) || rest[length] == '.'))
                ++length;
            const std::string_view name = rest.substr(0, length);
            if (name.empty() || name.front() == '.' || name.back() == '.' ||
                name.find("..") != std::string_view::npos)
                return false;
        }
        out = wire::ascii_lower(rest.substr(0, length));
        rest.remove_prefix(length);
        return true;
    }

    bool source_route() {  // "@a,@b:"
        std::string ignored;
        do {
            if (!take('@') || !domain(ignored)) return false;
        } while (take(','));
        return take(':');
    }

    bool mailbox(Address& out) {
        if (!local_part(out.local)) return false;
        // liberal: a bare local part in any path, as mail transfer agents deliver to local users; RFC 5321
        // §4.1.1.3 knows only <postmaster>.
        if (take('@') && !domain(out.domain)) return false;
        if (out.local.empty() && out.domain.empty()) return false;  // <""> must not pass for the null path
        return out.local.size() <= local_octets_max && out.domain.size() <= domain_octets_max;
    }
};

bool is_dot_string(std::string_view local) {
    if (local.empty() || local.front() == '.' || local.back() == '.') return false;
    if (local.find("..") != std::string_view::npos) return false;
    return std::all_of(local.begin(), local.end(), [](char c) { return is_atext(c) || c == '.'; });
}

}  // namespace

std::string Address::text() const {
    std::string out;
    if (is_dot_string(local) || (local.empty() && domain.empty())) {
        out = local;
    } else {
        out = '"';
        for (const char c : local) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }
    if (!domain.empty()) out += '@' + domain;
    return out;
}

std::optional<ParsedPath> parse_path(std::string_view text) {
    Reader in{text};
    ParsedPath path;
    if (!in.take('<')) return std::nullopt;
    if (!in.take('>')) {
        if (!in.rest.empty() && in.rest.front() == '@' && !in.source_route()) return std::nullopt;
        if (!in.mailbox(path.address) || !in.take('>')) return std::nullopt;
    }
    if (!in.rest.empty() && in.rest.front() != ' ') return std::nullopt;
    const std::string_view taken = text.substr(0, text.size() - in.rest.size());
    path.has_utf8 = std::any_of(taken.begin(), taken.end(), is_8bit);
    if (path.has_utf8 && !is_utf8(taken)) return std::nullopt;
    path.rest = in.rest;
    return path;
}

std::optional<Address> parse_address(std::string_view text) {
    Reader in{text};
    Address address;
    if (!is_utf8(text) || !in.mailbox(address) || !in.rest.empty()) return std::nullopt;
    return address;
}

std::optional<std::vector<Parameter>> parse_parameters(std::string_view text) {
    std::vector<Parameter> parameters;
    while (!text.empty()) {
        if (text.front() == ' ') {  // liberal: more than one space, and spaces at the end
            text.remove_prefix(1);
            continue;
        }
        const std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(word.size());
        Parameter parameter;
        const auto equals = word.find('=');
        const std::string_view keyword = word.substr(0, equals);
        if (keyword.empty() || keyword.front() == '-') return std::nullopt;
        for (const char c : keyword) {
            if (!is_alnum(c) && c != '-') return std::nullopt;
            parameter.keyword += wire::ascii_upper(c);
        }
        if (equals != std::string_view::npos) {
            parameter.value = word.substr(equals + 1);
            const auto bad = [](char c) { return c <= 0x20 || c == '=' || c == 0x7f; };  // esmtp-value
            if (parameter.value->empty() || std::any_of(parameter.value->begin(), parameter.value->end(),
                                                        [&](char c) { return !is_8bit(c) && bad(c); }))
                return std::nullopt;
        }
        parameters.push_back(std::move(parameter));
    }
    return parameters;
}

std::optional<std::uint64_t> parse_number(std::string_view digits) {
    std::uint64_t number = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (digits.empty() || error != std::errc() || stop != end) return std::nullopt;
    return number;
}

bool is_host_name(std::string_view name) {
    // Attack: a name with ')' or ';' would write its own words into the Received field.
    const auto good = [](char c) {
        return is_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    };
    return !name.empty() && name.size() <= domain_octets_max && std::all_of(name.begin(), name.end(), good);
}

}  // namespace pier::smtp
