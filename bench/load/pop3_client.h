// A POP3 client (RFC 1939) that believes nothing: every reply is checked, and the first wrong one ends the
// run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "load/run.h"
#include "load/stream.h"
#include "load/task.h"

namespace load {

class Pop3Client {
  public:
    Pop3Client(Run& run, std::size_t slot);

    Task<> open();   // connects, reads the greeting, begins TLS
    Task<> login();  // as the user of this connection
    // login() in two steps: what can be said before the server must decide, and the rest.
    Task<> begin_login();
    Task<> end_login();
    Task<> stat();
    Task<> uidl();
    void check_uidl();  // after both: as many lines as STAT said, and the same as ever
    Task<> noop();
    // Lets memory go until the next command.
    void rest() { stream_.rest(); }
    Task<> list();  // sizes, whose sum STAT said
    Task<> quit();  // waits until the server closes

    std::uint64_t messages() const { return messages_; }

    // Several commands may be sent before the first answer is read.
    Task<> send(std::string_view commands);
    // What RETR `number` answers; gives the message's octets.
    Task<std::uint64_t> read_message(std::uint64_t number);
    Task<> read_ok(std::string_view command);

    SteadyClock::time_point quit_answered_at;

    Run& run;
    const std::size_t slot;

  private:
    Task<std::string> ask(std::string command);  // the text behind +OK
    Task<std::string> positive();
    Task<std::string> continuation(std::string command);
    std::uint64_t number_in(std::string_view& text, std::string_view of);

    Stream stream_;
    MessageReader reader_;
    Maildrop& maildrop_;
    std::string last_of_login_;  // PASS, or the last message of SCRAM
    std::optional<ScramClient> scram_;
    std::uint64_t messages_ = 0, octets_ = 0;
    std::uint64_t uidl_lines_ = 0, uidl_checksum_ = 0;
    std::vector<std::uint64_t> sizes_;
};

}  // namespace load
