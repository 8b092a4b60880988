#include "wire/header.h"

#include <algorithm>

#include "wire/ascii.h"

namespace pier::wire {
namespace {

// Longer names are nobody's, and need not be held.
constexpr std::size_t name_octets_max = 64;

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

bool is_8bit(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}

// ftext (RFC 5322 §3.6.8), and UTF-8 nowhere (RFC 6532 §3.2).
bool is_name_octet(char c) {
    return c > ' ' && c < 0x7f && c != ':';
}

void trim(std::string& text) {
    const auto last = text.find_last_not_of(" \t");
    text.erase(last == std::string::npos ? 0 : last + 1);
    text.erase(0, std::min(text.size(), text.find_first_not_of(" \t")));
}

}  // namespace

void HeaderReader::stop(Problem why) {
    problem_ = why;
    over_ = true;
    if (kept_) fields_.pop_back();
    kept_ = false;
}

void HeaderReader::feed(std::string_view octets) {
    while (!octets.empty() && !over_) {
        const auto lf = octets.find('\n');
        std::string_view piece = octets.substr(0, lf);
        const bool whole = lf != std::string_view::npos;
        octets.remove_prefix(whole ? lf + 1 : octets.size());
        octets_ += piece.size() + whole;
        if (octets_ > limits_.header_octets_max) return stop(Problem::too_large);
        // The CR in front of a LF belongs to the line end; any other one is part of the line.
        if (cr_ && !piece.empty()) take("\r");
        if (!piece.empty()) cr_ = piece.back() == '\r';
        if (!piece.empty() && cr_) piece.remove_suffix(1);
        if (!over_) take(piece);
        if (whole && !over_) end_line();
        if (whole) cr_ = false;
    }
}

void HeaderReader::take(std::string_view piece) {
    if (piece.empty() || over_) return;
    has_8bit_ = has_8bit_ || std::any_of(piece.begin(), piece.end(), is_8bit);
    if (place_ == Place::start) {
        if (is_blank(piece.front())) {
            if (!any_) return stop(Problem::no_field);
            place_ = Place::body;
        } else {
            if (kept_) trim(fields_.back().body);
            kept_ = false;
            name_.clear();
            place_ = Place::name;
            if (++count_ > limits_.fields_max) return stop(Problem::too_many_fields);
        }
    }
    if (place_ == Place::name) take_name(piece);
    if (over_ || place_ != Place::body || !kept_) return;
    kept_octets_ += piece.size();
    if (kept_octets_ > limits_.kept_octets_max) return stop(Problem::kept_too_large);
    fields_.back().body += piece;
}

void HeaderReader::take_name(std::string_view& piece) {
    const auto colon = piece.find(':');
    for (const char c : piece.substr(0, colon)) {
        // Blanks in front of the colon are obsolete (RFC 5322 §4.5), and yet some read them as if they were
        // not there: so does this.
        const bool behind_name = !name_.empty() && is_blank(name_.back());
        if (name_.empty() ? !is_name_octet(c) : is_blank(c) ? false : behind_name || !is_name_octet(c))
            return stop(Problem::no_field);
        if (name_.size() < name_octets_max || (is_blank(c) && !behind_name)) name_ += c;
    }
    if (colon == std::string_view::npos) {
        piece = {};
        return;
    }
    if (name_.empty()) return stop(Problem::no_field);
    piece.remove_prefix(colon + 1);
    place_ = Place::body;
    any_ = true;
    trim(name_);
    const auto wanted =
        std::ranges::find_if(wanted_, [&](std::string_view name) { return ascii_equal(name, name_); });
    if (wanted == wanted_.end()) return;
    kept_octets_ += wanted->size();
    fields_.push_back({std::string(*wanted), {}});
    kept_ = true;
}

void HeaderReader::end_line() {
    if (place_ == Place::name) return stop(Problem::no_field);
    if (place_ == Place::start) {
        over_ = true;
        if (kept_) trim(fields_.back().body);
        kept_ = false;
    }
    place_ = Place::start;
}

void HeaderReader::finish() {
    if (over_) return;
    if (place_ == Place::name) return stop(Problem::no_field);
    place_ = Place::start;
    end_line();
}

std::size_t HeaderReader::count(std::string_view name) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(fields_, [&](const HeaderField& field) { return field.name == name; }));
}

const HeaderField* HeaderReader::find(std::string_view name) const {
    const auto found = std::ranges::find(fields_, name, &HeaderField::name);
    return found == fields_.end() ? nullptr : &*found;
}

}  // namespace pier::wire
