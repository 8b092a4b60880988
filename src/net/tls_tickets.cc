#include "net/tls_tickets.h"

#include <algorithm>
#include <cstring>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/ssl.h>

#include "base/random.h"
#include "net/tls.h"

namespace pier::net {
namespace {

constexpr std::size_t iv_octets = 16;

// What OpenSSL's callback may answer.
constexpr int failed = -1;
constexpr int unknown = 0;
constexpr int good = 1;
constexpr int good_and_renew = 2;

int tickets_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

}  // namespace

TlsTickets::TlsTickets(Clock clock)
    : clock_(std::move(clock)), aes_(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)) {
    current_ = make_tls_ticket_key(clock_());
    previous_ = current_;
}

TlsTickets::~TlsTickets() {
    EVP_CIPHER_free(aes_);
}

Result<void> TlsTickets::serve(SSL_CTX* context) {
    if (aes_ == nullptr || SSL_CTX_set_ex_data(context, tickets_index(), this) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) != 1)
        return Error{ErrorKind::io, "cannot set TLS session tickets up: " + tls_error_text()};
    SSL_CTX_set_timeout(context, std::chrono::seconds(lifetime).count());
    return {};
}

void TlsTickets::share(std::vector<TlsTicketKey> keys) {
    std::lock_guard lock(mutex_);
    shared_ = std::move(keys);
}

void TlsTickets::rotate(Time now) {
    if (now - current_.made < lifetime) return;
    previous_ = current_;
    current_ = make_tls_ticket_key(now);
}

TlsTickets::Key TlsTickets::sealing_key() {
    const Time now = clock_();
    std::lock_guard lock(mutex_);
    if (!shared_.empty()) return shared_.front();
    rotate(now);
    return current_;
}

int TlsTickets::opening_key(const unsigned char* name, Key& key) {
    const Time now = clock_();
    std::lock_guard lock(mutex_);
    if (!shared_.empty()) {
        const auto found = std::find_if(shared_.begin(), shared_.end(), [name](const Key& one) {
            return std::memcmp(name, one.name.data(), one.name.size()) == 0;
        });
        if (found == shared_.end()) return 0;
        key = *found;
        return found == shared_.begin() ? 1 : 2;
    }
    rotate(now);
    if (std::memcmp(name, current_.name.data(), current_.name.size()) == 0) {
        key = current_;
        return 1;
    }
    // Without a handshake in a long time the key before may be older than two turns.
    if (now - previous_.made >= 2 * lifetime) return 0;
    if (std::memcmp(name, previous_.name.data(), previous_.name.size()) != 0) return 0;
    key = previous_;
    return 2;
}

int TlsTickets::use(bool tls13, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, bool sealing) {
    Key key;
    int answer = good;
    if (sealing) {
        key = sealing_key();
        std::copy(key.name.begin(), key.name.end(), name);
        random_bytes({iv, iv_octets});
        if (EVP_EncryptInit_ex2(cipher, aes_, key.cipher.data(), iv, nullptr) != 1) return failed;
    } else {
        const int which = opening_key(name, key);
        if (which == 0) return unknown;
        // TLS 1.3: a ticket used twice would tell an observer that it is the same client (RFC 8446 §C.4), so
        // each connection gets a new one. In TLS 1.2 tickets are seen in the clear anyway, and making one
        // more costs the handshake; only those of the old key are replaced.
        if (tls13 || which == 2) answer = good_and_renew;
        if (EVP_DecryptInit_ex2(cipher, aes_, key.cipher.data(), iv, nullptr) != 1) return failed;
    }
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1 ? answer : failed;
}

int TlsTickets::on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                          EVP_MAC_CTX* mac, int sealing) {
    auto* tickets = static_cast<TlsTickets*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index()));
    return tickets->use(SSL_version(ssl) == TLS1_3_VERSION, name, iv, cipher, mac, sealing == 1);
}

}  // namespace pier::net
