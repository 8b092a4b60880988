#include "net/tls_staples.h"

#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <openssl/tls1.h>

namespace pier::net {
namespace {

// All of it, or one octet more than a response may have; absent if it cannot be opened.
std::optional<std::string> read_response(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return std::nullopt;
    std::string octets(ocsp_octets_max + 1, '\0');
    in.read(octets.data(), static_cast<std::streamsize>(octets.size()));
    octets.resize(static_cast<std::size_t>(in.gcount()));
    return octets;
}

}  // namespace

struct TlsStaples::Staple {
    OcspResponse response;
    std::string place;  // where it came from
    Clock clock;
    bool is_over() const { return response.until <= clock(); }
};

int TlsStaples::index() {
    static const int made = SSL_CTX_get_ex_new_index(
        0, nullptr, nullptr, nullptr, [](void*, void* held, CRYPTO_EX_DATA*, int, long, void*) {
            delete static_cast<std::shared_ptr<const Staple>*>(held);
        });
    return made;
}

// RFC 6066 §8: the client has asked for it. What is stale is no use to it.
int TlsStaples::on_status(SSL* ssl, void* held) {
    const Staple& staple = *static_cast<const Staple*>(held);
    if (staple.is_over()) return SSL_TLSEXT_ERR_NOACK;
    const std::string& der = staple.response.der;
    void* copy = OPENSSL_memdup(der.data(), der.size());  // OpenSSL's to free
    if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(der.size()));
    return SSL_TLSEXT_ERR_OK;
}

void TlsStaples::serve(SSL_CTX* context, const Place& place, const TlsStaples& before) {
    X509* certificate = SSL_CTX_get0_certificate(context);
    const std::string fingerprint = certificate_fingerprint(certificate);
    const std::string file = !place.file.empty()     ? place.file
                             : !place.folder.empty() ? fmt::format("{}/{}.der", place.folder, fingerprint)
                                                     : std::string();
    if (file.empty()) return;
    const auto problem = [&](std::string_view why) {
        problems_.push_back(
            fmt::format("the OCSP response {} for {} is not sent: {}", file, place.certificate, why));
    };
    std::shared_ptr<const Staple> staple;
    const auto octets = read_response(file);
    if (octets) {
        STACK_OF(X509)* chain = nullptr;
        SSL_CTX_get0_chain_certs(context, &chain);
        X509* issuer = ocsp_issuer(certificate, chain);
        auto checked = issuer != nullptr
                           ? check_ocsp(*octets, certificate, issuer, clock_())
                           : Error{ErrorKind::invalid, "the certificate's file lacks that of its issuer"};
        if (checked)
            staple = std::make_shared<Staple>(Staple{std::move(*checked), file, clock_});
        else
            problem(checked.error().text);
    } else if (!place.file.empty()) {
        problem("it cannot be read: " + std::string(std::strerror(errno)));
    }
    if (!staple)
        if (const auto kept = before.by_fingerprint_.find(fingerprint);
            kept != before.by_fingerprint_.end() && !kept->second->is_over())
            staple = kept->second;
    if (!staple) return;
    by_fingerprint_[fingerprint] = staple;
    auto* held = new std::shared_ptr<const Staple>(staple);
    if (SSL_CTX_set_ex_data(context, index(), held) != 1) {
        delete held;
        return;
    }
    SSL_CTX_set_tlsext_status_cb(context, on_status);
    SSL_CTX_set_tlsext_status_arg(context, const_cast<Staple*>(staple.get()));
}

std::vector<std::string> TlsStaples::problems() const {
    std::vector<std::string> all = problems_;
    for (const auto& [fingerprint, staple] : by_fingerprint_)
        if (staple->is_over())
            all.push_back(
                fmt::format("the OCSP response {} is not sent any more: its time is over since {}; put a "
                            "fresh one there",
                            staple->place, to_rfc3339(staple->response.until)));
    return all;
}

}  // namespace pier::net
