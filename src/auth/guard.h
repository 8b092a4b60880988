// The guard: who has guessed too often waits, then stays outside for a while; who scans the ports too. Nobody
// can be locked out on purpose: an address from which an account has logged in before is never blocked for
// it, only slowed down, whatever others do to that account.
//
// Counted are distinct wrong passwords for each address (IPv4 whole, IPv6 by its /64), account, and pair of
// both; the same wrong password again (a telephone with an old one) counts once. Counts leak away within
// `window`. Attempts that are being checked count as if they had failed, so parallel ones gain nothing. Names
// that do not exist are counted like those that do.
//
//   if (guard.blocks(address)) close at once, before TLS
//   auto decision = guard.begin(address, name);      for each login, before its password is looked at
//     Attempt   wait its delay(), check the password, then succeeded() or failed(); dropping it counts
//     nothing Wait      others are being checked: when_changed(again) Refusal   tell the client its text
//
// Any thread; never waits. Everything is bounded (GuardSettings::entries_max) and can be saved and restored.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <sodium.h>

#include "auth/guard_table.h"
#include "base/network.h"
#include "base/result.h"
#include "base/time.h"

namespace pier::auth {

struct GuardSettings {
    bool enabled = true;
    std::uint64_t delay_after = 3;         // wrong passwords that cost no delay; then 1, 2, 4, … seconds
    std::chrono::seconds delay_max{15};    // before a check
    std::uint64_t pair_failures_max = 10;  // wrong passwords for one account from one address, then a block
    std::uint64_t address_failures_max = 20;   // from one address, for whatever accounts
    std::uint64_t account_failures_max = 100;  // for one account, from whatever addresses
    std::uint64_t scans_max = 100;             // connections of one address that were up to no good
    std::chrono::seconds window{3600};         // a count that is full is empty again after this
    std::chrono::seconds block_time{600};      // the first block's; each further one lasts twice as long
    std::chrono::seconds block_time_max{24 * 3600};
    std::uint64_t entries_max = 100'000;  // of addresses, accounts and pairs each
    // Addresses behind which many people sit (a web mail, a proxy): never blocked or counted by themselves.
    Networks shared;
};

class Guard {
  public:
    Guard(GuardSettings settings, Clock clock);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    // ---- connections ----

    // Whether a connection from there is to be closed at once. Cheap while nobody is blocked.
    bool blocks(const IpAddress& address);
    // A connection from there was up to no good: `what` in a word or two ("no login", "bad commands").
    void strike(const IpAddress& address, std::string_view what);

    // ---- logins; `name` is the account's name, or what was typed if there is none of it ----

    struct Refusal {
        Time until{};  // when the block ends
        std::string reason;
    };
    struct Wait {};

    // A login being checked. Ends when it is dropped; must not outlive the guard.
    class Attempt {
      public:
        Attempt(Attempt&& other) noexcept : guard_(std::exchange(other.guard_, nullptr)) {
            address_ = other.address_;
            name_ = std::move(other.name_);
            delay_ = other.delay_;
        }
        Attempt& operator=(Attempt&&) = delete;
        ~Attempt();

        std::chrono::seconds delay() const { return delay_; }  // to wait before the check
        void succeeded();
        // Only a keyed hash of the wrong password is kept. Without one (a SCRAM proof does not show it) it
        // counts as another one.
        void failed(std::string_view password);
        void failed();

      private:
        friend class Guard;
        Attempt(Guard* guard, const IpAddress& address, std::string name, std::chrono::seconds delay)
            : guard_(guard), address_(address), name_(std::move(name)), delay_(delay) {}
        Guard* guard_;  // null: over
        IpAddress address_;
        std::string name_;
        std::chrono::seconds delay_;
    };
    using Decision = std::variant<Attempt, Refusal, Wait>;
    Decision begin(const IpAddress& address, std::string_view name);

    // Calls it once when an attempt has ended, on whatever thread, at once if none is under way.
    void when_changed(std::function<void()> again);
    // Nobody is called any more: before the loops go that the callbacks post to.
    void stop();

    // Nothing is held against this login: a cheap check may go first, without an Attempt.
    bool nothing_against(const IpAddress& address, std::string_view name);
    // After such a cheap check.
    void succeeded(const IpAddress& address, std::string_view name);

