// A session with a driver that plays directory, store and TLS in memory, as serve/smtp_driver does them for
// real. What the client would see gathers in output(), what was delivered in messages(). One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/session.h"

namespace pier::smtp {

// Everything that a session meets.
struct World {
    Limits limits;
    Facts facts{Kind::lmtp, "mx.example.org"};
    std::map<std::string, Reply> recipients;               // by Address::text(); others are unknown
    std::map<std::string, Reply> senders;                  // the same, of those who may not send
    std::map<std::string, std::string> passwords, tokens;  // by user; whose each is
    std::string certificate_user;                          // whose the client's certificate is
    std::map<std::string, LoginRefused> refusals;          // by user, whatever the password
    std::string scram_salt = "salt", scram_nonce = "nonce";
    std::uint32_t scram_iterations = 4096;
    std::string channel_binding;
    std::optional<Reply> begin_refusal;
    std::optional<std::uint64_t> spool_octets_max;  // more than that: spool_refusal
    Reply spool_refusal{452, "4.3.1", "no space on the disk"};
    std::map<std::string, Reply>
        store_replies;  // by recipient; others: delivered; SMTP: the first counts for all
};

struct Delivered {
    std::string helo, sender, octets;
    std::vector<std::string> recipients;
    bool body_8bit = false, utf8 = false, extended = true;
    std::string
        dsn;  // "requiretls ret=full envid=…", then " notify=3 orcpt=…" of each recipient that has some
    bool operator==(const Delivered&) const = default;
};

class PlayedSession {
  public:
    enum class Stop { input, closed };

    explicit PlayedSession(const World& world);  // `world` outlives it

    // Does what the session asks for until it waits for input, or is over.
    Stop run();
    Stop feed(std::string_view octets);  // and runs on

    Session& session() { return session_; }
    const std::string& output() const { return output_; }
    const std::vector<Delivered>& messages() const { return messages_; }
    bool message_is_open() const { return open_.has_value(); }
    bool in_tls() const { return in_tls_; }
    const std::vector<std::string>& logins() const { return logins_; }  // "authzid|user|password" of each
    const std::vector<std::string>& wrong_proofs() const { return wrong_proofs_; }
    std::size_t abandoned() const { return abandoned_; }
    std::size_t writes() const { return writes_; }
    std::size_t longest_write_octets() const { return longest_write_octets_; }
    std::size_t longest_chunk_octets() const { return longest_chunk_octets_; }
    void forget_output() { output_.clear(); }

    // The n-th write (0: the next) fails, as if the client had gone.
    void fail_write(std::size_t n) { writes_until_failure_ = n; }
    bool write_failed() const { return write_failed_; }

  private:
    bool perform(Action action);  // false: the session waits for input, or is over
    void write(const std::string& text);
    bool log_in(const Action& action);  // false: it was none that belongs to a login
    std::optional<LoginRefused> verdict(const std::string& authzid, const std::string& user,
                                        const std::string& shown);
    void begin(BeginMessage message);
    void keep(const std::string& octets);
    void end();

    const World& world_;
    Session session_;
    Stop stop_ = Stop::input;
    std::string output_;
    std::optional<Delivered> open_;
    std::vector<Delivered> messages_;
    std::vector<std::string> logins_, wrong_proofs_;
    std::size_t abandoned_ = 0, writes_ = 0, longest_write_octets_ = 0, longest_chunk_octets_ = 0;
    std::optional<std::size_t> writes_until_failure_;
    bool write_failed_ = false, in_tls_ = false;
};

}  // namespace pier::smtp
