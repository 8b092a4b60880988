#include "delivery/incoming_header.h"

#include <algorithm>

#include "wire/ascii.h"

namespace pier::delivery {
namespace {

constexpr std::string_view results = "authentication-results", delivered = "delivered-to";

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Behind spaces and comments (RFC 5322 §3.2.2).
std::string_view without_cfws(std::string_view text) {
    for (int depth = 0; !text.empty(); text.remove_prefix(1)) {
        const char c = text.front();
        if (depth > 0 && c == '\\' && text.size() > 1)
            text.remove_prefix(1);
        else if (c == '(')
            ++depth;
        else if (c == ')' && depth > 0)
            --depth;
        else if (depth == 0 && !is_space(c))
            break;
    }
    return text;
}

// A token or a quoted string, without its quotes.
std::string value_at(std::string_view text) {
    std::string out;
    if (text.starts_with('"')) {
        for (std::size_t i = 1; i < text.size() && text[i] != '"'; ++i) {
            if (text[i] == '\\' && i + 1 < text.size()) ++i;
            out += text[i];
        }
        return out;
    }
    for (const char c : text) {
        if (is_space(c) || c == ';' || c == '(') break;
        out += c;
    }
    return out;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

// The name, and the place behind the colon; empty: it is no field.
std::pair<std::string_view, std::string_view> split_field(std::string_view field) {
    const std::size_t colon = field.find(':');
    if (colon == std::string_view::npos) return {{}, {}};
    std::string_view name = field.substr(0, colon);
    while (name.ends_with(' ') || name.ends_with('\t'))  // obs-optional, RFC 5322 §4.5.8
        name.remove_suffix(1);
    return {name, field.substr(colon + 1)};
}

// Where the field that begins `text` ends: behind a line end that no space follows. npos: it is not told yet.
std::size_t field_end(std::string_view text, std::size_t from) {
    for (std::size_t end = text.find('\n', from); end != std::string_view::npos && end + 1 < text.size();
         end = text.find('\n', end + 1))
        if (text[end + 1] != ' ' && text[end + 1] != '\t') return end + 1;
    return std::string_view::npos;
}

bool is_end_of_header(std::string_view text) {
    return text.starts_with("\r\n") || text.starts_with('\n');
}

}  // namespace

bool IncomingHeader::claims_our_name(std::string_view value) const {
    return !authserv_id_.empty() && wire::ascii_equal(value_at(without_cfws(value)), authserv_id_);
}

bool IncomingHeader::is_ours_alone(std::string_view name) const {
    return is_filtered_ && (wire::ascii_equal(name, "X-Spam") || wire::ascii_equal(name, "X-Spam-Status"));
}

void IncomingHeader::take_field(std::string_view field, std::string& out) {
    const auto [name, value] = split_field(field);
    if (wire::ascii_equal(name, results) && claims_our_name(value)) return;
    if (is_ours_alone(name)) return;
    if (wire::ascii_equal(name, delivered) && delivered_to_.size() < delivered_to_max)
        delivered_to_.push_back(wire::ascii_lower(trimmed(value)));
    out += field;
}

std::string IncomingHeader::feed(std::string_view octets) {
    if (over_) return std::string(octets);
    std::string out;
    const std::size_t known = field_.size();
    field_ += octets;
    std::string_view text = field_;
    std::size_t from = known > 0 ? known - 1 : 0;  // a line end may have come whose next octet had not
    while (!over_) {
        if (rest_ == Rest::undecided && is_end_of_header(text)) {
            out += text;
            text = {};
            over_ = true;
            break;
        }
        const std::size_t end = field_end(text, from);
        from = 0;
        if (end == std::string_view::npos) break;
        if (rest_ == Rest::undecided)
            take_field(text.substr(0, end), out);
        else if (rest_ == Rest::kept)
            out += text.substr(0, end);
        rest_ = Rest::undecided;
        text.remove_prefix(end);
    }
    if (rest_ == Rest::undecided && text.size() > field_octets_max) {
        // Attack: a field of ours that is too long to be looked at would come through.
        const std::string_view name = split_field(text).first;
        const bool ours = (!authserv_id_.empty() && wire::ascii_equal(name, results)) || is_ours_alone(name);
        rest_ = ours ? Rest::dropped : Rest::kept;
    }
    if (rest_ != Rest::undecided && text.size() > 1) {
        // But the last octet: it may be a line end that ends the field.
        if (rest_ == Rest::kept) out += text.substr(0, text.size() - 1);
        text.remove_prefix(text.size() - 1);
    }
    field_ = std::string(text);
    return out;
}

std::string IncomingHeader::finish() {
    std::string out;
    if (!over_ && !field_.empty()) {
        if (rest_ == Rest::undecided)
            take_field(field_, out);
        else if (rest_ == Rest::kept)
            out += field_;
    }
    field_.clear();
    over_ = true;
    return out;
}

bool IncomingHeader::was_delivered_to(const smtp::Address& address) const {
    const std::string name = wire::ascii_lower(address.text());
    return std::ranges::find(delivered_to_, name) != delivered_to_.end();
}

}  // namespace pier::delivery
