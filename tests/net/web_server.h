// A web server on loopback for tests, for one exchange.
#pragma once

#include <cstdlib>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/certificate.h"

namespace pier::test {

// A web server that takes one connection, reads one request, says what it was given, and closes.
class WebServer {
  public:
    enum class End { clean, cut_off, never };

    WebServer(const CertificateFiles* files, std::string reply, End end = End::clean)
        : reply_(std::move(reply)), end_(end), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::listen(listener_, 1) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            std::abort();
        port_ = ntohs(address.sin_port);
        if (files != nullptr) {
            context_ = SSL_CTX_new(TLS_server_method());
            SSL_CTX_use_certificate_file(context_, files->certificate.c_str(), SSL_FILETYPE_PEM);
            SSL_CTX_use_PrivateKey_file(context_, files->key.c_str(), SSL_FILETYPE_PEM);
        }
        thread_ = std::thread([this] { serve(); });
    }

    ~WebServer() {
        ::shutdown(listener_, SHUT_RDWR);  // for a client that never came
        thread_.join();
        ::close(listener_);
        SSL_CTX_free(context_);
    }

    std::string url(const std::string& path = "/", const std::string& host = "localhost") const {
        return (context_ != nullptr ? "https://" : "http://") + host + ":" + std::to_string(port_) + path;
    }

    // After the client's call has returned.
    const std::string& request() {
        if (thread_.joinable()) thread_.join();
        thread_ = std::thread([] {});
        return request_;
    }
    const std::string& server_name() const { return server_name_; }

  private:
    void serve() {
        const int fd = ::accept(listener_, nullptr, nullptr);
        if (fd < 0) return;
        SSL* ssl = context_ != nullptr ? SSL_new(context_) : nullptr;
        if (ssl != nullptr) {
            SSL_set_fd(ssl, fd);
            if (SSL_accept(ssl) == 1) converse(fd, ssl);
            SSL_free(ssl);
        } else {
            converse(fd, nullptr);
        }
        ::close(fd);
    }

    void converse(int fd, SSL* ssl) {
        if (ssl != nullptr) {
            const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
            server_name_ = name != nullptr ? name : "";
        }
        char octets[4096];
        const auto read = [&] {
            return ssl != nullptr ? SSL_read(ssl, octets, sizeof octets)
                                  : static_cast<int>(::recv(fd, octets, sizeof octets, 0));
        };
        while (!is_whole(request_)) {
            const int got = read();
            if (got <= 0) return;
            request_.append(octets, static_cast<std::size_t>(got));
        }
        if (end_ == End::never) {
            while (read() > 0) {
            }
            return;
        }
        if (ssl == nullptr) {
            ::send(fd, reply_.data(), reply_.size(), MSG_NOSIGNAL);
            return;
        }
        SSL_write(ssl, reply_.data(), static_cast<int>(reply_.size()));
        if (end_ == End::clean) SSL_shutdown(ssl);
    }

    static bool is_whole(const std::string& text) {
        const std::size_t end = text.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        const std::size_t length = text.find("Content-Length: ");
        if (length == std::string::npos) return true;
        return text.size() - end - 4 >= std::stoul(text.substr(length + 16));
    }

    const std::string reply_;
    const End end_;
    const int listener_;
    int port_ = 0;
    SSL_CTX* context_ = nullptr;
    std::string request_, server_name_;
    std::thread thread_;
};

}  // namespace pier::test
