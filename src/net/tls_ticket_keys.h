// Keys of session tickets that several nodes share (RFC 5077 §5.5), as a file has them: one a line, the one
// that seals first, then those that still open; `base64 of 80 octets [SP day]`, the octets being the key's
// name (16), its MAC key (32) and its cipher key (32), the day the one on which it was made (UTC). Empty
// lines and those that begin with # are nothing. docs/tls.md says how to use it.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace pier::net {

// Wiped when it goes.
struct TlsTicketKey {
    std::array<unsigned char, 16> name{};  // tells clients' tickets apart; no secret
    std::array<unsigned char, 32> mac{}, cipher{};
    Time made{};
    TlsTicketKey() = default;
    TlsTicketKey(const TlsTicketKey&) = default;
    TlsTicketKey& operator=(const TlsTicketKey&) = default;
    ~TlsTicketKey();
};

constexpr std::size_t tls_ticket_keys_max = 16;  // in one file

// A new key from kernel randomness.
TlsTicketKey make_tls_ticket_key(Time now);

// Pure. At least one key. A failure names the line, and never what stands there.
Result<std::vector<TlsTicketKey>> parse_tls_ticket_keys(std::string_view text);
std::string format_tls_ticket_keys(const std::vector<TlsTicketKey>& keys);

// The file's keys. A file that others than its owner may read or write is refused.
Result<std::vector<TlsTicketKey>> read_tls_ticket_keys(const std::string& file);

// Puts a new key in front of those of `file` and keeps `old_keys` of them (at most tls_ticket_keys_max - 1).
// A file that is not there is made, with mode 0600; one that is there keeps its owner. Whoever reads it
// meanwhile sees all of the old file or all of the new one. Gives what it has now.
Result<std::vector<TlsTicketKey>> rotate_tls_ticket_keys(const std::string& file, std::size_t old_keys,
                                                         Time now);

}  // namespace pier::net
