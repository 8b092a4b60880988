#include "load/tls.h"

#include <openssl/err.h>

#include "load/stop.h"

namespace load {

std::string openssl_error_text() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return "the connection was cut";
    const char* reason = ERR_reason_error_string(code);
    return reason ? reason : "OpenSSL error " + std::to_string(code);
}

Tls::Tls(std::size_t connections, bool resume, bool small)
    : context_(SSL_CTX_new(TLS_client_method())), slots_(connections), resume_(resume) {
    if (!context_) throw Stop("no TLS: " + openssl_error_text());
    SSL_CTX* context = context_.get();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (small) {
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    } else {
        // One read(2) for many records; without it OpenSSL makes two for each.
        SSL_CTX_set_read_ahead(context, 1);
        SSL_CTX_set_default_read_buffer_len(context, 64 * 1024);
    }
    // Even with SSL_VERIFY_NONE OpenSSL builds and checks the chain, and then passes over what it found.
    SSL_CTX_set_cert_verify_callback(
        context, [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
    if (resume) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, keep_session);
    } else {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    }
}

SSL* Tls::open(std::size_t slot, int descriptor) {
    SSL* ssl = SSL_new(context_.get());
    if (!ssl || SSL_set_fd(ssl, descriptor) != 1) throw Stop("no TLS: " + openssl_error_text());
    SSL_set_app_data(ssl, &slots_.at(slot));
    if (slots_[slot].session) SSL_set_session(ssl, slots_[slot].session.get());
    SSL_set_connect_state(ssl);
    return ssl;
}

int Tls::keep_session(SSL* ssl, SSL_SESSION* session) {
    static_cast<Slot*>(SSL_get_app_data(ssl))->session.reset(session);
    return 1;
}

void Tls::count_handshake(SSL* ssl) {
    ++(SSL_session_reused(ssl) ? resumed_handshakes : full_handshakes);
    version = SSL_get_version(ssl);
    cipher = SSL_get_cipher_name(ssl);
}

}  // namespace load
