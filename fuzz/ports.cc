// What tells of this machine's ports: /proc/net/tcp, and nftables' rules as JSON. Input: either; JSON begins
// with "{".
#include <algorithm>
#include <string>

#include "fuzz/require.h"
#include "watch/drift.h"
#include "watch/firewall.h"
#include "watch/listening.h"

using namespace pier;
using namespace pier::watch;
using fuzz::require;

namespace {

void read_sockets(std::string_view text) {
    const auto sockets = parse_proc_tcp(text);
    require(sockets.size() <= listening_sockets_max, "sockets are bounded");
    PortFacts facts{{}, {}, true};
    for (const ListeningSocket& socket : sockets) {
        require(covers(socket, socket.address), "a socket takes what is sent to its address");
        facts.configured.push_back({"a", "a:1", {socket.address}, socket.port});
        facts.listening.push_back({socket, true});
        if (facts.configured.size() == 8) break;
    }
    const auto states = compare_ports(facts);
    require(states.size() == facts.configured.size(), "what is configured is all there is");
    for (const PortState& state : states)
        require(!state.listens.empty() && state.differences.empty(), "and listens");
}

void read_rules(std::string_view text) {
    auto firewall = parse_nft(text);
    if (!firewall)
        return require(firewall.error().text.find('\n') == std::string::npos, "an error is one line");
    for (const FirewallChain& chain : firewall->chains) {
        require(chain.rules.size() <= 12'000, "rules are bounded");
        for (const PortRule& rule : chain.rules)
            require(rule.first <= rule.last && !rule.text.empty(),
                    "a rule is about ports, and says which it is");
    }
    constexpr std::uint16_t ports[] = {0, 25, 110, 995, 0xFFFF};
    for (const std::uint16_t port : ports) {
        const Verdict both = verdict_for(*firewall, port);
        const Passage v4 = verdict_for(*firewall, port, Families::v4).passage;
        const Passage v6 = verdict_for(*firewall, port, Families::v6).passage;
        require(both.passage == Passage::open || !both.text.empty(), "a verdict has its reason");
        require((both.passage == Passage::closed) == (v4 == Passage::closed && v6 == Passage::closed),
                "closed is what both families find closed");
        require((both.passage == Passage::closed) == !refusal_of(*firewall, port).empty(), "so say both");
        if (both.passage == Passage::open)
            require(v4 == Passage::open && v6 == Passage::open, "open is what both find open");
    }
    firewall->chains.push_back({"inet a b", true, {}});
    for (const std::uint16_t port : ports)
        require(verdict_for(*firewall, port).passage == Passage::closed,
                "no chain opens what another one shuts");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    if (text.starts_with("{"))
        read_rules(text);
    else
        read_sockets(text);
    return 0;
}
