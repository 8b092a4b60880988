#include "store/store.h"

namespace pier::store {
namespace {

// "00" to "ff": a mailbox has many UIDLs, and a listing of them all is hardly anything else.
constexpr auto digit_pairs = [] {
    std::array<char, 512> pairs{};
    for (std::size_t i = 0; i < 256; ++i) {
        pairs[2 * i] = "0123456789abcdef"[i >> 4];
        pairs[2 * i + 1] = "0123456789abcdef"[i & 15];
    }
    return pairs;
}();

}  // namespace

void Guid::append_hex(std::string& out) const {
    std::array<char, 32> text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        text[2 * i] = digit_pairs[2u * bytes[i]];
        text[2 * i + 1] = digit_pairs[2u * bytes[i] + 1];
    }
    out.append(text.data(), text.size());
}

std::string Guid::hex() const {
    std::string text;
    append_hex(text);
    return text;
}

Time Guid::time() const {
    std::int64_t ms = 0;
    for (std::size_t i = 0; i < 6; ++i)
        ms = ms << 8 | bytes[i];
    return Time(std::chrono::milliseconds(ms));
}

}  // namespace pier::store
