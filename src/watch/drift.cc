#include "watch/drift.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pier::watch {
namespace {

std::string text_of(const std::vector<ListeningPort>& listens) {
    std::vector<std::string> words;
    for (const ListeningPort& one : listens)
        words.push_back(one.text());
    return fmt::format("{}", fmt::join(words, ", "));
}

bool is_at(const ConfiguredPort& configured, const ListeningPort& one) {
    return one.socket.port == configured.port &&
           std::ranges::any_of(configured.addresses,
                               [&](const IpAddress& address) { return covers(one.socket, address); });
}

Families families_of(const std::vector<IpAddress>& addresses) {
    if (std::ranges::all_of(addresses, &IpAddress::is_v4)) return Families::v4;
    return std::ranges::all_of(addresses, &IpAddress::is_v6) ? Families::v6 : Families::both;
}

void judge_listening(PortState& state, bool server_runs) {
    const auto add = [&](Severity severity, std::string code, std::string what, std::string step) {
        state.differences.push_back(
            {severity, std::move(code), std::move(what), text_of(state.listens), std::move(step)});
    };
    const auto foreign = [](const ListeningPort& one) { return one.ours == std::optional(false); };
    if (state.listens.empty())
        return add(Severity::critical, "not_listening",
                   fmt::format("Nobody listens for the listener {}", state.name),
                   server_runs ? "the configuration was changed after the start, or the port was lost: "
                                 "systemctl restart pier"
                               : "the server does not run: systemctl start pier, then: pier doctor refused");
    if (std::ranges::all_of(state.listens, foreign))
        return add(
            Severity::critical, "other_process",
            fmt::format("Another process listens for the listener {}", state.name),
            fmt::format("ss -ltnp 'sport = :{}' shows it; end it, then: systemctl restart pier", state.port));
    if (std::ranges::any_of(state.listens, foreign))
        add(Severity::critical, "shared_port",
            fmt::format("Another process listens beside Pier for the listener {}, and takes some of its "
                        "connections",
                        state.name),
            fmt::format("ss -ltnp 'sport = :{}' shows it; end it", state.port));
}

void judge_outside(PortState& state) {
    if (state.listens.empty()) return;
    if (state.outside && !state.outside->reached)
        state.differences.push_back(
            {Severity::warning, "not_reached", fmt::format("The port {} was not reached", state.port),
             fmt::format("{}: {}", state.outside->from, state.outside->text), state.outside->step});
    if (state.local) return;
    // What was reached by a way that may not pass the firewall says nothing of it.
    if (state.firewall.passage == Passage::closed)
        state.differences.push_back(
            {Severity::critical, "firewall_closed",
             fmt::format("The firewall of this machine refuses connections to the port {}", state.port),
             state.firewall.text,
             fmt::format(
                 "let it in, before that rule: nft insert rule FAMILY TABLE CHAIN tcp dport {} accept",
                 state.port)});
    if (state.firewall.passage == Passage::filtered)
        state.differences.push_back({Severity::note, "firewall_filters",
                                     fmt::format("The firewall lets only some reach the port {}", state.port),
                                     state.firewall.text,
                                     "nft list ruleset shows whom; nothing is to be done if it is meant so"});
}

PortState state_of(const ConfiguredPort& configured, const PortFacts& facts) {
    PortState out{.name = configured.name,
                  .configured = configured.where,
                  .port = configured.port,
                  .listens = {},
                  .firewall = {Passage::unknown, "it was not looked at"}};
    std::ranges::copy_if(facts.listening, std::back_inserter(out.listens),
                         [&](const ListeningPort& one) { return is_at(configured, one); });
    // The kernel gives IPv4 to a socket of IPv4 first, whoever else is at "::".
    const auto of_v4 = [](const ListeningPort& one) { return one.socket.address.is_v4(); };
    if (families_of(configured.addresses) == Families::v4 && std::ranges::any_of(out.listens, of_v4))
        std::erase_if(out.listens, std::not_fn(of_v4));
    out.local = std::ranges::all_of(configured.addresses, &IpAddress::is_loopback);
    return out;
}

std::vector<PortState> others(const PortFacts& facts) {
    std::vector<PortState> out;
    for (const ListeningPort& one : facts.listening) {
        if (!usual_use(one.socket.port)) continue;
        if (std::ranges::any_of(facts.configured,
                                [&](const ConfiguredPort& known) { return is_at(known, one); }))
            continue;
        auto at = std::ranges::find(out, one.socket.port, &PortState::port);
        if (at == out.end())
            at = out.insert(out.end(), {.name = {},
                                        .configured = {},
                                        .port = one.socket.port,
                                        .listens = {},
                                        .firewall = {Passage::unknown, "it was not looked at"},
                                        .local = true});
        at->listens.push_back(one);
        at->local = at->local && one.socket.address.is_loopback();
    }
    for (PortState& state : out)
        state.differences.push_back(
            {Severity::warning, "not_configured",
             fmt::format("Somebody listens on the mail port {}, which is not in the configuration",
                         state.port),
             text_of(state.listens),
             fmt::format("end it if it should not be there (ss -ltnp 'sport = :{}' shows it), or add a "
                         "[[listener]]",
                         state.port)});
    return out;
}

}  // namespace

std::string ListeningPort::text() const {
    const std::string where = socket.address.is_v6()
                                  ? fmt::format("[{}]:{}", socket.address.to_string(), socket.port)
                                  : fmt::format("{}:{}", socket.address.to_string(), socket.port);
    if (!holder) return where;
    return fmt::format("{} by {} (process {})", where, holder->program, holder->pid);
}

std::vector<PortState> compare_ports(const PortFacts& facts) {
    std::vector<PortState> out;
    for (const ConfiguredPort& configured : facts.configured) {
        out.push_back(state_of(configured, facts));
        judge_listening(out.back(), facts.server_runs);
    }
    std::ranges::move(others(facts), std::back_inserter(out));
    for (std::size_t i = 0; i < out.size(); ++i) {
        PortState& state = out[i];
        const bool configured = i < facts.configured.size();
        if (facts.firewall)
            state.firewall =
                verdict_for(*facts.firewall, state.port,
                            configured ? families_of(facts.configured[i].addresses) : Families::both);
        const auto look = std::ranges::find(facts.outside, state.port, &OutsideLook::port);
        if (look != facts.outside.end()) state.outside = *look;
        if (configured) judge_outside(state);
    }
    return out;
}

std::vector<Observation> observed_ports(const std::vector<PortState>& states, Time at) {
    std::vector<Observation> out;
    for (const PortState& state : states) {
        if (state.name.empty()) continue;
        const auto tell = [&](const char* word, std::string well, unsigned looks,
                              std::initializer_list<std::string_view> codes) {
            Observation one{.key = fmt::format("listener.{}.{}.{}", state.name, state.configured, word),
                            .group = "listeners",
                            .severity = {},
                            .what = std::move(well),
                            .evidence = text_of(state.listens),
                            .step = {},
                            .looks = looks,
                            .at = at};
            for (const Finding& finding : state.differences) {
                if (std::ranges::find(codes, finding.code) == codes.end()) continue;
                one.severity = finding.severity;
                one.what = finding.what;
                one.step = finding.step;
            }
            out.push_back(std::move(one));
        };
        // /proc/net may pass over a line while connections come and go: one look is no proof.
        tell("closed", fmt::format("The listener {} listens", state.name), 2, {"not_listening"});
        tell("foreign", fmt::format("Nobody else listens for the listener {}", state.name), 1,
             {"other_process", "shared_port"});
    }
    return out;
}

}  // namespace pier::watch
