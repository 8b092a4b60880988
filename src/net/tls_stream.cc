#include "net/tls_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "net/tls.h"

namespace pier::net {
namespace {

// Two records leave with one sendmsg(2). More would not cost much less, and a peer that takes nothing would
// have us hold them.
constexpr std::size_t text_octets_per_send = 2 * TlsRecords::text_octets_max;

// Holds a ticket and a greeting, or the replies of a session that fetches nothing.
constexpr std::size_t held_octets_max = 4096;

// The certificate's hash, by the hash of its signature; nothing if that has none of its own (RFC 5929 §4.1).
std::string end_point_of(const X509* certificate) {
    int digest = NID_undef;
    if (certificate == nullptr ||
        X509_get_signature_info(const_cast<X509*>(certificate), &digest, nullptr, nullptr, nullptr) != 1)
        return {};
    const bool old = digest == NID_md5 || digest == NID_sha1;
    const EVP_MD* hash = old ? EVP_sha256() : EVP_get_digestbynid(digest);
    std::array<unsigned char, EVP_MAX_MD_SIZE> octets;
    unsigned int count = 0;
    if (hash == nullptr || X509_digest(certificate, hash, octets.data(), &count) != 1) return {};
    return {reinterpret_cast<const char*>(octets.data()), count};
}

bool would_block(int error_number) {
    return error_number == EAGAIN || error_number == EWOULDBLOCK;
}

}  // namespace

const BIO_METHOD* TlsStream::socket_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pier socket");
        BIO_meth_set_read(made, [](BIO* bio, char* out, int most) {
            return static_cast<TlsStream*>(BIO_get_data(bio))
                ->give_input(out, static_cast<std::size_t>(std::max(most, 0)));
        });
        BIO_meth_set_write(made, [](BIO* bio, const char* octets, int count) {
            return static_cast<TlsStream*>(BIO_get_data(bio))
                ->take_output(octets, static_cast<std::size_t>(std::max(count, 0)));
        });
        BIO_meth_set_ctrl(made,
                          [](BIO*, int what, long, void*) -> long { return what == BIO_CTRL_FLUSH ? 1 : 0; });
        return made;
    }();
    return method;
}

std::unique_ptr<TlsStream> TlsStream::make(const Tls& tls, int fd, const char* alpn) {
    std::unique_ptr<TlsStream> stream(new TlsStream(fd, alpn));
    stream->ssl_ = tls.new_connection();
    stream->bio_ = BIO_new(socket_method());
    if (stream->ssl_ == nullptr || stream->bio_ == nullptr) {
        BIO_free(stream->bio_);
        return nullptr;
    }
    BIO_set_data(stream->bio_, stream.get());
    BIO_set_init(stream->bio_, 1);
    SSL_set_bio(stream->ssl_, stream->bio_, stream->bio_);
    return stream;
}

TlsStream::~TlsStream() {
    if (ssl_ != nullptr) SSL_free(ssl_);
    X509_free(certificate_);
}

TlsStream& TlsStream::of(const SSL* ssl) {
    return *static_cast<TlsStream*>(BIO_get_data(SSL_get_rbio(ssl)));
}

int TlsStream::give_input(char* out, std::size_t most) {
    BIO_clear_retry_flags(bio_);
    if (input_.empty()) {
        BIO_set_retry_read(bio_);
        return -1;
    }
    const std::size_t count = input_.copy(out, most);
    input_.remove_prefix(count);
    return static_cast<int>(count);
}

