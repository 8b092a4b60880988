#include "auth/password.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include <crypt.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "base/random.h"
#include "base/utf8.h"
#include "wire/ascii.h"
#include "wire/base64.h"
#include "wire/sasl_limits.h"

namespace pier::auth {

namespace {

using wire::ScramHash;

// Attack: a hash brought by somebody else that costs minutes or gigabytes at each login.
constexpr std::uint64_t imported_rounds_max = 1'000'000;
constexpr std::uint64_t imported_bcrypt_cost_max = 15;
constexpr std::uint64_t imported_argon2_kib_max = 1 << 20;
constexpr std::uint64_t imported_scrypt_octets_max = 1 << 30;  // that a check goes through
constexpr std::uint64_t imported_argon2_passes_max = 20;
constexpr std::size_t stored_octets_max = 2048;

enum class Kind { clear, crypt, digest, salted_digest, argon2, pbkdf2, scram };
enum class Encoding { none, base64, hex };

struct Scheme {
    std::string_view name;
    Kind kind{};
    const EVP_MD* (*digest)() = nullptr;
    Encoding encoding = Encoding::none;  // of the text behind the name, if no suffix says otherwise
};

// {MD5} is two things: crypt(3)'s $1$ to Dovecot, a plain digest to LDAP and Courier; parse() looks at the
// text.
constexpr std::array schemes{
    Scheme{"ARGON2ID", Kind::argon2},
    Scheme{"ARGON2I", Kind::argon2},
    Scheme{"SCRAM-SHA-256", Kind::scram, EVP_sha256},
    Scheme{"SCRAM-SHA-1", Kind::scram, EVP_sha1},
    Scheme{"PBKDF2", Kind::pbkdf2, EVP_sha1},
    Scheme{"CRYPT", Kind::crypt},
    Scheme{"BLF-CRYPT", Kind::crypt},
    Scheme{"SHA512-CRYPT", Kind::crypt},
    Scheme{"SHA256-CRYPT", Kind::crypt},
    Scheme{"MD5-CRYPT", Kind::crypt},
    Scheme{"DES-CRYPT", Kind::crypt},
    Scheme{"SSHA512", Kind::salted_digest, EVP_sha512, Encoding::base64},
    Scheme{"SSHA256", Kind::salted_digest, EVP_sha256, Encoding::base64},
    Scheme{"SSHA", Kind::salted_digest, EVP_sha1, Encoding::base64},
    Scheme{"SMD5", Kind::salted_digest, EVP_md5, Encoding::base64},
    Scheme{"SHA512", Kind::digest, EVP_sha512, Encoding::base64},
    Scheme{"SHA256", Kind::digest, EVP_sha256, Encoding::base64},
    Scheme{"SHA1", Kind::digest, EVP_sha1, Encoding::base64},
    Scheme{"SHA", Kind::digest, EVP_sha1, Encoding::base64},
    Scheme{"LDAP-MD5", Kind::digest, EVP_md5, Encoding::base64},
    Scheme{"MD5", Kind::digest, EVP_md5, Encoding::base64},
    Scheme{"PLAIN-MD5", Kind::digest, EVP_md5, Encoding::hex},
    Scheme{"PLAIN", Kind::clear},
    Scheme{"CLEAR", Kind::clear},
    Scheme{"CLEARTEXT", Kind::clear},
};

constexpr auto scheme_names = [] {
    std::array<std::string_view, schemes.size()> names;
    for (std::size_t i = 0; i < schemes.size(); ++i)
        names[i] = schemes[i].name;
    return names;
}();

// A stored text taken apart.
struct Parsed {
    Scheme scheme;
    std::string_view label;  // what stands between the braces
    std::string body;        // decoded: raw octets for digests, text for the others
};

bool same_octets(std::string_view a, std::string_view b) {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<std::string> hex_decode(std::string_view text) {
    std::string out(text.size() / 2, '\0');
    std::size_t octets = 0;
    const char* end = nullptr;
    if (sodium_hex2bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(), text.size(),
                       nullptr, &octets, &end) != 0 ||
        octets * 2 != text.size())
        return std::nullopt;
    return out;
}

std::optional<std::string> decode(std::string_view text, Encoding encoding) {
    switch (encoding) {
        case Encoding::none:
            return std::string(text);
        case Encoding::base64:
            return wire::base64_decode(text, stored_octets_max);
        case Encoding::hex:
            return hex_decode(text);
    }
    return std::nullopt;
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// The number behind `label`, as in "$m=19456,t=2".
std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view label) {
    const std::size_t at = text.find(label);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(at + label.size());
    return number(rest.substr(0, std::min(rest.find_first_not_of("0123456789"), rest.size())));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

std::string digest(const EVP_MD* md, std::string_view first, std::string_view second = {}) {
    std::string out(static_cast<std::size_t>(EVP_MD_get_size(md)), '\0');
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_DigestInit_ex(context.get(), md, nullptr);
    EVP_DigestUpdate(context.get(), first.data(), first.size());
    EVP_DigestUpdate(context.get(), second.data(), second.size());
    EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr);
    return out;
}

std::size_t digest_octets(const Scheme& scheme) {
    return static_cast<std::size_t>(EVP_MD_get_size(scheme.digest()));
}

bool crypt_matches(const std::string& stored, std::string_view password) {
    const auto data = std::make_unique<crypt_data>();
    std::string phrase(password);
    const char* out = crypt_r(phrase.c_str(), stored.c_str(), data.get());
    const bool same = out != nullptr && out[0] != '*' && same_octets(out, stored);
    sodium_memzero(data.get(), sizeof *data);
    wipe(phrase);
    return same;
}

// Dovecot's {PBKDF2}: $1$salt$rounds$hex, HMAC-SHA-1.
struct Pbkdf2 {
    std::string_view salt;
    std::uint64_t rounds = 0;
    std::string key;
};

std::optional<Pbkdf2> parse_pbkdf2(std::string_view body) {
    const auto parts = split(body, '$');
    if (parts.size() != 5 || !parts[0].empty() || parts[1] != "1" || parts[2].empty()) return std::nullopt;
    const auto rounds = number(parts[3]);
    auto key = hex_decode(parts[4]);
    if (!rounds || *rounds == 0 || *rounds > imported_rounds_max || !key || key->size() != 20)
        return std::nullopt;
    return Pbkdf2{parts[2], *rounds, std::move(*key)};
}

bool pbkdf2_matches(std::string_view body, std::string_view password) {
    const auto stored = parse_pbkdf2(body);
    if (!stored) return false;
    std::string key(stored->key.size(), '\0');
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const unsigned char*>(stored->salt.data()),
                      static_cast<int>(stored->salt.size()), static_cast<int>(stored->rounds), EVP_sha1(),
                      static_cast<int>(key.size()), reinterpret_cast<unsigned char*>(key.data()));
    return same_octets(key, stored->key);
}

// Dovecot's {SCRAM-…}: iterations,salt,StoredKey,ServerKey; all but the first in base64.
std::optional<wire::ScramKeys> parse_scram(std::string_view body, std::size_t key_octets) {
    const auto parts = split(body, ',');
    if (parts.size() != 4) return std::nullopt;
    const auto iterations = number(parts[0]);
    auto salt = wire::base64_decode(parts[1], stored_octets_max);
    auto stored_key = wire::base64_decode(parts[2], stored_octets_max);
    auto server_key = wire::base64_decode(parts[3], stored_octets_max);
    if (!iterations || *iterations == 0 || *iterations > imported_rounds_max || !salt || salt->empty() ||
        !stored_key || stored_key->size() != key_octets || !server_key || server_key->size() != key_octets)
        return std::nullopt;
    return wire::ScramKeys{.salt = std::move(*salt),
                           .iterations = static_cast<std::uint32_t>(*iterations),
                           .stored_key = std::move(*stored_key),
                           .server_key = std::move(*server_key)};
}

ScramHash scram_hash(const Scheme& scheme) {
    return scheme.digest == EVP_sha1 ? ScramHash::sha1 : ScramHash::sha256;
}

bool scram_matches(const Scheme& scheme, std::string_view body, std::string_view password) {
    const auto keys = parse_scram(body, digest_octets(scheme));
    if (!keys) return false;
    const auto own = wire::derive_scram_keys(scram_hash(scheme), password, keys->salt, keys->iterations);
    return same_octets(own.stored_key, keys->stored_key);
}

std::string from_unpadded_base64(std::string_view text, std::size_t octets_max) {
    std::string octets(octets_max, '\0');
    std::size_t got = 0;
    const int done =
        sodium_base642bin(reinterpret_cast<unsigned char*>(octets.data()), octets.size(), text.data(),
                          text.size(), nullptr, &got, nullptr, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    octets.resize(done == 0 ? got : 0);
    return octets;
}

// A hash as store_password() makes it; absent if it is another one. It is made here and not by
// crypto_pwhash_str_verify, which says the same of a wrong password and of a lack of memory: nobody is to be
// told that the right one is wrong.
std::optional<bool> own_argon2_matches(const std::string& body, std::string_view password) {
    const auto parts = split(body, '$');  // "", argon2id, v=19, m=…,t=…,p=1, salt, key
    if (parts.size() != 6 || parts[1] != "argon2id" || !parts[3].ends_with(",p=1") ||
        crypto_pwhash_str_needs_rehash(body.c_str(), argon2_passes, argon2_octets) != 0)
        return std::nullopt;
    const std::string salt = from_unpadded_base64(parts[4], crypto_pwhash_SALTBYTES);
    const std::string key = from_unpadded_base64(parts[5], crypto_pwhash_STRBYTES);
    if (salt.size() != crypto_pwhash_SALTBYTES || key.size() < crypto_pwhash_BYTES_MIN) return std::nullopt;
    std::string own(key.size(), '\0');
    if (crypto_pwhash(reinterpret_cast<unsigned char*>(own.data()), own.size(), password.data(),
                      password.size(), reinterpret_cast<const unsigned char*>(salt.data()), argon2_passes,
                      argon2_octets, crypto_pwhash_ALG_ARGON2ID13) != 0)
        throw std::bad_alloc();
    return same_octets(own, key);
}

bool argon2_matches(const std::string& body, std::string_view password) {
    // libsodium reads up to this many characters.
    if (body.size() >= crypto_pwhash_STRBYTES) return false;
    if (const auto own = own_argon2_matches(body, password)) return *own;
    return crypto_pwhash_str_verify(body.c_str(), password.data(), password.size()) == 0;
}

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

Result<Parsed> parse(std::string_view text) {
    if (text.size() > stored_octets_max) return invalid("the stored password is too long");
    if (text.find('\0') != std::string_view::npos) return invalid("the stored password has a NUL in it");
    const std::size_t end = text.find('}');
    if (!text.starts_with('{') || end == std::string_view::npos)
        return invalid(fmt::format(
            "a stored password begins with its scheme, as {{PLAIN}} or {{SHA512-CRYPT}}; known are: {}",
            fmt::join(scheme_names, ", ")));
    Parsed out{.scheme = {}, .label = text.substr(1, end - 1), .body = {}};
    const std::string_view body = text.substr(end + 1);

    const std::size_t dot = out.label.find('.');
    std::string name = wire::ascii_upper(out.label.substr(0, dot));
    if (name == "MD5" && body.starts_with("$1$")) name = "MD5-CRYPT";
    const auto* scheme = std::ranges::find(schemes, std::string_view(name), &Scheme::name);
    if (scheme == schemes.end())
        return invalid(
            fmt::format("the password scheme is not known; known are: {}", fmt::join(scheme_names, ", ")));
    out.scheme = *scheme;

    Encoding encoding = out.scheme.encoding;
    if (dot != std::string_view::npos) {
        const std::string suffix = wire::ascii_lower(out.label.substr(dot + 1));
        if (suffix != "b64" && suffix != "base64" && suffix != "hex")
            return invalid("behind the password scheme may stand .b64 or .hex, and nothing else");
        encoding = suffix == "hex" ? Encoding::hex : Encoding::base64;
    } else if (out.scheme.kind == Kind::digest) {
        // liberal: a digest's length tells hex from base64, and servers write either under the same name.
        encoding = body.size() == 2 * digest_octets(out.scheme) ? Encoding::hex : Encoding::base64;
    }
    auto decoded = decode(body, encoding);
    const bool octets = out.scheme.kind == Kind::digest || out.scheme.kind == Kind::salted_digest;
    if (!decoded || (!octets && decoded->find('\0') != std::string::npos))
        return invalid(
            fmt::format("what follows {{{}}} is not {}", name, encoding == Encoding::hex ? "hex" : "base64"));
    out.body = std::move(*decoded);
    return out;
}

// A number in crypt(3)'s own digits, the lowest first.
std::optional<std::uint64_t> crypt_number(std::string_view text) {
    constexpr std::string_view digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::size_t digit = digits.find(text[i]);
        if (digit == std::string_view::npos) return std::nullopt;
        value |= std::uint64_t{digit} << (6 * i);
    }
    return value;
}

// scrypt and its kin: 128 * r octets, 2^n_log2 times, p times one behind the other.
bool good_scrypt_cost(std::optional<std::uint64_t> n_log2, std::optional<std::uint64_t> r,
                      std::optional<std::uint64_t> p) {
    if (!n_log2 || !r || !p || *n_log2 > 30) return false;
    const std::uint64_t blocks_max = imported_scrypt_octets_max / 128 >> *n_log2;
    return *r <= blocks_max && *p <= blocks_max && *r * *p <= blocks_max;
}

// What crypt(3) would spend on it (crypt(5) has the forms); a form that hides its cost is refused.
bool good_crypt_cost(std::string_view body) {
    if (body.starts_with("$5$rounds=") || body.starts_with("$6$rounds=") || body.starts_with("$md5,rounds="))
        return number_behind(body, "rounds=").value_or(~0ull) <= imported_rounds_max;
    if (body.starts_with("$sha1$"))
        return number_behind(body, "$sha1$").value_or(~0ull) <= imported_rounds_max;
    if (body.starts_with("$2"))
        return number_behind(body.substr(3), "$").value_or(99) <= imported_bcrypt_cost_max;
    if (body.starts_with("$7$"))
        return good_scrypt_cost(crypt_number(body.substr(3, 1)), crypt_number(body.substr(4, 5)),
                                crypt_number(body.substr(9, 5)));
    if (body.starts_with("$y$") || body.starts_with("$gy$")) {
        // "j9T": the flavour, then one digit each for N and r; all that crypt_gensalt(3) makes is such.
        const std::string_view costs = split(body, '$')[2];
        if (costs.size() != 3 || !costs.starts_with('j')) return false;
        const auto n = crypt_number(costs.substr(1, 1)), r = crypt_number(costs.substr(2, 1));
        return n && r && good_scrypt_cost(*n + 1, *r + 1, 1);
    }
    if (body.starts_with('_')) return crypt_number(body.substr(1, 4)).value_or(~0ull) <= imported_rounds_max;
    return true;
}

bool good_crypt(const std::string& body) {
    if (body.size() < 13 || body.size() >= CRYPT_OUTPUT_SIZE) return false;
    const int verdict = crypt_checksalt(body.c_str());
    return verdict != CRYPT_SALT_INVALID && verdict != CRYPT_SALT_METHOD_DISABLED && good_crypt_cost(body);
}

bool good_argon2(const std::string& body) {
    // crypto_pwhash_str_needs_rehash is libsodium's parser: -1 is "no such string".
    return body.size() < crypto_pwhash_STRBYTES &&
           (crypto_pwhash_argon2id_str_needs_rehash(body.c_str(), argon2_passes, argon2_octets) != -1 ||
            crypto_pwhash_argon2i_str_needs_rehash(body.c_str(), argon2_passes, argon2_octets) != -1) &&
           number_behind(body, "$m=").value_or(~0ull) <= imported_argon2_kib_max &&
           number_behind(body, ",t=").value_or(~0ull) <= imported_argon2_passes_max;
}

bool good_body(const Parsed& parsed) {
    switch (parsed.scheme.kind) {
        case Kind::clear:
            return !parsed.body.empty();
        case Kind::crypt:
            return good_crypt(parsed.body);
        case Kind::digest:
            return parsed.body.size() == digest_octets(parsed.scheme);
        case Kind::salted_digest:
            return parsed.body.size() > digest_octets(parsed.scheme);
        case Kind::argon2:
            return good_argon2(parsed.body);
        case Kind::pbkdf2:
            return parse_pbkdf2(parsed.body).has_value();
        case Kind::scram:
            return parse_scram(parsed.body, digest_octets(parsed.scheme)).has_value();
    }
    return false;
}

void need_sodium() {
    // May be called again and from any thread; fails only without /dev/urandom and getrandom(2).
    if (sodium_init() < 0)
        throw std::runtime_error("libsodium cannot start: the kernel gives no random numbers");
}

Result<std::string> argon2id(std::string_view password) {
    need_sodium();
    std::string out(crypto_pwhash_STRBYTES, '\0');
    if (crypto_pwhash_str(out.data(), password.data(), password.size(), argon2_passes, argon2_octets) != 0)
        return Error{ErrorKind::busy, "no memory to hash a password (19 MiB are needed); try again"};
    out.resize(std::strlen(out.c_str()));
    return "{ARGON2ID}" + out;
}

wire::ScramKeys fresh_scram_keys(ScramHash hash, std::string_view password) {
    std::string salt(scram_salt_octets, '\0');
    random_bytes({reinterpret_cast<unsigned char*>(salt.data()), salt.size()});
    return wire::derive_scram_keys(hash, password, salt, scram_iterations);
}

}  // namespace

