// What DNS has to say of a domain whose mail comes here: its records, in the form of a zone file. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pier::program {

struct DkimRecord {  // RFC 6376 §3.6.1
    std::string selector;
    std::string key_type;    // "rsa", "ed25519" (RFC 8463)
    std::string public_key;  // base64
};

struct ServiceRecord {    // RFC 2782
    std::string service;  // "_pop3s"
    unsigned port = 0;    // 0: it is not offered (RFC 6186 §3.4)
};

// What is known of the domain and this server; names in their ASCII form, without a dot at the end.
struct DomainFacts {
    std::string domain, host;            // the domain; this server's own name
    std::vector<std::string> addresses;  // of the host, as far as they are known
    std::vector<DkimRecord> dkim;
    std::vector<std::string> key_digests;  // SHA-256 of the certificates' keys (SubjectPublicKeyInfo), in hex
    std::vector<ServiceRecord> services;
    std::string postmaster;  // who gets reports: "postmaster@example.org"
};

struct DnsRecord {
    std::string name;     // without a dot at the end
    std::string type;     // "MX"
    std::string value;    // as in a zone file; of TXT the text itself, in one piece
    std::string purpose;  // in a few words
    bool advice = false;  // good to have, and mail flows without it
    bool operator==(const DnsRecord&) const = default;
};

std::vector<DnsRecord> domain_records(const DomainFacts& facts);

// The policy that https://mta-sts.DOMAIN/.well-known/mta-sts.txt gives (RFC 8461 §3.2), CRLF line ends; and
// the id in the record that announces it: another one for another policy.
std::string mta_sts_policy(const DomainFacts& facts);
std::string mta_sts_id(std::string_view policy);

// "\"v=DKIM1; …\" \"…\"": strings of at most 255 octets (RFC 1035 §3.3), which readers join.
std::string quoted_text(std::string_view text);

// Lines ready to be pasted, with a comment above each group.
std::string zone_file(const std::vector<DnsRecord>& records);

// ---- comparing them with what DNS answers ----

struct RecordCheck {
    enum class State { ok, missing, differs, unknown };  // unknown: DNS gave no answer
    DnsRecord record;
    State state = State::unknown;
    std::string found;  // differs: what is there instead; unknown: why
};

// `found`: the values of all records of that name and type, in the form of DnsRecord::value. Of several
// records of one name and type (addresses, TLSA) each must be among them. A text counts as there if it says
// the same: tags in another order or spacing, for SPF, DMARC and reports any policy of the kind.
RecordCheck check_record(const DnsRecord& record, const std::vector<std::string>& found);

std::string_view to_string(RecordCheck::State state);

}  // namespace pier::program
