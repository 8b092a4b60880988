#include "main/change.h"

#include <algorithm>
#include <array>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <sodium.h>

#include "base/printable.h"

namespace pier::program {
namespace {

namespace json = boost::json;

constexpr std::string_view secret_mark = "secret:";

bool is_secret(const std::optional<std::string>& fact) {
    return fact && fact->starts_with(secret_mark);
}

Difference without_secrets(Difference one) {
    const bool both = is_secret(one.before) && is_secret(one.after);
    if (is_secret(one.before)) one.before = "(secret)";
    if (is_secret(one.after)) one.after = both ? "(another secret)" : "(secret)";
    return one;
}

std::string text_in(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::optional<std::string> maybe_text_in(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return std::string(value->get_string());
}

template <class Number>
std::optional<Number> number_in(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    boost::system::error_code failed;
    const auto number = value->to_number<Number>(failed);
    if (failed) return std::nullopt;
    return number;
}

// What to_rfc3339() has written.
std::optional<Time> time_of(std::string_view text) {
    constexpr std::string_view form = "0000-00-00T00:00:00Z";
    if (text.size() != form.size()) return std::nullopt;
    for (std::size_t i = 0; i < form.size(); ++i)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i]) return std::nullopt;
    const auto day = parse_day(text.substr(0, 10));
    const auto number = [&](std::size_t at) { return (text[at] - '0') * 10 + (text[at + 1] - '0'); };
    if (!day || number(11) > 23 || number(14) > 59 || number(17) > 59) return std::nullopt;
    return *day + std::chrono::hours(number(11)) + std::chrono::minutes(number(14)) +
           std::chrono::seconds(number(17));
}

json::object to_json(const Difference& one) {
    json::object out{{"key", one.key}};
    if (one.before) out["before"] = *one.before;
    if (one.after) out["after"] = *one.after;
    return out;
}

}  // namespace

std::string secret_fact(std::string_view secret, std::string_view key) {
    std::array<unsigned char, crypto_generichash_BYTES_MIN> hash{};
    ::crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(secret.data()),
                         secret.size(), reinterpret_cast<const unsigned char*>(key.data()), key.size());
    std::array<char, 2 * hash.size() + 1> text{};
    ::sodium_bin2hex(text.data(), text.size(), hash.data(), hash.size());
    return std::string(secret_mark) + text.data();
}

std::vector<Difference> differences(const Facts& before, const Facts& after) {
    std::vector<Difference> out;
    for (const auto& [key, value] : before) {
        const auto now = after.find(key);
        if (now == after.end())
            out.push_back(without_secrets({key, value, std::nullopt}));
        else if (now->second != value)
            out.push_back(without_secrets({key, value, now->second}));
    }
    for (const auto& [key, value] : after)
        if (!before.contains(key)) out.push_back(without_secrets({key, std::nullopt, value}));
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    return out;
}

Change bounded(Change change) {
    const auto bound = [](std::string& text) { text = printable(text, change_text_octets_max); };
    for (std::string* text : {&change.what, &change.subject, &change.by, &change.note})
        bound(*text);
    change.who.for_user = printable(change.who.for_user, admin::for_user_octets_max);
    if (change.differences.size() > differences_max) {
        change.left_out += change.differences.size() - differences_max;
        change.differences.resize(differences_max);
    }
    for (Difference& one : change.differences) {
        bound(one.key);
        if (one.before) bound(*one.before);
        if (one.after) bound(*one.after);
    }
    return change;
}

json::object to_json(const Change& change) {
    json::object out{{"at", to_rfc3339(change.at)}, {"what", change.what}};
    const auto add = [&out](std::string_view name, const std::string& text) {
        if (!text.empty()) out[name] = text;
    };
    add("subject", change.subject);
    add("by", change.by);
    if (change.who.user) {
        out["user"] = *change.who.user;
        out["process"] = change.who.process;
    }
    add("for", change.who.for_user);
    add("note", change.note);
    json::array all;
    for (const Difference& one : change.differences)
        all.push_back(to_json(one));
    if (!all.empty()) out["differences"] = std::move(all);
    if (change.left_out != 0) out["left_out"] = change.left_out;
    return out;
}

Result<Change> parse_change(std::string_view line) {
    boost::system::error_code failed;
    const json::value value = json::parse(line, failed);
    const Error none{ErrorKind::invalid, "that is no record of a change"};
    if (failed || !value.is_object()) return none;
    const json::object& object = value.get_object();
    const auto at = time_of(text_in(object, "at"));
    Change change;
    change.what = text_in(object, "what");
    if (!at || change.what.empty()) return none;
    change.at = *at;
    change.subject = text_in(object, "subject");
    change.by = text_in(object, "by");
    change.who.user = number_in<std::uint32_t>(object, "user");
    change.who.process = number_in<std::int64_t>(object, "process").value_or(0);
    change.who.for_user = text_in(object, "for");
    change.note = text_in(object, "note");
    change.left_out = number_in<std::uint64_t>(object, "left_out").value_or(0);
    const json::value* all = object.if_contains("differences");
    if (all == nullptr) return change;
    if (!all->is_array()) return none;
    for (const json::value& one : all->get_array()) {
        if (!one.is_object()) return none;
        const json::object& difference = one.get_object();
        change.differences.push_back({text_in(difference, "key"), maybe_text_in(difference, "before"),
                                      maybe_text_in(difference, "after")});
    }
    return change;
}

}  // namespace pier::program
