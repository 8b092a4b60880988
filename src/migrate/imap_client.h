// The client's side of IMAP4rev1 (RFC 3501), as far as moving mail needs it: login, the list of mailboxes,
// and of one mailbox at a time the UIDs, flags, dates, sizes, headers and messages. Mailboxes are opened with
// EXAMINE: nothing changes at the source, not even \Seen. Pure: no socket, no clock; one thread. The server
// is a stranger: every answer is bounded (imap_response.h), and what breaks the protocol ends the dialogue.
//
// Used as pop3_client.h: do what next() says; when it is Idle, ask.
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
#include "base/time.h"
#include "migrate/imap_response.h"
#include "migrate/login.h"
#include "store/store.h"

namespace pier::migrate {

class ImapClient {
  public:
    struct Limits {
        ImapReader::Limits reader;
        std::size_t mailboxes_max = 100'000;
        std::size_t messages_max = 5'000'000;  // of one mailbox
    };

    struct NeedInput {};
    struct Write {
        std::string text;  // may hold the password: wipe it
    };
    struct StartTls {};
    struct Idle {};  // nothing is asked for
    struct Fetched {
        std::uint32_t uid = 0;
        Result<std::string> octets;  // an error is about this message alone
    };
    struct Failed {
        Error error;  // the dialogue is over
    };
    using Action = std::variant<NeedInput, Write, StartTls, Idle, Fetched, Failed>;

    struct Mailbox {
        std::string name;        // as the server wrote it: modified UTF-7, its own separator
        std::string separator;   // one character, or empty: it has no hierarchy
        bool selectable = true;  // else only a name above others
    };
    struct Message {
        std::uint32_t uid = 0;
        store::Flags flags = 0;
        bool keywords = false;  // it has flags that are not kept
        std::optional<Time> internal_date;
        std::uint64_t octets = 0;
    };
    // The mailbox that is open.
    struct Opened {
        bool done = false;  // false: it could not be opened; `refusal` says why
        std::string refusal;
        std::uint32_t uid_validity = 0;
        std::vector<Message> messages;  // by UID, once list_messages() is answered
    };

    ImapClient(Login login, Limits limits);
    ~ImapClient();

    Action next();
    void on_bytes(std::string_view octets);
    void on_eof();
    void on_tls();

    void list_mailboxes();  // then mailboxes() has them
    void open(const std::string& mailbox);
    void list_messages();  // of the open mailbox
    void message(std::uint32_t uid);
    void heads();  // of all messages: Fetched once for each
    void log_out();

    const std::vector<Mailbox>& mailboxes() const { return mailboxes_; }
    const Opened& opened() const { return opened_; }

  private:
    enum class Kind {
        greeting,
        capability,
        starttls,
        login,
        authenticate,
        list,
        examine,
        uids,
        message,
        heads,
        logout
    };
    struct Command {
        Kind kind{};
        std::string tag, text;
        std::uint32_t uid = 0;
        bool answered = false;
    };

    void ask(Kind kind, std::string text, std::uint32_t uid = 0);
    void send_waiting();
    bool may_send() const;
    std::optional<Action> on_response(ImapResponse response);
    std::optional<Action> on_untagged(ImapResponse& response);
    std::optional<Action> on_tagged(std::string_view line);
    std::optional<Action> on_refused(const Command& command, std::string_view text);
    std::optional<Action> on_fetch(std::vector<ImapValue>& attributes);
    std::optional<Action> on_body(std::uint32_t uid, ImapValue& body);
    void on_status(std::string_view line);
    void on_greeting(std::string_view line);
    void on_list(const std::vector<ImapValue>& values);
    void on_capabilities(const std::vector<ImapValue>& values);
    void on_continuation();
    void log_in();
    void fail(ErrorKind kind, std::string text);

    Login login_;
    const Limits limits_;
    ImapReader in_;
    std::string out_;
    std::deque<Command> waiting_, asked_;
    std::uint64_t tags_ = 0;
    std::optional<Error> failed_;
    bool eof_ = false, starting_tls_ = false, tls_;
    bool has_starttls_ = false, has_plain_ = false, login_disabled_ = false;
    std::uint64_t exists_ = 0;
    std::vector<Mailbox> mailboxes_;
    Opened opened_;
};

// INTERNALDATE (RFC 3501 §9, date-time): "17-Jul-1996 02:44:25 -0700".
std::optional<Time> parse_internal_date(std::string_view text);

// The mailbox's name here: "INBOX.Sent" of Courier and "Sent" of others are "Sent", "Work.2026" is
// "Work/2026".
std::string local_mailbox(const ImapClient::Mailbox& mailbox);

}  // namespace pier::migrate
