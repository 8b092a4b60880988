// A web server on loopback for tests: takes any number of requests, one a connection, and answers each with
// the next of its statuses (the last of them from then on), or with silence.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pier::test {

struct WebRequest {
    std::string head, body;  // the head with its empty line

    // The value of a header field, by its exact name.
    std::string field(const std::string& name) const {
        const std::size_t at = head.find("\r\n" + name + ": ");
        if (at == std::string::npos) return {};
        const std::size_t begin = at + name.size() + 4;
        return head.substr(begin, head.find("\r\n", begin) - begin);
    }
};

class WebReceiver {
  public:
    static constexpr unsigned silence = 0;  // the connection is kept, and nothing is said

    explicit WebReceiver(std::vector<unsigned> statuses)
        : statuses_(std::move(statuses)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::listen(listener_, 16) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            std::abort();
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { accept_all(); });
    }

    ~WebReceiver() {
        ::shutdown(listener_, SHUT_RDWR);
        {
            const std::lock_guard lock(mutex_);
            for (const int fd : kept_)
                ::shutdown(fd, SHUT_RDWR);
        }
        thread_.join();
        for (const int fd : kept_)
            ::close(fd);
        ::close(listener_);
    }

    std::string url(const std::string& path = "/") const {
        return "http://127.0.0.1:" + std::to_string(port_) + path;
    }

    // Once there are so many; fewer after a time in which there should have been.
    std::vector<WebRequest> requests(std::size_t count) {
        std::unique_lock lock(mutex_);
        came_.wait_for(lock, std::chrono::seconds(20), [&] { return requests_.size() >= count; });
        return requests_;
    }

  private:
    void accept_all() {
        for (int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); fd >= 0;
             fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC))
            take(fd);
    }

    void take(int fd) {
        std::string text;
        char block[65536];
        std::size_t end = std::string::npos;
        WebRequest request;
        for (;;) {
            end = text.find("\r\n\r\n");
            if (end != std::string::npos) {
                request.head = text.substr(0, end + 4);
                if (text.size() >= end + 4 + std::stoul("0" + request.field("Content-Length"))) break;
            }
            const ssize_t got = ::recv(fd, block, sizeof block, 0);
            if (got <= 0) {
                ::close(fd);
                return;
            }
            text.append(block, static_cast<std::size_t>(got));
        }
        request.body = text.substr(end + 4);
        const std::lock_guard lock(mutex_);
        const unsigned status = statuses_[std::min(requests_.size(), statuses_.size() - 1)];
        requests_.push_back(std::move(request));
        came_.notify_all();
        if (status == silence) {
            kept_.push_back(fd);
            return;
        }
        // As some do: what was asked is repeated.
        const std::string page = "Cannot POST " + requests_.back().head.substr(0, 200);
        const std::string reply = "HTTP/1.1 " + std::to_string(status) +
                                  " it\r\nContent-Length: " + std::to_string(page.size()) + "\r\n\r\n" + page;
        ::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
        ::close(fd);
    }

    const std::vector<unsigned> statuses_;
    const int listener_;
    int port_ = 0;
    std::mutex mutex_;
    std::condition_variable came_;
    std::vector<WebRequest> requests_;
    std::vector<int> kept_;
    std::thread thread_;
};

}  // namespace pier::test
