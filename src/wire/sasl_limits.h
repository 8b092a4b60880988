// How much a SASL exchange takes from a client that has shown nothing yet. Octets, decoded.
#pragma once

#include <cstddef>

namespace pier::wire {

inline constexpr std::size_t sasl_message_octets_max = 8192;
inline constexpr std::size_t sasl_user_octets_max = 1024;
inline constexpr std::size_t sasl_password_octets_max = 1024;
inline constexpr std::size_t sasl_nonce_octets_max = 1024;

}  // namespace pier::wire
