// What the administrator sees and does of the guard.
#include <algorithm>

#include <fmt/format.h>

#include "auth/guard.h"
#include "base/log.h"

namespace pier::auth {
namespace {

// The address's network in a key of GuardTable pairs_ ("192.0.2.7 ada").
std::string_view address_of(std::string_view pair_key) {
    return pair_key.substr(0, pair_key.find(' '));
}

std::string_view account_of(std::string_view pair_key) {
    return pair_key.substr(pair_key.find(' ') + 1);
}

bool concerns(const Network& asked, std::string_view key) {
    const auto network = Network::parse(key);
    return network && (asked.contains(*network) || network->contains(asked));
}

}  // namespace

std::vector<Guard::Block> Guard::list() const {
    const std::lock_guard lock(mutex_);
    const Time now = clock_();
    std::vector<Block> blocks;
    for (const Manual& manual : manual_)
        if (manual.until > now)
            blocks.push_back({"by hand", manual.network.text(), {}, manual.until, manual.reason});
    for (const auto& [key, entry] : addresses_.rows())
        if (entry.blocked(now)) blocks.push_back({"address", key, {}, entry.blocked_until, entry.why});
    for (const auto& [key, entry] : accounts_.rows())
        if (entry.blocked(now)) blocks.push_back({"account", {}, key, entry.blocked_until, entry.why});
    for (const auto& [key, entry] : pairs_.rows())
        if (entry.blocked(now))
            blocks.push_back({"login", std::string(address_of(key)), std::string(account_of(key)),
                              entry.blocked_until, entry.why});
    std::stable_sort(blocks.begin(), blocks.end(),
                     [](const Block& one, const Block& other) { return one.until < other.until; });
    return blocks;
}

Result<void> Guard::block(const Network& network, std::chrono::seconds time, std::string reason) {
    const std::lock_guard lock(mutex_);
    const Time now = clock_();
    std::erase_if(manual_,
                  [&](const Manual& manual) { return manual.until <= now || manual.network == network; });
    if (manual_.size() >= manual_blocks_max)
        return Error{
            ErrorKind::busy,
            fmt::format("{} networks are blocked by hand already; unblock some, name larger networks, or "
                        "write deny = [...] into the listener's configuration",
                        manual_blocks_max)};
    manual_.push_back({network, now + time, std::move(reason)});
    any_block_ = true;
    changes_ = {.any = true, .urgent = true};
    return {};
}

std::size_t Guard::unblock(const Network& network) {
    const std::lock_guard lock(mutex_);
    const Time now = clock_();
    std::size_t ended = std::erase_if(manual_, [&](const Manual& manual) {
        return manual.until > now && network.contains(manual.network);
    });
    for (GuardTable* table : {&addresses_, &pairs_}) {
        std::vector<std::string> keys;
        for (const auto& [key, entry] : table->rows())
            if (concerns(network, address_of(key))) keys.push_back(key);
        for (const std::string& key : keys) {
            if (table->find(key)->blocked(now)) ++ended;
            table->erase(key);
        }
    }
    changes_ = {.any = true, .urgent = true};
    return ended;
}

std::size_t Guard::unblock_account(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const Time now = clock_();
    std::size_t ended = 0;
    if (const GuardEntry* entry = accounts_.find(name)) {
        ended += entry->blocked(now) ? 1 : 0;
        accounts_.erase(name);
    }
    std::vector<std::string> keys;
    for (const auto& [key, entry] : pairs_.rows())
        if (account_of(key) == name) keys.push_back(key);
    for (const std::string& key : keys) {
        ended += pairs_.find(key)->blocked(now) ? 1 : 0;
        pairs_.erase(key);
    }
    changes_ = {.any = true, .urgent = true};
    return ended;
}

Guard::Explanation Guard::explain(const IpAddress& address, std::string_view name) {
    Explanation out;
    {
        const std::lock_guard lock(mutex_);
        const Network network = Network::of_one(address);
        const Time now = clock_();
        out.counted_as = network.text();
        out.enabled = settings_.enabled;
        out.shared = contains(settings_.shared, address);
        const GuardTable& addresses = addresses_;
        const GuardEntry* entry = addresses.find(out.counted_as);
        out.failures = failures(entry, settings_.address_failures_max, now);
        if (entry)
            out.scans = entry->scans.now(now, static_cast<double>(settings_.scans_max), settings_.window);
        for (const auto& [account, networks] : known_)
            if (known(network, account)) out.known_accounts.push_back(account);
        std::sort(out.known_accounts.begin(), out.known_accounts.end());
        out.connects = !shut_out(address, now);
        if (!name.empty()) {
            const GuardTable& pairs = pairs_;
            const GuardTable& accounts = accounts_;
            out.known = known(network, name);
            out.pair_failures = failures(pairs.find(fmt::format("{} {}", out.counted_as, name)),
                                         settings_.pair_failures_max, now);
            out.account_failures = failures(accounts.find(name), settings_.account_failures_max, now);
        }
    }
    for (Block& block : list()) {
        const bool of_address = block.address.empty() || concerns(Network::of_one(address), block.address);
        const bool of_account = block.account.empty() || block.account == name;
        if (of_address && of_account) out.blocks.push_back(std::move(block));
    }
    if (name.empty()) return out;
    auto decision = begin(address, name);
    if (const auto* attempt = std::get_if<Attempt>(&decision)) {
        out.login = attempt->delay().count() == 0
                        ? "allowed"
                        : fmt::format("allowed, after {} s", attempt->delay().count());
    } else if (const auto* refusal = std::get_if<Refusal>(&decision)) {
        out.login = fmt::format("refused until {}: {}", to_rfc3339(refusal->until), refusal->reason);
    } else {
        out.login = "waits until others that are being checked are done";
    }
    return out;
}

Guard::Counts Guard::counts() const {
    const std::size_t blocked = list().size();
    const std::lock_guard lock(mutex_);
    return {.addresses = addresses_.rows().size(),
            .accounts = accounts_.rows().size(),
            .pairs = pairs_.rows().size(),
            .blocked = blocked,
            .connections_refused = connections_refused_,
            .logins_refused = logins_refused_,
            .logins_delayed = logins_delayed_,
            .strikes = strikes_,
            .blocks = blocks_made_};
}

}  // namespace pier::auth
