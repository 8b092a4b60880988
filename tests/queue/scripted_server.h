// An SMTP server on loopback for tests, which behaves as it is told to. Each connection has a thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <openssl/ssl.h>

namespace pier::queue::test {

struct Behaviour {
    std::string greeting = "220 mx.example.org ready";
    std::vector<std::string> extensions = {"PIPELINING", "SIZE 10000000", "DSN"};
    // By verb ("EHLO", "MAIL", "RCPT", "DATA", "." for the end of the message, "RSET", "QUIT"), or by the
    // whole command line: what is said in place of yes.
    std::map<std::string, std::string> replies{};
    std::string cut{};            // a verb: the connection is closed when it comes; "greeting": before that
    int cut_after_messages = -1;  // closed when so many were taken, at the next command
    std::string certificate{}, key{};  // files; empty: no STARTTLS
    enum class Handshake { good, garbage, closed } handshake = Handshake::good;
    bool implicit_tls = false;
};

struct Seen {
    std::vector<std::string> commands;  // of all connections, in order
    std::vector<std::string> messages;  // as they came, without stuffing
    std::vector<bool> in_tls;           // of each message
    int connections = 0;
};

class ScriptedServer {
  public:
    // On `address`, at `port` or any that is free.
    explicit ScriptedServer(Behaviour behaviour, const std::string& address = "127.0.0.1",
                            std::uint16_t port = 0);
    ~ScriptedServer();
    std::uint16_t port() const { return port_; }
    Seen seen();

  private:
    struct Stream;
    void listen();
    void serve(int fd);
    bool answer(Stream& stream, const std::string& command, int& taken);
    std::string reply_to(const std::string& command, const std::string& verb, const std::string& yes) const;

    const Behaviour behaviour_;
    SSL_CTX* context_ = nullptr;
    int listen_fd_ = -1;
    std::uint16_t port_ = 0;
    std::mutex mutex_;
    Seen seen_;
    std::vector<int> fds_;
    std::atomic<bool> ending_ = false;
    std::vector<std::thread> threads_;
    std::thread listener_;
};

}  // namespace pier::queue::test
