// A probe of SMTP (RFC 5321), submission (RFC 6409) and LMTP (RFC 2033): see dialogue.h. Whether it relays is
// asked with MAIL and RCPT between two foreign addresses; DATA is never sent for that.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "watch/dialogue.h"

namespace pier::watch {

class SmtpDialogue final : public Dialogue {
  public:
    explicit SmtpDialogue(Plan plan);

  private:
    enum class Step {
        greeting,
        hello,
        helo,
        starttls,
        hello_tls,
        verify_known,
        verify_unknown,
        relay_mail,
        relay_recipient,
        relay_reset,
        auth,
        auth_response,
        mail,
        recipient,
        data,
        message,
        quit
    };

    std::optional<Reply> read_reply() override;
    void on_reply(const Reply& reply) override;
    void on_secured() override;
    std::string quit_command() override;

    void say(Step step, std::string_view phase, std::string text);
    void hello(Step step, std::string_view phase);
    void on_hello(const Reply& reply);
    void on_look_reply(const Reply& reply);
    void on_auth_reply(const Reply& reply);
    void on_send_reply(const Reply& reply);
    void look();
    void try_relaying();
    void log_in();
    void send();
    const std::vector<std::string>& extensions() const;

    Step step_ = Step::greeting;
    Reply reply_;  // whose lines are still coming
    std::string verify_known_code_;
    std::deque<std::string> responses_;  // to the challenges of AUTH
};

}  // namespace pier::watch
