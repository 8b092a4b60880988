// MTA-STS (RFC 8461): a domain's word, over HTTPS, that its mail hosts have TLS with a certificate of a known
// authority. The texts and their cache; pure but for the lock. What fetches them is in sts_policies.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace pier::queue {

struct StsPolicy {
    enum class Mode { none, testing, enforce };
    Mode mode = Mode::none;
    std::vector<std::string> mx;  // lower case; "*.example.org" stands for one label in front
    std::chrono::seconds max_age{0};

    // Whether `host` is one of the domain's mail hosts (RFC 8461 §4.1).
    bool allows(std::string_view host) const;
};

inline constexpr std::size_t sts_policy_octets_max = 64 << 10;  // RFC 8461 §3.3
inline constexpr std::size_t sts_mx_max = 100;

// What stands at https://mta-sts.<domain>/.well-known/mta-sts.txt (RFC 8461 §3.2). `invalid` says what is
// wrong with it.
Result<StsPolicy> parse_sts_policy(std::string_view text);

// The id of the one record "v=STSv1; id=…" among a name's TXT records (RFC 8461 §3.1). Absent: there is none,
// or more than one.
std::optional<std::string> sts_id(const std::vector<std::string>& texts);

// Policies by domain, bounded: when it is full, the one that was used longest ago goes. One thread, or under
// the caller's lock.
class StsCache {
  public:
    struct Entry {
        std::string id;
        StsPolicy policy;
        Time end{};  // it is used no longer
    };

    explicit StsCache(std::size_t domains_max) : domains_max_(domains_max) {}

    const Entry* find(const std::string& domain, Time now);  // until the next call
    void put(const std::string& domain, std::string id, StsPolicy policy, Time now);
    // A policy could not be fetched: not asked for again before `until` (RFC 8461 §5.1).
    void leave_alone(const std::string& domain, Time until);
    bool is_left_alone(const std::string& domain, Time now) const;
    std::size_t size() const { return entries_.size(); }

  private:
    struct Kept {
        Entry entry;
        Time left_alone_until{};
        std::list<std::string>::iterator place;
    };
    Kept& kept(const std::string& domain);

    const std::size_t domains_max_;
    std::map<std::string, Kept> entries_;
    std::list<std::string> order_;  // used longest ago first
};

}  // namespace pier::queue
