#include "net/tls_stream.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "net/tls.h"

namespace pier::net {
namespace {

// Holds a ticket and a greeting, or the replies of a session that fetches nothing.
constexpr std::size_t held_octets_max = 4096;

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

int TlsStream::take_output(const char* octets, std::size_t count) {
    BIO_clear_retry_flags(bio_);
    if (held_.size() + count <= held_octets_max) {
        held_.append(octets, count);
        return static_cast<int>(count);
    }
    iovec pieces[2] = {{held_.data(), held_.size()}, {const_cast<char*>(octets), count}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    ssize_t sent = 0;
    do
        sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && !would_block(errno)) {
        error_number_ = errno;
        return -1;
    }
    const std::size_t gone = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (gone > held_.size()) {
        const std::size_t taken = gone - held_.size();
        held_ = {};
        return static_cast<int>(taken);
    }
    held_.erase(0, gone);
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
    return Step::done;
}

TlsStream::Step TlsStream::take_input(std::span<char> lent) {
    if (!early_.empty()) {
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
    if (step == Step::done) return step;  // a ticket may be held back: it leaves with the greeting
    const Step flushed = flush();         // our flight, or the alert that says what was wrong
    return step == Step::wants_input && flushed != Step::done ? flushed : step;
}

TlsStream::Step TlsStream::read(std::span<char> lent, std::span<char> out, std::size_t& got) {
    got = 0;
    emptied_socket_ = false;
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
    return step_of(SSL_write_ex(ssl_, octets.data(), octets.size(), &taken));
}

void TlsStream::say_goodbye() {
    if (SSL_is_init_finished(ssl_) != 1) return;
    ERR_clear_error();
    SSL_shutdown(ssl_);
}

Error TlsStream::error(const char* doing) {
    if (error_number_ != 0) return errno_error(error_number_, doing);
    return {ErrorKind::io, fmt::format("cannot {}: {}", doing, tls_error_text())};
}

std::string TlsStream::text() const {
    return fmt::format("{}/{}{}", SSL_get_version(ssl_), SSL_get_cipher_name(ssl_),
                       SSL_session_reused(ssl_) ? "+resumed" : "");
}

}  // namespace pier::net
