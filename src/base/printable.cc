#include "base/printable.h"

#include <algorithm>

#include "base/utf8.h"

namespace pier {

std::string printable(std::string_view text, std::size_t octets_max) {
    std::string out(text.substr(0, octets_max));
    // U+0080 to U+009F are control characters too; what is cut inside a character is no UTF-8 any more.
    const bool plain = is_utf8(out) && out.find('\xC2') == std::string::npos;
    std::ranges::replace_if(
        out,
        [plain](char c) {
            const auto octet = static_cast<unsigned char>(c);
            return octet < 0x20 || octet == 0x7F || (octet >= 0x80 && !plain);
        },
        '?');
    if (text.size() > octets_max) out += "...";
    return out;
}

}  // namespace pier
