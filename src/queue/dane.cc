#include "queue/dane.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace pier::queue {

std::string tlsa_name(std::string_view host, unsigned port) {
    return fmt::format("_{}._tcp.{}", port, host);
}

bool is_usable(const dns::Tlsa& record) {
    if (record.usage != 2 && record.usage != 3) return false;
    if (record.selector > 1) return false;
    switch (record.matching) {
        case 0:
            return !record.data.empty();
        case 1:
            return record.data.size() == 32;  // SHA-256
        case 2:
            return record.data.size() == 64;  // SHA-512
        default:
            return false;
    }
}

DaneDemand dane_demand(std::string base, const dns::Answer& answer) {
    DaneDemand demand;
    demand.base = std::move(base);
    if (answer.kind == dns::Answer::Kind::failed) {
        demand.kind = DaneDemand::Kind::unknown;
        demand.why = answer.why;
    }
    if (answer.kind != dns::Answer::Kind::found || !answer.authentic) return demand;
    for (const dns::Tlsa& record : answer.associations)
        if (is_usable(record) && demand.usable.size() < tlsa_max) demand.usable.push_back(record);
    demand.kind = demand.usable.empty() ? DaneDemand::Kind::tls : DaneDemand::Kind::verified;
    return demand;
}

Result<void> demand_dane(SSL* ssl, const DaneDemand& demand, const std::string& other_name) {
    const auto refused = [](std::string_view what) {
        const char* reason = ERR_reason_error_string(ERR_peek_last_error());
        ERR_clear_error();
        return Error(ErrorKind::invalid, fmt::format("{}: {}", what, reason ? reason : "no memory"));
    };
    if (SSL_dane_enable(ssl, demand.base.c_str()) <= 0) return refused("DANE");
    // RFC 7672 §3.1.1: of DANE-EE the key alone counts, neither name nor time.
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    if (!other_name.empty() && other_name != demand.base && SSL_add1_host(ssl, other_name.c_str()) != 1)
        return refused("DANE");
    int taken = 0;
    for (const dns::Tlsa& record : demand.usable)
        taken += SSL_dane_tlsa_add(ssl, record.usage, record.selector, record.matching,
                                   reinterpret_cast<const unsigned char*>(record.data.data()),
                                   record.data.size()) > 0;
    if (taken == 0) return refused("none of its TLSA records can be used");
    ERR_clear_error();
    SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
    return {};
}

}  // namespace pier::queue
