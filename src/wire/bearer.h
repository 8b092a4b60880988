// The texts of OAUTHBEARER (RFC 7628) and XOAUTH2, for wire/sasl.cc and its tests. Pure; any thread.
//
//   OAUTHBEARER  n,a=ada@example.org,^Ahost=mail.example.org^Aport=995^Aauth=Bearer TOKEN^A^A
//   XOAUTH2      user=ada@example.org^Aauth=Bearer TOKEN^A^A       (^A: the octet 1)
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/sasl.h"

namespace pier::wire {

enum class BearerForm { oauthbearer, xoauth2 };

struct BearerMessage {
    std::string authzid;  // decoded; empty if absent
    std::string token;    // RFC 6750 §2.1's b64token; empty: the client shows none
};

// `invalid` if the message is malformed; its text is safe to show to the client. Keys that are not known
// (host, port …) are passed over, as RFC 7628 §3.1 wants.
Result<BearerMessage> parse_bearer(BearerForm form, std::string_view message);

// What a client is told whose token is not good: JSON (RFC 7628 §3.2.2).
std::string bearer_error(BearerForm form, const SaslTokenSource& source);

}  // namespace pier::wire
