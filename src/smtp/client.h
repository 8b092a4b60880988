// The client's side of SMTP (RFC 5321): one connection to another server, any number of transactions. Pure:
// no socket, no clock, no disk; one thread. The server is a stranger: replies are bounded, octets in clear
// behind the answer to STARTTLS end the dialogue (RFC 3207), and nothing it says is trusted but its codes.
//
//   for (;;) {
//       Action action = client.next();
//       Write      send it (it may hold the password: wipe it)
//       NeedInput  read within the time of stage(); on_bytes(), or on_lost() when the connection broke
//       StartTls   handshake, then on_tls(), or on_lost()
//       Ready      begin() a transaction, or quit()
//       NeedChunk  on_chunk() with the message's next octets, on_message_end(), or on_no_message()
//       Done       the transaction is over: a reply for each recipient
//       Failed     the dialogue is over: close
//       Closed     the server has answered QUIT: close
//   }
//
// Attack 31 (smuggling): what is sent as a message has CRLF line ends alone, its dots are doubled, and it
// ends with CRLF.CRLF; one that has a CR or LF standing alone never gets its last dot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "smtp/envelope.h"
#include "smtp/reply_reader.h"
#include "smtp/session.h"
#include "wire/dots.h"
#include "wire/line_ends.h"

namespace pier::smtp {

// What the server has offered in its answer to EHLO.
struct Extensions {
    bool starttls = false, pipelining = false, dsn = false, utf8 = false, body_8bit = false;
    bool require_tls = false;
    std::optional<std::uint64_t> size;  // SIZE (RFC 1870); 0: it has no limit
    bool auth_plain = false, auth_login = false;
    // LIMITS (RFC 9422 §4): recipients of a transaction, transactions of a connection; 0: nothing said
    std::size_t recipients_max = 0, messages_max = 0;
};

// EHLO's lines behind the first, each a keyword and its parameters (RFC 5321 §4.1.1.1).
Extensions parse_extensions(const std::vector<std::string>& lines);

class Client {
  public:
    struct Limits {
        ReplyLimits replies;
        // Commands whose replies are still to come (RFC 2920 §3.1): few enough that the replies to all of
        // them fit into the buffers of the two machines, or both sides would wait for each other.
        std::size_t outstanding_max = 50;
    };

    enum class Tls {
        never,
        offered,   // STARTTLS if the server offers it
        required,  // without it the dialogue fails
    };
    struct Login {
        std::string user, password;
    };
    struct Facts {
        std::string hostname;  // for EHLO: our name, or an address literal
        Tls tls = Tls::offered;
        bool tls_active = false;       // it was TLS from the first octet on (RFC 8314 §3)
        bool tls_verified = false;     // and the server is who it should be
        std::optional<Login> login{};  // to a smarthost (RFC 4954); only inside TLS
        // A password in clear: only for servers on this machine.
        bool clear_login_allowed = false;
    };

    struct NeedInput {};
    struct Write {
        std::string text;
    };
    struct StartTls {};
    struct Ready {};
    struct NeedChunk {};
    struct Done {
        // One for each recipient, in order: 2xx, 4xx or 5xx; never empty-handed.
        std::vector<Reply> replies;
    };
    enum class Cause {
        refused,  // by the greeting, or to EHLO and HELO
        tls,      // STARTTLS is not offered, or went wrong
        login,    // the server does not take our user and password
        broken,   // the connection, or the protocol
        closing,  // the server has said 421
    };
    struct Failed {
        Cause cause{};
        Reply reply;  // the server's, or one of our own
    };
    struct Closed {};
    using Action = std::variant<NeedInput, Write, StartTls, Ready, NeedChunk, Done, Failed, Closed>;

    // What is being waited for, for the time that it may take (RFC 5321 §4.5.3.2).
    enum class Stage { greeting, command, mail, recipient, data, block, end_of_data, quit };

    Client(const Limits& limits, Facts facts);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    Action next();
    Stage stage() const;
    std::size_t replies() const { return replies_count_; }        // that have come, whole
    const Extensions& extensions() const { return extensions_; }  // those after TLS, once Ready

    void on_bytes(std::string_view octets);
    // `verified`: the server has shown who it is (DANE, or a certificate for its name).
    void on_tls(bool verified);
    // The connection is gone, or its time is over: why. Recipients that have no reply yet get one of our own
    // that says so.
    void on_lost(std::string why);

    // Only when Ready. `count` recipients of the envelope from `first` on; `octets`: of the message. The
    // envelope is not kept.
    void begin(const Envelope& envelope, std::size_t first, std::size_t count, std::uint64_t octets);
    void quit();

    // Only after NeedChunk; on_message_end() also right behind on_chunk(), to go out with it.
    void on_chunk(std::string_view octets);
    void on_message_end();
    void on_no_message(Reply why);  // it cannot be read: the connection ends without the last dot

  private:
    enum class Kind {
        greeting,
        ehlo,
        helo,
        starttls,
        auth,
        auth_response,
        reset,
        mail,
        recipient,
        data,
        lone_dot,
        end_of_data,
        quit
    };
    struct Command {
        Kind kind{};
        std::string text;
        std::size_t recipient = 0;
    };
    enum class State { opening, starting_tls, ready, transaction, sending, quitting, closed, failed };

    void ask(Kind kind, std::string text, std::size_t recipient = 0);
    void send_waiting();
    void on_reply(const Command& command, const Reply& reply);
    void on_opening_reply(const Command& command, const Reply& reply);
    void on_transaction_reply(const Command& command, const Reply& reply);
    void on_hello();
    void start_tls();
    void log_in();
    void on_data_reply(const Reply& reply);
    void on_early_reply(const Reply& reply);
    std::optional<Reply> unsendable(const Envelope& envelope, std::uint64_t octets) const;
    std::string mail_command(const Envelope& envelope, std::uint64_t octets) const;
    std::string recipient_command(const Envelope::Recipient& recipient) const;
    bool transaction_is_over() const;
    void finish(const Reply& for_the_rest);
    void fail(Cause cause, Reply reply);

    const Limits limits_;
    Facts facts_;
    Extensions extensions_;
    ReplyReader in_;
    std::string out_;
    std::size_t replies_count_ = 0;
    std::deque<Command> waiting_, asked_;  // not yet sent; sent and not yet answered
    State state_ = State::opening;
    bool tls_ = false, logged_in_ = false, dirty_ = false;  // dirty: a transaction is open on the server
    std::deque<std::string> login_responses_;               // to the challenges of AUTH, in base64

    std::vector<std::optional<Reply>> replies_;  // of the transaction; absent: not yet
    std::size_t accepted_ = 0;
    std::optional<Reply> mail_refusal_;
    wire::DotStuffer stuffer_;
    wire::LineEnds line_ends_;
    bool held_cr_ = false;  // a chunk has ended with it: what follows must be LF
    std::optional<Done> done_;
    std::optional<Failed> failed_;
};

}  // namespace pier::smtp
