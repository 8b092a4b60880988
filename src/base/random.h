// Random bytes from the kernel; never fails (getrandom(2) blocks only before the machine has booted).
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace pier {

void random_bytes(std::span<unsigned char> out);

// `count` characters out of a 64-letter URL-safe alphabet: 6 bits each. For nonces, passwords and file names.
std::string random_text(std::size_t count);

}  // namespace pier