// What is held and `octets`, with one call: how many octets of both are gone, 0 if the socket takes none now.
std::optional<std::size_t> TlsStream::send_with_held(std::string_view octets) {
    iovec pieces[2] = {{held_.data(), held_.size()}, {const_cast<char*>(octets.data()), octets.size()}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    ssize_t sent = 0;
    do
        sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (would_block(errno)) return 0;
    error_number_ = errno;
    return std::nullopt;
}

int TlsStream::take_output(const char* octets, std::size_t count) {
    BIO_clear_retry_flags(bio_);
    if (held_.size() + count <= held_octets_max) {
        held_.append(octets, count);
        return static_cast<int>(count);
    }
    all_held_ = false;
    const auto gone = send_with_held({octets, count});
    if (!gone) return -1;
    if (*gone > held_.size()) {
        const std::size_t taken = *gone - held_.size();
        held_ = {};
        return static_cast<int>(taken);
    }
    held_.erase(0, *gone);
    BIO_set_retry_write(bio_);
    return -1;
}

TlsStream::Step TlsStream::flush() {
    while (!held_.empty()) {
        const ssize_t sent = ::send(fd_, held_.data(), held_.size(), MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (would_block(errno)) return Step::wants_room;
            error_number_ = errno;
            return Step::failed;
        }
        held_.erase(0, static_cast<std::size_t>(sent));
    }
    held_ = {};
    all_held_ = true;
    return Step::done;
}

TlsStream::Step TlsStream::send_all(std::string_view octets) {
    const auto gone = send_with_held(octets);
    if (!gone) return Step::failed;
    if (*gone < held_.size()) {
        held_.erase(0, *gone);
        held_ += octets;
    } else {
        held_ = std::string(octets.substr(*gone - held_.size()));
    }
    return Step::done;
}

TlsStream::Step TlsStream::take_input(std::span<char> lent) {
    if (!early_.empty() && ssl_ != nullptr) {
        input_ = early_;
        return Step::done;
    }
    ssize_t got = 0;
    do
        got = ::recv(fd_, lent.data(), lent.size(), 0);
    while (got < 0 && errno == EINTR);
    // epoll(7): a read that did not fill its buffer has emptied the socket.
    emptied_socket_ = got < static_cast<ssize_t>(lent.size());
    if (got == 0) return Step::end;
    if (got < 0) {
        if (would_block(errno)) return Step::wants_input;
        error_number_ = errno;
        return Step::failed;
    }
    input_ = {lent.data(), static_cast<std::size_t>(got)};
    return Step::done;
}

void TlsStream::keep_input() {
    early_ = std::string(std::exchange(input_, {}));
}

TlsStream::Step TlsStream::step_of(int result) {
    switch (SSL_get_error(ssl_, result)) {
        case SSL_ERROR_NONE:
            return Step::done;
        case SSL_ERROR_WANT_READ:
            return Step::wants_input;
        case SSL_ERROR_WANT_WRITE:
            return Step::wants_room;
        case SSL_ERROR_ZERO_RETURN:
            return Step::end;
        default:
            return Step::failed;
    }
}

TlsStream::Step TlsStream::handshake(std::span<char> lent) {
    emptied_socket_ = false;
    // The last flight must be gone before the peer can answer it.
    if (const Step flushed = flush(); flushed != Step::done) return flushed;
    if (const Step taken = take_input(lent); taken != Step::done) return taken;
    ERR_clear_error();
    const Step step = step_of(SSL_accept(ssl_));
    keep_input();
    if (step == Step::done) {
        client_ = client_of(ssl_);
        hand_over();
        return step;  // a ticket may be held back: it leaves with the greeting
    }
    const Step flushed = flush();  // our flight, or the alert that says what was wrong
    return step == Step::wants_input && flushed != Step::done ? flushed : step;
}

void TlsStream::on_secret(const SSL* ssl, const char* line) {
    TlsStream& stream = of(ssl);
    const std::string_view text(line);
    const std::string_view name = text.substr(0, text.find(' '));
    bool (TlsRecords::*const set)(std::string_view) =
        name == "CLIENT_TRAFFIC_SECRET_0"   ? &TlsRecords::set_client_secret
        : name == "SERVER_TRAFFIC_SECRET_0" ? &TlsRecords::set_server_secret
        : name == "EXPORTER_SECRET"         ? &TlsRecords::set_exporter_secret
                                            : nullptr;
    if (set == nullptr) return;
    if (!stream.records_) stream.records_ = std::make_unique<TlsRecords>();
    (*stream.records_.*set)(text.substr(text.rfind(' ') + 1));
}

// The end of the handshake. Where TlsRecords can go on alone, OpenSSL's state goes.
void TlsStream::hand_over() {
    if (!records_) return;
    // What OpenSSL wrote behind the client's last flight is under the new keys: tickets, if anything.
    std::uint64_t written = 0;
    std::size_t at = 0;
    while (at + 5 <= held_.size()) {
        at += 5 + static_cast<std::size_t>(static_cast<unsigned char>(held_[at + 3])) * 256 +
              static_cast<unsigned char>(held_[at + 4]);
        ++written;
    }
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_);
    const bool clean = all_held_ && at == held_.size() && SSL_has_pending(ssl_) == 0;
    if (!clean || SSL_version(ssl_) != TLS1_3_VERSION ||
        !records_->begin(SSL_CIPHER_get_protocol_id(cipher), written)) {
        records_.reset();
        return;
    }
    cipher_name_ = SSL_CIPHER_get_name(cipher);
    resumed_ = SSL_session_reused(ssl_) == 1;
    certificate_ = SSL_get_certificate(ssl_);
    X509_up_ref(certificate_);
    SSL_free(std::exchange(ssl_, nullptr));
    bio_ = nullptr;
}

