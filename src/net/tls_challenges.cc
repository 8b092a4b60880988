#include "net/tls_challenges.h"

#include <algorithm>

#include <openssl/ssl.h>
#include <openssl/tls1.h>

namespace pier::net {
namespace {

// RFC 8737 §3: a list of one name, this one.
constexpr std::string_view alpn_extension(
    "\0\x0b\x0a"
    "acme-tls/1",
    13);

std::optional<std::string_view> extension(SSL* ssl, unsigned type) {
    const unsigned char* octets = nullptr;
    std::size_t count = 0;
    if (SSL_client_hello_get0_ext(ssl, type, &octets, &count) != 1) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(octets), count);
}

}  // namespace

void TlsChallenges::set(std::map<std::string, Context> contexts) {
    std::lock_guard lock(mutex_);
    contexts_ = std::move(contexts);
}

std::optional<std::string> TlsChallenges::name_asked_for(SSL* ssl) {
    const auto alpn = extension(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation);
    if (!alpn || *alpn != alpn_extension) return std::nullopt;
    // RFC 6066 §3: the list's length (2), the type 0 of a host's name, its length (2), the name, and no
    // other.
    const auto server_name = extension(ssl, TLSEXT_TYPE_server_name);
    constexpr std::size_t head = 5;
    if (!server_name || server_name->size() <= head || (*server_name)[2] != 0) return std::nullopt;
    std::string name(server_name->substr(head));
    const auto octet = [&](std::size_t at) {
        return static_cast<std::size_t>(static_cast<unsigned char>((*server_name)[at]));
    };
    if (octet(0) * 256 + octet(1) != name.size() + 3 || octet(3) * 256 + octet(4) != name.size())
        return std::nullopt;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return name;
}

TlsChallenges::Context TlsChallenges::find(const std::string& name) const {
    std::lock_guard lock(mutex_);
    const auto found = contexts_.find(name);
    return found != contexts_.end() ? found->second : nullptr;
}

}  // namespace pier::net
