// Disk, memory, descriptors, clock; the files of certificates.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#include "base/whole_file.h"
#include "main/doctor/gathering.h"
#include "net/tls.h"

namespace pier::program::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t pem_octets_max = 1 << 20;
constexpr std::size_t files_looked_at_max = 10'000;
constexpr std::uint64_t descriptors_beside = 256;  // of the index, the log, processes, listeners

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

Time time_of(const ASN1_TIME* text) {
    std::tm fields{};
    if (text == nullptr || ASN1_TIME_to_tm(text, &fields) != 1) return {};
    return Time(std::chrono::seconds(::timegm(&fields)));
}

std::vector<std::string> names_of(const X509* certificate) {
    std::vector<std::string> out;
    auto* names =
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS) continue;
        out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                         static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    }
    GENERAL_NAMES_free(names);
    if (out.empty()) out.emplace_back("no name");
    return out;
}

int no_passphrase(char*, int, int, void*) {
    return 0;
}

void read_key(CertificateFacts& facts, X509* certificate) {
    struct stat status {};
    if (::stat(facts.key_file.c_str(), &status) == 0)
        facts.key_open = (status.st_mode & (S_IROTH | S_IWOTH)) != 0;
    auto text = read_whole_file(facts.key_file, pem_octets_max);
    if (!text) {
        facts.key_unreadable = text.error().text;
        return;
    }
    const Bio in(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())), &BIO_free);
    const Key key(in ? PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr) : nullptr,
                  &EVP_PKEY_free);
    OPENSSL_cleanse(text->data(), text->size());
    if (!key)
        facts.key_unreadable = "it is no key in PEM without a passphrase: " + net::tls_error_text();
    else
        facts.key_matches = X509_check_private_key(certificate, key.get()) == 1;
    net::tls_error_text();  // what the comparison has left there
}

CertificateFacts facts_of(const net::TlsFiles& files, const std::string& host) {
    CertificateFacts facts;
    facts.file = files.certificate;
    facts.key_file = files.key;
    facts.host = host;
    const auto text = read_whole_file(files.certificate, pem_octets_max);
    if (!text) {
        facts.unreadable = text.error().text;
        return facts;
    }
    const Bio in(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())), &BIO_free);
    const Certificate certificate(in ? PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr) : nullptr,
                                  &X509_free);
    if (!certificate) {
        facts.unreadable = "it is no certificate in PEM: " + net::tls_error_text();
        return facts;
    }
    facts.not_before = time_of(X509_get0_notBefore(certificate.get()));
    facts.not_after = time_of(X509_get0_notAfter(certificate.get()));
    facts.names = names_of(certificate.get());
    if (!host.empty())
        facts.for_host = X509_check_host(certificate.get(), host.data(), host.size(), 0, nullptr) == 1 ||
                         X509_check_ip_asc(certificate.get(), host.c_str(), 0) == 1;
    read_key(facts, certificate.get());
    return facts;
}

std::optional<std::uint64_t> memory_line(std::string_view wanted) {
    std::ifstream in("/proc/meminfo");
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string name;
        std::uint64_t kib = 0;
        if (words >> name >> kib && name == wanted) return kib << 10;
    }
    return std::nullopt;
}

// proc(5): "Max open files   1024   4096   files"; a server raises the first to the second.
std::optional<std::uint64_t> descriptors_of(std::int64_t pid) {
    std::ifstream in(fmt::format("/proc/{}/limits", pid));
    for (std::string line; std::getline(in, line);) {
        constexpr std::string_view head = "Max open files";
        if (!line.starts_with(head)) continue;
        std::istringstream words(line.substr(head.size()));
        std::uint64_t soft = 0;
        if (words >> soft) return soft;
    }
    return std::nullopt;
}

}  // namespace

std::vector<CertificateFacts> certificate_facts(const Config& config) {
    std::vector<CertificateFacts> out;
    // With ACME Pier itself looks after the file, and a stand-in takes its place until it is there.
    if (!config.tls.configured()) return out;
    const net::TlsSettings settings = tls_settings(config);
    bool any_for_host = false;
    std::vector<net::TlsFiles> all{settings.files};
    all.insert(all.end(), settings.others.begin(), settings.others.end());
    for (const net::TlsFiles& files : all) {
        out.push_back(facts_of(files, config.server.hostname));
        any_for_host = any_for_host || (out.back().unreadable.empty() && out.back().for_host);
    }
    // One of them has the name; the others have theirs.
    for (std::size_t i = 0; i < out.size(); ++i)
        if (any_for_host || i > 0) out[i].for_host = true;
    return out;
}

ClockFacts clock_facts(const std::string& data_folder) {
    ClockFacts out;
    timex asked{};
    const int state = ::ntp_adjtime(&asked);
    if (state >= 0) out.synchronised = state != TIME_ERROR && (asked.status & STA_UNSYNC) == 0;
    std::size_t looked_at = 0;
    std::error_code error;
    const std::time_t now = std::time(nullptr);
    for (fs::recursive_directory_iterator
             file(data_folder, fs::directory_options::skip_permission_denied, error),
         end;
         !error && file != end && looked_at < files_looked_at_max; file.increment(error)) {
        ++looked_at;
        struct stat status {};
        if (::lstat(file->path().c_str(), &status) != 0) continue;
        const std::chrono::seconds ahead(status.st_mtime - now);
        if (ahead <= out.newest_file_ahead) continue;
        out.newest_file_ahead = ahead;
        out.newest_file = file->path();
    }
    return out;
}

DiskFacts disk_facts(const std::string& data_folder) {
    DiskFacts out;
    out.folder = data_folder;
    struct statvfs status {};
    fs::path there = data_folder;
    while (::statvfs(there.c_str(), &status) != 0 && there.has_relative_path())
        there = there.parent_path();
    out.octets = static_cast<std::uint64_t>(status.f_blocks) * status.f_frsize;
    out.octets_free = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
    out.inodes = status.f_files;
    out.inodes_free = status.f_favail;
    return out;
}

MachineFacts machine_facts(const Config& config, const ServerFacts& server) {
    MachineFacts out;
    out.memory_octets = memory_line("MemTotal:");
    out.memory_octets_free = memory_line("MemAvailable:");
    const boost::json::value* pid = server.status.if_contains("pid");
    if (pid != nullptr && pid->is_int64()) {
        out.descriptors_max = descriptors_of(pid->as_int64());
    } else if (rlimit limit{}; ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY) {
        out.descriptors_max = limit.rlim_max;
    }
    out.descriptors_wanted =
        config.limits.connections_max + config.store.segment_files_max + descriptors_beside;
    return out;
}

}  // namespace pier::program::doctor
