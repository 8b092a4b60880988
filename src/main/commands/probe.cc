// pier probe [HOST[:PORT]...]
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <future>
#include <memory>

#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <sodium.h>

#include "main/commands/commands.h"
#include "main/probe_targets.h"
#include "main/probe_text.h"
#include "main/quantity.h"
#include "watch/nagios.h"
#include "watch/probe_json.h"
#include "watch/prober.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using watch::Probe;
using watch::Target;

constexpr const char* password_variable = "PIER_PROBE_PASSWORD";
constexpr std::size_t together_max = 16;  // probes at once

struct Arguments {
    std::vector<std::string> hosts;
    ProbeTargetWords words;
    std::string user, password_file, ca_file, source, hostname, relay_from, relay_to, canary_from, canary_to;
    std::string timeout = "10s", canary_wait = "60s", slow_warning = "3s", slow_critical = "10s";
    int days_warning = 30, days_critical = 7;
    bool nagios = false, quick = false, insecure = false, stranger = false, details = false;
    bool history = false;
    std::string since;
};

Error wrong(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

Result<watch::Milliseconds> time_of(const std::string& text, std::string_view option) {
    constexpr std::uint64_t seconds_max = 24 * 3600;
    const auto seconds = parse_duration(text);
    if (!seconds) return wrong(fmt::format("{}: {}", option, seconds.error().text));
    if (*seconds == 0 || *seconds > seconds_max) return wrong(fmt::format("{} is between 1s and 1d", option));
    return watch::Milliseconds(*seconds * 1000);
}

Result<void> read_times(const Arguments& values, watch::ProbeOptions& options, watch::CanaryOptions& canary) {
    const auto timeout = time_of(values.timeout, "--timeout");
    const auto wait = time_of(values.canary_wait, "--canary-wait");
    const auto slow = time_of(values.slow_warning, "--slow-warning");
    const auto too_slow = time_of(values.slow_critical, "--slow-critical");
    for (const auto* one : {&timeout, &wait, &slow, &too_slow}) {
        if (!*one) return one->error();
    }
    constexpr int waits = 6;  // a whole dialogue has many answers; each is mostly quick
    options.limits.wait = *timeout;
    options.limits.total = *timeout * waits;
    options.rules.phase_warning = *slow;
    options.rules.phase_critical = *too_slow;
    options.rules.certificate_days_warning = values.days_warning;
    options.rules.certificate_days_critical = values.days_critical;
    options.rules.stranger = values.stranger;
    canary.wait = *wait;
    return {};
}

Result<void> read_login(Program& program, const Arguments& values, watch::ProbeOptions& options) {
    if (values.user.empty()) {
        if (!values.password_file.empty()) return wrong("--password-file goes with --user");
        return {};
    }
    const char* variable = std::getenv(password_variable);
    if (values.nagios && values.password_file.empty() && !variable)
        return wrong("--nagios asks nobody; give --password-file with --user");
    auto secret = !values.password_file.empty() ? read_secret_file(program.terminal(), values.password_file)
                  : variable                    ? Result<std::string>(variable)
                                                : ask_present_password(program.terminal(), values.user);
    if (!secret) return secret.error();
    watch::Login login;
    login.user = values.user;
    login.password = *secret;
    // "none" says plainly that there is to be no TLS.
    login.clear_allowed = values.insecure || values.words.tls == "none";
    login.untrusted_allowed = values.insecure;
    options.login = std::move(login);
    sodium_memzero(secret->data(), secret->size());
    return {};
}

Result<watch::ProbeOptions> read_options(Program& program, const Arguments& values,
                                         watch::CanaryOptions& canary) {
    watch::ProbeOptions options;
    if (auto read = read_times(values, options, canary); !read) return read.error();
    if (!values.source.empty()) {
        boost::system::error_code error;
        options.limits.source = boost::asio::ip::make_address(values.source, error);
        if (error)
            return wrong(
                fmt::format("--source takes an IP address of this machine, not \"{}\"", values.source));
    }
    options.thorough = !values.quick;
    if (!values.hostname.empty()) options.hostname = values.hostname;
    if (!values.relay_from.empty()) options.relay_from = values.relay_from;
    if (!values.relay_to.empty()) options.relay_to = values.relay_to;
    canary.from = values.canary_from;
    canary.to = values.canary_to;
    if (auto read = read_login(program, values, options); !read) return read.error();
    return options;
}

Result<std::vector<ProbeTarget>> find_targets(Program& program, const Arguments& values) {
    std::vector<ProbeTarget> targets;
    for (const std::string& host : values.hosts) {
        auto some = parse_probe_target(host, values.words);
        if (!some) return some.error();
        targets.insert(targets.end(), some->begin(), some->end());
    }
    if (!values.hosts.empty()) return targets;
    const auto config = program.config();
    if (!config) return config.error();
    targets = own_listeners(**config, values.words);
    if (targets.empty()) return wrong("the configuration has no listener to probe; name a host");
    return targets;
}

std::vector<Probe> probe_all(const std::vector<ProbeTarget>& targets, const watch::TlsTrust& trust,
                             const watch::ProbeOptions& options) {
    std::vector<Probe> probes;
    for (std::size_t begin = 0; begin < targets.size(); begin += together_max) {
        std::vector<std::future<Probe>> running;
        for (std::size_t i = begin; i < std::min(begin + together_max, targets.size()); ++i)
            running.push_back(std::async(std::launch::async,
                                         [&, i] { return watch::probe(targets[i].target, trust, options); }));
        for (auto& one : running)
            probes.push_back(one.get());
    }
    return probes;
}

struct Outcome {
    std::vector<Probe> probes;
    std::vector<Target> closed;
    std::vector<watch::Canary> canaries;
};

// A port that nobody asked for by number may be closed, as long as the host has another.
void set_closed_apart(Outcome& outcome, const std::vector<ProbeTarget>& targets) {
    const auto is_open = [](const Probe& one) { return one.reachable(); };
    if (std::ranges::none_of(outcome.probes, is_open)) return;
    std::vector<Probe> kept;
    for (std::size_t i = 0; i < outcome.probes.size(); ++i) {
        Probe& one = outcome.probes[i];
        const bool closed = targets[i].may_be_closed && one.failure && one.failure->phase == "connect";
        if (closed)
            outcome.closed.push_back(one.target);
        else
            kept.push_back(std::move(one));
    }
    outcome.probes = std::move(kept);
}

// The first port that takes mail, and the first that gives it out.
Result<void> fly(const watch::TlsTrust& trust, const watch::CanaryOptions& canary,
                 const watch::ProbeOptions& options, Outcome& outcome) {
    const Target* sender = nullptr;
    const Target* fetcher = nullptr;
    for (const Probe& one : outcome.probes) {
        const auto protocol = one.target.protocol;
        if (protocol == watch::Protocol::pop3 && !fetcher) fetcher = &one.target;
        if (protocol != watch::Protocol::pop3 && protocol != watch::Protocol::imap && !sender)
            sender = &one.target;
    }
    if (!sender || !fetcher)
        return wrong(
            "a canary needs a port that takes mail (SMTP, submission or LMTP) and one of POP3 among the "
            "targets");
    outcome.canaries.push_back(watch::fly_canary(*sender, *fetcher, trust, canary, options));
    return {};
}

Result<Outcome> look(Program& program, const Arguments& values, watch::Rules& rules) {
    const bool with_canary = !values.canary_to.empty();
    if (with_canary && (values.canary_from.empty() || values.user.empty()))
        return wrong(
            "--canary-to goes with --canary-from, and with --user and --password-file of its mailbox");
    watch::CanaryOptions canary;
    const auto targets = find_targets(program, values);
    if (!targets) return targets.error();
    const auto options = read_options(program, values, canary);
    if (!options) return options.error();
    const auto trust = watch::TlsTrust::load(values.ca_file);
    if (!trust) return trust.error();
    rules = options->rules;
    Outcome outcome;
    outcome.probes = probe_all(*targets, *trust, *options);
    set_closed_apart(outcome, *targets);
    if (!with_canary) return outcome;
    if (auto flown = fly(*trust, canary, *options, outcome); !flown) return flown.error();
    return outcome;
}

json::object to_json(const Outcome& outcome) {
    json::array probes, closed, canaries;
    for (const Probe& one : outcome.probes)
        probes.push_back(watch::to_json(one));
    for (const Target& one : outcome.closed)
        closed.push_back(json::value(one.text()));
    for (const watch::Canary& one : outcome.canaries)
        canaries.push_back(watch::to_json(one));
    return {{"probes", std::move(probes)}, {"closed", std::move(closed)}, {"canaries", std::move(canaries)}};
}

int exit_code_of(const Outcome& outcome) {
    const auto bad = [](const auto& one) {
        const auto worst = one.worst();
        return worst && *worst != watch::Severity::note;
    };
    const bool any = std::ranges::any_of(outcome.probes, bad) || std::ranges::any_of(outcome.canaries, bad);
    return any ? exit_code::failed : exit_code::fine;
}

Result<int> run(Program& program, const Arguments& values) {
    if (values.history)
        return show_history(program, values.hosts, values.since.empty() ? "1d" : values.since);
    if (!values.since.empty()) return wrong("--since goes with --history");
    // OpenSSL writes to sockets that the server may just have closed, and a write to a closed one kills.
    std::signal(SIGPIPE, SIG_IGN);
    watch::Rules rules;
    const auto outcome = look(program, values, rules);
    if (values.nagios) {
        const auto answer = outcome ? watch::nagios_answer(outcome->probes, outcome->canaries, rules)
                                    : watch::nagios_unknown(outcome.error().text);
        program.terminal().out << answer.line << '\n';
        return answer.exit_code;
    }
    if (!outcome) return outcome.error();
    program.say(probe_text(outcome->probes, outcome->closed, outcome->canaries, values.details),
                to_json(*outcome));
    return exit_code_of(*outcome);
}

void define_target_options(CLI::App& command, Arguments& values) {
    command
        .add_option(
            "HOST", values.hosts,
            "HOST, HOST:PORT or [IPv6]:PORT. Without a port: the seven mail ports, or those of --protocol. "
            "Without any: the listeners of this machine's own configuration.")
        ->type_name("");
    allow_words(*option(command, "--protocol", values.words.protocol, "",
                        "What the port speaks, if its number does not say."),
                {"pop3", "imap", "smtp", "submission", "lmtp"});
    allow_words(
        *option(command, "--tls", values.words.tls, "", "How TLS begins, if the port's number does not say."),
        {"starttls", "implicit", "none"});
    option(command, "--name", values.words.name, "NAME",
           "The name that the certificate must be for, in place of HOST.");
    option(command, "--ca-file", values.ca_file, "FILE",
           "Trust the authorities in this file and not the system's.");
    option(command, "--source", values.source, "ADDRESS", "Come from this address of this machine.");
    option(command, "--hostname", values.hostname, "NAME", "This machine's name, as EHLO tells it.");
    command.add_flag("--stranger", values.stranger,
                     "Judge as if from outside, although the server is on this machine or in its network.");
    command.add_flag("--quick", values.quick,
                     "One connection only: leave out old TLS, weak ciphers, ALPN and injected commands.");
}

void define_login_options(CLI::App& command, Arguments& values) {
    option(command, "--user", values.user, "NAME", "Log in: counts the messages and reads the newest.");
    option(command, "--password-file", values.password_file, "FILE",
           "Take the password from the first line of a file; - is standard input.");
    command.add_flag("--insecure", values.insecure,
                     "Send the password also without TLS, or to a server whose certificate is not trusted.");
    option(command, "--relay-from", values.relay_from, "ADDRESS",
           "The foreign sender that relaying is tried with.");
    option(command, "--relay-to", values.relay_to, "ADDRESS",
           "The foreign recipient that relaying is tried with.");
    option(command, "--canary-to", values.canary_to, "ADDRESS",
           "Send a mail there by the first target that takes mail, fetch it by the first of POP3 as --user, "
           "compare "
           "it and delete it.");
    option(command, "--canary-from", values.canary_from, "ADDRESS", "The canary's sender.");
    option(command, "--canary-wait", values.canary_wait, "TIME", "How long the canary may take.")
        ->capture_default_str();
}

void define_history_options(CLI::App& command, Arguments& values) {
    command.add_flag("--history", values.history,
                     "Do not look; show what the server has measured of HOST, of \"server\", or of all.");
    option(command, "--since", values.since, "TIME", "With --history: from how long ago on; 1d by default.");
}

void define_judging_options(CLI::App& command, Arguments& values) {
    option(command, "--timeout", values.timeout, "TIME", "How long to wait for each answer.")
        ->capture_default_str();
    option(command, "--slow-warning", values.slow_warning, "TIME", "From when on a phase is slow.")
        ->capture_default_str();
    option(command, "--slow-critical", values.slow_critical, "TIME", "From when on it is far too slow.")
        ->capture_default_str();
    command
        .add_option("--days-warning", values.days_warning,
                    "With how many days left a certificate is to be renewed.")
        ->type_name("DAYS")
        ->check(CLI::Range(0, 3650))
        ->capture_default_str();
    command.add_option("--days-critical", values.days_critical, "With how many days left that is urgent.")
        ->type_name("DAYS")
        ->check(CLI::Range(0, 3650))
        ->capture_default_str();
    command.add_flag("--details", values.details,
                     "Tell all of each port, also when nothing is wrong with it.");
    command.add_flag("--nagios", values.nagios,
                     "Answer as a monitoring plug-in: one line with performance data; exits 0, 1, 2 or 3.");
}

}  // namespace

void define_probe_command(Program& program) {
    const auto values = std::make_shared<Arguments>();
    CLI::App* command =
        program.command(program.app(), "probe", "Look at mail ports from outside, this server's or any.",
                        [&program, values] { return run(program, *values); });
    define_target_options(*command, *values);
    define_login_options(*command, *values);
    define_judging_options(*command, *values);
    define_history_options(*command, *values);
    command->footer(
        "Exits 0 if there is no finding but notes, else 1. The password is asked for, or taken from the "
        "environment "
        "variable PIER_PROBE_PASSWORD, if there is no --password-file.");
}

}  // namespace pier::program
