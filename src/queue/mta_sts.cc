#include "queue/mta_sts.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/printable.h"
#include "dns/answer.h"
#include "wire/ascii.h"

namespace pier::queue {
namespace {

constexpr std::uint64_t max_age_s_max = 31'557'600;  // RFC 8461 §3.2: a year

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

std::string_view next_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

bool is_mx_pattern(std::string_view pattern) {
    if (pattern.starts_with("*.")) pattern.remove_prefix(2);
    return dns::is_name(pattern);
}

}  // namespace

bool StsPolicy::allows(std::string_view host) const {
    return std::ranges::any_of(mx, [host](std::string_view pattern) {
        if (!pattern.starts_with("*.")) return wire::ascii_equal(pattern, host);
        // One label, no more (RFC 6125 §6.4.3).
        const std::size_t dot = host.find('.');
        return dot != 0 && dot != std::string_view::npos &&
               wire::ascii_equal(host.substr(dot), pattern.substr(1));
    });
}

Result<StsPolicy> parse_sts_policy(std::string_view text) {
    const auto wrong = [](std::string what) { return Error(ErrorKind::invalid, std::move(what)); };
    if (text.size() > sts_policy_octets_max) return wrong("it is too long");
    StsPolicy policy;
    std::optional<std::string> version, mode, max_age;
    while (!text.empty()) {
        const std::string_view line = trimmed(next_line(text));
        if (line.empty()) continue;
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos)
            return wrong(fmt::format("the line \"{}\" has no colon", printable(line)));
        const std::string_view key = trimmed(line.substr(0, colon)), value = trimmed(line.substr(colon + 1));
        // RFC 8461 §3.2: of a key that stands twice the first counts; unknown keys are passed over.
        if (key == "version" && !version) version = value;
        if (key == "mode" && !mode) mode = value;
        if (key == "max_age" && !max_age) max_age = value;
        if (key != "mx") continue;
        if (!is_mx_pattern(value)) return wrong(fmt::format("mx: {} is no host", printable(value)));
        if (policy.mx.size() == sts_mx_max) return wrong("it has too many mx lines");
        policy.mx.push_back(wire::ascii_lower(value));
    }
    if (version != "STSv1") return wrong("it does not say version: STSv1");
    if (mode == "enforce")
        policy.mode = StsPolicy::Mode::enforce;
    else if (mode == "testing")
        policy.mode = StsPolicy::Mode::testing;
    else if (mode != "none")
        return wrong("its mode is none of enforce, testing, none");
    std::uint64_t seconds = 0;
    const char* end = max_age ? max_age->data() + max_age->size() : nullptr;
    if (!max_age || max_age->empty() ||
        std::from_chars(max_age->data(), end, seconds) != std::from_chars_result{end, std::errc()})
        return wrong("its max_age is no number of seconds");
    policy.max_age = std::chrono::seconds(std::min(seconds, max_age_s_max));
    if (policy.mode != StsPolicy::Mode::none && policy.mx.empty()) return wrong("it names no mx");
    return policy;
}

std::optional<std::string> sts_id(const std::vector<std::string>& texts) {
    std::optional<std::string> id;
    int records = 0;
    for (std::string_view text : texts) {
        const std::string_view version = trimmed(text.substr(0, text.find(';')));
        if (version != "v=STSv1" || ++records > 1) continue;
        while (!text.empty()) {
            const std::size_t end = text.find(';');
            const std::string_view field = trimmed(text.substr(0, end));
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
            if (!field.starts_with("id=") || id) continue;
            const std::string_view value = field.substr(3);
            const auto is_alnum = [](char c) {
                return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            };
            if (!value.empty() && value.size() <= 32 && std::ranges::all_of(value, is_alnum)) id = value;
        }
    }
    if (records != 1) return std::nullopt;
    return id;
}

StsCache::Kept& StsCache::kept(const std::string& domain) {
    auto found = entries_.find(domain);
    if (found != entries_.end()) {
        order_.splice(order_.end(), order_, found->second.place);
        return found->second;
    }
    while (!entries_.empty() && entries_.size() >= domains_max_) {
        entries_.erase(order_.front());
        order_.pop_front();
    }
    order_.push_back(domain);
    Kept& made = entries_[domain];
    made.place = std::prev(order_.end());
    return made;
}

const StsCache::Entry* StsCache::find(const std::string& domain, Time now) {
    const auto found = entries_.find(domain);
    if (found == entries_.end() || now >= found->second.entry.end) return nullptr;
    return &kept(domain).entry;
}

void StsCache::put(const std::string& domain, std::string id, StsPolicy policy, Time now) {
    Kept& entry = kept(domain);
    const Time end = now + policy.max_age;
    entry.entry = {std::move(id), std::move(policy), end};
    entry.left_alone_until = {};
}

void StsCache::leave_alone(const std::string& domain, Time until) {
    kept(domain).left_alone_until = until;
}

bool StsCache::is_left_alone(const std::string& domain, Time now) const {
    const auto found = entries_.find(domain);
    return found != entries_.end() && now < found->second.left_alone_until;
}

}  // namespace pier::queue
