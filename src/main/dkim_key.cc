#include "main/dkim_key.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/whole_file.h"
#include "wire/base64.h"

namespace pier::program {
namespace {

constexpr unsigned rsa_bits = 2048;
constexpr std::size_t key_file_octets_max = 64 << 10;
constexpr std::size_t ed25519_octets = 32;
constexpr std::string_view ending = ".key";

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

Error failed(std::string_view what) {
    return {ErrorKind::io, fmt::format("OpenSSL cannot {}", what)};
}

std::string_view text_of(BIO* bio) {
    char* data = nullptr;
    const long octets = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(std::max(octets, 0L))};
}

Result<DkimRecord> record_of(EVP_PKEY* key, std::string_view selector) {
    DkimRecord record{.selector = std::string(selector), .key_type = {}, .public_key = {}};
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
        std::array<unsigned char, ed25519_octets> raw{};
        std::size_t octets = raw.size();
        if (EVP_PKEY_get_raw_public_key(key, raw.data(), &octets) != 1) return failed("tell the public key");
        record.key_type = "ed25519";
        record.public_key = wire::base64_encode({reinterpret_cast<const char*>(raw.data()), octets});
        return record;
    }
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        return Error{ErrorKind::invalid, "DKIM knows RSA and Ed25519 keys, and this is another one"};
    const Bio der(BIO_new(BIO_s_mem()), &BIO_free);
    if (!der || i2d_PUBKEY_bio(der.get(), key) != 1) return failed("tell the public key");
    record.key_type = "rsa";
    record.public_key = wire::base64_encode(text_of(der.get()));
    return record;
}

// A new file that nobody had a hand on before. It belongs to whom the data folder belongs to.
Result<void> write_new(const std::string& data_folder, const std::string& file, std::string_view text) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        if (errno == EEXIST)
            return Error{ErrorKind::exists,
                         fmt::format("{} is there already; choose another --selector, and take the old key "
                                     "away when nothing signed with it is on its way any more",
                                     file)};
        return errno_error(errno, "make " + file);
    }
    struct stat owner {};
    bool good = ::fchmod(fd, 0640) == 0 && ::stat(data_folder.c_str(), &owner) == 0;  // whatever the umask
    if (::geteuid() == 0) good = good && ::fchown(fd, owner.st_uid, owner.st_gid) == 0;
    good = good && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    good = good && ::fsync(fd) == 0;
    const int reason = errno;
    ::close(fd);
    if (good) return {};
    ::unlink(file.c_str());
    return errno_error(reason, "write " + file);
}

// The group, with rspamd in it, comes to dkim/ and to nothing else.
Result<void> open_way(const std::string& data_folder) {
    const std::string folder = dkim_folder(data_folder);
    if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST)
        return errno_error(errno, "make the folder " + folder);
    struct stat status {};
    if (::stat(data_folder.c_str(), &status) != 0) return errno_error(errno, "look at " + data_folder);
    if (::geteuid() == 0 && ::chown(folder.c_str(), status.st_uid, status.st_gid) != 0)
        return errno_error(errno, "give away the folder " + folder);
    if (::chmod(folder.c_str(), 0750) != 0) return errno_error(errno, "set the mode of " + folder);
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(data_folder, error)) {
        if (entry.path() == folder || !entry.is_directory(error) || entry.is_symlink(error)) continue;
        std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_all, error);
        if (error) return errno_error(error.value(), "set the mode of " + entry.path().string());
    }
    if (::chmod(data_folder.c_str(), (status.st_mode & 07777) | S_IXGRP) != 0)
        return errno_error(errno, "set the mode of " + data_folder);
    return {};
}

}  // namespace

std::string dkim_folder(const std::string& data_folder) {
    return data_folder + "/dkim";
}

std::string dkim_file(const std::string& data_folder, std::string_view domain, std::string_view selector) {
    return fmt::format("{}/{}.{}{}", dkim_folder(data_folder), domain, selector, ending);
}

bool is_selector(std::string_view text) {
    constexpr std::size_t octets_max = 63;
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    };
    return !text.empty() && text.size() <= octets_max && std::ranges::all_of(text, good) &&
           text.front() != '-' && text.back() != '-';
}

Result<DkimRecord> make_dkim_key(const std::string& data_folder, std::string_view domain,
                                 std::string_view selector, DkimKeyType type) {
    if (!is_selector(selector))
        return Error{ErrorKind::invalid, fmt::format("\"{}\" is no selector: letters, digits and hyphens, "
                                                     "at most 63",
                                                     selector)};
    const Key key(
        type == DkimKeyType::rsa ? EVP_RSA_gen(rsa_bits) : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"),
        &EVP_PKEY_free);
    if (!key) return failed("make a key");
    const Bio pem(BIO_new(BIO_s_secmem()), &BIO_free);
    if (!pem || PEM_write_bio_PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        return failed("write a key");
    auto record = record_of(key.get(), selector);
    if (!record) return record;
    if (auto open = open_way(data_folder); !open) return open.error();
    if (auto written = write_new(data_folder, dkim_file(data_folder, domain, selector), text_of(pem.get()));
        !written)
        return written.error();
    return record;
}

Result<std::vector<DkimRecord>> dkim_keys(const std::string& data_folder, std::string_view domain) {
    std::vector<DkimRecord> out;
    std::error_code error;
    const std::string begin = fmt::format("{}.", domain);
    for (const auto& entry : std::filesystem::directory_iterator(dkim_folder(data_folder), error)) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with(begin) || !name.ends_with(ending) ||
            name.size() <= begin.size() + ending.size())
            continue;
        const std::string selector = name.substr(begin.size(), name.size() - begin.size() - ending.size());
        if (!is_selector(selector)) continue;  // of a domain below this one
        auto text = read_whole_file(entry.path().string(), key_file_octets_max);
        if (!text) return text.error();
        const Bio in(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())), &BIO_free);
        const Key key(in ? PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr) : nullptr,
                      &EVP_PKEY_free);
        if (!key)
            return Error{ErrorKind::invalid, fmt::format("{} holds no private key", entry.path().string())};
        auto record = record_of(key.get(), selector);
        if (!record) return record.error();
        out.push_back(std::move(*record));
    }
    if (error && error.value() != ENOENT)
        return errno_error(error.value(), "read the folder " + dkim_folder(data_folder));
    std::ranges::sort(out, {}, &DkimRecord::selector);
    return out;
}

}  // namespace pier::program
