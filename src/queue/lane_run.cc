#include "queue/lane_run.h"

#include <utility>

#include <fmt/format.h>

#include "base/log.h"

namespace pier::queue {
namespace {

Outcome outcome_of(smtp::Reply reply) {
    Outcome outcome;
    outcome.kind = reply.code >= 500 ? Outcome::Kind::failed : Outcome::Kind::deferred;
    outcome.reply = std::move(reply);
    return outcome;
}

}  // namespace

void LaneRun::run() {
    auto found = route();
    if (const auto* reply = std::get_if<smtp::Reply>(&found)) {
        remember(*reply);
        give_up();
        return;
    }
    const Route& way = std::get<Route>(found);
    domain_ = way.domain;
    std::optional<StsPolicy> policy;
    if (around_.sts != nullptr && !around_.settings.smarthost && !domain_.empty())
        policy = around_.sts->of(domain_, around_.lookups);
    for (const MailHost& host : way.hosts) {
        if (around_.stopping || attempts_ >= around_.settings.attempts_max) break;
        if (try_host(host, policy)) return;
    }
    give_up();
}

std::variant<Route, smtp::Reply> LaneRun::route() {
    if (!around_.settings.smarthost)
        return find_route(destination_, around_.route, around_.lookups, around_.choose);
    const std::string& name = around_.settings.smarthost->host;
    boost::system::error_code code;
    const auto address = boost::asio::ip::make_address(name, code);
    Route route;
    route.hosts.push_back({name, false, {}});
    if (!code) route.hosts.front().literal.push_back(address);
    return route;
}

// True: the lane is over.
bool LaneRun::try_host(const MailHost& host, const std::optional<StsPolicy>& policy) {
    const Addresses addresses = find_addresses(host, around_.route, around_.lookups, around_.choose);
    if (addresses.list.empty()) {
        remember(addresses.trouble);
        if (!addresses.ours) return false;
        // Hosts that are no better than we are would send it to us (RFC 5321 §5.1).
        give_up();
        return true;
    }
    const auto demand = demand_of(host, addresses, policy);
    if (!demand) return false;
    const std::uint16_t port =
        around_.settings.smarthost ? around_.settings.smarthost->port : around_.settings.smtp_port;
    for (const IpAddress& address : addresses.list) {
        if (around_.stopping || attempts_ >= around_.settings.attempts_max) break;
        ++attempts_;
        if (try_server({host.name, address, port}, *demand)) return true;
    }
    return false;
}

// Absent: the host must not be used; why is remembered.
std::optional<TlsDemand> LaneRun::demand_of(const MailHost& host, const Addresses& addresses,
                                            const std::optional<StsPolicy>& policy) {
    if (around_.settings.smarthost) return smarthost_demand();
    TlsDemand demand;
    demand.domain = domain_;
    demand.host_proven = host.authentic;
    demand.dane = dane_of(host, addresses);
    switch (demand.dane.kind) {
        case DaneDemand::Kind::unknown:
            remember(smtp::Reply{451, "4.7.5",
                                 fmt::format("DNS cannot be asked for the TLSA records of {}: {}", host.name,
                                             demand.dane.why)});
            return std::nullopt;
        case DaneDemand::Kind::verified:
            demand.kind = TlsDemand::Kind::dane;
            demand.word = "dane";
            return demand;           // RFC 8461 §2: DANE goes before
        case DaneDemand::Kind::tls:  // a policy may demand more
        case DaneDemand::Kind::none:
            break;
    }
    if (policy && policy->mode != StsPolicy::Mode::none) {
        const bool allowed = policy->allows(host.name);
        if (policy->mode == StsPolicy::Mode::enforce && !allowed) {
            remember(smtp::Reply{
                451, "4.7.5",
                fmt::format("{} is no mail host of {} by its MTA-STS policy", host.name, domain_)});
            return std::nullopt;
        }
        if (policy->mode == StsPolicy::Mode::enforce) {
            demand.kind = TlsDemand::Kind::certificate;
            demand.host_proven = true;
            demand.word = "sts";
            return demand;
        }
        if (!allowed)
            log::warning("queue.mta_sts",
                         {{"domain", domain_},
                          {"host", host.name},
                          {"problem", "no mail host by the policy, which is in testing mode"}});
    }
    const bool required =
        demand.dane.kind == DaneDemand::Kind::tls || around_.settings.tls == OutgoingTls::required;
    demand.kind = required                                    ? TlsDemand::Kind::required
                  : around_.settings.tls == OutgoingTls::none ? TlsDemand::Kind::never
                                                              : TlsDemand::Kind::opportunistic;
    return demand;
}

DaneDemand LaneRun::dane_of(const MailHost& host, const Addresses& addresses) {
    // RFC 7672 §2.2: all of it, or nothing, is vouched for.
    if (!around_.settings.dane || !host.authentic || !addresses.authentic) return {};
    const std::uint16_t port = around_.settings.smtp_port;
    DaneDemand demand =
        dane_demand(addresses.name, around_.lookups.ask(tlsa_name(addresses.name, port), dns::Type::tlsa));
    // RFC 7672 §2.2.2: behind an alias first, then the name itself.
    if (demand.kind == DaneDemand::Kind::none && addresses.name != host.name)
        demand = dane_demand(host.name, around_.lookups.ask(tlsa_name(host.name, port), dns::Type::tlsa));
    return demand;
}

TlsDemand LaneRun::smarthost_demand() const {
    TlsDemand demand;
    demand.host_proven = true;  // the administrator has named it
    demand.word = "verified";
    switch (around_.settings.smarthost->tls) {
        case Smarthost::Tls::implicit:
            demand.implicit = true;
            [[fallthrough]];
        case Smarthost::Tls::starttls:
            demand.kind = TlsDemand::Kind::certificate;
            break;
        case Smarthost::Tls::none:
            demand.kind = TlsDemand::Kind::never;
            demand.word.clear();
    }
    return demand;
}

// True: the lane is over. A server whose TLS does not work gets a second connection, in clear, where nothing
// demands TLS; one that has closed a connection which had worked gets a fresh one.
bool LaneRun::try_server(const ServerAddress& server, TlsDemand demand) {
    bool fresh_again = false;
    for (;;) {
        bool tls_failed = false;
        const End end = try_once(server, demand, tls_failed);
        if (end == End::lane) return true;
        if (around_.stopping) return false;
        if (tls_failed && demand.kind == TlsDemand::Kind::opportunistic) {
            log::info("queue.in_clear", {{"server", server.text()}, {"why", trouble_->reply.text}});
            demand.kind = TlsDemand::Kind::never;
        } else if (end == End::reused && !fresh_again) {
            fresh_again = true;
        } else {
            return false;
        }
    }
}

LaneRun::End LaneRun::try_once(const ServerAddress& server, const TlsDemand& demand, bool& tls_failed) {
    ServerSession session(around_.session, server, demand);
    if (auto trouble = session.open()) {
        log::info("queue.server", {{"server", server.text()},
                                   {"destination", destination_},
                                   {"code", trouble->outcome.reply.code},
                                   {"problem", trouble->outcome.reply.text}});
        tls_failed = trouble->tls;
        remember(std::move(trouble->outcome));
        return End::server;
    }
    const End end = work(session);
    if (end == End::lane) session.quit();
    return end;
}

LaneRun::End LaneRun::work(ServerSession& session) {
    for (std::size_t count = 0; count < session.messages_max(); ++count) {
        if (!job_ && !take_job(session.server())) return End::lane;
        ServerSession::Performed performed = session.perform(*job_);
        if (performed.try_elsewhere && !around_.stopping) {
            remember(performed.outcomes.front());
            return count == 0 ? End::server : End::reused;
        }
        finish_job(std::move(performed.outcomes));
        if (!session.good()) return End::lane;
    }
    return End::lane;
}

// The next job whose body is whole.
bool LaneRun::take_job(const std::string& server) {
    while (!around_.stopping && (job_ = lane_.next())) {
        if (job_->envelope.recipients.empty()) {
            finish_job({});
            continue;
        }
        const Result<void> verified = job_->body->verify(store::Wait::may_block);
        if (verified) return true;
        log::error("queue.unreadable", {{"id", job_->id},
                                        {"problem", verified.error().text},
                                        {"next", "the message stays in the queue; see to the disk"}});
        Outcome outcome = outcome_of({451, "4.3.0", "the message cannot be read from the disk now"});
        outcome.server = server;  // whose fault it is not
        finish_job(std::vector<Outcome>(job_->envelope.recipients.size(), outcome));
    }
    return false;
}

// For good only if every host says so: a temporary trouble is never replaced by another one for good.
void LaneRun::remember(Outcome trouble) {
    if (trouble_ && trouble_->kind == Outcome::Kind::deferred && trouble.kind == Outcome::Kind::failed)
        return;
    // What one server has said tells more than that another one was not reached.
    if (trouble_ && trouble_->kind == trouble.kind && !trouble_->server.empty() && trouble.server.empty())
        return;
    trouble_ = std::move(trouble);
}

void LaneRun::remember(smtp::Reply reply) {
    remember(outcome_of(std::move(reply)));
}

void LaneRun::give_up() {
    if (!trouble_) trouble_ = outcome_of({451, "4.4.1", "no mail host could be tried"});
    if (job_)
        finish_job(std::vector<Outcome>(job_->envelope.recipients.size(), *trouble_));
    else if (!any_done_ && !around_.stopping)  // which says nothing about the destination
        lane_.failed(*trouble_);
}

void LaneRun::finish_job(std::vector<Outcome> outcomes) {
    lane_.done(*job_, std::move(outcomes));
    any_done_ = true;
    job_.reset();
}

}  // namespace pier::queue