    // ---- for the administrator ----

    struct Block {
        std::string what{};  // "address", "account", "login" (one account from one address), "by hand"
        std::string address{}, account{};
        Time until{};
        std::string reason{};
    };
    std::vector<Block> list() const;

    // By hand: also for addresses that the guard would let in. At most manual_blocks_max: `busy`.
    static constexpr std::size_t manual_blocks_max = 1000;
    Result<void> block(const Network& network, std::chrono::seconds time, std::string reason);
    // Ends every block of addresses within the network, and forgets what was counted there. How many.
    std::size_t unblock(const Network& network);
    std::size_t unblock_account(std::string_view name);

    struct Explanation {
        bool enabled = true, shared = false;
        std::string counted_as;  // the network whose counts are the address's
        double failures = 0, scans = 0;
        std::vector<std::string> known_accounts;  // that have logged in from there
        std::vector<Block> blocks;                // that concern it
        // With an account:
        bool known = false;  // it has logged in from there
        double pair_failures = 0, account_failures = 0;
        std::string login;  // what a login would meet now: "allowed", "allowed after 4 s", "refused until …"
        bool connects = true;
    };
    Explanation explain(const IpAddress& address, std::string_view name = {});

    struct Counts {
        std::uint64_t addresses = 0, accounts = 0, pairs = 0, blocked = 0;  // now
        std::uint64_t connections_refused = 0, logins_refused = 0;          // since the start
        std::uint64_t logins_delayed = 0, strikes = 0, blocks = 0;          // the same; blocks made
    };
    Counts counts() const;

    // ---- keeping it ----

    // Forgets what has leaked away. Once a minute or so.
    void tidy_up();
    // True once after something worth keeping has changed. A new block is `urgent`.
    struct Changes {
        bool any = false, urgent = false;
    };
    Changes take_changes();
    std::string save();                           // JSON: docs/disk-format.md
    Result<void> restore(std::string_view text);  // `corrupt`: nothing was taken

  private:
    struct Manual {
        Network network;
        Time until{};
        std::string reason;
    };
    struct Parties;  // the entries that a login concerns
    enum class Outcome { nothing, success, failure };
    // So that a name that was typed is looked up without a copy of it.
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };
    template <class T>
    using ByText = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;
    struct Known {
        Network network;
        Time last{};
    };
    using KnownNetworks = std::vector<Known>;

    Parties parties(const IpAddress& address, std::string_view name);
    std::chrono::seconds delay_of(double failures) const;
    double failures(const GuardEntry* entry, std::uint64_t most, Time now) const;
    void end(const IpAddress& address, const std::string& name, Outcome outcome, std::uint64_t mark);
    void note_failure(const IpAddress& address, const std::string& name, std::uint64_t mark,
                      std::vector<Block>& news);
    // `block.until` is now; a new block is added to `news`.
    void put_block(GuardEntry& entry, Block block, std::vector<Block>& news);
    static void log_blocks(const std::vector<Block>& news);  // without the lock
    bool idle(const GuardEntry& entry, Time now) const;
    bool shut_out(const IpAddress& address, Time now) const;
    void learn(const Network& network, std::string_view name, Time now);
    void forget_network(const Network& network);
    bool known(const Network& network, std::string_view name) const;
    const Manual* manual_block(const IpAddress& address, Time now) const;
    std::uint64_t mark_of(std::string_view password) const;

    const GuardSettings settings_;
    const Clock clock_;
    std::array<unsigned char, crypto_shorthash_KEYBYTES> mark_key_;

    mutable std::mutex mutex_;
    GuardTable addresses_, accounts_, pairs_;
    std::vector<Manual> manual_;
    // Where accounts have logged in from: at most known_networks_max for each, so accounts bound it.
    ByText<KnownNetworks> known_;
    ByText<std::uint32_t> known_networks_;  // how many accounts know a network
    std::uint64_t in_flight_ = 0;
    std::vector<std::function<void()>> waiting_;
    bool stopped_ = false;
    Changes changes_;
    std::uint64_t connections_refused_ = 0, logins_refused_ = 0;
    std::uint64_t logins_delayed_ = 0, strikes_ = 0, blocks_made_ = 0;

    std::atomic<bool> any_block_ = false;  // there may be one
};

}  // namespace pier::auth
