#include "load/options.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>

#include "load/message.h"

namespace load {
namespace {

const std::map<std::string, Load> loads{
    {"session", Load::session}, {"poll", Load::poll}, {"retr", Load::retr},    {"drain", Load::drain},
    {"deliver", Load::deliver}, {"idle", Load::idle}, {"bigbox", Load::bigbox}};
const std::map<std::string, TlsMode> tls_modes{
    {"none", TlsMode::none}, {"starttls", TlsMode::starttls}, {"implicit", TlsMode::implicit}};
const std::map<std::string, Login> logins{{"pass", Login::pass}, {"scram", Login::scram}};

template <class T>
const char* name_in(const std::map<std::string, T>& names, T value) {
    for (const auto& [name, known] : names) {
        if (known == value) return name.c_str();
    }
    return "?";
}

std::vector<User> users_in(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw CLI::ValidationError("--users", "cannot read " + path);
    std::vector<User> users;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        User user;
        if (words >> user.name >> user.password) users.push_back(user);
    }
    if (users.empty())
        throw CLI::ValidationError("--users", path + " names nobody: one \"name password\" a line");
    return users;
}

void check(const Options& options) {
    if (options.users.empty())
        throw CLI::ValidationError("--user or --users", "who logs in, or gets the mail?");
    if (options.load == Load::drain && options.users.size() < options.connections) {
        throw CLI::ValidationError("--users",
                                   "drain empties each maildrop once: it needs a user for each connection");
    }
    if (options.message_octets == 0 && !options.count) {
        throw CLI::ValidationError("--message-octets realistic",
                                   "needs --count: the sizes are spread over that many messages");
    }
    if (options.message_octets != 0 && options.message_octets < message_octets_min) {
        throw CLI::ValidationError(
            "--message-octets",
            "must be at least " + std::to_string(message_octets_min) + ", for the header");
    }
    if (options.resume && options.tls == TlsMode::none) throw CLI::ValidationError("--resume", "needs --tls");
}

}  // namespace

const char* to_string(Load load) {
    return name_in(loads, load);
}
const char* to_string(TlsMode mode) {
    return name_in(tls_modes, mode);
}
const char* to_string(Login login) {
    return name_in(logins, login);
}

Options options_of(int argc, char** argv) {
    Options options;
    User user;
    std::string users_file;
    std::string message_octets = std::to_string(options.message_octets);
    CLI::App app{
        "Puts load on a POP3 or LMTP server and measures it. Everything that comes back is checked; the "
        "first "
        "thing that is wrong ends the run. One JSON object on standard output, one line for people on "
        "standard "
        "error."};
    app.add_option(
           "LOAD", options.load,
           "session: connect, log in, STAT, UIDL, QUIT; poll: the same, and the maildrop must be empty; "
           "retr: every message again and again; drain: RETR and DELE of all, QUIT; deliver: LMTP; "
           "idle: log in and wait, then NOOP; bigbox: from PASS to the end of UIDL, which comes first")
        ->required()
        ->transform(CLI::Transformer(loads));
    app.add_option("--host", options.host, "name or address");
    app.add_option("--port", options.port)->required();
    app.add_option("--tls", options.tls, "none, starttls or implicit")
        ->transform(CLI::Transformer(tls_modes));
    app.add_flag("--resume", options.resume, "resume TLS sessions; otherwise each handshake is a full one");
    app.add_option("--login", options.login, "pass: USER and PASS; scram: AUTH SCRAM-SHA-256")
        ->transform(CLI::Transformer(logins));
    app.add_option("--user", user.name, "logs in, or gets the mail");
    app.add_option("--password", user.password);
    app.add_option("--users", users_file, "a file with \"name password\" lines; connection i is line i");
    app.add_option("--connections", options.connections, "at the same time")->check(CLI::Range(1, 20'000));
    app.add_option("--seconds", options.seconds, "no operation begins later than this")
        ->check(CLI::Range(0.01, 86'400.0));
    app.add_option("--count", options.count, "operations of each connection, in place of --seconds");
    app.add_option("--pipeline", options.pipeline, "commands sent before their replies are read: retr, drain")
        ->check(CLI::Range(1, 1000));
    app.add_option("--message-octets", message_octets,
                   "deliver: a number, or realistic (median 10 KB, mean 75 KB)");
    app.add_option("--seed", options.seed, "deliver: of the messages");
    app.add_option("--server-pid", options.server_pid, "measure this process and its children");
    app.add_option(
           "--from", options.from,
           "addresses that connections come from, in turn, as in 127.0.0.2,127.0.0.3: each has its own ports")
        ->delimiter(',');
    app.add_flag("--hold", options.hold,
                 "idle: say on standard output when all are there, and keep them until standard input ends");
    app.add_option("--timeout-seconds", options.timeout_s, "the longest wait for a reply");
    try {
        app.parse(argc, argv);
        if (message_octets == "realistic") {
            options.message_octets = 0;
        } else if (!CLI::detail::lexical_cast(message_octets, options.message_octets) ||
                   options.message_octets == 0) {
            throw CLI::ValidationError("--message-octets", "a number of octets, or realistic");
        }
        if (!users_file.empty()) options.users = users_in(users_file);
        if (!user.name.empty()) options.users.push_back(user);
        check(options);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    return options;
}

}  // namespace load
