#include "migrate/server_text.h"

#include "base/printable.h"

namespace pier::migrate {

std::string shown(std::string_view text, std::size_t octets_max) {
    return printable(text, octets_max);
}

bool fits_a_line(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

}  // namespace pier::migrate
