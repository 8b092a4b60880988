#include "smtp/reply_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/printable.h"

namespace pier::smtp {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// One to three digits at the front of `text`, taken off.
bool take_number(std::string_view& text) {
    std::size_t count = 0;
    while (count < text.size() && count < 4 && is_digit(text[count]))
        ++count;
    text.remove_prefix(count);
    return count >= 1 && count <= 3;
}

// The three digits of a reply; 0: there are none.
int code_of(std::string_view line) {
    if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]))
        return 0;
    return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

}  // namespace

std::string take_enhanced_code(int code, std::string_view& text) {
    std::string_view rest = text;
    // RFC 2034 §4: the first digit is that of the code, and nothing but 2, 4 and 5 has a class.
    if (rest.size() < 5 || rest[0] != '0' + code / 100 || rest[0] == '3' || rest[1] != '.') return {};
    rest.remove_prefix(2);
    if (!take_number(rest) || !rest.starts_with('.')) return {};
    rest.remove_prefix(1);
    if (!take_number(rest) || !(rest.empty() || rest.front() == ' ')) return {};
    std::string enhanced(text.substr(0, text.size() - rest.size()));
    text = rest.substr(rest.empty() ? 0 : 1);
    return enhanced;
}

std::optional<Reply> ReplyReader::next() {
    while (broken_.empty()) {
        const auto line = in_.next_line(limits_.line_octets_max);
        if (!line) return std::nullopt;
        if (line->too_long) {
            broken_ = "the server sent an endless line";
        } else if (take_line(line->text)) {
            Reply reply = whole();
            code_ = 0;
            return reply;
        }
    }
    return std::nullopt;
}

// True: it is the last of its reply.
bool ReplyReader::take_line(std::string_view line) {
    const int code = code_of(line);
    const char mark = line.size() > 3 ? line[3] : ' ';  // liberal: "250" alone is a whole reply
    if (code == 0 || (mark != ' ' && mark != '-') || (code_ != 0 && code != code_)) {
        broken_ = fmt::format("this is not SMTP: the server said \"{}\"", printable(line));
        return false;
    }
    if (code_ == 0) lines_.clear();
    if (lines_.size() == limits_.lines_max) {
        broken_ = "the server sent an endless reply";
        return false;
    }
    code_ = code;
    lines_.emplace_back(line.substr(std::min<std::size_t>(line.size(), 4)));
    return mark == ' ';
}

Reply ReplyReader::whole() const {
    Reply reply;
    reply.code = code_;
    std::string text;
    for (const std::string& each : lines_) {
        std::string_view line = each;
        const std::string enhanced = take_enhanced_code(reply.code, line);
        if (reply.enhanced.empty()) reply.enhanced = enhanced;
        if (text.size() > limits_.text_octets_max) break;
        if (!text.empty() && !line.empty()) text += ' ';
        text += line;
    }
    reply.text = printable(text, limits_.text_octets_max);
    return reply;
}

}  // namespace pier::smtp
