#include "auth/tokens.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <openssl/evp.h>

#include "auth/introspection.h"
#include "auth/jwt.h"
#include "auth/password.h"
#include "base/log.h"

namespace pier::auth {
namespace {

using std::chrono::seconds;

constexpr seconds keys_age_max{24 * 3600};
constexpr seconds pause_for_unknown_key{30};
constexpr seconds pause_after_failure{5};
constexpr seconds wrong_cached_max{60};

using Keys = std::shared_ptr<const std::vector<Jwk>>;

using Hash = std::array<unsigned char, 32>;
Hash hash_of(std::string_view token) {
    Hash hash{};
    EVP_Digest(token.data(), token.size(), hash.data(), nullptr, EVP_sha256(), nullptr);
    return hash;
}
struct HashOfHash {
    std::size_t operator()(const Hash& hash) const {
        std::size_t first = 0;  // nobody can choose it: it is SHA-256's
        std::memcpy(&first, hash.data(), sizeof first);
        return first;
    }
};

// What the issuer has said about tokens. Not locked.
class Answers {
  public:
    explicit Answers(std::size_t max) : max_(max) {}

    std::optional<TokenVerdict> find(const Hash& hash, Time now) {
        const auto at = entries_.find(hash);
        if (at == entries_.end()) return std::nullopt;
        if (now < at->second.until) return at->second.verdict;
        oldest_first_.erase(at->second.place);
        entries_.erase(at);
        return std::nullopt;
    }

    void keep(const Hash& hash, const TokenVerdict& verdict, Time until) {
        if (max_ == 0 || entries_.contains(hash)) return;
        if (entries_.size() >= max_) {
            entries_.erase(oldest_first_.front());
            oldest_first_.pop_front();
        }
        oldest_first_.push_back(hash);
        entries_.emplace(hash, Entry{verdict, until, std::prev(oldest_first_.end())});
    }

    std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        TokenVerdict verdict;
        Time until;
        std::list<Hash>::iterator place;
    };
    const std::size_t max_;
    std::list<Hash> oldest_first_;
    std::unordered_map<Hash, Entry, HashOfHash> entries_;
};

struct Waiter {
    std::string token;
    Tokens::Done done;
};

}  // namespace

struct Tokens::Impl {
    Impl(const TokenSettings& s, TokenIssuer& i, Clock c)
        : settings(s), issuer(i), clock(std::move(c)), answers(s.cached_max) {}

    const TokenSettings settings;
    TokenIssuer& issuer;
    const Clock clock;

    mutable std::mutex mutex;
    Counts counts;
    bool in_outage = false;  // the log has been told
    // By keys:
    Keys keys;               // null: none yet
    Time keys_since{};       // when they came
    Time tried{};            // when they were asked for last
    bool tried_well = true;  // and it worked
    bool fetching = false;
    std::vector<Waiter> waiters;
    // By introspection:
    Answers answers;

    // A clock that was set back must not stop us from asking.
    static bool is_within(Time since, Time now, seconds time) { return since <= now && now - since < time; }

    void note(bool answered, std::string_view why) {
        bool news = false;
        {
            std::lock_guard lock(mutex);
            if (!answered) ++counts.outages;
            news = std::exchange(in_outage, !answered) == answered;
        }
        if (!news) return;
        if (answered)
            log::info("token.issuer.back");
        else
            log::error("token.issuer.outage",
                       {{"reason", why}, {"hint", "logins by token are told to come back later"}});
    }

    // ---- by keys ----

    JwtVerdict look(const std::string& token, const Keys& with) const {
        return with ? check_jwt(token, *with, settings.rules, clock()) : JwtVerdict(UnknownKey{});
    }

    void check_by_keys(std::string token, Done done) {
        for (;;) {
            Keys present;
            bool refresh = false;
            {
                std::lock_guard lock(mutex);
                const Time now = clock();
                if (keys && !is_within(keys_since, now, keys_age_max)) keys.reset();
                present = keys;
                // In the background: who is waiting has keys that are good enough.
                refresh = keys && !fetching && !is_within(tried, now, settings.cache_time);
                if (refresh) begin_fetch(now);
            }
            if (refresh) fetch();
            JwtVerdict verdict = look(token, present);
            if (!std::holds_alternative<UnknownKey>(verdict)) {
                wipe(token);
                return done(verdict_of(std::move(verdict)));
            }
            const auto next = wait_for_keys(present, token, done);
            if (next == Next::again) continue;
            if (next == Next::fetch) fetch();
            return;
        }
    }

    static TokenVerdict verdict_of(JwtVerdict verdict) {
        if (auto* identity = std::get_if<TokenIdentity>(&verdict)) return std::move(*identity);
        if (auto* wrong = std::get_if<TokenWrong>(&verdict)) return *wrong;
        return TokenWrong{"the token is signed with a key that the issuer does not have"};
    }

