// What stands behind a POP3 Session: its state, the commands (one member function each; commands.cc lists
// them all on one screen) and the replies that wait to be written. Pure, like the Session that owns it; one
// thread.
//
//   conversation.cc   the loop: lines in, actions out, reports
//   commands.cc       the table of commands
//   login.cc          AUTHORIZATION: USER PASS AUTH STLS XCLIENT
//   transaction.cc    TRANSACTION and UPDATE: STAT LIST UIDL RETR TOP DELE NOOP RSET QUIT
//   capabilities.cc   CAPA
//   international.cc  UTF8 LANG
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pop3/commands.h"
#include "pop3/deletions.h"
#include "pop3/language.h"
#include "pop3/session.h"
#include "wire/line_buffer.h"
#include "wire/sasl.h"

namespace pier::pop3 {

// The first line of a response with its CRLF (RFC 2449 §4).
inline constexpr std::size_t reply_octets_max = 512;

class Conversation {
  public:
    Conversation(const Limits& limits, Facts facts);

    // As in session.h.
    void set_observer(wire::CommandObserver* observer) { observer_ = observer; }
    Action next();
    void on_bytes(std::string_view octets);
    void on_eof();
    void on_shutdown();
    void on_tls(const wire::SaslOffer& sasl);
    void on_introduced(const Introduced& report);
    void on_keys(const wire::ScramKeys& keys, std::string_view nonce, std::string_view channel_binding);
    void on_keys_refused(const LoginRefused& refused);
    void on_login(LoginReport report);
    void on_mail_sent(MailReport report);
    void on_removed(std::size_t not_removed);
    Session::State state() const { return state_; }
    const std::string& user() const { return user_; }
    const Session::Counts& counts() const { return counts_; }

    // The commands. `arguments` is valid during the call and as many as the table says.
    void run_user(const Arguments& arguments);
    void run_pass(const Arguments& arguments);
    void run_auth(const Arguments& arguments);
    void run_xclient(const Arguments& arguments);
    void run_stls(const Arguments& arguments);
    void run_capa(const Arguments& arguments);
    void run_utf8(const Arguments& arguments);
    void run_lang(const Arguments& arguments);
    void run_stat(const Arguments& arguments);
    void run_list(const Arguments& arguments);
    void run_uidl(const Arguments& arguments);
    void run_retr(const Arguments& arguments);
    void run_top(const Arguments& arguments);
    void run_dele(const Arguments& arguments);
    void run_noop(const Arguments& arguments);
    void run_rset(const Arguments& arguments);
    void run_quit(const Arguments& arguments);

  private:
    enum class Awaiting { nothing, input, tls, introduction, keys, login, mail, removal };
    enum class Listing { sizes, uids };

    // The loop.
    bool run_next_line();
    std::size_t line_octets_max() const;
    void run_line(const wire::LineBuffer::Line& line);
    void run_command(std::string_view line);
    void tell_observer(const Command* command);
    Action write();
    Action take_pending();
    bool take_report(Awaiting what);
    void close();
    void abandon();

    // Replies; each is one line of at most 512 octets (RFC 2449 §4), in the session's language. Texts from
    // outside are made harmless.
    template <class... Values>
    std::string say(std::string_view english, const Values&... values) const {
        return pop3::say(language_, english, values...);
    }
    void line(std::string_view prefix, std::string_view text);
    void refuse(const LoginRefused& refused);
    void ok(std::string_view text);
    void error(std::string_view text);
    void error(std::string_view code, std::string_view text);  // code: "SYS/TEMP"
    void bad(std::string_view text);  // an -ERR that counts towards Limits::bad_commands_max

    // AUTHORIZATION.
    bool login_allowed() const { return facts_.tls_active || facts_.clear_login_allowed; }
    void refuse_clear_login();
    void run_sasl_response(std::string_view line);
    void take_sasl_step(wire::SaslStep step);
    void break_off_exchange(std::string_view text);
    void ask_login(std::string authzid, std::string user, std::optional<std::string> password);
    void fail_login(std::string_view text);
    bool offers(std::string_view mechanism) const;
    void list_mechanisms();

    // TRANSACTION.
    std::optional<std::size_t> find_message(std::string_view number);
    std::uint64_t octets_left() const { return maildrop_->octets() - deletions_.octets(); }
    std::size_t messages_left() const { return maildrop_->messages() - deletions_.count(); }
    std::string maildrop_text() const;
    void list_line(Listing listing, std::size_t index);
    void begin_listing(Listing listing);
    void continue_listing();

    const Limits& limits_;
    Facts facts_;
    wire::CommandObserver* observer_ = nullptr;
    Session::State state_ = Session::State::authorization;
    Session::Counts counts_;

    wire::LineBuffer in_;
    std::string out_;                // replies that are not written yet
    std::optional<Action> pending_;  // asked for by a command; next() hands it out
    Awaiting awaiting_ = Awaiting::nothing;
    bool closing_ = false;    // no more commands; what is in out_ goes out first
    bool peer_gone_ = false;  // nothing can be written any more
    bool shutdown_ = false;
    std::size_t bad_commands_ = 0;  // in a row

    Language language_ = Language::english;  // LANG
    bool utf8_ = false;                      // UTF8: texts may hold more than ASCII

    std::string user_;                              // who is logged in
    std::string name_;                              // who wants to be; the one whose proof is checked
    bool name_given_ = false;                       // by USER: PASS may come
    std::unique_ptr<wire::SaslExchange> exchange_;  // while AUTH goes on
    bool keys_given_ = false;    // the exchange has got to a proof: a failure is a failed login
    std::string token_refused_;  // its token has been refused, with this text; the exchange is not over yet

    std::shared_ptr<const Maildrop> maildrop_;  // from login on
    Deletions deletions_;
    std::optional<Listing> listing_;  // LIST or UIDL whose lines are not all produced yet
    std::size_t listing_next_ = 0;
    std::size_t sending_ = 0;  // the message that SendMail is about, and whether by RETR
    bool sending_whole_ = false;
    std::size_t removing_ = 0;  // how many messages Remove asks for
};

}  // namespace pier::pop3
