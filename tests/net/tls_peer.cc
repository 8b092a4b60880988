#include "net/tls_peer.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pier::net::test {

Clients::Clients(int version) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_min_proto_version(context(), version);
    SSL_CTX_set_max_proto_version(context(), version);
    SSL_CTX_set_session_cache_mode(context(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context(), keep_ticket);
}

SSL* Clients::make() {
    SSL* ssl = SSL_new(context());
    SSL_set_app_data(ssl, this);
    SSL_set_connect_state(ssl);
    return ssl;
}

int Clients::keep_ticket(SSL* ssl, SSL_SESSION* session) {
    auto* clients = static_cast<Clients*>(SSL_get_app_data(ssl));
    clients->ticket_.reset(session);
    ++clients->tickets;
    return 1;
}

Pair::Pair(const Tls& tls, Clients& clients, SSL_SESSION* session) : client_(clients.make()) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    server_fd_ = fds[0];
    client_fd_ = fds[1];
    SSL_set_bio(client_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (session != nullptr) SSL_set_session(client_.get(), session);
    server_ = TlsStream::make(tls, server_fd_, "pop3");
}

Pair::~Pair() {
    // Without it OpenSSL would take the session for a broken one and not offer its ticket again.
    SSL_shutdown(client_.get());
    server_.reset();
    ::close(server_fd_);
    ::close(client_fd_);
}

bool Pair::handshake() {
    for (int turn = 0; turn < 6; ++turn) {
        client_receives();
        SSL_do_handshake(client_.get());
        client_sends();
        last = server_->handshake(lent);
        // Packets stay apart: it may not have had all of them.
        while (last == TlsStream::Step::wants_input && server_has_packet())
            last = server_->handshake(lent);
        if (last != TlsStream::Step::wants_input) break;
    }
    return last == TlsStream::Step::done;
}

bool Pair::server_has_packet() {
    char octet = 0;
    return ::recv(server_fd_, &octet, 1, MSG_PEEK) > 0;
}

void Pair::client_says(std::string_view octets) {
    if (!client_finished()) {  // TLS 1.2: the server's Finished is the last
        EXPECT_EQ(server_->flush(), TlsStream::Step::done);
        client_receives();
        client_starts();
    }
    EXPECT_EQ(SSL_write(client_.get(), octets.data(), static_cast<int>(octets.size())),
              static_cast<int>(octets.size()));
}

bool Pair::client_used_a_key_exchange() {
    EVP_PKEY* key = nullptr;
    if (SSL_get_peer_tmp_key(client_.get(), &key) != 1) return false;
    EVP_PKEY_free(key);
    return true;
}

void Pair::client_sends(std::size_t octets_max, Spoil spoil) {
    char* octets = nullptr;
    BIO* out = SSL_get_wbio(client_.get());
    const long count = BIO_get_mem_data(out, &octets);
    if (spoil == Spoil::last_octet && count > 0) octets[count - 1] ^= 1;
    std::string_view rest(octets, static_cast<std::size_t>(count));
    while (!rest.empty()) {
        const auto piece = rest.substr(0, octets_max);
        EXPECT_EQ(::send(client_fd_, piece.data(), piece.size(), 0), static_cast<ssize_t>(piece.size()));
        rest.remove_prefix(piece.size());
    }
    (void)BIO_reset(out);
}

int Pair::client_receives() {
    int packets = 0;
    std::array<char, 65536> buffer;
    while (true) {
        const ssize_t got = ::recv(client_fd_, buffer.data(), buffer.size(), 0);
        if (got <= 0) return packets;
        BIO_write(SSL_get_rbio(client_.get()), buffer.data(), static_cast<int>(got));
        ++packets;
    }
}

std::string Pair::client_reads() {
    std::string all;
    std::array<char, 16384> buffer;
    int got = 0;
    while ((got = SSL_read(client_.get(), buffer.data(), static_cast<int>(buffer.size()))) > 0)
        all.append(buffer.data(), static_cast<std::size_t>(got));
    return all;
}

void Pair::server_writes(std::string_view octets) {
    while (!octets.empty()) {
        std::size_t taken = 0;
        ASSERT_EQ(server_->write(octets, taken), TlsStream::Step::done);
        octets.remove_prefix(taken);
    }
}

std::string Pair::server_reads() {
    std::string all;
    std::array<char, 65536> out;
    while (true) {
        std::size_t got = 0;
        last = server_->read(lent, out, got);
        all.append(out.data(), got);
        if (last != TlsStream::Step::done || got == 0) {
            if (last == TlsStream::Step::wants_input && server_->has_input()) continue;
            return all;
        }
    }
}

}  // namespace pier::net::test
