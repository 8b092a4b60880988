// One connection: POP3 (RFC 1939) or LMTP (RFC 2033), as much of it as a load generator says, and nothing is
// checked. Belongs to a loop and runs in its thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ssl.h>

#include "limit/mail.h"

namespace limit {

class Loop;

class Connection {
  public:
    enum class Protocol { pop3, lmtp };
    Connection(Loop& loop, int descriptor, Protocol protocol, bool tls);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Each gives false when the connection has ended.
    bool on_events(std::uint32_t events);
    bool delivered();

  private:
    enum class Step { done, wait, end };
    Step work();
    void begin_tls();
    Step handshake();
    Step flush();
    Step send(bool message, std::size_t& sent);
    Step read();
    Step tls_step(int outcome);
    Step wait_writable();

    bool may_take() const { return message_.octets == 0 && !closing_ && !tls_follows_ && !delivering_; }
    bool take();  // a line, or a message; false: more input is needed
    void pop3(std::string_view line);
    void lmtp(std::string_view line);
    bool take_data();
    const Message* message_in(std::string_view line) const;

    Loop& loop_;
    const int descriptor_;
    const Protocol protocol_;
    SSL* ssl_ = nullptr;
    bool handshaking_ = false, tls_follows_ = false;
    bool readable_ = false, hung_up_ = false, watches_writable_ = false;
    bool closing_ = false, delivering_ = false, in_data_ = false;

    std::string in_;
    std::size_t in_begin_ = 0;
    std::string out_;
    std::size_t out_begin_ = 0;
    Span message_;  // goes out behind out_

    std::string user_;  // POP3: who logs in; LMTP: the recipient
    Maildrop* maildrop_ = nullptr;
    std::shared_ptr<const Listing> listing_;
    std::vector<std::uint64_t> deleted_uids_;
    std::size_t line_begin_ = 0;      // in the data: of the first line that has not been looked at
    std::uint64_t stuffed_dots_ = 0;  // in the lines before
};

}  // namespace limit
