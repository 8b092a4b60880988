// What the command line says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace load {

enum class Load { session, poll, retr, drain, deliver, idle, bigbox };
enum class TlsMode { none, starttls, implicit };
enum class Login { pass, scram };

struct User {
    std::string name;
    std::string password;
};

struct Options {
    Load load{};
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    TlsMode tls = TlsMode::none;
    bool resume = false;  // offer the last TLS session of the connection again
    Login login = Login::pass;
    std::vector<User> users;  // connection i is users[i % size]
    std::uint64_t connections = 1;
    double seconds = 5;                     // no operation begins after this time …
    std::optional<std::uint64_t> count;     // … or each connection does so many
    std::uint64_t pipeline = 1;             // commands sent before their replies are read: retr, drain
    std::uint64_t message_octets = 10'000;  // deliver; 0: realistic sizes
    std::uint64_t seed = 1;                 // of the messages that deliver makes
    std::optional<pid_t> server_pid;        // whose CPU time is measured, with all its children's
    std::vector<std::string> from;          // addresses that connections come from, in turn
    bool hold = false;                      // idle: keep the connections until standard input ends
    double timeout_s = 30;                  // the longest wait for one reply
};

// Reads the command line; prints help or what is wrong and ends the process where there is nothing to run.
Options options_of(int argc, char** argv);

const char* to_string(Load load);
const char* to_string(TlsMode mode);
const char* to_string(Login login);

}  // namespace load
