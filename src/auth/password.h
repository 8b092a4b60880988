// Passwords as accounts keep them: "{SCHEME}text". Pier itself writes {ARGON2ID}; the others come with
// accounts of other servers (Dovecot's names, RFC 2307 §5.3, crypt(3)). Any thread. Most functions cost
// milliseconds on purpose: not on an event loop.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/sasl.h"

namespace pier::auth {

// Argon2id (RFC 9106) with 19 MiB and 2 passes, the OWASP minimum: checks run on every core, so memory
// decides.
inline constexpr std::uint64_t argon2_octets = 19ull << 20;
inline constexpr std::uint64_t argon2_passes = 2;
// RFC 7677 §4 names 15,000 as what a machine of 2015 does in 0.1 s. Clients, also phones, pay for it at every
// login.
inline constexpr std::uint32_t scram_iterations = 20'000;
inline constexpr std::size_t scram_salt_octets = 16;

// All that is kept of a password.
struct StoredPassword {
    std::string password;  // "{ARGON2ID}$argon2id$…"
    wire::ScramKeys scram_sha1, scram_sha256;
};

// Fails with `invalid` for a password that could not be used to log in (empty, too long, with a NUL), `busy`
// when there is no memory for the hash.
Result<StoredPassword> store_password(std::string_view password);

// False also for a text that is no stored password. Throws std::bad_alloc if there is no memory to find out.
// Takes the same time wherever the two differ.
bool password_matches(std::string_view stored, std::string_view password);

// Costs what password_matches costs for an account of this server, and says nothing.
void spend_password_check(std::string_view password);

// False: made by another scheme or with other costs; worth making anew when the password is at hand.
bool is_current_password(std::string_view stored);

// A scheme text as an administrator gives it, checked and with its scheme written out: "$6$…" becomes
// "{CRYPT}$6$…". `invalid` says what is wrong and never repeats the text.
Result<std::string> normal_password_scheme(std::string_view text);

// The password itself, if the (normal) scheme keeps it readable: {PLAIN}.
std::optional<std::string> readable_password(std::string_view stored);

// The SCRAM keys, if the (normal) scheme is {SCRAM-SHA-1} or {SCRAM-SHA-256}.
std::optional<wire::ScramKeys> scram_keys_of(std::string_view stored, wire::ScramHash hash);

// The names of all schemes, for messages and manuals.
std::span<const std::string_view> password_scheme_names();

// Overwrites the octets before the memory is given back.
void wipe(std::string& secret);

}  // namespace pier::auth
