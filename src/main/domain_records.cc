#include "main/domain_records.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <openssl/sha.h>

#include "wire/ascii.h"

namespace pier::program {
namespace {

constexpr std::size_t string_octets_max = 255;  // RFC 1035 §3.3
constexpr unsigned ttl_s = 3600;
constexpr unsigned policy_age_s = 7 * 24 * 3600;

void add_service(std::vector<DnsRecord>& out, const DomainFacts& facts, const ServiceRecord& one) {
    const std::string name = fmt::format("{}._tcp.{}", one.service, facts.domain);
    const std::string value =
        one.port == 0 ? std::string("0 0 0 .") : fmt::format("0 1 {} {}.", one.port, facts.host);
    out.push_back({name, "SRV", value, "mail programs find the server", true});
}

void add_sender_records(std::vector<DnsRecord>& out, const DomainFacts& facts) {
    out.push_back({facts.domain, "TXT", "v=spf1 mx -all", "SPF: who may send for the domain"});
    if (facts.host != facts.domain)
        out.push_back({facts.host, "TXT", "v=spf1 a -all", "SPF: the server's own name, in bounces", true});
    for (const DkimRecord& key : facts.dkim)
        out.push_back({fmt::format("{}._domainkey.{}", key.selector, facts.domain), "TXT",
                       fmt::format("v=DKIM1; k={}; p={}", key.key_type, key.public_key),
                       "DKIM: the key of signatures"});
    out.push_back({"_dmarc." + facts.domain, "TXT",
                   fmt::format("v=DMARC1; p=quarantine; rua=mailto:{}", facts.postmaster),
                   "DMARC: what becomes of mail that is not from here"});
}

void add_tls_records(std::vector<DnsRecord>& out, const DomainFacts& facts) {
    out.push_back({"_mta-sts." + facts.domain, "TXT",
                   fmt::format("v=STSv1; id={}", mta_sts_id(mta_sts_policy(facts))),
                   "MTA-STS: mail comes over TLS", true});
    out.push_back(
        {"mta-sts." + facts.domain, "CNAME", facts.host + ".", "MTA-STS: where its policy is", true});
    out.push_back({"_smtp._tls." + facts.domain, "TXT",
                   fmt::format("v=TLSRPTv1; rua=mailto:{}", facts.postmaster),
                   "TLSRPT: who is told when TLS fails", true});
    for (const std::string& digest : facts.key_digests)
        out.push_back({"_25._tcp." + facts.host, "TLSA", "3 1 1 " + digest,
                       "DANE: the key of the certificate; only in a signed zone", true});
}

// "v=DMARC1; p=none" to its tags, in order, without spaces around them.
std::vector<std::string> tags_of(std::string_view text) {
    std::vector<std::string> tags;
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find(';'));
        text.remove_prefix(std::min(text.size(), part.size() + 1));
        std::string tag;
        for (const char c : part)
            if (c != ' ' && c != '\t') tag += c;
        if (!tag.empty()) tags.push_back(std::move(tag));
    }
    return tags;
}

bool begins(std::string_view text, std::string_view prefix) {
    return wire::ascii_starts_with(text, prefix);
}

// Which texts of a name are about the same thing, so that others beside them (of other services) are none of
// our business. The version's tag tells it.
std::string_view kind_of(std::string_view text) {
    for (const std::string_view kind : {"v=spf1", "v=DKIM1", "v=DMARC1", "v=STSv1", "v=TLSRPTv1"})
        if (begins(text, kind)) return kind;
    return {};
}

bool same_text(std::string_view wanted, std::string_view found) {
    const std::string_view kind = kind_of(wanted);
    // What the domain's owner decides for himself: there has to be one.
    if (kind == "v=spf1") return found.find("mx") != found.npos || found == wanted || begins(found, wanted);
    if (kind == "v=DMARC1" || kind == "v=TLSRPTv1" || kind == "v=STSv1") return true;
    auto a = tags_of(wanted), b = tags_of(found);
    // k=rsa is what no k says (RFC 6376 §3.6.1).
    std::erase(a, "k=rsa");
    std::erase(b, "k=rsa");
    std::ranges::sort(a);
    std::ranges::sort(b);
    return a == b;
}

