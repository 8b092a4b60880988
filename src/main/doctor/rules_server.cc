// What the running server says of itself, and what it knows of an account and a client.
#include <fmt/format.h>

#include "main/doctor/rules.h"
#include "main/quantity.h"

namespace pier::program::doctor {
namespace {

namespace json = boost::json;

constexpr std::uint64_t logins_waiting_max = 10;
constexpr std::size_t lines_told = 3, line_octets_told = 200;

std::uint64_t number(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr) return 0;
    boost::system::error_code error;
    const auto out = value->to_number<std::uint64_t>(error);
    return error ? 0 : out;
}

bool flag(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_bool() && value->as_bool();
}

std::string text(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

const json::object& part(const json::object& object, std::string_view key) {
    static const json::object none;
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_object() ? value->as_object() : none;
}

void judge_limits(Judgement& findings, const json::object& status) {
    if (flag(part(status, "drain"), "draining"))
        findings.add(Severity::critical, "draining", "The server is draining: it takes no new connections",
                     fmt::format("{} connections are left", number(part(status, "drain"), "connections")),
                     "pier drain --end");
    for (const auto& [name, value] : part(status, "limits")) {
        if (!value.is_object()) continue;
        const json::object& one = value.as_object();
        const std::uint64_t limit = number(one, "limit"), now = number(one, "now"),
                            reached = number(one, "reached");
        const std::string key(name);
        if (key == "auth.waiting_max" && now >= logins_waiting_max)
            findings.add(
                Severity::warning, "logins_wait", "Logins wait for one another to be checked",
                fmt::format("{} passwords wait", now),
                "raise auth.threads, then: systemctl restart pier; pier guard list shows who guesses");
        if (key == "limits.connections_max" && limit > 0 && now >= limit)
            findings.add(
                Severity::critical, "connections_full",
                "As many connections are open as limits.connections_max allows: new ones are refused",
                fmt::format("{} of {}", now, limit),
                fmt::format("raise limits.connections_max, then: {}", restart_step));
        else if (reached > 0)
            findings.add(Severity::warning, "limit_reached",
                         fmt::format("The limit {} was reached: somebody was turned away", key),
                         fmt::format("{} times since the start; it is {}", reached, limit),
                         fmt::format("raise {} if they were no attackers, then: {}", key, restart_step));
    }
}

void judge_back_ends(Judgement& findings, const json::object& status) {
    if (const json::value* all = status.if_contains("backends"); all != nullptr && all->is_array())
        for (const json::value& value : all->as_array()) {
            if (!value.is_object()) continue;
            const json::object& one = value.as_object();
            const std::string name = text(one, "name");
            if (!flag(one, "worker"))
                findings.add(Severity::critical, "backend_down",
                             fmt::format("The process of the back end {} is not there", name),
                             fmt::format("it was started anew {} times", number(one, "restarts")),
                             "pier log tail shows why it ends");
            else if (number(one, "outages") > 0)
                findings.add(
                    Severity::warning, "backend_down",
                    fmt::format("The back end {} could not be asked", name),
                    fmt::format("{} times since the start: these logins were told to come again",
                                number(one, "outages")),
                    "pier log tail shows why (backend.outage); bring up the file or server that it asks");
        }
    const json::object& oauth = part(status, "oauth");
    if (number(oauth, "outages") > 0)
        findings.add(Severity::warning, "issuer_down", "The issuer of tokens could not be asked",
                     fmt::format("{} times since the start", number(oauth, "outages")),
                     "pier log tail shows why");
}

void judge_tls(Judgement& findings, const json::object& status) {
    const json::object& tls = part(status, "tls");
    if (flag(tls, "self_signed"))
        findings.add(Severity::critical, "certificate_stand_in",
                     "There is no certificate yet: a self-signed one stands in, and clients warn",
                     text(tls, "certificate"),
                     "pier acme status shows why the authority has given none; pier acme renew tries again");
    const json::object& acme = part(status, "acme");
    if (number(acme, "failures") > 0)
        findings.add(Severity::warning, "renewal_fails", "The certificate could not be renewed",
                     fmt::format("{} times: {}", number(acme, "failures"), text(acme, "failure")),
                     "remove the cause that the authority names, then: pier acme renew");
}

bool is_of(const std::string& line, std::string_view event) {
    return line.find(fmt::format("event={} ", event)) != std::string::npos ||
           line.find(fmt::format("\"event\":\"{}\"", event)) != std::string::npos;
}

void judge_log(Judgement& findings, const std::vector<std::string>& errors) {
    std::vector<std::string> others;
    std::string reload;
    for (const std::string& line : errors) {
        if (is_of(line, "tls.reload.failed"))
            reload = line;
        else
            others.push_back(line.substr(0, line_octets_told));
    }
    if (!reload.empty())
        findings.add(Severity::critical, "certificate_not_taken_up",
                     "A changed certificate was not taken up: clients still get the one from before",
                     reload.substr(0, line_octets_told),
                     "pier check says what is wrong with it; then: pier reload");
    if (others.empty()) return;
    const std::size_t first = others.size() - std::min(others.size(), lines_told);
    findings.add(
        Severity::warning, "log_errors", fmt::format("The server has logged {} errors", others.size()),
        fmt::format("{}", fmt::join(others.begin() + static_cast<std::ptrdiff_t>(first), others.end(), "\n")),
        "pier log tail -n 1000 | grep level=error; each line has a hint");
}

}  // namespace

void judge_server(Judgement& findings, const Facts& facts, const Thresholds& thresholds) {
    if (!facts.server) return;
    const ServerFacts& server = *facts.server;
    if (!server.has_socket)
        return findings.add(Severity::note, "no_management",
                            "The server cannot be asked: it has no management socket",
                            "admin.socket is empty", fmt::format("set admin.socket, then: {}", restart_step));
    if (!server.closed.empty())
        return findings.add(Severity::critical, "management_closed",
                            "The management socket is there and cannot be used",
                            fmt::format("{}: {}", server.socket, server.closed),
                            "ask as root or as the user of server.user: sudo pier doctor");
    if (!server.runs)
        return findings.add(Severity::critical, "server_down", "The server is not running",
                            fmt::format("nobody answers at {}", server.socket),
                            "systemctl start pier; if it ends at once: journalctl -u pier -n 50");
    judge_limits(findings, server.status);
    judge_back_ends(findings, server.status);
    judge_tls(findings, server.status);
    judge_log(findings, server.errors);
    if (server.sync_time && *server.sync_time >= thresholds.sync_max)
        findings.add(Severity::warning, "slow_disk", "The disk is slow: mail and removals wait for it",
                     fmt::format("a sync took {} ms on average", server.sync_time->count()),
                     "iostat -x 1 shows who else writes; put server.data_folder on a faster disk");
    for (const std::string& damage : server.damaged)
        findings.add(Severity::critical, "store_damaged", "A message is damaged on the disk", damage,
                     "smartctl -a and the kernel's log (dmesg) tell of the disk; restore the data folder "
                     "from a backup");
}

void judge_account(Judgement& findings, const Facts& facts) {
    if (!facts.server) return;
    const json::object& guard = facts.server->guard_explained;
    if (!guard.empty() && !flag(guard, "connects"))
        findings.add(Severity::critical, "guard_blocks",
                     fmt::format("The guard closes every connection from {} at once", facts.about.client),
                     "wrong passwords or scans came from there: pier guard explain " + facts.about.client,
                     fmt::format("pier guard unblock {}", facts.about.client));
    for (const json::value& value : facts.server->guard_blocks) {
        const json::object& block = value.as_object();
        const std::string account = text(block, "account");
        if (facts.about.account.empty() || account != facts.about.account) continue;
        findings.add(Severity::critical, "guard_blocks",
                     fmt::format("The guard refuses logins of {}", account),
                     fmt::format("{} until {}: {}", text(block, "address"), text(block, "until"),
                                 text(block, "reason")),
                     fmt::format("pier guard unblock --account {}", account));
    }
    const json::object& account = facts.server->account;
    if (account.empty()) return;
    const std::string name = text(account, "name");
    if (text(account, "missing") == "yes")
        return findings.add(
            Severity::critical, "account_unknown", fmt::format("There is no account {}", name),
            "neither here nor (so far) from a back end", fmt::format("pier account add {}", name));
    if (flag(account, "disabled"))
        findings.add(Severity::critical, "account_disabled", fmt::format("The account {} is disabled", name),
                     text(account, "disabled_text"), fmt::format("pier account enable {}", name));
    if (flag(account, "app_passwords_only") || flag(account, "second_factor"))
        findings.add(
            Severity::warning, "app_password_needed",
            fmt::format("{} has to log in with an app password", name),
            flag(account, "second_factor") ? "it has a second factor" : "it takes app passwords only",
            fmt::format("pier account app-password add {} NAME", name));
    const std::uint64_t quota = number(account, "quota_octets"), used = number(account, "octets");
    if (quota > 0 && used >= quota)
        findings.add(Severity::critical, "account_full",
                     fmt::format("The mailbox of {} is full: its mail is refused", name),
                     fmt::format("{} of {}", about_octets(used), about_octets(quota)),
                     fmt::format("pier account change {} --quota SIZE", name));
}

}  // namespace pier::program::doctor
