#include "auth/guard.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "base/random.h"

namespace pier::auth {
namespace {

constexpr std::size_t known_networks_max = 16;  // for each account; the one used longest ago goes first
constexpr std::chrono::hours known_time{90 * 24};
constexpr std::chrono::hours known_again_time{1};  // a later login is worth keeping after this
constexpr std::size_t name_octets_max = 255;       // of a name that was typed: what is longer counts as one

// Reached, though a little of it has leaked away between the first and the last.
bool full(const LeakyCount& count, double most) {
    return count.level > most - 0.5;
}

}  // namespace

// The entries that a login concerns; null: nothing is held against that one.
struct Guard::Parties {
    Network network;
    std::string address_key{}, pair_key{};
    bool shared = false, known = false;
    GuardEntry *address = nullptr, *account = nullptr, *pair = nullptr;
    Time now{};
};

Guard::Guard(GuardSettings settings, Clock clock)
    : settings_(std::move(settings)),
      clock_(std::move(clock)),
      addresses_(settings_.entries_max),
      accounts_(settings_.entries_max),
      pairs_(settings_.entries_max) {
    random_bytes(mark_key_);
}

Guard::~Guard() {
    sodium_memzero(mark_key_.data(), mark_key_.size());
}

std::uint64_t Guard::mark_of(std::string_view password) const {
    static_assert(crypto_shorthash_BYTES == sizeof(std::uint64_t));
    std::uint64_t mark = 0;
    crypto_shorthash(reinterpret_cast<unsigned char*>(&mark),
                     reinterpret_cast<const unsigned char*>(password.data()), password.size(),
                     mark_key_.data());
    return mark;
}

const Guard::Manual* Guard::manual_block(const IpAddress& address, Time now) const {
    for (const Manual& manual : manual_)
        if (manual.until > now && manual.network.contains(address)) return &manual;
    return nullptr;
}

bool Guard::known(const Network& network, std::string_view name) const {
    const auto account = known_.find(name);
    return account != known_.end() &&
           std::any_of(account->second.begin(), account->second.end(),
                       [&](const Known& known) { return known.network == network; });
}

Guard::Parties Guard::parties(const IpAddress& address, std::string_view name) {
    Parties parties{.network = Network::of_one(address), .now = clock_()};
    parties.address_key = parties.network.text();
    parties.pair_key.append(parties.address_key).append(" ").append(name);
    parties.shared = contains(settings_.shared, address);
    parties.known = known(parties.network, name);
    if (!parties.shared) parties.address = addresses_.find(parties.address_key);
    parties.account = accounts_.find(name);
    parties.pair = pairs_.find(parties.pair_key);
    return parties;
}

double Guard::failures(const GuardEntry* entry, std::uint64_t most, Time now) const {
    return entry ? entry->failures.now(now, static_cast<double>(most), settings_.window) : 0;
}

std::chrono::seconds Guard::delay_of(double failures) const {
    const double over = std::floor(failures) - static_cast<double>(settings_.delay_after);
    if (over < 0) return std::chrono::seconds(0);
    constexpr double shift_max = 20;
    const auto delay = std::chrono::seconds(std::int64_t{1} << static_cast<int>(std::min(over, shift_max)));
    return std::min(delay, settings_.delay_max);
}

// ---- connections ----

bool Guard::blocks(const IpAddress& address) {
    if (!any_block_.load(std::memory_order_relaxed)) return false;
    const std::lock_guard lock(mutex_);
    if (!shut_out(address, clock_())) return false;
    ++connections_refused_;
    return true;
}

bool Guard::shut_out(const IpAddress& address, Time now) const {
    if (manual_block(address, now)) return true;
    if (!settings_.enabled || contains(settings_.shared, address)) return false;
    const std::string network = Network::of_one(address).text();
    const GuardEntry* entry = addresses_.find(network);
    // Somebody's owner sits there: he is let in to the login, where others of that address are refused.
    return entry && entry->blocked(now) && !known_networks_.contains(network);
}

void Guard::strike(const IpAddress& address, std::string_view what) {
    if (!settings_.enabled || contains(settings_.shared, address)) return;
    std::vector<Block> news;
    {
        const std::lock_guard lock(mutex_);
        const Time now = clock_();
        const Network network = Network::of_one(address);
        GuardEntry& entry = addresses_.get(network.text(), now);
        const auto most = static_cast<double>(settings_.scans_max);
        ++strikes_;
        entry.scans.add(now, most, settings_.window);
        changes_.any = true;
        if (full(entry.scans, most))
            put_block(entry,
                      {.what = "address",
                       .address = network.text(),
                       .until = now,
                       .reason = "scanning: " + std::string(what)},
                      news);
    }
    log_blocks(news);
}

// ---- logins ----

Guard::Attempt::~Attempt() {
    if (guard_) guard_->end(address_, name_, Outcome::nothing, 0);
}

void Guard::Attempt::succeeded() {
    if (Guard* guard = std::exchange(guard_, nullptr)) guard->end(address_, name_, Outcome::success, 0);
}

void Guard::Attempt::failed(std::string_view password) {
    if (Guard* guard = std::exchange(guard_, nullptr))
        guard->end(address_, name_, Outcome::failure, guard->mark_of(password));
}

void Guard::Attempt::failed() {
    if (Guard* guard = std::exchange(guard_, nullptr)) {
        std::uint64_t mark = 0;
        random_bytes({reinterpret_cast<unsigned char*>(&mark), sizeof mark});
        guard->end(address_, name_, Outcome::failure, mark);
    }
}

Guard::Decision Guard::begin(const IpAddress& address, std::string_view name) {
    name = name.substr(0, name_octets_max);
    if (!settings_.enabled) return Attempt(nullptr, address, {}, std::chrono::seconds(0));
    const std::lock_guard lock(mutex_);
    const Parties parties = this->parties(address, name);
    const Time now = parties.now;
    const auto refuse = [&](Time until, std::string reason) {
        ++logins_refused_;
        return Refusal{until, std::move(reason)};
    };
    if (const Manual* manual = manual_block(address, now)) return refuse(manual->until, "blocked by hand");
    // What each party has left before it is blocked; one at a time is always looked at.
    const auto room = [&](const GuardEntry* entry, std::uint64_t most) {
        const double left = static_cast<double>(most) - failures(entry, most, now);
        return !entry || entry->in_flight < std::max(1.0, std::floor(left));
    };
    bool has_room = room(parties.pair, settings_.pair_failures_max);
    auto delay = delay_of(failures(parties.pair, settings_.pair_failures_max, now));
    if (!parties.known) {
        for (const GuardEntry* entry : {parties.pair, parties.address, parties.account})
            if (entry && entry->blocked(now)) return refuse(entry->blocked_until, entry->why);
        has_room = has_room && room(parties.address, settings_.address_failures_max) &&
                   room(parties.account, settings_.account_failures_max);
        delay = std::max(delay, delay_of(failures(parties.address, settings_.address_failures_max, now)));
    }
    if (!has_room) return Wait{};
    if (!parties.shared) ++addresses_.get(parties.address_key, now).in_flight;
    ++accounts_.get(name, now).in_flight;
    ++pairs_.get(parties.pair_key, now).in_flight;
    ++in_flight_;
    if (delay.count() > 0) ++logins_delayed_;
    return Attempt(this, address, std::string(name), delay);
}

void Guard::end(const IpAddress& address, const std::string& name, Outcome outcome, std::uint64_t mark) {
    std::vector<Block> news;
    std::vector<std::function<void()>> waiting;
    {
        const std::lock_guard lock(mutex_);
        if (outcome == Outcome::failure) note_failure(address, name, mark, news);
        const Parties parties = this->parties(address, name);
        const auto release = [&](GuardTable& table, const std::string& key, GuardEntry* entry) {
            if (!entry) return;
            if (entry->in_flight > 0) --entry->in_flight;  // it may have been pushed out and made anew
            if (idle(*entry, parties.now)) table.erase(key);
        };
        if (outcome == Outcome::success) {
            if (parties.pair) parties.pair->failures = {};
            learn(parties.network, name, parties.now);
        }
        if (!parties.shared) release(addresses_, parties.address_key, parties.address);
        release(accounts_, name, parties.account);
        release(pairs_, parties.pair_key, parties.pair);
        --in_flight_;
        if (!stopped_) waiting.swap(waiting_);
    }
    log_blocks(news);
    for (const auto& again : waiting)
        again();
}

void Guard::note_failure(const IpAddress& address, const std::string& name, std::uint64_t mark,
                         std::vector<Block>& news) {
    const Parties before = parties(address, name);
    const Time now = before.now;
    GuardEntry& pair = pairs_.get(before.pair_key, now);
    if (pair.knows(mark)) return;
    pair.remember(mark);
    changes_.any = true;
    const auto count = [&](GuardEntry& entry, std::uint64_t most, Block block) {
        entry.failures.add(now, static_cast<double>(most), settings_.window);
        if (full(entry.failures, static_cast<double>(most))) put_block(entry, std::move(block), news);
    };
    const std::string& network = before.address_key;
    if (!before.shared)
        count(addresses_.get(network, now), settings_.address_failures_max,
              {.what = "address", .address = network, .until = now, .reason = "too many wrong passwords"});
    // What its owner's addresses do wrong is no attack on the account, and blocks nobody.
    if (before.known) {
        pair.failures.add(now, static_cast<double>(settings_.pair_failures_max), settings_.window);
        return;
    }
    count(pair, settings_.pair_failures_max,
          {.what = "login",
           .address = network,
           .account = name,
           .until = now,
           .reason = "too many wrong passwords for this account from this address"});
    count(accounts_.get(name, now), settings_.account_failures_max,
          {.what = "account", .account = name, .until = now, .reason = "the account is under attack"});
}

void Guard::put_block(GuardEntry& entry, Block block, std::vector<Block>& news) {
    const Time now = block.until;
    if (entry.blocked(now)) return;
    std::chrono::seconds time = settings_.block_time;
    for (std::uint32_t i = 0; i < entry.blocks && time < settings_.block_time_max; ++i)
        time *= 2;
    ++entry.blocks;
    ++blocks_made_;
    entry.blocked_until = now + std::min(time, settings_.block_time_max);
    entry.why = block.reason;
    any_block_ = true;
    changes_ = {.any = true, .urgent = true};
    block.until = entry.blocked_until;
    news.push_back(std::move(block));
}

void Guard::log_blocks(const std::vector<Block>& news) {
    for (const Block& block : news)
        log::warning("guard.blocked", {{"what", block.what},
                                       {"address", block.address},
                                       {"account", block.account},
                                       {"until", to_rfc3339(block.until)},
                                       {"reason", block.reason},
                                       {"hint", "pier guard explain and pier guard unblock"}});
}

bool Guard::nothing_against(const IpAddress& address, std::string_view name) {
    if (!settings_.enabled) return true;
    const std::lock_guard lock(mutex_);
    if (addresses_.rows().empty() && accounts_.rows().empty() && pairs_.rows().empty() && manual_.empty())
        return true;
    const Parties parties = this->parties(address, name.substr(0, name_octets_max));
    const auto clean = [&](const GuardEntry* entry) {
        return !entry || (entry->failures.level == 0 && !entry->blocked(parties.now));
    };
    if (manual_block(address, parties.now)) return false;
    if (parties.known) return clean(parties.pair);
    return clean(parties.pair) && clean(parties.address) && clean(parties.account);
}

void Guard::succeeded(const IpAddress& address, std::string_view name) {
    if (!settings_.enabled) return;
    const std::lock_guard lock(mutex_);
    learn(Network::of_one(address), name.substr(0, name_octets_max), clock_());
}

void Guard::learn(const Network& network, std::string_view name, Time now) {
    auto account = known_.find(name);
    if (account == known_.end()) account = known_.emplace(std::string(name), KnownNetworks{}).first;
    KnownNetworks& networks = account->second;
    const auto found = std::find_if(networks.begin(), networks.end(),
                                    [&](const Known& known) { return known.network == network; });
    if (found != networks.end()) {
        if (now - found->last < known_again_time) return;
        found->last = now;
    } else {
        if (networks.size() >= known_networks_max) {
            const auto oldest =
                std::min_element(networks.begin(), networks.end(),
                                 [](const Known& one, const Known& other) { return one.last < other.last; });
            forget_network(oldest->network);
            networks.erase(oldest);
        }
        networks.push_back({network, now});
        ++known_networks_[network.text()];
    }
    changes_.any = true;
}

void Guard::forget_network(const Network& network) {
    const auto found = known_networks_.find(network.text());
    if (found != known_networks_.end() && --found->second == 0) known_networks_.erase(found);
}

void Guard::when_changed(std::function<void()> again) {
    {
        const std::lock_guard lock(mutex_);
        if (stopped_ || in_flight_ > 0) return waiting_.push_back(std::move(again));
    }
    again();
}

void Guard::stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    waiting_.clear();
}