Result<StoredPassword> store_password(std::string_view password) {
    if (password.empty()) return invalid("the password is empty");
    if (password.size() > wire::sasl_password_octets_max)
        return invalid(fmt::format("the password is longer than {} octets", wire::sasl_password_octets_max));
    if (password.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos)
        return invalid("the password has a NUL or a line end in it, which no client could send");
    auto hashed = argon2id(password);
    if (!hashed) return hashed.error();
    return StoredPassword{.password = std::move(*hashed),
                          .scram_sha1 = fresh_scram_keys(ScramHash::sha1, password),
                          .scram_sha256 = fresh_scram_keys(ScramHash::sha256, password)};
}

bool password_matches(std::string_view stored, std::string_view password) {
    need_sodium();
    // crypt(3) stops at a NUL, and to an HMAC a password and the same with NULs behind it are one key.
    if (password.find('\0') != std::string_view::npos) return false;
    const auto parsed = parse(stored);
    if (!parsed) return false;
    const std::string& body = parsed->body;
    const Scheme& scheme = parsed->scheme;
    switch (scheme.kind) {
        case Kind::clear:
            return !body.empty() && same_octets(body, password);
        case Kind::crypt:
            return crypt_matches(body, password);
        case Kind::digest:
            return same_octets(digest(scheme.digest(), password), body);
        case Kind::salted_digest: {
            const std::size_t octets = digest_octets(scheme);
            if (body.size() <= octets) return false;
            const std::string_view salt = std::string_view(body).substr(octets);
            return same_octets(digest(scheme.digest(), password, salt),
                               std::string_view(body).substr(0, octets));
        }
        case Kind::argon2:
            return argon2_matches(body, password);
        case Kind::pbkdf2:
            return pbkdf2_matches(body, password);
        case Kind::scram:
            return scram_matches(scheme, body, password);
    }
    return false;
}

