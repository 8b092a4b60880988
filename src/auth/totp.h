// Time-based one-time passwords (RFC 6238, on RFC 4226): what an authenticator app shows. Six digits, a new
// one every 30 seconds, HMAC-SHA-1, as all such apps know it. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/time.h"

namespace pier::auth {

inline constexpr std::size_t totp_secret_octets = 20;  // RFC 4226 §4 recommends 160 bits

// Six digits.
std::string totp_code(std::string_view secret, Time when);

// Whether it is the code of now, of the one before or of the next (clocks differ); spaces in it are passed
// over. Takes the same time whatever is wrong.
bool totp_matches(std::string_view secret, std::string_view typed, Time now);

// The secret as it is typed into an app: base32 without padding (RFC 4648 §6).
std::string totp_secret_text(std::string_view secret);

// What an app reads from a QR code: "otpauth://totp/Pier:ada%40example.org?secret=…&issuer=Pier".
std::string totp_uri(std::string_view account, std::string_view secret);

}  // namespace pier::auth
