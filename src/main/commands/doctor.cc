// pier doctor [refused|no-answer|authentication|slow|security|not-arriving|login]
#include "main/commands/doctor.h"

#include <array>
#include <csignal>
#include <memory>

#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <sodium.h>

#include "main/commands/commands.h"
#include "main/doctor/diagnosis.h"
#include "main/doctor/gathering.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using doctor::Area;

struct Symptom {
    std::string_view name, help;
    std::set<Area> areas;
};

const std::vector<Symptom>& symptoms() {
    static const std::vector<Symptom> all{
        {"refused",
         "Clients say \"connection refused\", or are turned away at once.",
         {Area::listeners, Area::firewall}},
        {"no-answer",
         "Clients say \"no answer\", \"timed out\".",
         {Area::listeners, Area::firewall, Area::machine}},
        {"authentication",
         "Clients say \"authentication failed\", or ask for the password again.",
         {Area::account}},
        {"slow", "Everything takes long.", {Area::listeners, Area::machine, Area::names}},
        {"security",
         "Clients warn of the certificate, or of an insecure connection.",
         {Area::certificates, Area::listeners, Area::machine}},
        {"not-arriving",
         "Mail does not come in, or does not go out.",
         {Area::mail, Area::names, Area::machine}},
    };
    return all;
}

struct Arguments {
    std::string about, ca_file;
    ProbeTargetWords words;
};

struct LoginArguments {
    std::string user, from, protocol = "pop3", listener, password_file;
    bool ask = false, tls = false, clear = false;
};

