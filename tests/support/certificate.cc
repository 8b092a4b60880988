#include "support/certificate.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace pier::test {
namespace {

struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

CertificateFiles::~CertificateFiles() {
    std::error_code ignored;
    if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
}

void make_certificate(CertificateFiles& files, int days, int first_day, const char* host) {
    if (files.folder.empty()) {
        char pattern[] = "/tmp/pier-test-XXXXXX";
        if (mkdtemp(pattern) == nullptr) throw std::runtime_error("mkdtemp");
        files.folder = pattern;
        files.certificate = files.folder + "/cert.pem";
        files.key = files.folder + "/key.pem";
    }
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 86400L * first_day);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * days);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(host), -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    X509_sign(certificate, key, EVP_sha256());
    {
        std::unique_ptr<std::FILE, FileCloser> out(std::fopen(files.certificate.c_str(), "w"));
        PEM_write_X509(out.get(), certificate);
    }
    {
        std::unique_ptr<std::FILE, FileCloser> out(std::fopen(files.key.c_str(), "w"));
        PEM_write_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
}

}  // namespace pier::test
