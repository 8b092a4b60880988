#include "auth/app_password.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sodium.h>

#include "auth/protocols.h"
#include "base/random.h"
#include "base/utf8.h"

namespace pier::auth {
namespace {

// Without l, o, 0 and 1, which are taken for one another.
constexpr std::string_view alphabet = "abcdefghijkmnpqrstuvwxyz23456789";
constexpr std::size_t letters = 20, letters_in_a_group = 4;
constexpr std::size_t networks_max = 64;

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

}  // namespace

std::string make_app_password() {
    static_assert(alphabet.size() == 32);
    std::array<unsigned char, letters> octets;
    random_bytes(octets);
    std::string text;
    for (std::size_t i = 0; i < letters; ++i) {
        if (i > 0 && i % letters_in_a_group == 0) text += '-';
        text += alphabet[octets[i] % alphabet.size()];
    }
    sodium_memzero(octets.data(), octets.size());
    return text;
}

std::optional<std::string> app_password_hash(std::string_view typed) {
    std::array<char, letters> plain;
    std::size_t count = 0;
    for (char c : typed) {
        if (c == ' ' || c == '-') continue;
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (count == letters || alphabet.find(c) == std::string_view::npos) return std::nullopt;
        plain[count++] = c;
    }
    if (count != letters) return std::nullopt;
    std::string hash(crypto_hash_sha256_BYTES, '\0');
    crypto_hash_sha256(reinterpret_cast<unsigned char*>(hash.data()),
                       reinterpret_cast<const unsigned char*>(plain.data()), plain.size());
    sodium_memzero(plain.data(), plain.size());
    return hash;
}

const AppPassword* find_app_password(std::span<const AppPassword> all, std::string_view hash) {
    const AppPassword* found = nullptr;
    for (const AppPassword& one : all)
        if (one.hash.size() == hash.size() && sodium_memcmp(one.hash.data(), hash.data(), hash.size()) == 0)
            found = &one;
    return found;
}

std::string_view app_password_refusal(const AppPassword& app_password, const LoginOrigin& origin, Time now) {
    if (app_password.until != Time() && now >= app_password.until) return "the app password has expired";
    if (!app_password.protocols.empty() &&
        std::ranges::find(app_password.protocols, origin.protocol) == app_password.protocols.end())
        return "the app password is not for this protocol";
    if (!app_password.networks.empty() && !contains(app_password.networks, origin.address))
        return "the app password's networks do not include this address";
    return {};
}

Result<void> check_app_password(const AppPassword& app_password) {
    const std::string& name = app_password.name;
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    if (name.empty() || name.size() > app_password_name_octets_max || !is_utf8(name) ||
        std::ranges::any_of(name, control))
        return invalid(fmt::format("an app password's name has 1 to {} octets and no control characters",
                                   app_password_name_octets_max));
    if (auto good = check_protocols(app_password.protocols); !good) return good;
    if (app_password.networks.size() > networks_max)
        return invalid(
            fmt::format("an app password has at most {} networks; name larger ones", networks_max));
    return {};
}

}  // namespace pier::auth
