// Time-based one-time passwords (TOTP, RFC 6238 over HOTP, RFC 4226), as authenticator apps have them:
// HMAC-SHA-1, six digits, a new one every 30 seconds. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace pier::auth {

inline constexpr std::size_t totp_secret_octets = 20;  // RFC 4226 §4 R6 recommends 160 bits

// The number of the 30 seconds that `now` lies in (RFC 6238 §4.2).
std::uint64_t totp_step(Time now);

// The six digits of that step; the secret is raw octets.
std::string totp_code(std::string_view secret, std::uint64_t step);

// The step that what was typed belongs to: this one, or its neighbours, because clocks differ (RFC 6238
// §5.2); blanks in it do not matter. Absent: it is wrong, or not younger than `last_step`, which was used
// already. Takes the same time for all of six digits.
std::optional<std::uint64_t> totp_accepts(std::string_view secret, std::string_view typed, Time now,
                                          std::uint64_t last_step);

// What an authenticator app reads from a QR code: "otpauth://totp/…"; it holds the secret.
std::string totp_uri(std::string_view account, std::string_view secret);

// The secret as it is typed into an app that reads no code: base32 (RFC 4648 §6) without "=".
std::string totp_secret_text(std::string_view secret);

}  // namespace pier::auth
