#include "smtp/reply.h"

#include <fmt/format.h>

namespace pier::smtp {
namespace {

constexpr std::size_t reply_octets_max = 512;

void append_line(std::string& out, std::string line) {
    line.resize(std::min(line.size(), reply_octets_max - 2));
    for (char& c : line) {
        if ((c >= 0 && c < ' ') || c == 0x7f) c = '?';
    }
    out += line;
    out += "\r\n";
}

}  // namespace

void append_reply(std::string& out, const Reply& reply) {
    const char* space = reply.enhanced.empty() ? "" : " ";
    append_line(out, fmt::format("{} {}{}{}", reply.code, reply.enhanced, space, reply.text));
}

void append_lines(std::string& out, int code, std::span<const std::string> lines) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
        append_line(out, fmt::format("{}{}{}", code, i + 1 == lines.size() ? ' ' : '-', lines[i]));
    }
}

}  // namespace pier::smtp
