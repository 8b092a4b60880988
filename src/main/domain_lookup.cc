#include "main/domain_lookup.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "auth/name.h"
#include "base/whole_file.h"
#include "main/dkim_key.h"

namespace pier::program {
namespace {

constexpr std::size_t certificate_octets_max = 1 << 20;

std::string hexadecimal(std::string_view octets) {
    std::string text;
    for (const char octet : octets)
        text += fmt::format("{:02x}", static_cast<unsigned char>(octet));
    return text;
}

// Of a certificate that is for `host`; absent: it is for others, or cannot be read. "3 1 1" of RFC 7672 §3.1.
std::optional<std::string> key_digest(const std::string& file, const std::string& host) {
    const auto text = read_whole_file(file, certificate_octets_max);
    if (!text) return std::nullopt;
    const std::unique_ptr<BIO, decltype(&BIO_free)> in(
        BIO_new_mem_buf(text->data(), static_cast<int>(text->size())), &BIO_free);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        in ? PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr) : nullptr, &X509_free);
    if (!certificate || X509_check_host(certificate.get(), host.data(), host.size(), 0, nullptr) != 1)
        return std::nullopt;
    unsigned char* der = nullptr;
    const int octets = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &der);
    if (octets <= 0) return std::nullopt;
    std::array<unsigned char, SHA256_DIGEST_LENGTH> sum{};
    SHA256(der, static_cast<std::size_t>(octets), sum.data());
    OPENSSL_free(der);
    return hexadecimal({reinterpret_cast<const char*>(sum.data()), sum.size()});
}

std::vector<std::string> key_digests(const Config& config) {
    std::vector<std::string> files;
    if (has_tls(config)) files.push_back(tls_settings(config).files.certificate);
    for (const CertificateConfig& certificate : config.certificates)
        files.push_back(certificate.file);
    std::vector<std::string> out;
    for (const std::string& file : files)
        if (auto digest = key_digest(file, config.server.hostname))
            if (std::ranges::find(out, *digest) == out.end()) out.push_back(std::move(*digest));
    return out;
}

bool is_private(const boost::asio::ip::address& address) {
    for (const char* network : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                                "169.254.0.0/16", "fc00::/7", "fe80::/10"})
        if (Network::parse(network)->contains(address)) return true;
    return address.is_loopback() || address.is_unspecified() || address.is_multicast();
}

// Of this machine's interfaces, those that the world may reach.
std::vector<std::string> public_addresses() {
    std::vector<std::string> out;
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return out;
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
        boost::asio::ip::address address;
        if (one->ifa_addr->sa_family == AF_INET) {
            const auto* v4 = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
            address = boost::asio::ip::address_v4(ntohl(v4->sin_addr.s_addr));
        } else if (one->ifa_addr->sa_family == AF_INET6) {
            boost::asio::ip::address_v6::bytes_type bytes;
            const auto* v6 = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
            std::copy(std::begin(v6->sin6_addr.s6_addr), std::end(v6->sin6_addr.s6_addr), bytes.begin());
            address = boost::asio::ip::address_v6(bytes);
        } else {
            continue;
        }
        if (!is_private(address)) out.push_back(address.to_string());
    }
    ::freeifaddrs(all);
    std::ranges::sort(out);
    const auto rest = std::ranges::unique(out);
    out.erase(rest.begin(), rest.end());
    return out;
}

std::vector<ServiceRecord> services(const Config& config) {
    std::vector<ServiceRecord> out;
    for (const auto& [service, protocol] :
         std::initializer_list<std::pair<const char*, std::string_view>>{{"_submissions", "submissions"},
                                                                         {"_submission", "submission"},
                                                                         {"_pop3s", "pop3s"},
                                                                         {"_pop3", "pop3"}}) {
        ServiceRecord record{service, 0};
        for (const ListenerConfig& listener : config.listeners)
            if (to_string(listener.protocol) == protocol && listener.path.empty() &&
                listener.tls != TlsUse::none)
                record.port = listener.port;
        out.push_back(std::move(record));
    }
    return out;
}

}  // namespace

Result<DomainFacts> own_domain_facts(const Config& config, const std::string& domain) {
    DomainFacts facts{.domain = domain,
                      .host = auth::fold_name(config.server.hostname),
                      .addresses = public_addresses(),
                      .dkim = {},
                      .key_digests = key_digests(config),
                      .services = services(config),
                      .postmaster = "postmaster@" + domain};
    auto keys = dkim_keys(config.server.data_folder, domain);
    if (!keys) return keys.error();
    facts.dkim = std::move(*keys);
    return facts;
}

Result<std::vector<std::string>> ask_dns(dns::Resolver& resolver, const DnsRecord& record) {
    dns::Type type = dns::Type::txt;
    for (const dns::Type one :
         {dns::Type::a, dns::Type::aaaa, dns::Type::mx, dns::Type::srv, dns::Type::tlsa})
        if (dns::to_string(one) == record.type) type = one;
    if (record.type == "CNAME") type = dns::Type::a;  // an answer tells where aliases lead to
    const dns::Answer answer = resolver.ask(record.name, type);
    if (answer.kind == dns::Answer::Kind::failed) return Error(ErrorKind::io, answer.why);
    std::vector<std::string> out;
    if (record.type == "CNAME") {
        if (answer.name != record.name && !answer.name.empty()) out.push_back(answer.name + ".");
        // An address in its place leads there as well, and is what a host of its own has.
        else
            for (const auto& address : answer.addresses)
                out.push_back(address.to_string());
        return out;
    }
    for (const auto& address : answer.addresses)
        out.push_back(address.to_string());
    for (const dns::Mx& mx : answer.exchanges)
        out.push_back(fmt::format("{} {}.", mx.preference, mx.exchange));
    for (const dns::Srv& srv : answer.services)
        out.push_back(fmt::format("{} {} {} {}.", srv.priority, srv.weight, srv.port, srv.target));
    for (const dns::Tlsa& tlsa : answer.associations)
        out.push_back(
            fmt::format("{} {} {} {}", tlsa.usage, tlsa.selector, tlsa.matching, hexadecimal(tlsa.data)));
    out.insert(out.end(), answer.texts.begin(), answer.texts.end());
    return out;
}

RecordCheck look_up(dns::Resolver& resolver, const DnsRecord& record) {
    const auto found = ask_dns(resolver, record);
    if (found) return check_record(record, *found);
    return {record, RecordCheck::State::unknown, found.error().text};
}

}  // namespace pier::program
