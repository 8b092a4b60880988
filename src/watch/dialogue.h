// The client's side of a probe, for any protocol: what it says, in which phase, and what it has seen. Pure:
// no socket, no clock, no disk; one thread. The server is a stranger: every line, list and message is
// bounded.
//
//   auto dialogue = make_dialogue(std::move(plan));
//   for (;;) {
//       Action action = dialogue->next();   in the phase of dialogue->phase():
//       Write      send it (it may hold the password: wipe it)
//       NeedInput  read, then on_bytes(), or on_eof()
//       StartTls   handshake, then on_tls()
//       Ended      close; seen() is whole
//       Failed     close; seen() has what there was
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "watch/probe.h"
#include "wire/line_buffer.h"

namespace pier::watch {

struct DialogueLimits {
    std::size_t line_octets_max = 8192;
    std::size_t lines_max = 200;                 // of one reply
    std::size_t uidls_max = 100'000;             // of a mailbox that a canary is looked for in
    std::uint64_t message_octets_max = 1 << 20;  // larger ones are not retrieved
    std::size_t looked_at_max = 50;              // messages of a mailbox, the newest, that may be the canary
};

struct Login {
    std::string user, password;
    bool clear_allowed = false;      // send the password without TLS
    bool untrusted_allowed = false;  // send it to a server whose certificate is not trusted
};

// A canary that is sent, or looked for.
struct CanaryToSend {
    std::string from, to;
    std::string octets;  // CRLF line ends
};
struct CanaryToFind {
    std::string token;                     // the value of its X-Pier-Canary field
    Time now{};                            // canaries that are older than an hour are deleted too
    std::vector<std::string> uidls_known;  // messages that were looked at before
};

// What a dialogue is to do; it ends with QUIT or LOGOUT.
struct Plan {
    Protocol protocol = Protocol::pop3;
    TlsMode tls = TlsMode::starttls;
    std::string hostname = "localhost";  // of this machine, for EHLO
    bool only_tls = false;               // nothing behind the handshake but QUIT
    bool inject = false;                 // with only_tls: a command in the same packet as STARTTLS
    bool look = true;                    // USER in clear, VRFY and relaying are tried
    std::string relay_from, relay_to;    // foreign addresses; `relay_to` empty: relaying is not tried
    std::optional<Login> login;
    std::optional<CanaryToSend> send;
    std::optional<CanaryToFind> find;
    bool retrieve = true;  // the newest message
    DialogueLimits limits;
};

class Dialogue {
  public:
    struct NeedInput {};
    struct Write {
        std::string text;
    };
    struct StartTls {};
    struct Ended {};
    struct Failed {
        Error error;
    };
    using Action = std::variant<NeedInput, Write, StartTls, Ended, Failed>;

    virtual ~Dialogue();
    Dialogue(const Dialogue&) = delete;
    Dialogue& operator=(const Dialogue&) = delete;

    Action next();
    void on_bytes(std::string_view octets);
    void on_eof();
    // `trusted`: the certificate is good, and for the name that was expected.
    void on_tls(bool trusted);

    std::string_view phase() const { return phase_; }
    const Seen& seen() const { return seen_; }
    // With Plan::inject, when it has ended: the injected command was answered inside TLS.
    std::optional<bool> injected_command_answered() const { return injected_answered_; }

  protected:
    explicit Dialogue(Plan plan);

    struct Reply {
        bool good = false;
        std::string code;  // "250", "+OK", "OK"
        std::string text;  // of its last status line
        std::vector<std::string> lines;
    };

    virtual std::optional<Reply> read_reply() = 0;  // absent: more input is needed, or it has failed
    virtual void on_reply(const Reply& reply) = 0;
    virtual void on_secured() = 0;           // TLS has begun, by STARTTLS
    virtual std::string quit_command() = 0;  // with its line end

    void ask(std::string_view phase, std::string text);
    void start_tls();
    void quit();
    void end();
    void fail(const std::string& text);
    // Whether the password may be sent; if not, seen() says why.
    bool may_log_in();
    void refuse_login(const Reply& reply);
    // The next line of a reply; absent as read_reply().
    std::optional<std::string_view> take_line();
    bool failed() const { return failed_.has_value(); }
    bool tls_active() const { return tls_active_; }
    bool quitting() const { return quitting_; }

    Plan plan_;
    Seen seen_;
    wire::LineBuffer in_;
    std::optional<bool> injected_answered_;

  private:
    std::string out_;
    std::string_view phase_ = "greeting";
    bool waiting_ = true;  // for a reply; at first the greeting
    bool tls_active_ = false, trusted_ = false, starting_tls_ = false, eof_ = false, ended_ = false;
    bool quitting_ = false;
    std::optional<Error> failed_;
};

std::unique_ptr<Dialogue> make_dialogue(Plan plan);

// Text of a stranger for a person: without control characters, cut when it is long.
std::string shown(std::string_view text, std::size_t octets_max = 200);
// The words of a line.
std::vector<std::string_view> words_of(std::string_view line);
// Whether one of the capabilities is `word`, or begins with it and a blank or '='; in any case.
bool has_capability(const std::vector<std::string>& capabilities, std::string_view word);
// Whether `mechanism` is offered: in "SASL …", "AUTH …" or "AUTH=…".
bool has_mechanism(const std::vector<std::string>& capabilities, std::string_view mechanism);

}  // namespace pier::watch
