// What is kept of accounts: passwords in the schemes of other servers, and the directory's records. A scheme
// that is taken is taken again, can be kept in a record, and its error never shows the password. Input: one
// octet for the kind, then the text.
#include <algorithm>
#include <string>
#include <tuple>

#include "auth/password.h"
#include "auth/record.h"
#include "fuzz/require.h"

namespace {

using namespace pier;
using fuzz::require;

auto fields_of(const wire::ScramKeys& k) {
    return std::tie(k.salt, k.iterations, k.stored_key, k.server_key);
}

bool same(const std::optional<wire::ScramKeys>& a, const std::optional<wire::ScramKeys>& b) {
    return a.has_value() == b.has_value() && (!a || fields_of(*a) == fields_of(*b));
}

auto fields_of(const auth::Account& a) {
    return std::tie(a.password, a.inbox, a.quota_octets, a.disabled, a.disabled_text, a.exclusive, a.created);
}

void check_kept(const auth::Account& account, auth::Presence presence) {
    const auto back = auth::read_account(auth::write_account(account, presence));
    require(back && back->presence == presence && fields_of(back->account) == fields_of(account) &&
                same(back->account.scram_sha1, account.scram_sha1) &&
                same(back->account.scram_sha256, account.scram_sha256),
            "an account that is kept is the same after a restart");
}

void check_keys(const std::optional<wire::ScramKeys>& keys, std::size_t octets) {
    if (keys)
        require(keys->iterations > 0 && !keys->salt.empty() && keys->stored_key.size() == octets &&
                    keys->server_key.size() == octets,
                "keys are whole");
}

// Those whose check costs next to nothing.
bool is_quick(std::string_view scheme) {
    constexpr std::string_view names[] = {"{SSHA",    "{SHA.",    "{SHA}", "{SHA1",  "{SHA256}",  "{SHA256.",
                                          "{SHA512}", "{SHA512.", "{SMD5", "{PLAIN", "{LDAP-MD5", "{CLEAR"};
    return std::ranges::any_of(names, [&](std::string_view name) { return scheme.starts_with(name); });
}

// A word is put into what follows the scheme's name, at its start, in its middle and at its end. It is a word
// of our own, because the input may well guess a part of what errors say. A text that begins with `$` has no
// name.
void check_secrecy(std::string_view text) {
    constexpr std::string_view word = "Vq7xKw3ZpTn9";
    const std::string_view name = text.starts_with('$') ? "" : text.substr(0, text.find('}'));
    const std::string_view secret = text.substr(name.size());
    if (text.find(word) != std::string_view::npos || secret.empty()) return;
    for (const std::size_t at : {std::size_t{1}, (secret.size() + 1) / 2, secret.size()}) {
        const auto normal = auth::normal_password_scheme(std::string(text).insert(name.size() + at, word));
        require(normal || normal.error().text.find(word) == std::string::npos,
                "an error does not show the password");
    }
}

void check_scheme(std::string_view text) {
    check_secrecy(text);
    const auto normal = auth::normal_password_scheme(text);
    if (!normal) {
        require(!normal.error().text.empty(), "an error says what is wrong");
        return;
    }
    require(fuzz::gives(auth::normal_password_scheme(*normal), *normal),
            "what was taken is taken again, and is the same");
    auth::Account account;
    account.scram_sha1 = auth::scram_keys_of(*normal, wire::ScramHash::sha1);
    account.scram_sha256 = auth::scram_keys_of(*normal, wire::ScramHash::sha256);
    check_keys(account.scram_sha1, 20);
    check_keys(account.scram_sha256, 32);
    if (const auto readable = auth::readable_password(*normal)) {
        require(auth::password_matches(*normal, *readable), "a password is its own");
        require(!auth::password_matches(*normal, *readable + "x"), "and no other one");
    } else {
        if (is_quick(*normal))
            require(!auth::password_matches(*normal, "no such password"), "nobody guesses it");
        account.password = *normal;
    }
    check_kept(account, auth::Presence::living);
    static_cast<void>(auth::is_current_password(*normal));
}

void check_records(std::string_view value) {
    if (const auto record = auth::read_account(value)) check_kept(record->account, record->presence);
    if (const auto targets = auth::read_alias(value))
        require(fuzz::gives(auth::read_alias(auth::write_alias(*targets)), *targets),
                "an alias that is kept is the same");
    if (const auto secret = auth::read_secret(value))
        require(fuzz::gives(auth::read_secret(auth::write_secret(*secret)), *secret),
                "a secret that is kept is the same");
    static_cast<void>(auth::read_domain(value));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text = fuzz::text_of(data + 1, size - 1);
    if (data[0] % 2 == 0)
        check_scheme(text);
    else
        check_records(text);
    return 0;
}
