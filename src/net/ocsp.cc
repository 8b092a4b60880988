#include "net/ocsp.h"

#include <array>
#include <ctime>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "net/tls.h"

namespace pier::net {
namespace {

// The responder's clock may be ahead of ours.
constexpr std::chrono::minutes clock_ahead_max{5};

template <auto free>
struct Free {
    template <class T>
    void operator()(T* held) const {
        free(held);
    }
};
template <class T, auto free>
using Held = std::unique_ptr<T, Free<free>>;

Error refusal(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

std::optional<Time> time_of(const ASN1_GENERALIZEDTIME* time) {
    std::tm parts{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
    return Time(std::chrono::seconds(::timegm(&parts)));
}

// The answer about this certificate, whichever hash names it.
OCSP_SINGLERESP* answer_about(OCSP_BASICRESP* basic, X509* certificate, X509* issuer) {
    for (int i = 0; i < OCSP_resp_count(basic); ++i) {
        OCSP_SINGLERESP* answer = OCSP_resp_get0(basic, i);
        const OCSP_CERTID* id = OCSP_SINGLERESP_get0_id(answer);
        ASN1_OBJECT* algorithm = nullptr;
        OCSP_id_get0_info(nullptr, &algorithm, nullptr, nullptr, const_cast<OCSP_CERTID*>(id));
        const EVP_MD* hash = EVP_get_digestbyobj(algorithm);
        if (hash == nullptr) continue;
        const Held<OCSP_CERTID, OCSP_CERTID_free> wanted(OCSP_cert_to_id(hash, certificate, issuer));
        if (wanted && OCSP_id_cmp(wanted.get(), id) == 0) return answer;
    }
    return nullptr;
}

// By the issuer alone, or by somebody whom it has let sign such answers: nothing above it is asked.
bool is_signed(OCSP_BASICRESP* basic, X509* issuer) {
    const Held<X509_STORE, X509_STORE_free> store(X509_STORE_new());
    const Held<STACK_OF(X509), [](STACK_OF(X509) * stack) { sk_X509_free(stack); }> signers(
        sk_X509_new_null());
    if (!store || !signers || X509_STORE_add_cert(store.get(), issuer) != 1 ||
        X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN) != 1 ||
        sk_X509_push(signers.get(), issuer) <= 0)
        return false;
    return OCSP_basic_verify(basic, signers.get(), store.get(), 0) == 1;
}

}  // namespace

X509* ocsp_issuer(X509* certificate, const STACK_OF(X509) * chain) {
    for (int i = 0; i < sk_X509_num(chain); ++i)
        if (X509_check_issued(sk_X509_value(chain, i), certificate) == X509_V_OK)
            return sk_X509_value(chain, i);
    return nullptr;
}

std::string ocsp_responder(X509* certificate) {
    STACK_OF(OPENSSL_STRING)* addresses = X509_get1_ocsp(certificate);
    std::string found;
    for (int i = 0; i < sk_OPENSSL_STRING_num(addresses) && found.empty(); ++i) {
        const std::string_view address = sk_OPENSSL_STRING_value(addresses, i);
        if (address.starts_with("http://")) found = address;
    }
    X509_email_free(addresses);
    return found;
}

Result<std::string> ocsp_request(X509* certificate, X509* issuer) {
    const Held<OCSP_REQUEST, OCSP_REQUEST_free> request(OCSP_REQUEST_new());
    OCSP_CERTID* id =
        OCSP_cert_to_id(EVP_sha1(), certificate, issuer);  // what every responder knows (RFC 5019)
    if (!request || id == nullptr || OCSP_request_add0_id(request.get(), id) == nullptr) {
        OCSP_CERTID_free(id);
        return Error{ErrorKind::io, "cannot make an OCSP request: " + tls_error_text()};
    }
    unsigned char* der = nullptr;
    const int octets = i2d_OCSP_REQUEST(request.get(), &der);
    if (octets <= 0) return Error{ErrorKind::io, "cannot make an OCSP request: " + tls_error_text()};
    std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(octets));
    OPENSSL_free(der);
    return text;
}

Result<OcspResponse> check_ocsp(std::string_view der, X509* certificate, X509* issuer, Time now) {
    ERR_clear_error();
    const auto* octets = reinterpret_cast<const unsigned char*>(der.data());
    const auto* end = octets + der.size();
    const Held<OCSP_RESPONSE, OCSP_RESPONSE_free> response(
        der.size() > ocsp_octets_max ? nullptr
                                     : d2i_OCSP_RESPONSE(nullptr, &octets, static_cast<long>(der.size())));
    if (!response || octets != end) return refusal("it is no OCSP response (DER)");
    if (const int status = OCSP_response_status(response.get()); status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return refusal(fmt::format("the responder says {}", OCSP_response_status_str(status)));
    const Held<OCSP_BASICRESP, OCSP_BASICRESP_free> basic(OCSP_response_get1_basic(response.get()));
    if (!basic) return refusal("it is no basic OCSP response");
    OCSP_SINGLERESP* answer = answer_about(basic.get(), certificate, issuer);
    if (answer == nullptr) return refusal("it is about another certificate");
    if (!is_signed(basic.get(), issuer))
        return refusal("it is not signed by the certificate's issuer: " + tls_error_text());
    ASN1_GENERALIZEDTIME *revoked = nullptr, *from = nullptr, *until = nullptr;
    int reason = 0;
    const int status = OCSP_single_get0_status(answer, &reason, &revoked, &from, &until);
    if (status == V_OCSP_CERTSTATUS_REVOKED)
        return refusal("the authority has REVOKED the certificate; get a new one at once");
    if (status != V_OCSP_CERTSTATUS_GOOD) return refusal("the authority does not know the certificate");
    const auto begins = time_of(from), ends = time_of(until);
    // Without an end nobody could say when it is stale.
    if (!begins || !ends) return refusal("it has no end (nextUpdate)");
    if (*begins > now + clock_ahead_max)
        return refusal("its time has not begun; look at this machine's clock");
    if (*ends <= now) return refusal("its time is over since " + to_rfc3339(*ends));
    return OcspResponse{std::string(der), *begins, *ends};
}

std::string certificate_fingerprint(const X509* certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> octets{};
    unsigned int count = 0;
    X509_digest(certificate, EVP_sha256(), octets.data(), &count);
    std::string text;
    for (unsigned int i = 0; i < count; ++i)
        text += fmt::format("{:02x}", octets[i]);
    return text;
}

}  // namespace pier::net
