// pier ports
#include <algorithm>
#include <charconv>
#include <future>
#include <memory>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/doctor/gathering.h"
#include "main/port_facts.h"
#include "net/client_connection.h"
#include "watch/host_lookup.h"

namespace pier::program {
namespace {

namespace json = boost::json;

// Whose they are; `server`: the running one's process, 0: none that is known.
std::vector<watch::ListeningPort> listening_ports(int server) {
    std::vector<watch::ListeningPort> out;
    for (const watch::ListeningSocket& socket : watch::listening_sockets()) {
        watch::ListeningPort one{socket};
        if (server > 0) one.ours = watch::holds(server, socket.inode);
        out.push_back(std::move(one));
    }
    return out;
}

// Only of those that are shown: it looks through all processes.
void name_holders(std::vector<watch::ListeningPort>& listening,
                  const std::vector<watch::ConfiguredPort>& configured) {
    for (watch::ListeningPort& one : listening) {
        const bool shown =
            watch::usual_use(one.socket.port) ||
            std::ranges::find(configured, one.socket.port, &watch::ConfiguredPort::port) != configured.end();
        if (shown) one.holder = watch::holder_of(one.socket.inode);
    }
}

// ---- Reached ----

constexpr std::chrono::milliseconds outside_limit{5000};
constexpr std::size_t together_max = 16;

watch::OutsideLook look_from_here(const std::string& host, const std::vector<IpAddress>& addresses,
                                  std::uint16_t port) {
    watch::OutsideLook out{port, false, fmt::format("this machine, to {}", host), {}, {}};
    out.step =
        "look at the listener's address, and at the firewalls between; from where nobody trusts this "
        "machine's "
        "address, ask there: pier probe HOST:PORT";
    for (const IpAddress& address : addresses) {
        const auto connected = net::ClientConnection::connect(address, port, outside_limit, {});
        out.reached = out.reached || connected;
        if (!connected)
            out.text += fmt::format("{}{}: {}", out.text.empty() ? "" : "; ", address.to_string(),
                                    connected.error().text);
    }
    if (out.reached) out.text.clear();
    return out;
}

Result<std::vector<watch::OutsideLook>> looks_from_here(
    const std::string& host, const std::vector<watch::ConfiguredPort>& configured) {
    const auto addresses = watch::resolve(host, outside_limit, -1);
    if (!addresses)
        return Error(addresses.error().kind, fmt::format("--outside {}: {}", host, addresses.error().text));
    std::vector<std::uint16_t> ports;
    for (const watch::ConfiguredPort& one : configured)
        if (!std::ranges::all_of(one.addresses, &IpAddress::is_loopback)) ports.push_back(one.port);
    std::ranges::sort(ports);
    ports.erase(std::ranges::unique(ports).begin(), ports.end());
    std::vector<watch::OutsideLook> out;
    for (std::size_t begin = 0; begin < ports.size(); begin += together_max) {
        std::vector<std::future<watch::OutsideLook>> running;
        for (std::size_t i = begin; i < std::min(begin + together_max, ports.size()); ++i)
            running.push_back(std::async(
                std::launch::async, [&, port = ports[i]] { return look_from_here(host, *addresses, port); }));
        for (auto& one : running)
            out.push_back(one.get());
    }
    return out;
}

std::string text_of(const json::value& value) {
    return value.is_string() ? std::string(value.as_string()) : std::string();
}

// What the running server last saw of its own listeners. It comes over loopback, past most firewalls.
std::vector<watch::OutsideLook> looks_of_watch(const json::value& answer) {
    std::vector<watch::OutsideLook> out;
    for (const json::value& target : answer.at("targets").as_array()) {
        const std::string name = text_of(target.at("target"));
        if (!target.at("own").as_bool() || target.at("up").is_null() ||
            text_of(target.at("what")) == "canary")
            continue;
        watch::OutsideLook one;
        unsigned port = 0;
        const char* end = name.data() + name.size();
        const char* begin = name.data() + name.rfind(':') + 1;
        if (std::from_chars(begin, end, port).ptr != end || port == 0 || port > UINT16_MAX) continue;
        one.port = static_cast<std::uint16_t>(port);
        one.reached = target.at("up").as_bool();
        one.from = fmt::format("the watch of this server, to {}, at {}", name, text_of(target.at("looked")));
        one.step = "pier watch shows all that was seen";
        for (const json::value& finding : target.at("findings").as_array())
            if (!one.reached && one.text.empty()) one.text = text_of(finding.at("what"));
        out.push_back(std::move(one));
    }
    return out;
}

// ---- The table ----

std::string cell(const watch::PortState& state) {
    std::string out;
    for (const watch::ListeningPort& one : state.listens)
        out += (out.empty() ? "" : ", ") + one.text();
    return out.empty() ? "nobody" : out;
}

// What REACHED means here.
std::string reached_from(const std::vector<watch::PortState>& states) {
    std::string text;
    for (const watch::PortState& state : states)
        if (state.outside)
            text += fmt::format("{}\n    {}: {}", text.empty() ? "\nREACHED is seen by" : "", state.port,
                                state.outside->from);
    return text.empty() ? text : text + "\n";
}

// Why a firewall's verdict is unknown, each reason once.
std::string not_known(const std::vector<watch::PortState>& states) {
    std::vector<std::string> reasons;
    for (const watch::PortState& state : states)
        if (state.firewall.passage == watch::Passage::unknown &&
            std::ranges::find(reasons, state.firewall.text) == reasons.end())
            reasons.push_back(state.firewall.text);
    std::string text;
    for (const std::string& reason : reasons)
        text += fmt::format("{}\n    {}", text.empty() ? "\nFIREWALL is unknown where" : "", reason);
    return text.empty() ? text : text + "\n";
}

std::string ports_text(const std::vector<watch::PortState>& states) {
    std::vector<std::vector<std::string>> rows{
        {"LISTENER", "CONFIGURED", "LISTENS", "FIREWALL", "REACHED", "IS"}};
    std::string below;
    for (const watch::PortState& state : states) {
        std::string is = "well";
        for (const watch::Finding& finding : state.differences) {
            if (finding.severity == watch::Severity::critical) is = "CRITICAL";
            if (finding.severity == watch::Severity::warning && is == "well") is = "WARNING";
            below +=
                fmt::format("\n{} ({}) [{}]\n    {}\n    -> {}\n", finding.what,
                            watch::to_string(finding.severity), finding.code, finding.evidence, finding.step);
        }
        rows.push_back({state.name.empty() ? "-" : state.name,
                        state.configured.empty() ? "no" : state.configured, cell(state),
                        std::string(watch::to_string(state.firewall.passage)),
                        !state.outside           ? "-"
                        : state.outside->reached ? "yes"
                                                 : "no",
                        is});
    }
    return table(rows) + reached_from(states) + not_known(states) + below;
}

json::object to_json(const watch::PortState& state) {
    json::array listens, differences;
    for (const watch::ListeningPort& one : state.listens)
        listens.push_back(
            json::object{{"address", one.socket.address.to_string()},
                         {"port", one.socket.port},
                         {"process", one.holder ? json::value(one.holder->program.c_str()) : json::value()},
                         {"pid", one.holder ? json::value(one.holder->pid) : json::value()},
                         {"of_server", one.ours ? json::value(*one.ours) : json::value()}});
    for (const watch::Finding& finding : state.differences)
        differences.push_back(json::object{{"severity", watch::to_string(finding.severity)},
                                           {"code", finding.code},
                                           {"what", finding.what},
                                           {"evidence", finding.evidence},
                                           {"step", finding.step}});
    json::value reached;
    if (state.outside)
        reached = json::object{{"reached", state.outside->reached},
                               {"from", state.outside->from},
                               {"text", state.outside->text}};
    return {
        {"listener", state.name},
        {"configured", state.configured},
        {"port", state.port},
        {"listens", std::move(listens)},
        {"firewall", {{"verdict", watch::to_string(state.firewall.passage)}, {"text", state.firewall.text}}},
        {"outside", std::move(reached)},
        {"differences", std::move(differences)}};
}

Result<int> show_ports(Program& program, const std::string& outside) {
    const auto config = program.config();
    if (!config) return config.error();
    const auto runs = server_runs(**config);
    if (!runs) return runs.error();
    watch::PortFacts facts;
    facts.configured = configured_ports(**config);
    if (!outside.empty()) {
        auto looks = looks_from_here(outside, facts.configured);
        if (!looks) return looks.error();
        facts.outside = std::move(*looks);
    }
    int server = 0;
    if (*runs) {
        const auto status = program.call("status", {});
        if (!status) return status.error();
        server = static_cast<int>(status->at("pid").to_number<std::int64_t>());
        if (outside.empty()) {
            const auto watched = program.call("watch.status", {});
            if (!watched) return watched.error();
            facts.outside = looks_of_watch(*watched);
        }
    }
    facts.listening = listening_ports(server);
    name_holders(facts.listening, facts.configured);
    // Of a server that does not run nothing is its own; one without a management socket may well run.
    if (!*runs && !(*config)->admin.socket.empty())
        for (watch::ListeningPort& one : facts.listening)
            one.ours = false;
    facts.server_runs = *runs;
    facts.firewall = doctor::firewall_facts();
    const auto states = watch::compare_ports(facts);
    json::array all;
    bool bad = false;
    for (const watch::PortState& state : states) {
        all.push_back(to_json(state));
        bad = bad || std::ranges::any_of(state.differences, [](const watch::Finding& finding) {
                  return finding.severity != watch::Severity::note;
              });
    }
    program.say(ports_text(states), json::object{{"server_runs", *runs}, {"ports", std::move(all)}});
    return bad ? exit_code::failed : exit_code::fine;
}

}  // namespace

void define_ports_command(Program& program) {
    const auto outside = std::make_shared<std::string>();
    CLI::App* command = program.command(
        program.app(), "ports",
        "Compare the ports that are configured, that are listened on, and that the firewall lets in.",
        [&program, outside] { return show_ports(program, *outside); });
    command
        ->add_option("--outside", *outside,
                     "A name or address of this server: connect to its ports from here, and say which are "
                     "reached. Without it: what the running server's watch saw last.")
        ->type_name("HOST");
    command->footer(
        "Whose process it is and the firewall are told to root alone. Exits 1 if there is a "
        "difference that is more than a note.");
}

}  // namespace pier::program
