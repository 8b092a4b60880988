#include "net/tls_clients.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "net/tls.h"

namespace pier::net {
namespace {

constexpr std::size_t names_max = 16;
constexpr std::size_t name_octets_max = 1024;

// Of a context: its ClientName, plus one.
int name_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}
// Of a connection: why its client's certificate was not verified, a literal of OpenSSL's.
int problem_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

// The handshake goes on; what it was about is kept.
int on_verified(int good, X509_STORE_CTX* context) {
    if (good == 1) return 1;
    auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
    const char* problem = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
    // Attack: one that cannot be noted must not look like none.
    return ssl != nullptr && SSL_set_ex_data(ssl, problem_index(), const_cast<char*>(problem)) == 1 ? 1 : 0;
}

Error unusable(const std::string& file, std::string_view why) {
    return {ErrorKind::invalid,
            fmt::format(
                "cannot use the authorities of client certificates in {}: {}. It must be PEM and readable.",
                file, why)};
}

// A ticket is good only where clients are verified alike: by the same file, octet for octet.
Result<void> bind_tickets(SSL_CTX* context, const TlsClients& clients) {
    std::ifstream in(clients.ca_file, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in || text.empty()) return unusable(clients.ca_file, "it cannot be read, or is empty");
    text += static_cast<char>(clients.name);
    std::array<unsigned char, 32> digest{};
    static_assert(sizeof digest <= SSL_MAX_SID_CTX_LENGTH);
    if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1 ||
        SSL_CTX_set_session_id_context(context, digest.data(), digest.size()) != 1)
        return Error{ErrorKind::io, "cannot set TLS up: " + tls_error_text()};
    return {};
}

bool holds_revocations(X509_STORE* store) {
    const STACK_OF(X509_OBJECT)* objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i)
        if (X509_OBJECT_get_type(sk_X509_OBJECT_value(objects, i)) == X509_LU_CRL) return true;
    return false;
}

// Attack: "ada@example.org\0.evil.example", which other programs read to its NUL.
void add_name(std::vector<std::string>& names, std::string_view name) {
    const bool clean =
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7F; });
    if (!name.empty() && name.size() <= name_octets_max && clean && names.size() < names_max)
        names.emplace_back(name);
}

std::vector<std::string> alternative_names(const X509* certificate, int type) {
    std::vector<std::string> names;
    auto* all =
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(all, i);
        if (name->type != type) continue;
        const ASN1_IA5STRING* text = name->d.ia5;
        add_name(names, {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                         static_cast<std::size_t>(ASN1_STRING_length(text))});
    }
    GENERAL_NAMES_free(all);
    return names;
}

std::vector<std::string> common_names(const X509* certificate) {
    std::vector<std::string> names;
    X509_NAME* subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    // With several it is open which of them is meant.
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return names;
    unsigned char* text = nullptr;
    const int octets = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (octets > 0) add_name(names, {reinterpret_cast<const char*>(text), static_cast<std::size_t>(octets)});
    OPENSSL_free(text);
    return names;
}

std::vector<std::string> names_of(const X509* certificate, ClientName name) {
    switch (name) {
        case ClientName::san_email:
            return alternative_names(certificate, GEN_EMAIL);
        case ClientName::san_dns:
            return alternative_names(certificate, GEN_DNS);
        case ClientName::common_name:
            return common_names(certificate);
    }
    return {};
}

}  // namespace

Result<void> ask_for_certificates(SSL_CTX* context, const TlsClients& clients) {
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    X509_LOOKUP* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == nullptr || X509_load_cert_crl_file(lookup, clients.ca_file.c_str(), X509_FILETYPE_PEM) < 1)
        return unusable(clients.ca_file, tls_error_text());
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    if (holds_revocations(store)) X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    // So that a client with several certificates knows which to show.
    STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(clients.ca_file.c_str());
    if (names == nullptr) return unusable(clients.ca_file, tls_error_text());
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verified);
    const auto name = static_cast<std::uintptr_t>(clients.name) + 1;
    if (SSL_CTX_set_ex_data(context, name_index(), reinterpret_cast<void*>(name)) != 1)
        return Error{ErrorKind::io, "cannot set TLS up: " + tls_error_text()};
    return bind_tickets(context, clients);
}

std::unique_ptr<TlsClient> client_of(const SSL* ssl) {
    const auto name =
        reinterpret_cast<std::uintptr_t>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), name_index()));
    const X509* certificate = name != 0 ? SSL_get0_peer_certificate(ssl) : nullptr;
    if (certificate == nullptr) return nullptr;
    auto client = std::make_unique<TlsClient>();
    const auto* problem = static_cast<const char*>(SSL_get_ex_data(ssl, problem_index()));
    const long verified = SSL_get_verify_result(ssl);
    if (problem != nullptr)
        client->problem = problem;
    else if (verified != X509_V_OK)
        client->problem = X509_verify_cert_error_string(verified);
    else if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0)
        client->problem = "certificate has expired";  // since the ticket was made
    else if (client->names = names_of(certificate, static_cast<ClientName>(name - 1)); client->names.empty())
        client->problem = "it has no name of the kind that tls.client_name wants";
    ERR_clear_error();
    return client;
}

}  // namespace pier::net