bool same_value(const DnsRecord& record, std::string_view found) {
    if (record.type == "TXT") return same_text(record.value, found);
    return wire::ascii_equal(record.value, found);
}

// Of an MX it matters where mail goes, not the preference.
std::string_view exchange(std::string_view value) {
    const std::size_t space = value.find(' ');
    return space == value.npos ? value : value.substr(space + 1);
}

}  // namespace

std::vector<DnsRecord> domain_records(const DomainFacts& facts) {
    std::vector<DnsRecord> out;
    out.push_back({facts.domain, "MX", fmt::format("10 {}.", facts.host), "where mail for the domain goes"});
    for (const std::string& address : facts.addresses)
        out.push_back({facts.host, address.find(':') == std::string::npos ? "A" : "AAAA", address,
                       "the server's address"});
    add_sender_records(out, facts);
    add_tls_records(out, facts);
    for (const ServiceRecord& service : facts.services)
        add_service(out, facts, service);
    out.push_back({"autoconfig." + facts.domain, "CNAME", facts.host + ".",
                   "mail programs ask there for their settings", true});
    return out;
}

std::string mta_sts_policy(const DomainFacts& facts) {
    return fmt::format("version: STSv1\r\nmode: testing\r\nmx: {}\r\nmax_age: {}\r\n", facts.host,
                       policy_age_s);
}

std::string mta_sts_id(std::string_view policy) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> sum{};
    SHA256(reinterpret_cast<const unsigned char*>(policy.data()), policy.size(), sum.data());
    std::string id;
    for (std::size_t i = 0; i < 8; ++i)
        id += fmt::format("{:02x}", sum[i]);
    return id;
}

std::string quoted_text(std::string_view text) {
    std::string out;
    do {
        const std::string_view part = text.substr(0, string_octets_max);
        text.remove_prefix(part.size());
        if (!out.empty()) out += ' ';
        out += '"';
        for (const char c : part) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    } while (!text.empty());
    return out;
}

std::string zone_file(const std::vector<DnsRecord>& records) {
    std::string out;
    std::string_view purpose;
    for (const DnsRecord& record : records) {
        if (record.purpose != purpose)
            out += fmt::format("{}; {}\n", out.empty() ? "" : "\n", record.purpose);
        purpose = record.purpose;
        out += fmt::format("{}. {} IN {} {}\n", record.name, ttl_s, record.type,
                           record.type == "TXT" ? quoted_text(record.value) : record.value);
    }
    return out;
}

RecordCheck check_record(const DnsRecord& record, const std::vector<std::string>& found) {
    RecordCheck check{record, RecordCheck::State::missing, {}};
    for (const std::string& value : found) {
        if (record.type == "TXT" && !wire::ascii_equal(kind_of(value), kind_of(record.value)) &&
            !(kind_of(value).empty() && begins(record.value, "v=DKIM1")))
            continue;
        const bool same = record.type == "MX" ? wire::ascii_equal(exchange(record.value), exchange(value))
                                              : same_value(record, value);
        if (same) return {record, RecordCheck::State::ok, {}};
        check.state = RecordCheck::State::differs;
        check.found += (check.found.empty() ? "" : ", ") + value;
    }
    return check;
}

std::string_view to_string(RecordCheck::State state) {
    switch (state) {
        case RecordCheck::State::ok:
            return "ok";
        case RecordCheck::State::missing:
            return "missing";
        case RecordCheck::State::differs:
            return "differs";
        case RecordCheck::State::unknown:
            return "unknown";
    }
    return "unknown";
}

}  // namespace pier::program
