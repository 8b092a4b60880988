// What a certificate's authority says of it by OCSP (RFC 6960): the question, and whether an answer is one
// that a server may send along with its certificate (stapling: RFC 6066 §8, RFC 8446 §4.4.2.1). No socket, no
// disk; any thread.
#pragma once

#include <string>
#include <string_view>

#include <openssl/types.h>
#include <openssl/x509.h>

#include "base/result.h"
#include "base/time.h"

namespace pier::net {

constexpr std::size_t ocsp_octets_max = 16 << 10;  // of a response

struct OcspResponse {
    std::string der;
    Time from{}, until{};  // thisUpdate, nextUpdate
    // When to ask again: the middle of its time.
    Time half() const { return from + (until - from) / 2; }
};

// The one in `chain` that has issued the certificate; null if it is not there.
X509* ocsp_issuer(X509* certificate, const STACK_OF(X509) * chain);

// An http:// address that the certificate names as its responder (RFC 5280 §4.2.2.1); empty: none.
std::string ocsp_responder(X509* certificate);

// The request for that certificate (DER), for a POST of application/ocsp-request (RFC 6960 §A.1).
Result<std::string> ocsp_request(X509* certificate, X509* issuer);

// `der` says that the certificate is good: signed by its issuer, or by whom that has named for it (§4.2.2.2),
// and within its time. Anything else is a failure, and its text says what.
Result<OcspResponse> check_ocsp(std::string_view der, X509* certificate, X509* issuer, Time now);

// What a file's name says of which certificate it is: its SHA-256, hexadecimal.
std::string certificate_fingerprint(const X509* certificate);

}  // namespace pier::net
