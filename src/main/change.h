// What has been changed of how a server is set up: values, their differences, and their form as JSON. Pure;
// any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "admin/caller.h"
#include "base/result.h"
#include "base/time.h"

namespace pier::program {

// What is known of something, by name: {"pop3.idle_timeout": "\"10m\""}, {"master": "no"}.
using Facts = std::map<std::string, std::string, std::less<>>;

// A fact that says whether a secret is still the same one, and nothing else of it: a keyed hash. It differs
// from every other fact by how it begins. `key` is random and stays with those who compare.
std::string secret_fact(std::string_view secret, std::string_view key);

struct Difference {
    std::string key;
    std::optional<std::string> before{}, after{};  // one of them absent: it is new, or gone
    bool operator==(const Difference&) const = default;
};

// By key. Of secrets only that there is one, or another one.
std::vector<Difference> differences(const Facts& before, const Facts& after);

struct Change {
    Time at{};
    std::string what;       // "configuration", "certificate", "listeners", "account", "alias", "domain"
    std::string subject{};  // the account, alias or domain
    std::string by{};       // what has done it: "start", "reload", "account.change"
    admin::Caller who{};
    std::string note{};  // what else is to be known
    std::vector<Difference> differences{};
    std::uint64_t left_out = 0;  // of these: there were too many
};

inline constexpr std::size_t differences_max = 200;          // of one change
inline constexpr std::size_t change_text_octets_max = 1024;  // of each text

// Within these bounds; what a stranger wrote is printable then.
Change bounded(Change change);

// {"at","what","subject","by","user","process","for","note","differences":[{"key","before","after"}],"left_out"}
// without what is empty. "at" is RFC 3339,
// to the second.
boost::json::object to_json(const Change& change);
// `invalid`: it has another form.
Result<Change> parse_change(std::string_view line);

}  // namespace pier::program
