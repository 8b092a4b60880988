#include "acme/certificate.h"

#include <algorithm>
#include <ctime>
#include <memory>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "net/tls.h"

namespace pier::acme {
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
using Certificate = Held<X509, X509_free>;

constexpr std::chrono::minutes clock_behind_max{60};

bool add_names(X509_REQ* request, const std::vector<std::string>& domains) {
    std::string names;
    for (const std::string& domain : domains)
        names += fmt::format("{}DNS:{}", names.empty() ? "" : ",", domain);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
    const bool added = extension != nullptr && extensions != nullptr &&
                       sk_X509_EXTENSION_push(extensions, extension) > 0 &&
                       X509_REQ_add_extensions(request, extensions) == 1;
    sk_X509_EXTENSION_free(extensions);
    X509_EXTENSION_free(extension);
    return added;
}

Certificate first_of(std::string_view pem) {
    const Held<BIO, BIO_free> memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    return Certificate(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
}

Time time_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
    return Time(std::chrono::seconds(::timegm(&parts)));
}

bool is_for(X509* certificate, const std::vector<std::string>& domains) {
    return std::all_of(domains.begin(), domains.end(), [certificate](const std::string& domain) {
        return X509_check_host(certificate, domain.data(), domain.size(), 0, nullptr) == 1;
    });
}

}  // namespace

Result<std::string> make_request(const Key& key, const std::vector<std::string>& domains) {
    const Held<X509_REQ, X509_REQ_free> request(X509_REQ_new());
    unsigned char* der = nullptr;
    int octets = 0;
    if (request && X509_REQ_set_version(request.get(), 0) == 1 && add_names(request.get(), domains) &&
        X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
        X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0)
        octets = i2d_X509_REQ(request.get(), &der);
    if (octets <= 0)
        return Error{ErrorKind::io, "cannot make a certificate's request: " + net::tls_error_text()};
    std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(octets));
    OPENSSL_free(der);
    return text;
}

Time Life::renewal(double jitter) const {
    const auto life = until - from;
    const auto earlier = std::chrono::duration_cast<Time::duration>(
        std::chrono::duration<double, Time::period>(static_cast<double>(life.count()) * jitter / 20));
    return from + life * 2 / 3 - earlier;
}

Result<Life> life_of(std::string_view pem) {
    const Certificate certificate = first_of(pem);
    if (!certificate) return Error{ErrorKind::invalid, "it is no certificate (PEM)"};
    return Life{time_of(X509_get0_notBefore(certificate.get())),
                time_of(X509_get0_notAfter(certificate.get()))};
}

bool is_for(std::string_view pem, const std::vector<std::string>& domains) {
    const Certificate certificate = first_of(pem);
    return certificate && is_for(certificate.get(), domains);
}

Result<Life> check_chain(std::string_view pem, const Key& key, const std::vector<std::string>& domains,
                         Time now) {
    const Certificate certificate = first_of(pem);
    if (!certificate) return Error{ErrorKind::invalid, "what the authority sends is no certificate (PEM)"};
    if (X509_check_private_key(certificate.get(), key.get()) != 1)
        return Error{ErrorKind::invalid, "the authority's certificate is for another key"};
    if (!is_for(certificate.get(), domains))
        return Error{ErrorKind::invalid, "the authority's certificate is not for all of the names asked for"};
    const Life life{time_of(X509_get0_notBefore(certificate.get())),
                    time_of(X509_get0_notAfter(certificate.get()))};
    if (life.until <= now || life.from > now + clock_behind_max)
        return Error{
            ErrorKind::invalid,
            fmt::format("the authority's certificate is good from {} to {}; look at this machine's clock",
                        to_rfc3339(life.from), to_rfc3339(life.until))};
    return life;
}

}  // namespace pier::acme
