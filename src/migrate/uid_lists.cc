#include "migrate/uid_lists.h"

#include <charconv>

#include <fmt/format.h>

#include "wire/ascii.h"

namespace pier::migrate {
namespace {

constexpr std::size_t width_max = 70;  // no UIDL is longer

template <class Number>
std::optional<Number> number(std::string_view digits) {
    Number value = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (digits.empty() || error != std::errc() || stop != end) return std::nullopt;
    return value;
}

// Takes the next line off `text`, without its end.
std::string_view next_line(std::string_view& text) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

// Takes the next word off `line`, and the blanks behind it.
std::string_view next_word(std::string_view& line) {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
    return word;
}

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(' ');
    return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

Error bad_format(std::string_view what) {
    return {ErrorKind::invalid,
            fmt::format("UIDL format: {}; it is made of %u %v %f %g, as in %08Xu%08Xv", what)};
}

}  // namespace

std::string_view unique_name(std::string_view file_name) {
    return file_name.substr(0, file_name.find(':'));
}

// ---- UidlFormat ----

UidlFormat UidlFormat::dovecot_default() {
    return *parse("%08Xu%08Xv");
}

Result<UidlFormat> UidlFormat::parse(std::string_view text) {
    UidlFormat format;
    bool has_variable = false;
    while (!text.empty()) {
        std::string literal(text.substr(0, text.find('%')));
        text.remove_prefix(literal.size());
        Part part;
        if (text.starts_with("%%")) {
            literal += '%';
            text.remove_prefix(2);
        } else if (text.starts_with("%{")) {
            const auto close = text.find('}');
            if (close == std::string_view::npos) return bad_format("a '{' without '}'");
            Result<Part> inside = parse_braces(text.substr(2, close - 2));
            if (!inside) return inside.error();
            part = std::move(*inside);
            text.remove_prefix(close + 1);
        } else if (!text.empty()) {
            text.remove_prefix(1);
            Result<Part> one = parse_percent(text);
            if (!one) return one.error();
            part = std::move(*one);
        }
        part.literal = std::move(literal);
        has_variable = has_variable || part.variable != 0;
        format.parts_.push_back(std::move(part));
    }
    if (!has_variable) return bad_format("it has no variable, so all UIDLs would be the same");
    return format;
}

// What stands behind a '%': takes it off `text`.
Result<UidlFormat::Part> UidlFormat::parse_percent(std::string_view& text) {
    Part part;
    part.zeros = text.starts_with('0');
    const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789"));
    text.remove_prefix(digits.size());
    if (!digits.empty()) {
        const auto width = number<std::size_t>(digits);
        if (!width || *width > width_max) return bad_format(fmt::format("the width {} is too large", digits));
        part.width = *width;
    }
    const std::string_view modifiers = text.substr(0, text.find_first_not_of("XLU"));
    text.remove_prefix(modifiers.size());
    part.modifiers = modifiers;
    if (text.empty()) return bad_format("a % without a variable");
    part.variable = text.front();
    text.remove_prefix(1);
    if (part.variable == 'm') return bad_format("%m (the MD5 of the header) is not supported");
    if (std::string_view("uvfg").find(part.variable) == std::string_view::npos)
        return bad_format(fmt::format("'{}' behind % is not known", part.variable));
    return part;
}

Result<UidlFormat::Part> UidlFormat::parse_braces(std::string_view inside) {
    Part part;
    const std::string_view name = trimmed(inside.substr(0, inside.find('|')));
    if (name == "uid") part.variable = 'u';
    if (name == "uidvalidity") part.variable = 'v';
    if (name == "filename") part.variable = 'f';
    if (name == "guid") part.variable = 'g';
    if (part.variable == 0) return bad_format(fmt::format("%{{{}}} is not known", name));
    inside.remove_prefix(std::min(inside.size(), inside.find('|')));
    while (!inside.empty()) {
        inside.remove_prefix(1);
        const std::string_view filter = trimmed(inside.substr(0, inside.find('|')));
        inside.remove_prefix(std::min(inside.size(), inside.find('|')));
        if (filter == "lower") {
            part.modifiers += 'L';
        } else if (filter == "upper") {
            part.modifiers += 'U';
        } else if (filter == "hex") {
            part.modifiers += 'X';
        } else if (filter.starts_with("hex(") && filter.ends_with(')')) {
            const auto width = number<std::size_t>(filter.substr(4, filter.size() - 5));
            if (!width || *width > width_max)
                return bad_format(fmt::format("'{}' needs a small number", filter));
            part.modifiers += 'X';
            part.zeros = true;
            part.width = *width;
        } else {
            return bad_format(fmt::format("the filter '{}' is not known", filter));
        }
    }
    return part;
}

std::string UidlFormat::Part::apply(std::string value) const {
    for (const char modifier : modifiers) {
        if (modifier == 'X') value = fmt::format("{:x}", number<std::uint64_t>(value).value_or(0));
        if (modifier == 'L') value = wire::ascii_lower(value);
        if (modifier == 'U') value = wire::ascii_upper(value);
    }
    if (zeros && value.size() < width) value.insert(0, width - value.size(), '0');
    if (!zeros && width > 0 && value.size() > width) value.resize(width);
    return value;
}

std::string UidlFormat::operator()(std::uint32_t uid, std::uint32_t uid_validity, std::string_view file_name,
                                   std::string_view guid) const {
    std::string uidl;
    for (const Part& part : parts_) {
        uidl += part.literal;
        if (part.variable == 'u') uidl += part.apply(std::to_string(uid));
        if (part.variable == 'v') uidl += part.apply(std::to_string(uid_validity));
        if (part.variable == 'f') uidl += part.apply(std::string(file_name));
        if (part.variable == 'g') uidl += part.apply(std::string(guid));
    }
    return uidl;
}

bool UidlFormat::needs_name() const {
    for (const Part& part : parts_) {
        if (part.variable == 'f' || part.variable == 'g') return true;
    }
    return false;
}

// ---- dovecot-uidlist ----

namespace {

Result<void> parse_dovecot_header(std::string_view line, DovecotList& list, bool& has_fields) {
    const Error broken(
        ErrorKind::corrupt,
        fmt::format("the first line of dovecot-uidlist is not known: \"{}\"", line.substr(0, 80)));
    const std::string_view version = next_word(line);
    if (version != "1" && version != "3") return broken;
    has_fields = version == "3";
    std::optional<std::uint32_t> uid_validity;
    if (!has_fields) uid_validity = number<std::uint32_t>(next_word(line));
    while (has_fields && !line.empty()) {
        const std::string_view word = next_word(line);
        if (word.starts_with('V')) uid_validity = number<std::uint32_t>(word.substr(1));
        if (word.starts_with('P')) list.uidl_format = word.substr(1);
    }
    if (!uid_validity) return broken;
    list.uid_validity = *uid_validity;
    return {};
}

bool parse_dovecot_line(std::string_view line, bool has_fields, DovecotList& list) {
    DovecotList::Entry entry;
    const auto uid = number<std::uint32_t>(next_word(line));
    if (!uid || *uid == 0) return false;
    entry.uid = *uid;
    while (has_fields && !line.empty() && !line.starts_with(':')) {
        const std::string_view word = next_word(line);
        if (word.starts_with('P')) entry.uidl = word.substr(1);
        if (word.starts_with('O')) entry.order = number<std::uint32_t>(word.substr(1)).value_or(0);
        if (word.starts_with('G')) entry.guid = word.substr(1);
    }
    if (line.starts_with(':')) line.remove_prefix(1);
    const std::string name(unique_name(line));
    if (name.empty()) return false;
    if (entry.uidl && entry.uidl->empty()) entry.uidl = name;
    if (entry.guid.empty()) entry.guid = name;
    list.entries.insert_or_assign(name, std::move(entry));  // a later line replaces an earlier one
    return true;
}

}  // namespace

Result<DovecotList> parse_dovecot_list(std::string_view text) {
    DovecotList list;
    bool has_fields = false;
    if (auto header = parse_dovecot_header(next_line(text), list, has_fields); !header) return header.error();
    while (!text.empty()) {
        if (!parse_dovecot_line(next_line(text), has_fields, list)) ++list.broken_lines;
    }
    return list;
}

// ---- courierpop3dsizelist ----

namespace {

std::string courier_uidl_of_name(std::string_view name) {
    std::string uidl;
    for (const char c : name) {
        if (c < 0x21 || c > 0x7e || c == '\'' || c == '"' || c == '+')
            uidl += fmt::format("+{:02X}", static_cast<unsigned char>(c));
        else
            uidl += c;
    }
    return uidl;
}

// Takes the last word off `line`.
std::string_view last_word(std::string_view& line) {
    const auto space = line.rfind(' ');
    const std::string_view word = space == std::string_view::npos ? line : line.substr(space + 1);
    line = line.substr(0, space == std::string_view::npos ? 0 : space);
    return word;
}

bool parse_courier_line(std::string_view line, bool has_numbers, CourierList& list) {
    std::uint64_t n = 0, uidv = 0;
    if (has_numbers) {
        std::string_view word = last_word(line);
        const auto first = number<std::uint64_t>(word.substr(0, word.find(':')));
        if (!first) return false;
        n = *first;
        word.remove_prefix(std::min(word.size(), word.find(':')));
        if (!word.empty()) {
            word.remove_prefix(1);
            const auto second = number<std::uint64_t>(word.substr(0, word.find(':')));
            if (!second) return false;
            uidv = *second;
        }
    }
    if (!number<std::uint64_t>(last_word(line))) return false;  // the octets
    const std::string name(unique_name(line));
    if (name.empty()) return false;
    list.uidls[name] = n == 0      ? courier_uidl_of_name(name)
                       : uidv == 0 ? fmt::format("UID{}", n)
                                   : fmt::format("UID{}-{}", n, uidv);
    return true;
}

}  // namespace

Result<CourierList> parse_courier_list(std::string_view text) {
    CourierList list;
    bool has_numbers = false;
    if (text.starts_with('/')) {
        std::string_view header = next_line(text);
        const std::string_view version = next_word(header).substr(1);
        if (version != "1" && version != "2" && version != "3")
            return Error(
                ErrorKind::corrupt,
                fmt::format("courierpop3dsizelist has the unknown version \"{}\"", version.substr(0, 20)));
        has_numbers = true;
    }
    while (!text.empty()) {
        if (!parse_courier_line(next_line(text), has_numbers, list)) ++list.broken_lines;
    }
    return list;
}

}  // namespace pier::migrate
