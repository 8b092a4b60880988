// Inside of smtp::Session: its state, and the functions behind the commands. commands.cc has the table of
// verbs and what each does; session.cc the loop, the message's octets, and the reports.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/session.h"
#include "wire/crlf.h"
#include "wire/dots.h"
#include "wire/line_buffer.h"

namespace pier::smtp {

// Where the dialogue stands between two commands; a set of bits, so that the table can name several.
enum State : unsigned {
    fresh = 1,    // nothing said yet
    ready = 2,    // LHLO was given, no transaction
    mail = 4,     // MAIL was given, recipients may follow
    chunks = 8,   // a BDAT was taken, more follow
    broken = 16,  // a BDAT failed: nothing but RSET or the last BDAT ends the transaction (RFC 3030 §2)
    any = 31,
};

struct Session::Impl {
    Impl(const Limits& l, Facts f) : limits(l), facts(std::move(f)) {}

    // What is done with the octets that come next.
    enum class Mode { greeting, commands, data, chunk, swallow, closing, closed };
    enum class Wait { none, recipient, begin, chunk, end };

    struct Command {
        std::string_view verb;
        unsigned states;  // where it is allowed; elsewhere 503
        void (Impl::*run)(std::string_view argument);
        std::string_view rfc;
    };
    static const Command commands[];

    // The message under way. A fresh one for each transaction, so nothing of one reaches the next.
    struct Transaction {
        Address sender;
        bool body_8bit = false, utf8 = false;
        std::vector<Address> recipients;  // accepted ones
        bool begun = false;               // the driver has a place for its octets
        std::uint64_t octets = 0;
        std::optional<Reply> refusal;  // why the message cannot be taken; told at the end of its octets
        std::optional<wire::DotUnstuffer> dots;                  // DATA
        wire::CrlfNormalizer crlf;                               // BDAT
        bool finished = false;                                   // BDAT: its last line has its end
        std::uint64_t line_octets = 0, line_octets_longest = 0;  // BDAT
    };

    // session.cc
    Action next();
    bool step();
    bool greet();
    bool read_command();
    bool read_data();
    bool read_chunk();
    bool swallow();
    bool close_step();
    void begin_message();
    void take_octets(std::string octets, std::uint64_t line_octets);
    void refuse_message(Reply why);
    void end_message();
    void finish_transaction(const std::vector<Reply>& replies);
    void drop_transaction();
    void measure_lines(std::string_view octets);
    void say(int code, std::string_view enhanced, std::string_view text);
    void say_bad(int code, std::string_view enhanced,
                 std::string_view text);  // counts against bad_commands_max
    void close();
    Write flush();

    // commands.cc
    void run_command(std::string_view line);
    void wrong_state();
    void lhlo(std::string_view argument);
    void not_lmtp(std::string_view argument);
    void mail_from(std::string_view argument);
    bool mail_parameters(std::string_view text, Transaction& transaction);
    void rcpt_to(std::string_view argument);
    void data(std::string_view argument);
    void bdat(std::string_view argument);
    void rset(std::string_view argument);
    void noop(std::string_view argument);
    void vrfy(std::string_view argument);
    void expn(std::string_view argument);
    void help(std::string_view argument);
    void quit(std::string_view argument);
    bool no_argument(std::string_view argument);

    const Limits& limits;
    Facts facts;
    Counts counts;

    wire::LineBuffer input;
    std::string output;
    std::optional<Action> action;  // to be handed out next
    Mode mode = Mode::greeting;
    Wait wait = Wait::none;
    State state = fresh;
    bool eof = false, shutdown = false;
    std::size_t bad_commands = 0;  // since the last message that was accepted

    std::string helo;
    std::unique_ptr<Transaction> transaction;        // in the states mail, chunks and broken
    Address candidate;                               // the recipient that the driver is asked about
    std::uint64_t chunk_left = 0, chunk_octets = 0;  // of the present BDAT
    bool chunk_last = false;
    Reply swallow_reply;              // said when the chunk is swallowed,
    std::size_t swallow_replies = 0;  // that many times
};

}  // namespace pier::smtp
