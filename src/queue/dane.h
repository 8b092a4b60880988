// DANE for SMTP (RFC 7672): what TLSA records demand of a mail host's TLS. Pure, but for setting OpenSSL up.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

#include "base/result.h"
#include "dns/answer.h"

namespace pier::queue {

inline constexpr std::size_t tlsa_max = 50;  // records of a host that are looked at

struct DaneDemand {
    enum class Kind {
        none,      // no authentic TLSA records: DANE says nothing
        tls,       // there are, but none that can be used: TLS is a must, whoever it is (RFC 7672 §2.2)
        verified,  // TLS is a must, and the certificate must fit one of `usable`
        unknown,   // DNS could not be asked: the host must be passed over (RFC 7672 §2.1.2)
    };
    Kind kind = Kind::none;
    std::string base;  // the TLSA base domain: the name that the certificate is for (RFC 7672 §3.2.2)
    std::vector<dns::Tlsa> usable;
    std::string why;  // unknown
};

// "_25._tcp.mx.example.org" (RFC 6698 §3)
std::string tlsa_name(std::string_view host, unsigned port);

// From the answer to a question for `base`'s TLSA records.
DaneDemand dane_demand(std::string base, const dns::Answer& answer);

// Of a record: usage DANE-TA(2) or DANE-EE(3), which alone are for SMTP (RFC 7672 §3.1), with a selector and
// a matching type that are known, and as many octets as those have.
bool is_usable(const dns::Tlsa& record);

// Makes `ssl` demand it: name, SNI and certificate. Its context must have had SSL_CTX_dane_enable().
// `other_name`: the domain that the mail is for, which a certificate may name as well. `invalid`: OpenSSL
// takes none of the records.
Result<void> demand_dane(SSL* ssl, const DaneDemand& demand, const std::string& other_name);

}  // namespace pier::queue
