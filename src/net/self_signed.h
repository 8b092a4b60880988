// Certificates that nobody but their own key has signed: to have TLS at all until there is a real one, and to
// answer an ACME authority (RFC 8737). Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pier::net {

struct PemPair {
    std::string certificate, key;  // PEM; the key is not wiped here
    ~PemPair();
};

// A new P-256 key, and a certificate for `names` with it, good from an hour ago for `days`. With
// `acme_identifier` (32 octets) it has that as a critical extension (RFC 8737 §3).
Result<PemPair> make_self_signed(const std::vector<std::string>& names, int days,
                                 std::string_view acme_identifier = {});

}  // namespace pier::net
