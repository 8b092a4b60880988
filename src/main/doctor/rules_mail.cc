// Mail on its way: who is served here, what DNS says, the filter, the queue.
#include <algorithm>

#include <fmt/format.h>

#include "main/doctor/rules.h"

namespace pier::program::doctor {
namespace {

namespace json = boost::json;

constexpr std::size_t destinations_told = 10;

std::string text(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

bool flag(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_bool() && value->as_bool();
}

std::string domain_of(std::string_view address) {
    return std::string(address.substr(address.rfind('@') + 1));
}

// Of a smarthost that does not take our name and password: 530, 534, 535 and 538 (RFC 4954 §6).
bool is_login_refusal(std::string_view reply) {
    return reply.starts_with("530") || reply.starts_with("534") || reply.starts_with("535") ||
           reply.starts_with("538") || reply.find(" 5.7.8") != std::string_view::npos ||
           reply.find("login") != std::string_view::npos;
}

void judge_waiting(Judgement& findings, const Facts& facts) {
    std::vector<std::string> told;
    for (const json::value& value : facts.server->queue) {
        const json::object& message = value.as_object();
        const std::string reply = text(message, "reply"), id = text(message, "id");
        if (flag(message, "held")) {
            findings.add(Severity::warning, "queue_held", "A message is held in the queue: it is not sent",
                         fmt::format("{} from {}", id, text(message, "sender")),
                         fmt::format("pier queue release {}", id));
            continue;
        }
        const std::string domain = domain_of(text(message, "first_recipient"));
        if (reply.empty() || std::ranges::find(told, domain) != told.end() ||
            told.size() >= destinations_told)
            continue;
        told.push_back(domain);
        if (!facts.smarthost.empty() && is_login_refusal(reply))
            findings.add(
                Severity::critical, "smarthost_login_refused",
                fmt::format("The smarthost {} does not take the name and password of this server",
                            facts.smarthost),
                reply, "correct queue.smarthost_user and the password's file, then: systemctl restart pier");
        else
            findings.add(
                Severity::warning, "queue_stuck",
                fmt::format("Mail for {} waits: it could not be delivered", domain),
                fmt::format("{}: {}", id, reply),
                fmt::format("pier queue show {0}; once the cause is gone: pier queue retry {0}", id));
    }
}

bool has_value(const RecordCheck& check, std::string_view type, std::string_view beginning) {
    return check.record.type == type && check.record.value.starts_with(beginning);
}

std::string code_of(const RecordCheck& check) {
    const bool missing = check.state == RecordCheck::State::missing;
    if (check.record.type == "MX") return missing ? "domain_no_mx" : "domain_mx_elsewhere";
    if (check.record.name.find("._domainkey.") != std::string::npos)
        return missing ? "domain_no_dkim" : "domain_dkim_differs";
    if (has_value(check, "TXT", "v=spf1")) return missing ? "domain_no_spf" : "domain_spf_differs";
    if (has_value(check, "TXT", "v=DMARC1")) return missing ? "domain_no_dmarc" : "domain_dmarc_differs";
    if (check.record.type == "A" || check.record.type == "AAAA")
        return missing ? "host_no_address" : "host_address_elsewhere";
    return missing ? "dns_record_missing" : "dns_record_differs";
}

void judge_record(Judgement& findings, const std::string& domain, const RecordCheck& check) {
    using State = RecordCheck::State;
    if (check.state == State::ok || check.state == State::unknown) return;
    const bool mx = check.record.type == "MX";
    const Severity severity = check.record.advice ? Severity::note
                              : mx                ? Severity::critical
                                                  : Severity::warning;
    const std::string wanted =
        fmt::format("{} {} {}", check.record.name, check.record.type, check.record.value);
    const char* sense = mx ? "mail for the domain does not come here"
                           : "mail of the domain is trusted less, or does not arrive";
    findings.add(
        severity, code_of(check),
        fmt::format("DNS {} the {} record of {}: {}",
                    check.state == State::missing ? "lacks" : "has another value in", check.record.type,
                    check.record.name, check.record.advice ? check.record.purpose : sense),
        check.found.empty() ? fmt::format("wanted: {}", wanted)
                            : fmt::format("found {}; wanted: {}", check.found, wanted),
        fmt::format("pier domain records {}    prints what to put into the zone", domain));
}

}  // namespace

void judge_queue(Judgement& findings, const Facts& facts) {
    if (!facts.server || !facts.server->runs) return;
    judge_waiting(findings, facts);
}

void judge_domains(Judgement& findings, const Facts& facts) {
    if (!facts.server || !facts.server->store_read || !facts.takes_mail_from_world) return;
    if (facts.server->domains.empty())
        findings.add(Severity::critical, "no_domain", "No domain is served: mail from the world is refused",
                     "there is a listener for smtp, and pier domain list is empty",
                     "pier domain add example.org");
}

void judge_recipient(Judgement& findings, const Facts& facts) {
    if (!facts.server || facts.server->recipient.empty()) return;
    const json::object& recipient = facts.server->recipient;
    const std::string address = text(recipient, "address"), reply = text(recipient, "reply");
    if (!flag(recipient, "accepted")) {
        if (!flag(recipient, "domain_served"))
            return findings.add(Severity::critical, "domain_not_served",
                                fmt::format("The domain {} is not one of this server's", domain_of(address)),
                                reply, fmt::format("pier domain add {}", domain_of(address)));
        if (reply.starts_with("451 4.4.3"))
            return findings.add(Severity::critical, "backend_down",
                                fmt::format("Who {} is cannot be looked up now", address), reply,
                                "pier status (backends); bring up what the back end asks");
        if (reply.starts_with("550"))
            return findings.add(Severity::critical, "recipient_unknown",
                                fmt::format("Nobody here receives mail for {}", address), reply,
                                fmt::format("pier account add {0}, or: pier alias add {0} TARGET", address));
        return findings.add(Severity::critical, "recipient_refused",
                            fmt::format("Mail for {} is refused", address), reply, "pier log tail shows why");
    }
    if (const std::string room = text(recipient, "room"); !room.empty())
        findings.add(Severity::critical, "account_full",
                     fmt::format("The mailbox of {}, or its domain, is full", address), room,
                     "pier account change ACCOUNT --quota SIZE, or: pier domain change DOMAIN --quota SIZE");
    const json::value* elsewhere = recipient.if_contains("elsewhere");
    if (elsewhere == nullptr || elsewhere->as_array().empty()) return;
    std::vector<std::string> where;
    for (const json::value& one : elsewhere->as_array())
        where.emplace_back(one.as_string());
    findings.add(Severity::note, "forwarded", fmt::format("Mail for {} goes on to other servers", address),
                 fmt::format("{}", fmt::join(where, ", ")), "pier queue list shows what waits for them");
}

void judge_dns(Judgement& findings, const Facts& facts, const Thresholds& thresholds) {
    if (!facts.dns) return;
    const DnsFacts& dns = *facts.dns;
    if (!dns.unanswered.empty())
        return findings.add(Severity::critical, "dns_unanswered",
                            "No DNS server answers: mail for others is not sent", dns.unanswered,
                            "correct queue.dns_servers, or /etc/resolv.conf; then: systemctl restart pier");
    if (dns.time >= thresholds.dns_max)
        findings.add(Severity::warning, "slow_dns", "DNS is slow",
                     fmt::format("an answer took {} ms", dns.time.count()),
                     "name nearer servers in queue.dns_servers, or run a resolver on this machine (unbound)");
    if (dns.addresses.empty())
        findings.add(Severity::critical, "host_no_address",
                     fmt::format("{} has no address: others do not find this server", dns.host),
                     "neither A nor AAAA",
                     fmt::format("put the address of this server into DNS for {}, or correct server.hostname",
                                 dns.host));
    std::vector<std::string> told;  // the host's own records are the same for every domain
    for (const DomainDnsFacts& domain : dns.domains)
        for (const RecordCheck& check : domain.records) {
            const std::string which = check.record.name + ' ' + check.record.type + ' ' + check.record.value;
            if (std::ranges::find(told, which) != told.end()) continue;
            told.push_back(which);
            if (check.record.name == dns.host && dns.addresses.empty()) continue;
            judge_record(findings, domain.domain, check);
        }
}

void judge_filter(Judgement& findings, const Facts& facts) {
    if (!facts.filter || facts.filter->problem.empty()) return;
    findings.add(facts.filter->refuses ? Severity::critical : Severity::warning, "filter_down",
                 facts.filter->refuses ? "rspamd does not answer: mail is put off until it does"
                                       : "rspamd does not answer: mail is taken without being looked at",
                 fmt::format("{}: {}", facts.filter->where, facts.filter->problem),
                 "systemctl restart rspamd; or correct filter.rspamd");
}

}  // namespace pier::program::doctor