Error wrong(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

bool is_address(const std::string& text) {
    boost::system::error_code error;
    boost::asio::ip::make_address(text, error);
    return !error;
}

// An IP address is a client's; HOST:PORT is to be looked at; else it is an account, or an address of mail.
Result<void> read_about(const Arguments& arguments, doctor::Request& request) {
    const std::string& about = arguments.about;
    if (about.empty()) return {};
    if (is_address(about)) {
        request.about.client = about;
    } else if (about.find('@') == std::string::npos && about.find(':') != std::string::npos) {
        auto targets = parse_probe_target(about, arguments.words);
        if (!targets) return targets.error();
        request.targets = std::move(*targets);
    } else {
        request.about.account = about;
    }
    return {};
}

// ---- what is printed ----

json::object to_json(const watch::Finding& finding) {
    return {{"severity", watch::to_string(finding.severity)},
            {"code", finding.code},
            {"cause", finding.what},
            {"evidence", finding.evidence},
            {"step", finding.step}};
}

void append(std::string& out, const watch::Finding& finding) {
    out += fmt::format("{:<9} {}    [{}]\n", watch::to_string(finding.severity), finding.what, finding.code);
    std::string_view rest = finding.evidence;
    for (std::string_view head = "seen"; !rest.empty(); head = "    ") {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        out += fmt::format("          {}: {}\n", head, line);
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    }
    out += fmt::format("          do:   {}\n", finding.step);
}

bool counts(const watch::Finding& finding) {
    return finding.severity != watch::Severity::note;
}

Result<int> examine(Program& program, const Arguments& arguments, const Symptom* symptom) {
    // OpenSSL writes to sockets that the server may just have closed, and a write to a closed one kills.
    std::signal(SIGPIPE, SIG_IGN);
    doctor::Request request;
    if (symptom != nullptr)
        request.areas = symptom->areas;
    else
        for (const Symptom& one : symptoms())
            request.areas.insert(one.areas.begin(), one.areas.end());
    request.ca_file = arguments.ca_file;
    if (auto read = read_about(arguments, request); !read) return read.error();
    const auto facts = doctor::gather(program.loaded(), request);
    if (!facts) return facts.error();
    const auto findings = doctor::diagnose(*facts, {});
    std::string text;
    json::array list;
    for (const watch::Finding& finding : findings) {
        append(text, finding);
        list.push_back(to_json(finding));
    }
    const bool found = std::ranges::any_of(findings, counts);
    if (!found) text += "nothing that is wrong was found\n";
    program.say(text, json::object{{"symptom", symptom != nullptr ? symptom->name : "all"},
                                   {"about", arguments.about},
                                   {"healthy", !found},
                                   {"findings", std::move(list)}});
    return found ? exit_code::failed : exit_code::fine;
}

// ---- pier doctor login ----

Result<std::optional<std::string>> read_password(Program& program, const LoginArguments& arguments) {
    using Read = std::optional<std::string>;
    if (arguments.ask && !arguments.password_file.empty())
        return wrong("--ask and --password-file exclude each other");
    if (!arguments.ask && arguments.password_file.empty()) return Read();
    auto secret = arguments.ask ? ask_present_password(program.terminal(), arguments.user)
                                : read_secret_file(program.terminal(), arguments.password_file);
    if (!secret) return secret.error();
    return Read(std::move(*secret));
}

std::string_view mark_of(std::string_view state) {
    if (state == "passes") return "ok";
    if (state == "stops") return "STOP";
    return state == "holds" ? "but" : "?";
}

// The first that stops it; absent: none does.
std::optional<watch::Finding> stopping(const std::vector<watch::Finding>& findings) {
    const auto at = std::ranges::find(findings, watch::Severity::critical, &watch::Finding::severity);
    return at == findings.end() ? std::nullopt : std::optional(*at);
}

std::string login_text(const json::object& answer, const std::vector<watch::Finding>& findings) {
    std::string out;
    if (const json::value* listener = answer.if_contains("listener"))
        out += fmt::format(
            "{} from {} by {}, listener {} ({}), {}\n\n", std::string_view(answer.at("user").as_string()),
            std::string_view(answer.at("address").as_string()),
            std::string_view(answer.at("protocol").as_string()), std::string_view(listener->as_string()),
            std::string_view(answer.at("where").as_string()),
            answer.at("tls").as_bool() ? "with TLS" : "without TLS");
    for (const json::value& one : answer.at("gates").as_array()) {
        const json::object& gate = one.as_object();
        out += fmt::format("{:<5} {:<13} {}\n", mark_of(std::string_view(gate.at("state").as_string())),
                           std::string_view(gate.at("gate").as_string()),
                           std::string_view(gate.at("text").as_string()));
        if (!gate.at("step").as_string().empty())
            out += fmt::format("{:<19} do: {}\n", "", std::string_view(gate.at("step").as_string()));
    }
    const auto stop = stopping(findings);
    out += stop ? fmt::format("\nThe login fails: {}.\n", stop->what)
                : "\nThe login succeeds, if the password is right.\n";
    return out;
}

Result<int> examine_login(Program& program, const LoginArguments& arguments) {
    const auto config = program.config();
    if (!config) return config.error();
    const auto runs = server_runs(**config);
    if (!runs) return runs.error();
    if (!*runs)
        return Error(
            ErrorKind::not_found,
            "no server is running, so every login is refused; start it with \"systemctl start pier\", and "
            "see \"pier doctor refused\"");
    if (arguments.tls && arguments.clear) return wrong("--tls and --clear exclude each other");
    auto password = read_password(program, arguments);
    if (!password) return password.error();
    json::object params{
        {"user", arguments.user}, {"address", arguments.from}, {"protocol", arguments.protocol}};
    if (!arguments.listener.empty()) params["listener"] = arguments.listener;
    if (arguments.tls || arguments.clear) params["tls"] = arguments.tls;
    if (*password) {
        params["password"] = **password;
        sodium_memzero((*password)->data(), (*password)->size());
    }
    const auto answer = program.call("doctor.login", std::move(params));
    if (!answer) return answer.error();
    json::object out = answer->as_object();
    const auto findings = doctor::login_findings(out.at("gates").as_array());
    const bool stopped = stopping(findings).has_value();
    json::array list;
    for (const watch::Finding& finding : findings)
        list.push_back(to_json(finding));
    const std::string text = login_text(out, findings);
    out["succeeds"] = !stopped;
    out["findings"] = std::move(list);
    program.say(text, out);
    return findings.empty() ? exit_code::fine : exit_code::failed;
}

using Choice = std::pair<CLI::App*, Program::Action>;

Choice define_login(Program& program, CLI::App& group) {
    const auto values = std::make_shared<LoginArguments>();
    const Program::Action action = [&program, values] { return examine_login(program, *values); };
    CLI::App* command = program.command(
        group, "login",
        "Say exactly why a login would succeed or fail: every gate, in the server's own order.", action);
    argument(*command, "USER", values->user, "As the client types it.");
    option(*command, "--from", values->from, "ADDRESS", "The client's IP address.")->required();
    allow_words(*option(*command, "--protocol", values->protocol, "", "By which protocol; pop3 by default."),
                {"pop3", "submission"});
    option(*command, "--listener", values->listener, "NAME",
           "By which listener; else the one that fits best.");
    command->add_flag("--tls", values->tls,
                      "The client uses TLS; so it is, where there is a listener with it.");
    command->add_flag("--clear", values->clear, "The client does not use TLS.");
    option(*command, "--password-file", values->password_file, "FILE",
           "Look at this password too: the first line of a file; - is standard input.");
    command->add_flag("--ask", values->ask, "Ask for the password, and look at it too.");
    command->footer(
        "The running server is asked, and decides as it would about the login; nothing is counted as a "
        "failure or "
        "logged. Exits 0 if nothing stops or delays the login, else 1.");
    return {command, action};
}

void define_options(CLI::App& command, Arguments& values) {
    option(command, "--ca-file", values.ca_file, "FILE",
           "Trust the authorities in this file and not the system's.");
    allow_words(*option(command, "--protocol", values.words.protocol, "",
                        "What the port of HOST:PORT speaks, if its number does not say."),
                {"pop3", "imap", "smtp", "submission", "lmtp"});
}

}  // namespace

void define_doctor_command(Program& program) {
    // The group is a command too, and CLI11 calls it behind its children: so it hands on to the one that was
    // chosen.
    const auto choices = std::make_shared<std::vector<Choice>>();
    const auto everything = std::make_shared<Arguments>();
    CLI::App* group = program.command(program.app(), "doctor",
                                      "Find out what is wrong with this server, and say what mends it.",
                                      [&program, choices, everything]() -> Result<int> {
                                          for (const auto& [command, action] : *choices)
                                              if (command->parsed()) return action();
                                          return examine(program, *everything, nullptr);
                                      });
    define_options(*group, *everything);
    for (const Symptom& symptom : symptoms()) {
        const auto values = std::make_shared<Arguments>();
        const Program::Action action = [&program, values, &symptom] {
            return examine(program, *values, &symptom);
        };
        CLI::App* command =
            program.command(*group, std::string(symptom.name), std::string(symptom.help), action);
        argument(*command, "ABOUT", values->about,
                 "A client's IP address, an account or an address of mail, or HOST:PORT to look at.")
            ->required(false);
        define_options(*command, *values);
        choices->emplace_back(command, action);
    }
    choices->push_back(define_login(program, *group));
    group->footer(
        "Without a symptom all is looked at. Works whether the server runs or not, and changes nothing. "
        "Exits 0 if "
        "nothing is found but notes, else 1. docs/doctor.md describes every finding.");
}

}  // namespace pier::program
