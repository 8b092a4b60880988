// Ports: who has them, who may come, who answers, how fast.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "main/doctor/rules.h"

namespace pier::program::doctor {
namespace {

std::string text_of(const watch::Holder& holder) {
    return holder.program.empty() ? "a process that this user may not look into"
                                  : fmt::format("{} (process {})", holder.program, holder.pid);
}

// It can be opened by no server: said of a server that is down, and of a listener that it does not have.
void judge_opening(Judgement& findings, const ListenerFacts& listener, bool down) {
    if (!listener.address_problem.empty())
        return findings.add(
            Severity::critical, "address_not_here",
            fmt::format("The address of the listener {} is not one of this machine", listener.name),
            fmt::format("{}: {}", listener.where, listener.address_problem),
            fmt::format("ip address shows this machine's own: correct address of [[listener]] {}, then: {}",
                        listener.name, restart_step));
    if (listener.listened)
        return findings.add(
            Severity::critical, "port_taken",
            fmt::format("The port of the listener {} is held by another process", listener.name),
            fmt::format(
                "{} is held by {}", listener.where,
                listener.holder ? text_of(*listener.holder) : "a process that this user may not look into"),
            listener.holder && listener.holder->pid > 0
                ? fmt::format("end it (systemctl status {}), or choose another port, then: {}",
                              listener.holder->pid, restart_step)
                : fmt::format("as root: ss -ltnp 'sport = :{}'; end what it names, then: {}", listener.port,
                              restart_step));
    if (listener.needs_rights && down)
        return findings.add(
            Severity::critical, "port_needs_rights",
            fmt::format("Only root may open the port of the listener {}", listener.name), listener.where,
            "start Pier by systemd (systemctl start pier) or as root, or choose a port above 1023");
    if (!down)
        findings.add(Severity::critical, "listener_missing",
                     fmt::format("The running server does not have the listener {}", listener.name),
                     fmt::format("{} is in the configuration, and nobody listens there", listener.where),
                     fmt::format("the configuration was changed after the start: {}", restart_step));
}

void judge_times(Judgement& findings, const watch::Probe& probe, const Thresholds& thresholds) {
    for (const watch::Phase& phase : probe.phases) {
        if (phase.time < thresholds.phase_max) continue;
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(phase.time).count();
        findings.add(Severity::warning, "slow_phase",
                     fmt::format("{} is slow in the phase {}", probe.target.text(), phase.name),
                     fmt::format("it took {} ms", ms),
                     "pier doctor slow looks at disk, memory and DNS; pier metrics has each command's times");
        return;
    }
}

void judge_trust(Judgement& findings, const watch::Probe& probe) {
    if (!probe.tls || probe.tls->distrust.empty()) return;
    using Why = watch::TlsFacts::Distrust::Why;
    const auto& first = probe.tls->distrust.front();
    if (first.why == Why::expired || first.why == Why::not_yet_valid)
        return;  // the file tells it, with its name
    findings.add(
        Severity::warning, "certificate_untrusted",
        "Clients do not trust the authority of the certificate, and warn their users",
        fmt::format("{}: {}", probe.target.text(), first.text),
        "use a certificate of a public authority with its whole chain ([acme] gets one: docs/tls.md), or "
        "install your authority on the clients");
}

void judge_answer(Judgement& findings, const watch::Probe& probe, const Thresholds& thresholds) {
    const std::string where = probe.target.text();
    if (!probe.failure) {
        judge_times(findings, probe, thresholds);
        return judge_trust(findings, probe);
    }
    const std::string& phase = probe.failure->phase;
    const std::string& seen = probe.failure->text;
    if (phase == "resolve")
        return findings.add(Severity::critical, "host_no_address",
                            fmt::format("{} has no address", probe.target.host), seen,
                            "correct the name, or its A and AAAA records");
    if (phase == "connect")
        return findings.add(Severity::critical, "listener_unreachable",
                            fmt::format("{} is not reached", where), seen,
                            "ss -ltn shows who listens; nft list ruleset shows the firewall");
    if (phase == "tls" || phase == "starttls")
        return findings.add(Severity::critical, "listener_tls_fails", fmt::format("TLS fails at {}", where),
                            seen, "pier log tail shows why; pier check looks at the certificate");
    if (phase == "greeting" && seen.find("Too many connections") != std::string::npos)
        return findings.add(
            Severity::critical, "connections_full",
            fmt::format("{} has as many connections as it may have: new ones are refused", where), seen,
            fmt::format("raise limits.connections_max, then: {}", restart_step));
    if (phase == "greeting")
        return findings.add(
            Severity::critical, "listener_silent",
            fmt::format("{} takes the connection and does not greet", where), seen,
            fmt::format("pier log tail shows whether it was refused; if the server hangs: {}", restart_step));
    findings.add(Severity::critical, "listener_broken", fmt::format("{} ends the dialogue too soon", where),
                 fmt::format("phase {}: {}", phase, seen), "pier log tail shows why");
}

}  // namespace

void judge_listeners(Judgement& findings, const Facts& facts, const Thresholds& thresholds) {
    const bool down = !facts.server || !facts.server->runs;
    for (const ListenerFacts& listener : facts.listeners) {
        if (!listener.admits_client)
            findings.add(Severity::critical, "address_denied",
                         fmt::format("The listener {} does not admit {}", listener.name, facts.about.client),
                         "its allow and deny do not include that address",
                         fmt::format("change allow or deny of [[listener]] {}, then: {}", listener.name,
                                     restart_step));
        if (!listener.of_server) {
            // Without a management socket the server may well be who listens.
            const bool may_be_ours = facts.server && !facts.server->has_socket && listener.listened;
            if (!may_be_ours) judge_opening(findings, listener, down);
            continue;
        }
        if (listener.probe && !listener.excludes_us) judge_answer(findings, *listener.probe, thresholds);
    }
}

void judge_targets(Judgement& findings, const Facts& facts, const Thresholds& thresholds) {
    for (const watch::Probe& probe : facts.asked_targets)
        judge_answer(findings, probe, thresholds);
}

void judge_firewall(Judgement& findings, const Facts& facts) {
    if (!facts.firewall) return;
    if (!facts.firewall->unknown.empty())
        return findings.add(Severity::note, "firewall_unknown", "The firewall could not be looked at",
                            facts.firewall->unknown, "as root: nft list ruleset");
    for (const ListenerFacts& listener : facts.listeners) {
        const std::string why = refusal_of(*facts.firewall, listener.port);
        if (why.empty()) continue;
        findings.add(
            Severity::critical, "firewall_drops",
            fmt::format("The firewall of this machine refuses connections to the port {}", listener.port),
            why,
            fmt::format("let it in, in that chain, before that rule: nft insert rule {} tcp dport {} accept",
                        "FAMILY TABLE CHAIN", listener.port));
    }
}

}  // namespace pier::program::doctor
