// The certificate that an authority is asked for: its key and request before, what came after, and when to
// renew it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "acme/jose.h"
#include "base/result.h"
#include "base/time.h"

namespace pier::acme {

// PKCS #10 (RFC 2986), DER: `domains` as subject alternative names, signed by `key`.
Result<std::string> make_request(const Key& key, const std::vector<std::string>& domains);

// How long a certificate is good.
struct Life {
    Time from, until;
    // Two thirds of it, and up to a twentieth less, by `jitter` from 0 to 1: so that not all who came
    // together come together again.
    Time renewal(double jitter) const;
};

// The first certificate of a PEM file.
Result<Life> life_of(std::string_view pem);
// It is for all of these names.
bool is_for(std::string_view pem, const std::vector<std::string>& domains);

// What the authority has sent is what was asked for: PEM, for this key, for all of these names, good at
// `now`.
Result<Life> check_chain(std::string_view pem, const Key& key, const std::vector<std::string>& domains,
                         Time now);

}  // namespace pier::acme
