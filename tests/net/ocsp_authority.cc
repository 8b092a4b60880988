#include "net/ocsp_authority.h"

#include <cstdio>

#include <openssl/ec.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/random.h"

namespace pier::net::test {
namespace {

X509* make(const char* common_name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
           const char* responder) {
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    unsigned char serial[4];
    random_bytes(serial);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate),
                            1u + serial[0] + 256u * serial[1] + 65536u * serial[2]);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -86400L);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * 60);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(common_name),
                               -1, -1, 0);
    X509_set_issuer_name(certificate, issuer != nullptr ? X509_get_subject_name(issuer) : name);
    const auto add = [&](int nid, const char* value) {
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    };
    add(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
    if (responder != nullptr) add(NID_info_access, responder);
    X509_sign(certificate, issuer_key, EVP_sha256());
    return certificate;
}

}  // namespace

OcspAuthority::OcspAuthority()
    : issuer_key_(EVP_EC_gen("P-256")),
      leaf_key_(EVP_EC_gen("P-256")),
      issuer_(make("Authority", issuer_key_, nullptr, issuer_key_, nullptr)),
      leaf_(make("localhost", leaf_key_, issuer_, issuer_key_, "OCSP;URI:http://127.0.0.1:1/ocsp")) {}

OcspAuthority::~OcspAuthority() {
    X509_free(leaf_);
    X509_free(issuer_);
    EVP_PKEY_free(leaf_key_);
    EVP_PKEY_free(issuer_key_);
}

std::string OcspAuthority::response(const Said& said) {
    using std::chrono::seconds;
    OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
    OCSP_CERTID* id = OCSP_cert_to_id(nullptr, leaf_, issuer_);
    ASN1_TIME* from = X509_gmtime_adj(nullptr, seconds(said.from).count());
    ASN1_TIME* until = said.has_end ? X509_gmtime_adj(nullptr, seconds(said.until).count()) : nullptr;
    ASN1_TIME* revoked = said.status == V_OCSP_CERTSTATUS_REVOKED ? X509_gmtime_adj(nullptr, -3600) : nullptr;
    for (ASN1_TIME* time : {from, until, revoked})
        if (time != nullptr) ASN1_TIME_to_generalizedtime(time, &time);
    OCSP_basic_add1_status(basic, id, said.status, 0, revoked, from, until);
    OCSP_basic_sign(basic, issuer_, issuer_key_, EVP_sha256(), nullptr, OCSP_NOCERTS);
    OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char* der = nullptr;
    const int octets = i2d_OCSP_RESPONSE(response, &der);
    std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(octets));
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(basic);
    for (ASN1_TIME* time : {from, until, revoked})
        ASN1_TIME_free(time);
    return text;
}

void OcspAuthority::write_files(pier::test::CertificateFiles& files) {
    pier::test::make_certificate(files, 30);
    std::FILE* out = std::fopen(files.certificate.c_str(), "w");
    PEM_write_X509(out, leaf_);
    PEM_write_X509(out, issuer_);
    std::fclose(out);
    out = std::fopen(files.key.c_str(), "w");
    PEM_write_PrivateKey(out, leaf_key_, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
}

}  // namespace pier::net::test
