// A self-signed certificate for tests, made anew in a temporary folder.
#pragma once

#include <string>

namespace pier::test {

struct CertificateFiles {
    std::string folder, certificate, key;
    CertificateFiles() = default;
    CertificateFiles(const CertificateFiles&) = delete;
    CertificateFiles& operator=(const CertificateFiles&) = delete;
    ~CertificateFiles();  // removes them
};

// Writes a P-256 certificate for `host`, good from `first_day` (from now; negative: it has begun) to
// `days` from now (negative: it has ended).
void make_certificate(CertificateFiles& files, int days, int first_day = -400,
                      const char* host = "localhost");

}  // namespace pier::test
