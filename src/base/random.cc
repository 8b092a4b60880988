#include "base/random.h"

#include <cerrno>
#include <cstdlib>

#include <sys/random.h>

namespace pier {

void random_bytes(std::span<unsigned char> out) {
    while (!out.empty()) {
        const ssize_t n = getrandom(out.data(), out.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        // Going on with predictable bytes would give away nonces and passwords.
        if (n <= 0) std::abort();
        out = out.subspan(static_cast<std::size_t>(n));
    }
}

std::string random_text(std::size_t count) {
    static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text(count, '\0');
    random_bytes({reinterpret_cast<unsigned char*>(text.data()), text.size()});
    for (char& c : text)
        c = alphabet[static_cast<unsigned char>(c) & 63];
    return text;
}

}  // namespace pier
