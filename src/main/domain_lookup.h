// What is known of a domain on this machine, and what DNS answers: the two sides that domain_records.h
// compares. They wait: for the disk, for DNS.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "dns/resolver.h"
#include "main/config.h"
#include "main/domain_records.h"

namespace pier::program {

// `domain` is in DNS's form. Fails when its DKIM keys cannot be read.
Result<DomainFacts> own_domain_facts(const Config& config, const std::string& domain);

// What DNS says, in the form of DnsRecord::value; an error: it says nothing.
Result<std::vector<std::string>> ask_dns(dns::Resolver& resolver, const DnsRecord& record);
// The record as it should be beside what is there.
RecordCheck look_up(dns::Resolver& resolver, const DnsRecord& record);

}  // namespace pier::program
