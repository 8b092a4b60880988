// The client's side of POP3, as far as moving mail needs it: RFC 1939, CAPA (RFC 2449), STLS (RFC 2595), AUTH
// PLAIN (RFC 5034). Pure: no socket, no clock; one thread. The server is a stranger: every line, list and
// message is bounded, and what breaks the protocol ends the dialogue.
//
//   for (;;) {
//       Action action = client.next();   // Write: send it; NeedInput: on_bytes() or on_eof(); StartTls:
//       on_tls()
//   }
//
// Once it is Idle, ask: list(), then message() and head(), several at once; each is answered in turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "migrate/login.h"
#include "wire/dots.h"
#include "wire/line_buffer.h"

namespace pier::migrate {

class Pop3Client {
  public:
    struct Limits {
        std::size_t line_octets_max = 4096;  // RFC 2449 §4 allows 512
        std::size_t messages_max = 5'000'000;
        std::size_t capabilities_max = 200;
        std::uint64_t message_octets_max = 64ull << 20;
        std::uint64_t head_octets_max = 4ull << 20;
        std::uint64_t skipped_octets_max = 4ull << 30;  // of a message that is too large, to go on behind it
    };

    struct NeedInput {};
    struct Write {
        std::string text;  // may hold the password: wipe it
    };
    struct StartTls {};
    struct Idle {};  // nothing is asked for
    struct Fetched {
        std::size_t number = 0;
        Result<std::string> octets;  // an error is about this message alone
    };
    struct Failed {
        Error error;  // the dialogue is over
    };
    using Action = std::variant<NeedInput, Write, StartTls, Idle, Fetched, Failed>;

    struct Message {
        std::size_t number = 0;
        std::string uidl;  // as the server said it: anything without white space
        std::uint64_t octets = 0;
    };

    Pop3Client(Login login, Limits limits);
    ~Pop3Client();

    Action next();
    void on_bytes(std::string_view octets);
    void on_eof();
    void on_tls();

    void list();  // UIDL and LIST; then messages() has all, by number
    void message(std::size_t number);
    void head(std::size_t number);  // TOP n 0
    void quit();

    const std::vector<Message>& messages() const { return messages_; }
    // Whether the server takes commands before it has answered the earlier ones (RFC 2449 §6.6). If not, they
    // wait here.
    bool pipelining() const { return pipelining_; }

  private:
    enum class Kind { greeting, stls, capa, user, pass, auth, auth_response, uidl, list, retr, top, quit };
    struct Command {
        Kind kind{};
        std::string text;
        std::size_t number = 0;
    };

    void ask(Kind kind, std::string text, std::size_t number = 0);
    bool may_send() const;
    void send_waiting();
    std::optional<Action> read();
    std::optional<Action> on_status(std::string_view line);
    std::optional<Action> on_accepted(const Command& command);
    std::optional<Action> on_refused(const Command& command, std::string_view text);
    std::optional<Action> read_line_of_list();
    std::optional<Action> read_mail();
    void on_list_line(Kind kind, std::string_view line);
    void on_capability(std::string_view line);
    void log_in();
    void end_list();
    void fail(ErrorKind kind, std::string text);

    Login login_;
    const Limits limits_;
    wire::LineBuffer in_;
    std::string out_;
    std::deque<Command> waiting_, asked_;  // not yet sent; sent and not yet answered
    std::optional<Command> body_of_;       // the lines behind +OK are read
    wire::DotUnstuffer unstuffer_;
    std::string mail_;
    bool mail_too_large_ = false;
    std::uint64_t skipped_octets_ = 0;
    std::optional<Error> failed_;
    bool eof_ = false, starting_tls_ = false, tls_;
    bool pipelining_ = false, has_plain_ = false, has_user_ = false;
    std::size_t capabilities_ = 0;
    std::vector<Message> messages_;
    std::vector<std::pair<std::size_t, std::uint64_t>> sizes_;
};

}  // namespace pier::migrate
