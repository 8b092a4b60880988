// A server session of the SMTP family: pure. It is fed octets and yields actions; a driver in serve/ does
// each action and reports back. One engine for LMTP (RFC 2033), SMTP (RFC 5321) and submission (RFC 6409),
// told apart by Kind. No socket, clock, disk or thread; one thread at a time.
//
//   act = session.next(); do it; then call the on_…() named beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pier::smtp {

enum class Kind { lmtp };  // smtp and submission join here

struct Limits {
    std::size_t line_octets_max =
        2048;  // a command line with its CRLF (RFC 5321 §4.5.3.1.4 says 512; parameters add)
    std::size_t text_line_octets_max = 1'048'576;  // a line of the message; longer ones are refused (RFC 5321
                                                   // says 1,000; real mail has more)
    std::uint64_t message_octets_max = 64ull << 20;  // SIZE (RFC 1870)
    std::size_t recipients_max = 1000;               // RFC 5321 §4.5.3.1.8 demands at least 100
    std::size_t bad_commands_max = 20;
    std::size_t output_octets_max = 16384;
};

struct Facts {
    Kind kind = Kind::lmtp;
    std::string hostname;  // in the greeting and in replies
};

struct Address {               // RFC 5321 §4.1.2; both empty: the null reverse-path <>
    std::string local;         // unquoted
    std::string domain;        // lower case; empty for a bare local part (LMTP, postmaster)
    std::string text() const;  // as it is written in a path, quoted where needed
};

// ---- actions ----
struct NeedInput {};  // on_bytes, on_eof or on_shutdown
struct Write {
    std::string text;
};  // nothing to report
struct Recipient {
    Address address;
};                     // on_recipient: may it be delivered to?
struct BeginMessage {  // on_begin: make a place for the octets
    std::string helo;
    Address sender;
    std::vector<Address> recipients;       // those accepted
    bool body_8bit = false, utf8 = false;  // BODY=8BITMIME, SMTPUTF8
};
struct Chunk {
    std::string octets;
};                         // on_chunk: octets of the message, un-stuffed, CRLF line ends
struct EndMessage {};      // on_end: make it durable for each recipient
struct AbandonMessage {};  // nothing to report: forget what was begun
struct Close {};
using Action =
    std::variant<NeedInput, Write, Recipient, BeginMessage, Chunk, EndMessage, AbandonMessage, Close>;

// A reply of the SMTP family: 250, "2.1.5", "text" (RFC 5321 §4.2, RFC 2034).
struct Reply {
    int code = 0;
    std::string enhanced;
    std::string text;
    bool positive() const { return code >= 200 && code < 300; }
};

class Session {
  public:
    Session(const Limits& limits, Facts facts);  // `limits` outlives the session
    ~Session();
    Session(Session&&) noexcept;

    Action next();

    void on_bytes(std::string_view octets);
    void on_eof();
    void on_shutdown();  // 421 at the next moment that allows it
    void on_recipient(Reply reply);
    void on_begin(std::optional<Reply> refusal);  // absent: go on
    void on_chunk(std::optional<Reply> refusal);  // a refusal (452, 552) is told at the end of the data
    void on_end(std::vector<Reply> replies);      // one per accepted recipient, in order (RFC 2033 §4.2)

    struct Counts {
        std::uint64_t commands = 0, messages = 0, recipients = 0, octets = 0;
    };
    const Counts& counts() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pier::smtp
