#include "net/self_signed.h"

#include <array>
#include <memory>

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/random.h"
#include "net/tls.h"

namespace pier::net {
namespace {

template <auto free>
struct Free {
    template <class T>
    void operator()(T* held) const {
        free(held);
    }
};
template <class T, auto free>
using Held = std::unique_ptr<T, Free<free>>;

constexpr long hour_s = 3600, day_s = 24 * hour_s;
constexpr std::size_t common_name_octets_max = 64;  // RFC 5280's ub-common-name

std::string text_of(BIO* memory) {
    char* data = nullptr;
    const long count = BIO_get_mem_data(memory, &data);
    return {data, static_cast<std::size_t>(count)};
}

bool add_extension(X509* certificate, int nid, const std::string& value) {
    const Held<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// acmeIdentifier (1.3.6.1.5.5.7.1.31): an OCTET STRING within the extension's own.
bool add_acme_identifier(X509* certificate, std::string_view octets) {
    std::string der{"\x04\x20"};
    der += octets;
    const Held<ASN1_OBJECT, ASN1_OBJECT_free> name(OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1));
    const Held<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> value(ASN1_OCTET_STRING_new());
    if (octets.size() != 32 || !name || !value ||
        ASN1_OCTET_STRING_set(value.get(), reinterpret_cast<const unsigned char*>(der.data()),
                              static_cast<int>(der.size())) != 1)
        return false;
    const Held<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509_EXTENSION_create_by_OBJ(nullptr, name.get(), 1, value.get()));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool fill(X509* certificate, EVP_PKEY* key, const std::vector<std::string>& names, int days,
          std::string_view acme_identifier) {
    std::array<unsigned char, 8> serial{};
    random_bytes(serial);
    serial[0] = (serial[0] & 0x3F) | 0x40;  // positive, and of this length
    const Held<BIGNUM, BN_free> number(BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
    X509_NAME* subject = X509_get_subject_name(certificate);
    std::string alternatives;
    for (const std::string& name : names)
        alternatives += fmt::format("{}DNS:{}", alternatives.empty() ? "" : ",", name);
    const std::string common = names.empty() ? "pier" : names.front().substr(0, common_name_octets_max);
    return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr &&
           X509_set_version(certificate, 2) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -hour_s) != nullptr &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), days * day_s) != nullptr &&
           X509_set_pubkey(certificate, key) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(common.data()),
                                      static_cast<int>(common.size()), -1, 0) == 1 &&
           X509_set_issuer_name(certificate, subject) == 1 &&
           (alternatives.empty() || add_extension(certificate, NID_subject_alt_name, alternatives)) &&
           (acme_identifier.empty() || add_acme_identifier(certificate, acme_identifier)) &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

}  // namespace

PemPair::~PemPair() {
    OPENSSL_cleanse(key.data(), key.size());
}

Result<PemPair> make_self_signed(const std::vector<std::string>& names, int days,
                                 std::string_view acme_identifier) {
    const Held<EVP_PKEY, EVP_PKEY_free> key(EVP_EC_gen("P-256"));
    const Held<X509, X509_free> certificate(X509_new());
    const Held<BIO, BIO_free> certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_secmem()));
    if (!key || !certificate || !certificate_text || !key_text ||
        !fill(certificate.get(), key.get(), names, days, acme_identifier) ||
        PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1 ||
        PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        return Error{ErrorKind::io, "cannot make a certificate: " + tls_error_text()};
    PemPair pair;
    pair.certificate = text_of(certificate_text.get());
    pair.key = text_of(key_text.get());
    return pair;
}

}  // namespace pier::net
