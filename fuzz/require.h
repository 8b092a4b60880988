// What fuzz targets share: a property that does not hold ends the program, as a sanitizer's finding does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace pier::fuzz {

inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "violated: %s\n", what);
    std::abort();
}

// True if a Result or an optional holds just that.
template <class Maybe, class Value>
bool gives(const Maybe& result, const Value& value) {
    return result && *result == value;
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace pier::fuzz
