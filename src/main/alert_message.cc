#include "main/alert_message.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "wire/base64.h"

namespace pier::program {
namespace {

constexpr std::size_t line_octets_max = 900;      // RFC 5322 §2.1.1: 998 without the CRLF
constexpr std::size_t base64_octets_a_line = 57;  // they become 76 characters (RFC 2045 §6.8)

bool is_plain(std::string_view text) {
    std::size_t line = 0;
    for (const char c : text) {
        line = c == '\n' ? 0 : line + 1;
        if (line > line_octets_max || static_cast<unsigned char>(c) >= 0x7F || (c < ' ' && c != '\n'))
            return false;
    }
    return true;
}

std::string with_crlf(std::string_view text) {
    std::string lines;
    for (const char c : text) {
        if (c == '\n') lines += '\r';
        lines += c;
    }
    return lines;
}

std::string in_base64(std::string_view octets) {
    std::string lines;
    for (std::size_t at = 0; at < octets.size(); at += base64_octets_a_line)
        lines += wire::base64_encode(octets.substr(at, base64_octets_a_line)) + "\r\n";
    return lines;
}

}  // namespace

std::string alert_message(const AlertMessage& message, const watch::NoticeMail& text) {
    std::string recipients;
    for (const std::string& one : message.to)
        recipients += fmt::format("{}<{}>", recipients.empty() ? "" : ",\r\n ", one);
    const bool plain = is_plain(text.body);
    const std::string body = with_crlf(text.body);
    return fmt::format(
        "From: Pier <{}>\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <alert.{}@{}>\r\n"
        "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: {}\r\n\r\n{}",
        message.from, recipients, text.subject, to_rfc5322(message.at), message.id, message.server,
        plain ? "7bit" : "base64", plain ? body : in_base64(body));
}

}  // namespace pier::program