// ---- keeping it small ----

bool Guard::idle(const GuardEntry& entry, Time now) const {
    return entry.in_flight == 0 && entry.failures.empty(now, settings_.window) &&
           entry.scans.empty(now, settings_.window) && !entry.blocked(now) &&
           (entry.blocks == 0 || entry.blocked_until + settings_.block_time_max < now);
}

void Guard::tidy_up() {
    const std::lock_guard lock(mutex_);
    const Time now = clock_();
    bool blocked = false;
    for (GuardTable* table : {&addresses_, &accounts_, &pairs_}) {
        table->erase_if([&](const GuardEntry& entry) {
            blocked = blocked || entry.blocked(now);
            return idle(entry, now);
        });
    }
    if (std::erase_if(manual_, [&](const Manual& manual) { return manual.until <= now; }) > 0)
        changes_.any = true;
    any_block_ = blocked || !manual_.empty();
    for (auto account = known_.begin(); account != known_.end();) {
        std::erase_if(account->second, [&](const Known& known) {
            if (now - known.last < known_time) return false;
            forget_network(known.network);
            changes_.any = true;
            return true;
        });
        account = account->second.empty() ? known_.erase(account) : std::next(account);
    }
}

Guard::Changes Guard::take_changes() {
    const std::lock_guard lock(mutex_);
    return std::exchange(changes_, {});
}

}  // namespace pier::auth
