// A probe of POP3 (RFC 1939, CAPA of RFC 2449, STLS of RFC 2595, AUTH PLAIN of RFC 5034): see dialogue.h.
//
// A canary is looked for among the newest messages by its field, with TOP, or with RETR where there is no
// TOP.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "watch/dialogue.h"
#include "wire/dots.h"

namespace pier::watch {

class Pop3Dialogue final : public Dialogue {
  public:
    explicit Pop3Dialogue(Plan plan);

  private:
    enum class Step {
        greeting,
        capabilities,
        clear_user,
        stls,
        capabilities_tls,
        user,
        pass,
        auth,
        auth_response,
        stat,
        size,
        retrieve,
        uidl,
        top,
        canary,
        remove,
        quit,
        behind_quit
    };
    enum class Shape { line, list, mail };
    struct Candidate {
        std::size_t number = 0;
        std::string uidl;
    };

    std::optional<Reply> read_reply() override;
    void on_reply(const Reply& reply) override;
    void on_secured() override;
    std::string quit_command() override;

    void say(Step step, std::string_view phase, std::string text, Shape shape = Shape::line);
    bool read_list(Reply& reply);
    bool read_mail();
    void on_capabilities(const Reply& reply);
    void before_tls();
    void log_in();
    void on_login_reply(const Reply& reply);
    void on_stat(const Reply& reply);
    void on_size(const Reply& reply);
    void on_uidls(const Reply& reply);
    void look_at_next();
    void on_head(const Reply& reply);
    void on_canary(const Reply& reply);
    void on_removed(const Reply& reply);

    Step step_ = Step::greeting;
    Shape shape_ = Shape::line;
    std::optional<Reply> status_;  // of a reply whose lines are still coming
    wire::DotUnstuffer unstuffer_;
    std::string mail_;
    std::uint64_t mail_octets_ = 0;
    bool keeps_mail_ = false;
    std::vector<Candidate> candidates_;  // the newest last
    bool has_top_ = true, removing_found_ = false;
};

// SHA-256, in hexadecimal, of what stands behind the first empty line.
std::string body_hash(std::string_view message);
// The value of the field X-Pier-Canary, if the header has one.
std::optional<std::string> canary_token(std::string_view message);
// When the canary of that token was sent; absent: it is no token of ours.
std::optional<Time> canary_time(std::string_view token);

}  // namespace pier::watch
