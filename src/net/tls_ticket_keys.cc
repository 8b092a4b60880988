#include "net/tls_ticket_keys.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include "base/random.h"
#include "base/whole_file.h"
#include "wire/base64.h"

namespace pier::net {
namespace {

constexpr std::size_t key_octets = 80;
constexpr std::size_t file_octets_max = 16 << 10;

// Text with secrets in it, wiped when it goes.
struct Secret {
    std::string text;
    ~Secret() { OPENSSL_cleanse(text.data(), text.size()); }
};

Result<TlsTicketKey> parse_line(std::string_view line, std::size_t number) {
    const std::size_t space = line.find(' ');
    const auto octets = wire::base64_decode(line.substr(0, space), key_octets);
    if (!octets || octets->size() != key_octets)
        return Error{ErrorKind::invalid, fmt::format("line {} is not the base64 of 80 octets", number)};
    Secret secret{*octets};
    TlsTicketKey key;
    auto at = secret.text.cbegin();
    const auto take = [&at](auto& out) {
        std::copy_n(at, out.size(), out.begin());
        at += static_cast<std::ptrdiff_t>(out.size());
    };
    take(key.name);
    take(key.mac);
    take(key.cipher);
    if (space == std::string_view::npos) return key;
    const auto day = parse_day(line.substr(space + 1));
    if (!day)
        return Error{ErrorKind::invalid,
                     fmt::format("what stands behind the key in line {} is not a day (2026-11-29)", number)};
    key.made = *day;
    return key;
}

}  // namespace

TlsTicketKey::~TlsTicketKey() {
    OPENSSL_cleanse(cipher.data(), cipher.size());
    OPENSSL_cleanse(mac.data(), mac.size());
}

TlsTicketKey make_tls_ticket_key(Time now) {
    TlsTicketKey key;
    random_bytes(key.name);
    random_bytes(key.cipher);
    random_bytes(key.mac);
    key.made = now;
    return key;
}

Result<std::vector<TlsTicketKey>> parse_tls_ticket_keys(std::string_view text) {
    std::vector<TlsTicketKey> keys;
    keys.reserve(tls_ticket_keys_max);  // so that no copy is left behind unwiped
    for (std::size_t number = 1; !text.empty(); ++number) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.front() == '#') continue;
        if (keys.size() == tls_ticket_keys_max)
            return Error{ErrorKind::invalid, fmt::format("line {} is one key too many; {} is the most",
                                                         number, tls_ticket_keys_max)};
        auto key = parse_line(line, number);
        if (!key) return key.error();
        const bool known = std::any_of(keys.begin(), keys.end(),
                                       [&](const TlsTicketKey& other) { return other.name == key->name; });
        if (known) return Error{ErrorKind::invalid, fmt::format("the key of line {} is there twice", number)};
        keys.push_back(*key);
    }
    if (keys.empty()) return Error{ErrorKind::invalid, "there is no key in it"};
    return keys;
}

std::string format_tls_ticket_keys(const std::vector<TlsTicketKey>& keys) {
    std::string text = "# Keys of TLS session tickets, newest first: pier tls ticket-keys FILE --rotate\n";
    for (const TlsTicketKey& key : keys) {
        Secret octets;
        octets.text.reserve(key_octets);
        octets.text.append(key.name.begin(), key.name.end());
        octets.text.append(key.mac.begin(), key.mac.end());
        octets.text.append(key.cipher.begin(), key.cipher.end());
        text += wire::base64_encode(octets.text);
        if (key.made != Time{}) text += ' ' + to_rfc3339(key.made).substr(0, 10);
        text += '\n';
    }
    return text;
}

Result<std::vector<TlsTicketKey>> read_tls_ticket_keys(const std::string& file) {
    auto text = read_whole_file(file, file_octets_max);
    if (!text) return text.error();
    Secret secret{std::move(*text)};
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return errno_error(errno, "read the ticket keys " + file);
    if ((status.st_mode & 077) != 0)
        return Error{
            ErrorKind::invalid,
            fmt::format("others than their owner can read or change the ticket keys {0}; run \"chmod 600 "
                        "{0}\", and change the keys with \"pier tls ticket-keys {0} --rotate\"",
                        file)};
    auto keys = parse_tls_ticket_keys(secret.text);
    if (!keys)
        return Error{
            ErrorKind::invalid,
            fmt::format("the ticket keys {0} cannot be used: {1}. \"pier tls ticket-keys {0} --rotate\" "
                        "makes the file",
                        file, keys.error().text)};
    return keys;
}

Result<std::vector<TlsTicketKey>> rotate_tls_ticket_keys(const std::string& file, std::size_t old_keys,
                                                         Time now) {
    std::vector<TlsTicketKey> keys;
    keys.reserve(tls_ticket_keys_max + 1);
    keys.push_back(make_tls_ticket_key(now));
    auto there = read_tls_ticket_keys(file);
    if (!there && there.error().kind != ErrorKind::not_found) return there.error();
    if (there) {
        const std::size_t kept = std::min({old_keys, there->size(), tls_ticket_keys_max - 1});
        keys.insert(keys.end(), there->begin(), there->begin() + static_cast<std::ptrdiff_t>(kept));
    }
    Secret text{format_tls_ticket_keys(keys)};
    if (auto replaced = replace_file(file, text.text, 0600); !replaced) return replaced.error();
    return keys;
}

}  // namespace pier::net
