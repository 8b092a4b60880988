#include "dns/idna.h"

#include <algorithm>
#include <memory>

#include <idn2.h>

#include "dns/answer.h"

namespace pier::dns {

std::optional<std::string> to_ascii(std::string_view domain) {
    std::string name(domain);
    if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
        char* made = nullptr;
        // As browsers do it, and mailers: UTS #46, without the exceptions for IDNA 2003.
        const int code = ::idn2_to_ascii_8z(name.c_str(), &made, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
        const std::unique_ptr<char, decltype(&idn2_free)> owner(made, idn2_free);
        if (code != IDN2_OK || name.find('\0') != std::string::npos) return std::nullopt;
        name = made;
    }
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (!is_name(name)) return std::nullopt;
    return name;
}

}  // namespace pier::dns
