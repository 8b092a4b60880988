// Whose token is it? By the issuer's public keys (RFC 7519, jwt.h), or by asking the issuer about each token
// (RFC 7662, introspection.h). What the issuer has said is kept for a while. That the issuer cannot be asked
// is an outage, never a wrong token. Any thread; no lock is held while somebody is called.
//
// Keys are fetched when the first token comes, again when they are older than TokenSettings::cache_time (the
// old ones are used meanwhile, for a day at most), and when a token is signed with a key that is not among
// them, but not more often than every half minute: else anybody could make this server ask.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "auth/token_claims.h"
#include "base/result.h"
#include "base/time.h"

namespace pier::auth {

// How the issuer is reached. `done` is called exactly once, on any thread, perhaps before the call returns;
// an error's text says why the issuer has not answered.
class TokenIssuer {
  public:
    virtual ~TokenIssuer() = default;
    using Done = std::function<void(Result<std::string>)>;
    virtual void fetch_keys(Done done) = 0;                          // the text of a key set
    virtual void introspect(std::string_view token, Done done) = 0;  // the text of the answer
};

struct TokenSettings {
    TokenRules rules;
    enum class By { keys, introspection } by = By::keys;
    std::chrono::seconds cache_time{300};
    std::size_t cached_max = 10'000;  // answers about tokens, about 200 octets each
    std::size_t waiting_max = 1000;   // tokens that wait for the issuer; more are an outage
};

struct TokenOutage {};
using TokenVerdict = std::variant<TokenIdentity, TokenWrong, TokenOutage>;

class Tokens {
  public:
    // The issuer outlives it, and has called everybody back before it goes.
    Tokens(const TokenSettings& settings, TokenIssuer& issuer, Clock clock = system_now);
    ~Tokens();

    // `done` is called exactly once: before this returns when nobody has to be asked, else on a thread of the
    // issuer's. It must not block.
    using Done = std::function<void(TokenVerdict)>;
    void check(std::string token, Done done);

    struct Counts {
        std::uint64_t checked = 0;  // since the start
        std::uint64_t asked = 0;    // since the start: times that the issuer was asked
        std::uint64_t outages = 0;  // since the start: times that it has not answered
        std::uint64_t waiting = 0;  // now: tokens that wait for it
        std::uint64_t kept = 0;     // now: answers about tokens, or keys
    };
    Counts counts() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pier::auth
