// A POP3 session with a driver that plays store, accounts and network in memory, as serve/pop3_driver does
// them for real. What the client would see gathers in output(). One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pop3/session.h"

namespace pier::pop3 {

struct PlayedMail {
    std::string uidl, content;
};

// Everything that a session meets: who may log in, what lies in the maildrop, what goes wrong.
struct World {
    Limits limits;
    Facts facts;
    std::vector<PlayedMail> mails;
    std::map<std::string, std::string> passwords;
    std::map<std::string, std::string> tokens;         // whose each is
    std::string certificate_user;                      // whose the client's certificate is; empty: nobody's
    std::map<std::string, LoginRefused> refusals;      // by user, whatever the password
    std::map<std::string, LoginRefused> key_refusals;  // by user, before SCRAM's keys are given out
    std::string scram_salt = "salt", scram_nonce = "nonce";
    std::uint32_t scram_iterations = 4096;
    std::string channel_binding;                     // of every type; empty: the channel has none
    std::map<std::size_t, MailReport> mail_reports;  // by index; MailSent where there is none
    std::size_t not_removed = 0;
};

class MemoryMaildrop final : public Maildrop {
  public:
    explicit MemoryMaildrop(const std::vector<PlayedMail>& mails) : mails_(mails) {}
    std::size_t messages() const override { return mails_.size(); }
    std::uint64_t octets() const override;
    std::uint64_t octets(std::size_t index) const override { return mails_[index].content.size(); }
    void append_uidl(std::size_t index, std::string& out) const override { out += mails_[index].uidl; }

  private:
    const std::vector<PlayedMail>& mails_;
};

class PlayedSession {
  public:
    enum class Stop { input, tls, closed };

    explicit PlayedSession(const World& world);  // `world` outlives it

    // Does what the session asks for until it waits for input or for TLS, or is over.
    Stop run();

    // For a session that waits for input: gives it the octets and runs on.
    Stop feed(std::string_view octets);

    Session& session() { return session_; }
    std::string& output() { return output_; }
    const std::vector<std::vector<std::size_t>>& removals() const { return removals_; }
    const std::vector<std::string>& logins() const {
        return logins_;
    }  // "authzid|user|password" of each Login
    const std::vector<std::string>& wrong_proofs() const { return wrong_proofs_; }  // the user of each
    std::size_t writes() const { return writes_; }
    std::size_t longest_write_octets() const { return longest_write_octets_; }

    // The n-th write from now on (0: the next) fails, as if the client had gone.
    void fail_write(std::size_t n) { writes_until_failure_ = n; }
    bool write_failed() const { return write_failed_; }

  private:
    bool write(std::string_view text);
    void send_mail(const SendMail& mail);
    LoginReport log_in(const Login& login);
    LoginReport log_in(const std::string& authzid, const std::string& user, const std::string& shown);

    const World& world_;
    Session session_;
    std::string output_;
    std::vector<std::vector<std::size_t>> removals_;
    std::vector<std::string> logins_, wrong_proofs_;
    std::size_t writes_ = 0, longest_write_octets_ = 0;
    std::optional<std::size_t> writes_until_failure_;
    bool write_failed_ = false;
};

}  // namespace pier::pop3
