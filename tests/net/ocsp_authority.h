// A certificate authority that says by OCSP what a test wants it to say.
#pragma once

#include <chrono>
#include <string>

#include <openssl/types.h>

#include "support/certificate.h"

namespace pier::net::test {

class OcspAuthority {
  public:
    OcspAuthority();  // with a certificate for localhost that it has issued
    ~OcspAuthority();
    OcspAuthority(const OcspAuthority&) = delete;
    OcspAuthority& operator=(const OcspAuthority&) = delete;

    X509* leaf() { return leaf_; }
    X509* issuer() { return issuer_; }

    struct Said {
        int status = 0;                          // V_OCSP_CERTSTATUS_GOOD
        std::chrono::hours from{-1}, until{48};  // from now
        bool has_end = true;
    };
    std::string response(const Said& said);  // DER

    // The chain and the key, in a folder of their own.
    void write_files(pier::test::CertificateFiles& files);

  private:
    EVP_PKEY* issuer_key_;
    EVP_PKEY* leaf_key_;
    X509* issuer_;
    X509* leaf_;
};

}  // namespace pier::net::test
