#include "maildrop/policy.h"

#include "wire/ascii.h"

namespace pier::maildrop {
namespace {

constexpr std::string_view hidden_prefix = ".removed/";
constexpr std::string_view recent_prefix = "recent:";

}  // namespace

std::string hidden_mailbox(Time when) {
    constexpr std::size_t date_octets = 10;
    return std::string(hidden_prefix) + to_rfc3339(when).substr(0, date_octets);
}

std::optional<Time> hidden_on(std::string_view mailbox) {
    if (!mailbox.starts_with(hidden_prefix)) return std::nullopt;
    return parse_day(mailbox.substr(hidden_prefix.size()));
}

AskedFor split_recent(std::string_view user) {
    if (!wire::ascii_equal(user.substr(0, recent_prefix.size()), recent_prefix)) return {user, false};
    return {user.substr(recent_prefix.size()), true};
}

}  // namespace pier::maildrop