    enum class Next { again, fetch, nothing };

    // The token is of none of the keys `seen`. `again`: there are others by now.
    Next wait_for_keys(const Keys& seen, std::string& token, Done& done) {
        std::unique_lock lock(mutex);
        if (keys != seen) return Next::again;
        const Time now = clock();
        const bool too_soon =
            !fetching && is_within(tried, now, tried_well ? pause_for_unknown_key : pause_after_failure);
        if (too_soon || waiters.size() >= settings.waiting_max) {
            const bool known_wrong = too_soon && tried_well && keys;
            lock.unlock();
            wipe(token);
            done(known_wrong ? verdict_of(UnknownKey{}) : TokenVerdict(TokenOutage{}));
            return Next::nothing;
        }
        waiters.push_back({std::move(token), std::move(done)});
        if (fetching) return Next::nothing;
        begin_fetch(now);
        return Next::fetch;
    }

    void begin_fetch(Time now) {
        fetching = true;
        tried = now;
        ++counts.asked;
    }

    void fetch() {
        issuer.fetch_keys([this](const Result<std::string>& text) { take_keys(text); });
    }

    void take_keys(const Result<std::string>& text) {
        Result<std::vector<Jwk>> parsed = text ? parse_jwks(*text) : Result<std::vector<Jwk>>(text.error());
        if (parsed && parsed->empty())
            parsed = Error{ErrorKind::invalid, "none of the issuer's keys can be used here"};
        note(parsed.has_value(), parsed ? "" : parsed.error().text);
        std::vector<Waiter> served;
        Keys present;
        {
            std::lock_guard lock(mutex);
            fetching = false;
            tried_well = parsed.has_value();
            if (parsed) {
                keys = std::make_shared<const std::vector<Jwk>>(std::move(*parsed));
                keys_since = clock();
            }
            present = parsed ? keys : nullptr;
            served.swap(waiters);
        }
        for (Waiter& waiter : served) {
            TokenVerdict verdict =
                present ? verdict_of(look(waiter.token, present)) : TokenVerdict(TokenOutage{});
            wipe(waiter.token);
            waiter.done(std::move(verdict));
        }
    }

    // ---- by introspection ----

    void check_by_asking(std::string token, Done done) {
        const Hash hash = hash_of(token);
        std::optional<TokenVerdict> known;
        bool full = false;
        {
            std::lock_guard lock(mutex);
            known = answers.find(hash, clock());
            full = !known && counts.waiting >= settings.waiting_max;
            if (full) known = TokenOutage{};
            if (!known) {
                ++counts.asked;
                ++counts.waiting;
            }
        }
        if (known) {
            wipe(token);
            return done(std::move(*known));
        }
        issuer.introspect(token, [this, hash, done = std::move(done)](const Result<std::string>& text) {
            done(take_answer(hash, text));
        });
        wipe(token);
    }

    TokenVerdict take_answer(const Hash& hash, const Result<std::string>& text) {
        const Time now = clock();
        IntrospectionVerdict read = text ? read_introspection(*text, settings.rules, now) : Unreadable{};
        const bool answered = !std::holds_alternative<Unreadable>(read);
        note(answered, text ? "its answer is no introspection response (RFC 7662 §2.2)" : text.error().text);
        std::lock_guard lock(mutex);
        --counts.waiting;
        if (!answered) return TokenOutage{};
        if (const auto* wrong = std::get_if<TokenWrong>(&read)) {
            answers.keep(hash, *wrong, now + std::min(settings.cache_time, wrong_cached_max));
            return *wrong;
        }
        auto& identity = std::get<TokenIdentity>(read);
        answers.keep(hash, identity, std::min<Time>(now + settings.cache_time, identity.expires));
        return std::move(identity);
    }
};

Tokens::Tokens(const TokenSettings& settings, TokenIssuer& issuer, Clock clock)
    : impl_(std::make_unique<Impl>(settings, issuer, std::move(clock))) {}

Tokens::~Tokens() = default;

void Tokens::check(std::string token, Done done) {
    {
        std::lock_guard lock(impl_->mutex);
        ++impl_->counts.checked;
    }
    if (token.empty() || token.size() > token_octets_max) {
        wipe(token);
        return done(TokenWrong{"the token is empty or too long"});
    }
    if (impl_->settings.by == TokenSettings::By::keys)
        return impl_->check_by_keys(std::move(token), std::move(done));
    impl_->check_by_asking(std::move(token), std::move(done));
}

Tokens::Counts Tokens::counts() const {
    std::lock_guard lock(impl_->mutex);
    Counts counts = impl_->counts;
    if (impl_->settings.by == TokenSettings::By::keys) {
        counts.waiting = impl_->waiters.size();
        counts.kept = impl_->keys ? impl_->keys->size() : 0;
    } else {
        counts.kept = impl_->answers.size();
    }
    return counts;
}

}  // namespace pier::auth
