#include "migrate/imap_response.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "wire/ascii.h"

namespace pier::migrate {
namespace {

// The octets of the literal that a line announces at its end: "{123}" or, not in answers but harmless,
// "{123+}".
std::optional<std::uint64_t> announced_literal(std::string_view line) {
    if (!line.ends_with('}')) return std::nullopt;
    const auto brace = line.rfind('{');
    if (brace == std::string_view::npos) return std::nullopt;
    std::string_view digits = line.substr(brace + 1, line.size() - brace - 2);
    if (digits.ends_with('+')) digits.remove_suffix(1);
    std::uint64_t octets = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, octets);
    if (digits.empty() || error != std::errc() || stop != end) return std::nullopt;
    return octets;
}

// Reads the values out of the parts of a response.
template <class Parts>
class Values {
  public:
    Values(Parts& parts, std::size_t depth_max) : parts_(parts), depth_max_(depth_max) { begin_part(); }

    bool read(std::vector<ImapValue>& out) { return read_until(out, 0) && part_ == parts_.size(); }

  private:
    void begin_part() { rest_ = part_ < parts_.size() ? std::string_view(parts_[part_].text) : ""; }

    bool read_until(std::vector<ImapValue>& out, std::size_t depth) {
        for (;;) {
            if (rest_.empty()) {
                if (part_ == parts_.size()) return depth == 0;
                auto& literal = parts_[part_++].literal;
                if (literal) out.push_back(std::move(*literal));
                begin_part();
                continue;
            }
            const char c = rest_.front();
            if (c == ' ') {
                rest_.remove_prefix(1);
            } else if (c == ')') {
                rest_.remove_prefix(1);
                return depth > 0;
            } else if (c == '(') {
                if (depth == depth_max_) return false;
                rest_.remove_prefix(1);
                ImapValue list;
                list.kind = ImapValue::Kind::list;
                if (!read_until(list.items, depth + 1)) return false;
                out.push_back(std::move(list));
            } else if (c == '"') {
                if (!read_quoted(out)) return false;
            } else {
                read_atom(out);
            }
        }
    }

    bool read_quoted(std::vector<ImapValue>& out) {
        ImapValue value;
        value.kind = ImapValue::Kind::string;
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] == '"') {
                rest_.remove_prefix(i + 1);
                out.push_back(std::move(value));
                return true;
            }
            if (rest_[i] == '\\' && ++i == rest_.size()) return false;
            value.text += rest_[i];
        }
        return false;
    }

    void read_atom(std::vector<ImapValue>& out) {
        std::size_t end = 0;
        bool in_brackets = false;  // BODY[HEADER.FIELDS (DATE)]
        while (end < rest_.size()) {
            const char c = rest_[end];
            if (!in_brackets && (c == ' ' || c == '(' || c == ')' || c == '"')) break;
            if (c == '[') in_brackets = true;
            if (c == ']') in_brackets = false;
            ++end;
        }
        ImapValue value;
        value.text = rest_.substr(0, end);
        if (wire::ascii_equal(value.text, "NIL")) value.kind = ImapValue::Kind::nil;
        rest_.remove_prefix(end);
        out.push_back(std::move(value));
    }

    Parts& parts_;
    const std::size_t depth_max_;
    std::size_t part_ = 0;
    std::string_view rest_;
};

}  // namespace

bool ImapValue::is_atom(std::string_view word) const {
    return kind == Kind::atom && wire::ascii_equal(text, word);
}

// True when the response is complete.
Result<bool> ImapReader::read_part() {
    const auto line = in_.next_line(limits_.line_octets_max);
    if (!line) return false;
    if (line->too_long) return Error(ErrorKind::stopped, "the server sent an endless line");
    std::string text(line->text);
    const auto octets = announced_literal(text);
    if (!octets) {
        parts_.push_back({std::move(text), std::nullopt});
        return true;
    }
    if (parts_.size() >= limits_.literals_max || *octets > limits_.skipped_octets_max)
        return Error(ErrorKind::stopped, "the server sent an answer without end");
    text.resize(text.rfind('{'));
    ImapValue literal;
    literal.kind = ImapValue::Kind::string;
    literal.octets = *octets;
    literal_octets_ += *octets;
    literal.too_large = literal_octets_ > limits_.literal_octets_max;
    parts_.push_back({std::move(text), std::move(literal)});
    literal_left_ = *octets;
    in_literal_ = true;
    return false;
}

// True when it is complete.
bool ImapReader::read_literal() {
    ImapValue& literal = *parts_.back().literal;
    const auto piece = in_.raw().substr(0, std::min<std::uint64_t>(in_.raw().size(), literal_left_));
    if (!literal.too_large) literal.text += piece;
    literal_left_ -= piece.size();
    in_.consume(piece.size());
    in_literal_ = literal_left_ > 0;
    return !in_literal_;
}

Result<std::optional<ImapResponse>> ImapReader::next() {
    for (;;) {
        if (in_literal_ && !read_literal()) return std::optional<ImapResponse>();
        const auto complete = read_part();
        if (!complete) return complete.error();
        if (*complete) return std::optional(take());
        if (!in_literal_) return std::optional<ImapResponse>();
    }
}

ImapResponse ImapReader::take() {
    std::vector<Part> parts = std::exchange(parts_, {});
    literal_octets_ = 0;
    ImapResponse response;
    response.line = parts.front().text;
    if (!Values(parts, limits_.depth_max).read(response.values)) response.values.clear();
    return response;
}

}  // namespace pier::migrate
