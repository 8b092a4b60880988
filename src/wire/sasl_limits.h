// How much a SASL exchange takes from a client that has shown nothing yet. Octets, decoded.
#pragma once

#include <cstddef>

namespace pier::wire {

// A token of 12 KiB has room, with what stands around it: some issuers put all of a user's groups in.
inline constexpr std::size_t sasl_message_octets_max = 16384;
inline constexpr std::size_t sasl_user_octets_max = 1024;
inline constexpr std::size_t sasl_password_octets_max = 1024;
inline constexpr std::size_t sasl_nonce_octets_max = 1024;

}  // namespace pier::wire