void spend_password_check(std::string_view password) {
    need_sodium();
    const std::array<unsigned char, crypto_pwhash_SALTBYTES> salt{};
    std::array<unsigned char, 32> out{};
    const int made = crypto_pwhash(out.data(), out.size(), password.data(), password.size(), salt.data(),
                                   argon2_passes, argon2_octets, crypto_pwhash_ALG_ARGON2ID13);
    if (made != 0) return;  // no memory makes it cheap, as it makes a real check
}

bool is_current_password(std::string_view stored) {
    constexpr std::string_view label = "{ARGON2ID}";
    need_sodium();
    if (!stored.starts_with(label) || stored.size() - label.size() >= crypto_pwhash_STRBYTES) return false;
    const std::string body(stored.substr(label.size()));
    return crypto_pwhash_str_needs_rehash(body.c_str(), argon2_passes, argon2_octets) == 0;
}

Result<std::string> normal_password_scheme(std::string_view text) {
    need_sodium();
    std::string whole;
    if (text.starts_with("$argon2id$"))
        whole = "{ARGON2ID}";
    else if (text.starts_with("$argon2i$"))
        whole = "{ARGON2I}";
    else if (text.starts_with('$'))
        whole = "{CRYPT}";
    whole += text;
    const auto parsed = parse(whole);
    if (!parsed) return parsed.error();
    // It is kept in a record that is JSON: other octets would make that unreadable at the next start.
    if (parsed->scheme.kind != Kind::clear && !is_utf8(whole))
        return invalid("the stored password is not valid UTF-8");
    if (!good_body(*parsed))
        return invalid(
            fmt::format("what follows {{{}}} is not a password of that scheme, is cut off, or costs more "
                        "than this server is ready to pay at each login",
                        parsed->scheme.name));
    return "{" + wire::ascii_upper(parsed->label) + whole.substr(whole.find('}'));
}

std::optional<std::string> readable_password(std::string_view stored) {
    auto parsed = parse(stored);
    if (!parsed || parsed->scheme.kind != Kind::clear) return std::nullopt;
    return std::move(parsed->body);
}

std::optional<wire::ScramKeys> scram_keys_of(std::string_view stored, ScramHash hash) {
    const auto parsed = parse(stored);
    if (!parsed || parsed->scheme.kind != Kind::scram || scram_hash(parsed->scheme) != hash)
        return std::nullopt;
    return parse_scram(parsed->body, digest_octets(parsed->scheme));
}

std::span<const std::string_view> password_scheme_names() {
    return scheme_names;
}

void wipe(std::string& secret) {
    sodium_memzero(secret.data(), secret.size());
    secret.clear();
}

}  // namespace pier::auth