TlsStream::Step TlsStream::open_records(std::string_view input, std::span<char> out, std::size_t& got) {
    Step step = Step::wants_input;
    auto opened = TlsRecords::Opened::nothing;
    while (opened == TlsRecords::Opened::nothing || opened == TlsRecords::Opened::data) {
        std::size_t octets = 0;
        opened = records_->open(input, out.subspan(got), octets);
        got += octets;
    }
    if (opened == TlsRecords::Opened::bad) {
        broken_ = true;
        records_->seal_alert(held_);
        return Step::failed;
    }
    if (opened == TlsRecords::Opened::end) {
        ended_ = true;
        step = Step::end;
    }
    if (records_->owes_key_update() && !records_->seal_key_update(held_)) return Step::failed;
    early_ = std::string(input);
    return got > 0 ? Step::done : step;
}

TlsStream::Step TlsStream::read_records(std::span<char> lent, std::span<char> out, std::size_t& got) {
    if (ended_) return Step::end;
    if (broken_) return Step::failed;
    if (!early_.empty()) {
        const Step step = open_records(early_, out, got);
        if (step != Step::wants_input) return step;
    }
    if (const Step taken = take_input(lent); taken != Step::done) return taken;
    const std::string_view fresh = std::exchange(input_, {});
    if (early_.empty()) return open_records(fresh, out, got);
    early_ += fresh;
    return open_records(early_, out, got);
}

TlsStream::Step TlsStream::write_records(std::string_view octets, std::size_t& taken) {
    if (held_.size() > held_octets_max) {
        if (const Step flushed = flush(); flushed != Step::done) return flushed;
    }
    octets = octets.substr(0, text_octets_per_send);
    if (held_.size() + octets.size() + TlsRecords::extra_octets <= held_octets_max) {
        if (!records_->seal(octets, held_)) return Step::failed;
        taken = octets.size();
        return Step::done;
    }
    static thread_local std::string sealed;
    sealed.clear();
    if (!records_->seal(octets, sealed)) return Step::failed;
    taken = octets.size();
    return send_all(sealed);
}

TlsStream::Step TlsStream::read(std::span<char> lent, std::span<char> out, std::size_t& got) {
    got = 0;
    emptied_socket_ = false;
    if (ssl_ == nullptr) return read_records(lent, out, got);
    if ((SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0) return Step::end;
    if (const Step taken = take_input(lent); taken != Step::done) return taken;
    ERR_clear_error();
    Step step = Step::done;
    while (step == Step::done && got < out.size()) {
        std::size_t more = 0;
        step = step_of(SSL_read_ex(ssl_, out.data() + got, out.size() - got, &more));
        got += more;
    }
    keep_input();
    // An end or a failure behind octets shows at the next call.
    return got > 0 ? Step::done : step;
}

TlsStream::Step TlsStream::write(std::string_view octets, std::size_t& taken) {
    taken = 0;
    ERR_clear_error();
    if (ssl_ == nullptr) return write_records(octets, taken);
    return step_of(SSL_write_ex(ssl_, octets.data(), octets.size(), &taken));
}

void TlsStream::say_goodbye() {
    ERR_clear_error();
    if (ssl_ == nullptr) {
        if (!broken_) records_->seal_alert(held_);
        return;
    }
    if (SSL_is_init_finished(ssl_) != 1) return;
    SSL_shutdown(ssl_);
}

Error TlsStream::error(const char* doing) {
    if (error_number_ != 0) return errno_error(error_number_, doing);
    if (broken_) return {ErrorKind::io, fmt::format("cannot {}: {}", doing, records_->reason())};
    return {ErrorKind::io, fmt::format("cannot {}: {}", doing, tls_error_text())};
}

bool TlsStream::has_exporter() const {
    return ssl_ == nullptr || SSL_version(ssl_) == TLS1_3_VERSION;
}

std::string TlsStream::channel_binding(std::string_view type) const {
    if (type == "tls-server-end-point")
        return end_point_of(ssl_ != nullptr ? SSL_get_certificate(ssl_) : certificate_);
    if (type != "tls-exporter" || !has_exporter()) return {};
    // RFC 9266 §4.1
    static constexpr std::string_view label = "EXPORTER-Channel-Binding";
    std::string octets(32, '\0');
    auto* out = reinterpret_cast<unsigned char*>(octets.data());
    const bool made = ssl_ == nullptr ? records_->export_secret(label, {out, octets.size()})
                                      : SSL_export_keying_material(ssl_, out, octets.size(), label.data(),
                                                                   label.size(), nullptr, 0, 1) == 1;
    return made ? octets : std::string();
}

std::string TlsStream::text() const {
    if (ssl_ == nullptr) return fmt::format("TLSv1.3/{}{}", cipher_name_, resumed_ ? "+resumed" : "");
    return fmt::format("{}/{}{}", SSL_get_version(ssl_), SSL_get_cipher_name(ssl_),
                       SSL_session_reused(ssl_) ? "+resumed" : "");
}

}  // namespace pier::net
