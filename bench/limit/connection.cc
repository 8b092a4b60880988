#include "limit/connection.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limit/loop.h"

namespace limit {
namespace {

constexpr std::string_view ok = "+OK\r\n";

// The four letters of a verb as a number, in capitals.
constexpr std::uint32_t verb(std::string_view text) {
    std::uint32_t packed = 0;
    for (std::size_t i = 0; i < 4 && i < text.size(); ++i)
        packed = packed << 8 | static_cast<std::uint32_t>(text[i] & ~0x20);
    return packed;
}

}  // namespace

Connection::Connection(Loop& loop, int descriptor, Protocol protocol, bool tls)
    : loop_(loop), descriptor_(descriptor), protocol_(protocol) {
    if (tls) begin_tls();
    out_ = protocol == Protocol::lmtp ? "220 limit\r\n" : "+OK limit\r\n";
}

Connection::~Connection() {
    if (ssl_ != nullptr) {
        SSL_shutdown(ssl_);
        ERR_clear_error();
        SSL_free(ssl_);
    }
    ::close(descriptor_);
}

bool Connection::on_events(std::uint32_t events) {
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
    if (delivering_) return true;
    return work() != Step::end;
}

bool Connection::delivered() {
    delivering_ = false;
    out_ += "250 ok\r\n";
    return work() != Step::end;
}

// Until there is nothing to do but wait, or the connection has ended.
Connection::Step Connection::work() {
    while (true) {
        if (handshaking_) {
            if (const Step step = handshake(); step != Step::done) return step;
        }
        while (may_take() && take()) {
        }
        const bool sends_message = message_.octets != 0;
        if (const Step step = flush(); step != Step::done) return step;
        if (closing_) return Step::end;
        if (delivering_) return Step::wait;
        if (tls_follows_) begin_tls();
        if (sends_message || handshaking_) continue;
        if (const Step step = read(); step != Step::done) return step;
    }
}

void Connection::begin_tls() {
    ssl_ = SSL_new(loop_.tls);
    SSL_set_fd(ssl_, descriptor_);
    SSL_set_accept_state(ssl_);
    tls_follows_ = false;
    handshaking_ = true;
}

Connection::Step Connection::tls_step(int outcome) {
    if (outcome > 0) return Step::done;
    switch (SSL_get_error(ssl_, outcome)) {
        case SSL_ERROR_WANT_READ:
            readable_ = false;
            return Step::wait;
        case SSL_ERROR_WANT_WRITE:
            return wait_writable();
        default:
            ERR_clear_error();
            return Step::end;
    }
}

Connection::Step Connection::handshake() {
    const Step step = tls_step(SSL_do_handshake(ssl_));
    handshaking_ = step != Step::done;
    return step;
}

Connection::Step Connection::wait_writable() {
    if (!watches_writable_) {
        loop_.watch(descriptor_, *this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, EPOLL_CTL_MOD);
        watches_writable_ = true;
    }
    return Step::wait;
}

// Once: what stands in out_, or the message.
Connection::Step Connection::send(bool message, std::size_t& sent) {
    const char* octets = message ? loop_.mail.mapped(message_) : out_.data() + out_begin_;
    const std::size_t count = message ? message_.octets : out_.size() - out_begin_;
    if (ssl_ != nullptr) return tls_step(SSL_write_ex(ssl_, octets, count, &sent));
    auto from = static_cast<off_t>(message_.begin);
    const int more = message_.octets != 0 ? MSG_MORE : 0;
    const ssize_t outcome = message ? ::sendfile(descriptor_, loop_.mail.descriptor(), &from, count)
                                    : ::send(descriptor_, octets, count, MSG_NOSIGNAL | more);
    if (outcome < 0) return errno == EAGAIN ? wait_writable() : Step::end;
    sent = static_cast<std::size_t>(outcome);
    return sent > 0 ? Step::done : Step::end;
}

Connection::Step Connection::flush() {
    std::size_t sent = 0;
    while (out_begin_ != out_.size()) {
        if (const Step step = send(false, sent); step != Step::done) return step;
        out_begin_ += sent;
    }
    out_.clear();
    out_begin_ = 0;
    while (message_.octets != 0) {
        if (const Step step = send(true, sent); step != Step::done) return step;
        message_.begin += sent;
        message_.octets -= sent;
    }
    return Step::done;
}

Connection::Step Connection::read() {
    if (!readable_) return Step::wait;
    std::vector<char>& buffer = loop_.buffer;
    std::size_t got = 0;
    bool empty = false;  // nothing more is there now; what comes is a new edge
    if (ssl_ != nullptr) {
        const Step step = tls_step(SSL_read_ex(ssl_, buffer.data(), buffer.size(), &got));
        if (step != Step::done) return step;
        // OpenSSL has read as much as it has room for, which is more than clients here have under way.
        empty = SSL_has_pending(ssl_) == 0;
    } else {
        const ssize_t outcome = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
        if (outcome < 0 && errno == EAGAIN) {
            readable_ = false;
            return Step::wait;
        }
        if (outcome <= 0) return Step::end;
        got = static_cast<std::size_t>(outcome);
        empty = got < buffer.size();
    }
    if (empty && !hung_up_) readable_ = false;
    in_.append(buffer.data(), got);
    return Step::done;
}

bool Connection::take() {
    if (in_data_) return take_data();
    const std::size_t end = in_.find('\n', in_begin_);
    if (end == std::string::npos) {
        in_.erase(0, in_begin_);
        in_begin_ = 0;
        return false;
    }
    std::string_view line(in_.data() + in_begin_, end - in_begin_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    in_begin_ = end + 1;
    if (protocol_ == Protocol::pop3) {
        pop3(line);
    } else {
        lmtp(line);
    }
    return true;
}

const Message* Connection::message_in(std::string_view line) const {
    std::size_t number = 0;
    if (line.size() > 5) std::from_chars(line.data() + 5, line.data() + line.size(), number);
    if (!listing_ || number < 1 || number > listing_->messages.size()) return nullptr;
    return &listing_->messages[number - 1];
}

void Connection::pop3(std::string_view line) {
    const std::uint32_t word = verb(line);
    if (word == verb("RETR") || word == verb("DELE")) {
        const Message* message = message_in(line);
        if (message == nullptr) {
            out_ += "-ERR no such message\r\n";
        } else if (word == verb("RETR")) {
            message_ = message->reply;
        } else {
            deleted_uids_.push_back(message->uid);
            out_ += ok;
        }
    } else if (listing_ && word == verb("STAT")) {
        out_ += listing_->stat;
    } else if (listing_ && word == verb("UIDL")) {
        out_ += listing_->uidl;
    } else if (listing_ && word == verb("LIST")) {
        out_ += listing_->list;
    } else if (word == verb("CAPA")) {
        out_ += "+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\nSTLS\r\n.\r\n";
    } else {
        if (word == verb("USER")) user_ = line.substr(std::min<std::size_t>(5, line.size()));
        if (word == verb("PASS")) maildrop_ = &loop_.mail.maildrop(user_);
        if (word == verb("PASS")) listing_ = maildrop_->listing();
        if (word == verb("RSET")) deleted_uids_.clear();
        if (word == verb("STLS")) tls_follows_ = loop_.tls != nullptr;
        if (word == verb("QUIT")) closing_ = true;
        if (closing_ && !deleted_uids_.empty()) {
            std::sort(deleted_uids_.begin(), deleted_uids_.end());
            maildrop_->remove(deleted_uids_);
        }
        out_ += ok;
    }
}

void Connection::lmtp(std::string_view line) {
    const std::uint32_t word = verb(line);
    if (word == verb("LHLO")) {
        out_ += "250-limit\r\n250-PIPELINING\r\n250 8BITMIME\r\n";
    } else if (word == verb("DATA")) {
        in_data_ = true;
        line_begin_ = in_begin_;
        out_ += "354 go on\r\n";
    } else if (word == verb("QUIT")) {
        closing_ = true;
        out_ += "221 bye\r\n";
    } else {
        const std::size_t open = line.find('<');
        if (word == verb("RCPT") && open != std::string_view::npos) {
            user_ = line.substr(open + 1, line.find('>') - open - 1);
        }
        out_ += "250 ok\r\n";
    }
}

bool Connection::take_data() {
    while (true) {
        const std::size_t end = in_.find('\n', line_begin_);
        if (end == std::string::npos) return false;
        const std::size_t octets = end + 1 - line_begin_;
        const bool dotted = in_[line_begin_] == '.';
        line_begin_ = end + 1;
        if (dotted && octets == 3) break;
        if (dotted) ++stuffed_dots_;
    }
    const std::string_view data(in_.data() + in_begin_, line_begin_ - in_begin_);
    in_begin_ = line_begin_;
    in_data_ = false;
    delivering_ = true;
    loop_.mail.deliver(loop_.mail.maildrop(user_), data, data.size() - 3 - std::exchange(stuffed_dots_, 0),
                       [this] { loop_.post_delivered(*this); });
    return true;
}

}  // namespace limit
