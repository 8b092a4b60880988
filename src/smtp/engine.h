// Inside of smtp::Session: its state, and the functions behind the commands. commands.cc has the table of
// verbs and what each does; login.cc AUTH; session.cc the loop, the message's octets, and the reports.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/hops.h"
#include "smtp/path.h"
#include "smtp/session.h"
#include "wire/crlf.h"
#include "wire/dots.h"
#include "wire/line_buffer.h"
#include "wire/line_ends.h"

namespace pier::smtp {

// Where the dialogue stands between two commands; a set of bits, so that the table can name several.
enum State : unsigned {
    fresh = 1,    // nothing said yet
    ready = 2,    // LHLO, EHLO or HELO was given, no transaction
    mail = 4,     // MAIL was given, recipients may follow
    chunks = 8,   // a BDAT was taken, more follow
    broken = 16,  // a BDAT failed: nothing but RSET or the last BDAT ends the transaction (RFC 3030 §2)
    any = 31,
};

// Who knows a verb; a set of bits too.
enum Kinds : unsigned { lmtp = 1, smtp = 2, submission = 4, both = smtp | submission, all = 7 };

struct Session::Impl {
    Impl(const Limits& l, Facts f) : limits(l), facts(std::move(f)) {}

    // What is done with the octets that come next.
    enum class Mode { greeting, commands, auth, data, chunk, swallow, closing, closed };
    enum class Wait { none, tls, keys, login, sender, recipient, begin, chunk, end };

    struct Command {
        std::string_view verb;
        unsigned kinds;   // elsewhere 500
        unsigned states;  // where it is allowed; elsewhere 503
        void (Impl::*run)(std::string_view argument);
        std::string_view rfc;
    };
    static const Command commands[];

    // The message under way. A fresh one for each transaction, so nothing of one reaches the next.
    struct Transaction {
        Envelope envelope;                  // its recipients: accepted ones
        std::uint64_t declared_octets = 0;  // RFC 1870; 0: not declared
        bool begun = false;                 // the driver has a place for its octets
        std::uint64_t octets = 0;
        std::optional<Reply> refusal;  // why the message cannot be taken; told at the end of its octets
        std::optional<wire::DotUnstuffer> dots;                  // DATA
        wire::CrlfNormalizer crlf;                               // BDAT
        bool finished = false;                                   // BDAT: its last line has its end
        std::uint64_t line_octets = 0, line_octets_longest = 0;  // BDAT
        wire::LineEnds line_ends;                                // SMTP
        HopCounter hops;                                         // SMTP
    };

    // session.cc
    Action next();
    bool step();
    bool greet();
    bool read_command();
    bool read_auth();
    bool take_line(std::size_t octets_max, void (Impl::*run)(std::string_view line));
    std::size_t line_octets_max() const;
    bool read_data();
    bool read_chunk();
    bool swallow();
    bool close_step();
    void begin_message();
    void take_octets(std::string octets, std::uint64_t line_octets);
    void refuse_message(Reply why);
    void check_line_ends();
    std::size_t replies_at_end() const;
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
    void tell_observer(const Command* command);
    void wrong_state();
    bool is_smtp() const { return facts.kind != Kind::lmtp; }  // SMTP or submission
    bool is_submission() const { return facts.kind == Kind::submission; }
    unsigned kind_bit() const { return 1U << static_cast<unsigned>(facts.kind); }
    std::string_view hello_verb() const { return is_smtp() ? "EHLO" : "LHLO"; }
    bool begin_dialogue(std::string_view name);
    void ehlo(std::string_view argument);
    void helo_old(std::string_view argument);
    void starttls(std::string_view argument);
    void mail_from(std::string_view argument);
    bool mail_parameters(std::string_view text, Transaction& transaction);
    std::optional<Reply> mail_parameter(const Parameter& parameter, Transaction& transaction) const;
    std::optional<Reply> dsn_of_mail(const Parameter& parameter, Envelope& envelope) const;
    std::optional<Reply> rcpt_parameters(std::string_view text, Envelope::Recipient& recipient) const;
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

    // login.cc
    bool login_allowed() const { return facts.tls_active || facts.clear_login_allowed; }
    bool offers(std::string_view mechanism) const;
    std::string mechanisms() const;
    void refuse_without_login();
    void auth(std::string_view argument);
    void run_response(std::string_view line);
    void break_off(int code, std::string_view enhanced, std::string_view text);
    void take_sasl_step(wire::SaslStep step);
    void ask_login(Action wanted, std::string user);
    void refuse_login(const LoginRefused& refused);
    void fail_login(std::string_view text);

    const Limits& limits;
    Facts facts;
    wire::CommandObserver* observer = nullptr;
    Counts counts;

    wire::LineBuffer input;
    std::string output;
    std::optional<Action> action;  // to be handed out next
    Mode mode = Mode::greeting;
    Wait wait = Wait::none;
    State state = fresh;
    bool eof = false, shutdown = false;
    bool begin_tls = false;        // once the reply to STARTTLS is written
    std::size_t bad_commands = 0;  // since the last message that was accepted

    std::string helo;
    bool extended = false;                           // it was EHLO or LHLO
    std::unique_ptr<Transaction> transaction;        // in the states mail, chunks and broken
    std::unique_ptr<Transaction> asked;              // MAIL's, while the driver is asked about the sender
    Envelope::Recipient candidate;                   // the recipient that the driver is asked about
    std::uint64_t chunk_left = 0, chunk_octets = 0;  // of the present BDAT
    bool chunk_last = false;
    Reply swallow_reply;              // said when the chunk is swallowed,
    std::size_t swallow_replies = 0;  // that many times

    std::unique_ptr<wire::SaslExchange> exchange;  // while AUTH goes on
    std::string login_name;                        // as whom the client wants to log in by it
    bool keys_given = false;                       // a failure of it is a wrong proof
    std::string token_refused;  // why the token was refused, while the client is told so by its mechanism
    bool logged_in = false;
};

}  // namespace pier::smtp
