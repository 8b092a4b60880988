// A probe of IMAP (RFC 3501, RFC 9051): see dialogue.h. The INBOX is opened with EXAMINE and read with PEEK:
// nothing changes, not even \Seen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "watch/dialogue.h"

namespace pier::watch {

class ImapDialogue final : public Dialogue {
  public:
    explicit ImapDialogue(Plan plan);

  private:
    enum class Step {
        greeting,
        capabilities,
        starttls,
        capabilities_tls,
        login,
        authenticate,
        response,
        capabilities_login,
        examine,
        fetch,
        logout
    };

    std::optional<Reply> read_reply() override;
    void on_reply(const Reply& reply) override;
    void on_secured() override;
    std::string quit_command() override;

    void say(Step step, std::string_view phase, std::string_view command);
    std::optional<Reply> on_line(std::string_view line);
    void on_untagged(std::string_view line);
    bool skip_literal();
    void on_capabilities();
    void log_in();
    void on_login_reply(const Reply& reply);

    Step step_ = Step::greeting;
    unsigned tags_ = 0;
    std::string tag_;                        // of the command that is to be answered
    std::vector<std::string> capabilities_;  // told since the command was sent
    bool capabilities_told_ = false;
    std::size_t lines_ = 0;
    std::uint64_t exists_ = 0, literal_left_ = 0, literal_octets_ = 0;
    bool in_literal_ = false;
};

}  // namespace pier::watch
