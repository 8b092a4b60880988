#include "delivery/srs.h"

#include <chrono>

#include <fmt/format.h>

#include "smtp/path.h"
#include "wire/ascii.h"
#include "wire/scram.h"

namespace pier::delivery {
namespace {

// Mail servers change the case of letters in a local part, so a hash and a day are of one case.
constexpr std::string_view digits = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::size_t hash_digits = 8;    // 40 bits: each guess costs an RCPT
constexpr int days_in_a_round = 1 << 10;  // two digits

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

int day_of(Time now) {
    const auto days = std::chrono::floor<std::chrono::days>(now).time_since_epoch().count();
    return static_cast<int>(days % days_in_a_round);
}

std::string day_text(int day) {
    return {digits[static_cast<std::size_t>(day >> 5)], digits[static_cast<std::size_t>(day & 31)]};
}

// -1: it is none.
int day_from(std::string_view text) {
    if (text.size() != 2) return -1;
    const auto high = digits.find(text[0]), low = digits.find(text[1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return -1;
    return static_cast<int>(high << 5 | low);
}

bool begins(std::string_view local, std::string_view tag) {
    // Others separate the tag with + or -, which we understand and do not write.
    return local.size() > tag.size() && wire::ascii_equal(local.substr(0, tag.size()), tag) &&
           (local[tag.size()] == '=' || local[tag.size()] == '+' || local[tag.size()] == '-');
}

constexpr std::string_view first = "SRS0", further = "SRS1";

// Takes what stands before the next '='; absent if there is none.
std::optional<std::string_view> take(std::string_view& rest) {
    const std::size_t end = rest.find('=');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return part;
}

// The restored address goes into an envelope: it has to be one.
Result<smtp::Address> checked(std::string_view local, std::string_view domain) {
    smtp::Address address{std::string(local), wire::ascii_lower(domain)};
    const auto parsed = smtp::parse_address(address.text());
    if (!parsed || *parsed != address) return invalid("it holds no address");
    return address;
}

}  // namespace

bool Srs::is_rewritten(std::string_view local) {
    return begins(local, first) || begins(local, further);
}

std::string Srs::hash_of(std::string_view tag, std::string_view text) const {
    const std::string sum =
        wire::hmac(wire::ScramHash::sha256, secret_, fmt::format("{}:{}", tag, wire::ascii_lower(text)));
    std::string out;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < hash_digits * 5 / 8; ++i)
        bits = bits << 8 | static_cast<unsigned char>(sum[i]);
    for (std::size_t i = 0; i < hash_digits; ++i)
        out += digits[bits >> (5 * (hash_digits - 1 - i)) & 31];
    return out;
}

std::optional<smtp::Address> Srs::rewrite(const smtp::Address& sender, std::string_view domain,
                                          Time now) const {
    if (sender.empty()) return sender;
    std::string local;
    if (begins(sender.local, first)) {
        const std::string what = fmt::format("{}={}", sender.domain, sender.local.substr(first.size()));
        local = fmt::format("{}={}={}", further, hash_of(further, what), what);
    } else if (begins(sender.local, further) &&
               sender.local.find('=', further.size() + 1) != std::string::npos) {
        // The first of them stays the one whom a bounce goes to; only the hash is ours.
        std::string_view what = sender.local;
        what.remove_prefix(what.find('=', further.size() + 1) + 1);
        local = fmt::format("{}={}={}", further, hash_of(further, what), what);
    } else {
        const std::string what = fmt::format("{}={}={}", day_text(day_of(now)), sender.domain, sender.local);
        local = fmt::format("{}={}={}", first, hash_of(first, what), what);
    }
    if (local.size() > smtp::local_octets_max) return std::nullopt;
    return smtp::Address{std::move(local), std::string(domain)};
}

Result<smtp::Address> Srs::restore(std::string_view local, Time now) const {
    if (!is_rewritten(local)) return invalid("it is no address of SRS");
    std::string_view rest = local.substr(first.size() + 1);
    const auto hash = take(rest);
    if (!hash || !wire::ascii_equal(*hash, hash_of(begins(local, first) ? first : further, rest)))
        return invalid("its hash is not of this server");
    if (begins(local, further)) {
        const auto domain = take(rest);
        if (!domain || rest.empty()) return invalid("it holds no address");
        return checked(fmt::format("{}{}", first, rest), *domain);
    }
    const auto day = take(rest), domain = take(rest);
    const int sent = day ? day_from(wire::ascii_lower(*day)) : -1;
    if (sent < 0 || !domain) return invalid("it holds no address");
    // The hash is right, so the day was one of ours; a day that is to come is one of the last round.
    const int age = (day_of(now) - sent + days_in_a_round) % days_in_a_round;
    if (age > srs_days_max) return invalid(fmt::format("it is {} days old", age));
    return checked(rest, *domain);
}

}  // namespace pier::delivery
