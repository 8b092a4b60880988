// The octets of a stored message without its first ones: what only the mailboxes here have of it.
#pragma once

#include <cstdint>
#include <memory>

#include "store/store.h"

namespace pier::queue {

// As store::Body, of what stands behind `skipped` octets (or nothing, if there are fewer). It may say of a
// message that it has dot lines although it has none; sending is right either way.
std::unique_ptr<store::Body> skipping_body(std::unique_ptr<store::Body> whole, std::uint64_t skipped);

}  // namespace pier::queue
