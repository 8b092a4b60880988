// One connection's TLS, the server's side (RFC 8446, RFC 5246): OpenSSL's state, and the way between it and a
// non-blocking socket. Owned by a Connection; on its loop's thread.
//
// OpenSSL's own socket BIO makes two calls of recv(2) for each record, and a send(2) for each piece that
// leaves. Here one recv(2) takes what the socket has into a buffer that is lent for the call, and OpenSSL
// reads from there. A short piece of output is held back until flush() or a longer piece: so a new
// ticket leaves with the greeting, and close_notify with the last reply. While nothing is under way no buffer
// is held.
//
// When a handshake has ended with TLS 1.3, OpenSSL's 14 KB of state go, and TlsRecords carries on.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <openssl/bio.h>

#include "base/result.h"
#include "net/tls_challenges.h"
#include "net/tls_clients.h"
#include "net/tls_records.h"

namespace pier::net {

class Tls;

class TlsStream {
  public:
    // What a call has come to. `wants_…`: wait for the socket and call again (write() with the same octets).
    enum class Step { done, wants_input, wants_room, end, failed };

    // A lent buffer must be at least this much smaller than what read() may fill: a record of which a part
    // came earlier (RFC 8446 §5.2).
    static constexpr std::size_t record_octets_max = 16384 + 256 + 5;

    // For the socket `fd`, which outlives it. `alpn` as in Connection::start_tls. Null if memory is short.
    static std::unique_ptr<TlsStream> make(const Tls& tls, int fd, const char* alpn);
    ~TlsStream();
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;

    Step handshake(std::span<char> lent);
    // All that one recv(2) brings. `done`: at least one octet, `got` in all. `end`: the peer has said that it
    // will send no more, or is gone.
    Step read(std::span<char> lent, std::span<char> out, std::size_t& got);
    // Octets that came with the handshake's last ones wait here, and not in the socket.
    bool has_input() const { return !early_.empty(); }
    // The last read or handshake has left nothing in the socket.
    bool emptied_socket() const { return emptied_socket_; }
    // `taken` octets of it are written or held back.
    Step write(std::string_view octets, std::size_t& taken);
    // Sends what is held back.
    Step flush();
    bool holds_output() const { return !held_.empty(); }
    // Puts close_notify behind what was written; flush() sends it. Nothing more may be written.
    void say_goodbye();

    // Why a call has failed.
    Error error(const char* doing);
    // "TLSv1.3/TLS_AES_128_GCM_SHA256", "+resumed" behind it.
    std::string text() const;

    // As Connection has them.
    std::string channel_binding(std::string_view type) const;
    bool has_exporter() const;
    const TlsClient* client() const { return client_.get(); }

    const char* alpn() const { return alpn_; }
    // For Tls: the client is an ACME authority (net/tls_challenges.h), and gets nothing but its certificate.
    void answer_challenge() { alpn_ = acme_alpn; }
    bool answers_challenge() const { return alpn_ == acme_alpn; }
    static TlsStream& of(const SSL* ssl);
    // A line of OpenSSL's key log; for Tls, which asks OpenSSL for it.
    static void on_secret(const SSL* ssl, const char* line);

  private:
    TlsStream(int fd, const char* alpn) : fd_(fd), alpn_(alpn) {}
    static const BIO_METHOD* socket_method();
    int give_input(char* out, std::size_t most);
    int take_output(const char* octets, std::size_t count);
    std::optional<std::size_t> send_with_held(std::string_view octets);
    // Gives OpenSSL something to read: what is left from earlier, or what the socket has.
    Step take_input(std::span<char> lent);
    void keep_input();  // what OpenSSL has not read yet, for the next call
    Step step_of(int result);
    void hand_over();
    Step open_records(std::string_view input, std::span<char> out, std::size_t& got);
    Step read_records(std::span<char> lent, std::span<char> out, std::size_t& got);
    Step write_records(std::string_view octets, std::size_t& taken);
    // Sends what is held back, and `octets` behind it; what the socket does not take is held back.
    Step send_all(std::string_view octets);

    const int fd_;
    int error_number_ = 0;  // of the socket
    bool emptied_socket_ = false;
    const char* alpn_;
    SSL* ssl_ = nullptr;                   // until hand_over()
    BIO* bio_ = nullptr;                   // ssl_ owns it
    std::unique_ptr<TlsRecords> records_;  // TLS 1.3: from hand_over() on
    const char* cipher_name_ = nullptr;    // OpenSSL's, for good
    X509* certificate_ = nullptr;          // ours, held; from hand_over() on
    std::unique_ptr<TlsClient> client_;    // null: it has shown no certificate
    bool resumed_ = false, ended_ = false, broken_ = false;
    bool all_held_ = true;    // what OpenSSL has written since the last flush() is in held_
    std::string_view input_;  // in a lent buffer or in early_, within a call
    std::string early_;
    std::string held_;
};

}  // namespace pier::net
