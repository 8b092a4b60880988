#include "queue/scripted_server.h"

#include <algorithm>
#include <csignal>
#include <optional>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/ascii.h"

namespace pier::queue::test {

// One connection's octets, in clear or TLS; it blocks.
struct ScriptedServer::Stream {
    int fd;
    SSL* ssl = nullptr;
    std::string in;
    ~Stream() { SSL_free(ssl); }

    bool more() {
        char block[65536];
        const auto count = ssl ? static_cast<ssize_t>(SSL_read(ssl, block, sizeof block))
                               : ::recv(fd, block, sizeof block, 0);
        if (count <= 0) return false;
        in.append(block, static_cast<std::size_t>(count));
        return true;
    }
    std::optional<std::string> line() {
        std::size_t end = 0;
        while ((end = in.find("\r\n")) == std::string::npos)
            if (!more()) return std::nullopt;
        std::string text = in.substr(0, end);
        in.erase(0, end + 2);
        return text;
    }
    std::optional<std::string> message() {
        std::string text;
        for (;;) {
            auto next = line();
            if (!next) return std::nullopt;
            if (*next == ".") return text;
            text += (next->starts_with('.') ? next->substr(1) : *next) + "\r\n";
        }
    }
    void say(const std::string& text) {
        const std::string octets = text + "\r\n";
        if (ssl)
            SSL_write(ssl, octets.data(), static_cast<int>(octets.size()));
        else
            ::send(fd, octets.data(), octets.size(), MSG_NOSIGNAL);
    }
    bool handshake(SSL_CTX* context) {
        ssl = SSL_new(context);
        SSL_set_fd(ssl, fd);
        return SSL_accept(ssl) == 1;
    }
};

ScriptedServer::ScriptedServer(Behaviour behaviour, const std::string& address, std::uint16_t port)
    : behaviour_(std::move(behaviour)) {
    std::signal(SIGPIPE, SIG_IGN);  // a connection that is gone is an error of its own
    if (!behaviour_.certificate.empty()) {
        context_ = SSL_CTX_new(TLS_server_method());
        EXPECT_EQ(SSL_CTX_use_certificate_chain_file(context_, behaviour_.certificate.c_str()), 1);
        EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context_, behaviour_.key.c_str(), SSL_FILETYPE_PEM), 1);
    }
    listen_fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    ::setsockopt(listen_fd_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &place.sin_addr);
    socklen_t size = sizeof place;
    EXPECT_EQ(::bind(listen_fd_, reinterpret_cast<sockaddr*>(&place), size), 0) << address << ":" << port;
    EXPECT_EQ(::listen(listen_fd_, 16), 0);
    EXPECT_EQ(::getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&place), &size), 0);
    port_ = ntohs(place.sin_port);
    listener_ = std::thread([this] { listen(); });
}

ScriptedServer::~ScriptedServer() {
    ending_ = true;
    ::shutdown(listen_fd_, SHUT_RDWR);
    listener_.join();
    {
        const std::lock_guard lock(mutex_);
        for (const int fd : fds_)
            ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_)
        thread.join();
    for (const int fd : fds_)
        ::close(fd);
    ::close(listen_fd_);
    SSL_CTX_free(context_);
}

Seen ScriptedServer::seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
}

void ScriptedServer::listen() {
    for (;;) {
        const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0 || ending_) {
            if (fd >= 0) ::close(fd);
            return;
        }
        const std::lock_guard lock(mutex_);
        ++seen_.connections;
        fds_.push_back(fd);
        threads_.emplace_back([this, fd] { serve(fd); });
    }
}

std::string ScriptedServer::reply_to(const std::string& command, const std::string& verb,
                                     const std::string& yes) const {
    for (const std::string& key : {command, verb})
        if (const auto found = behaviour_.replies.find(key); found != behaviour_.replies.end())
            return found->second;
    return yes;
}

void ScriptedServer::serve(int fd) {
    Stream stream{fd, nullptr, {}};
    int taken = 0;
    const bool greeted =
        behaviour_.cut != "greeting" && (!behaviour_.implicit_tls || stream.handshake(context_));
    if (greeted) {
        stream.say(behaviour_.greeting);
        while (auto command = stream.line()) {
            {
                const std::lock_guard lock(mutex_);
                seen_.commands.push_back(*command);
            }
            if (!answer(stream, *command, taken)) break;
        }
    }
    ::shutdown(fd, SHUT_RDWR);
}

// False: the connection is closed.
bool ScriptedServer::answer(Stream& stream, const std::string& command, int& taken) {
    const std::string verb = wire::ascii_upper(command.substr(0, 4));
    if (verb == behaviour_.cut || taken == behaviour_.cut_after_messages) return false;
    if (verb == "EHLO") {
        std::vector<std::string> lines = {"mx.example.org"};
        lines.insert(lines.end(), behaviour_.extensions.begin(), behaviour_.extensions.end());
        if (context_ != nullptr && stream.ssl == nullptr) lines.push_back("STARTTLS");
        std::string text;
        for (std::size_t i = 0; i < lines.size(); ++i)
            text += (i == 0 ? "250" : "\r\n250") + std::string(i + 1 == lines.size() ? " " : "-") + lines[i];
        stream.say(reply_to(command, verb, text));
    } else if (verb == "STAR") {
        stream.say(reply_to(command, verb, "220 go"));
        if (behaviour_.handshake == Behaviour::Handshake::closed) return false;
        if (behaviour_.handshake == Behaviour::Handshake::garbage) {
            stream.say("this is no TLS at all");
            return false;
        }
        return stream.handshake(context_);
    } else if (verb == "DATA") {
        const std::string reply = reply_to(command, verb, "354 go on");
        stream.say(reply);
        if (!reply.starts_with("354")) return true;
        auto message = stream.message();
        if (!message || behaviour_.cut == ".") return false;
        {
            const std::lock_guard lock(mutex_);
            seen_.messages.push_back(std::move(*message));
            seen_.in_tls.push_back(stream.ssl != nullptr);
        }
        ++taken;
        stream.say(reply_to(".", ".", "250 2.0.0 taken"));
    } else if (verb == "AUTH") {
        stream.say(reply_to(command, verb, "235 2.7.0 welcome"));
    } else {
        const std::string reply = reply_to(command, verb, verb == "QUIT" ? "221 bye" : "250 2.1.0 ok");
        stream.say(reply);
        return verb != "QUIT" && !reply.starts_with("421");
    }
    return true;
}

}  // namespace pier::queue::test
