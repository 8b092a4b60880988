#include "backends/passwd_line.h"

#include <charconv>
#include <limits>

#include "auth/name.h"
#include "wire/ascii.h"

namespace pier::backends {
namespace {

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

// Takes what stands before the first `separator`, or all.
std::string_view take(std::string_view& rest, char separator) {
    const std::size_t end = rest.find(separator);
    const std::string_view out = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return out;
}

// "1G", "500M", "1024": octets, a number alone being `unit` of them.
std::optional<std::uint64_t> parse_size(std::string_view text, std::uint64_t unit) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    std::string_view suffix = text.substr(static_cast<std::size_t>(end - text.data()));
    if (suffix.size() == 2 && (suffix[1] == 'B' || suffix[1] == 'b')) suffix.remove_suffix(1);
    if (!suffix.empty()) {
        constexpr std::string_view letters = "BKMGT";
        const char letter = suffix[0] >= 'a' ? static_cast<char>(suffix[0] - 'a' + 'A') : suffix[0];
        const std::size_t power = letters.find(letter);
        if (suffix.size() != 1 || power == std::string_view::npos) return std::nullopt;
        unit = 1ull << (10 * power);
    }
    if (number > std::numeric_limits<std::int64_t>::max() / unit) return std::nullopt;
    return number * unit;
}

// "*:storage=1G:messages=1000": the limit of octets for all mailboxes, if the rule is one.
Result<void> take_quota_rule(std::string_view value, User& user) {
    if (take(value, ':') != "*") return {};
    while (!value.empty()) {
        std::string_view limit = take(value, ':');
        const std::string_view what = take(limit, '=');
        if (what != "storage" && what != "bytes") continue;
        const auto octets = parse_size(limit, what == "storage" ? 1024 : 1);
        if (!octets) return invalid("its quota rule has no size, as 500M or 2G");
        user.quota_octets = *octets;
    }
    return {};
}

Result<void> take_networks(std::string_view value, User& user) {
    Networks networks;
    while (!value.empty()) {
        const std::string_view one = take(value, ',');
        if (one.empty()) continue;
        // Dovecot's word for Unix sockets, whose clients count as programs of this machine.
        const auto network = Network::parse(one == "local" ? "127.0.0.1" : one);
        if (!network) return invalid("allow_nets has something that is no network");
        networks.push_back(*network);
    }
    if (networks.empty()) return invalid("allow_nets names no network");
    user.allow = std::move(networks);
    return {};
}

bool is_yes(std::string_view value) {
    return !wire::ascii_equal(value, "no") && !wire::ascii_equal(value, "n") && value != "0";
}

}  // namespace

Result<void> take_extra_field(std::string_view name, std::string_view value, PasswdEntry& entry) {
    constexpr std::string_view of_userdb = "userdb_";
    if (name.starts_with(of_userdb)) name.remove_prefix(of_userdb.size());
    if (name == "quota_rule") return take_quota_rule(value, entry.user);
    if (name == "allow_nets") return take_networks(value, entry.user);
    if (name == "nologin") entry.may_log_in = !is_yes(value);
    // Anybody could log in with any password.
    if (name == "nopassword" && is_yes(value)) entry.password.clear();
    if (name == "user") {
        const auto account = auth::account_name(value);
        if (!account) return invalid("user= names no account: " + account.error().text);
        entry.user.name = *account;
    }
    return {};
}

Result<std::optional<PasswdEntry>> parse_passwd_line(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) return std::optional<PasswdEntry>();
    PasswdEntry entry;
    const auto name = auth::account_name(take(line, ':'));
    if (!name) return invalid("its user could not be an account: " + name.error().text);
    entry.name = *name;
    entry.password = take(line, ':');
    for (int field = 0; field < 5; ++field)  // uid, gid, gecos, home, shell
        take(line, ':');
    while (!line.empty()) {
        std::string_view value = take(line, ' ');
        const std::string_view key = take(value, '=');
        if (auto taken = take_extra_field(key, value, entry); !taken) return taken.error();
    }
    return std::optional(std::move(entry));
}

}  // namespace pier::backends
