// A client of a test that knows nothing of HTTP: what a server answers to octets, whatever they are.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pier::test {

// All that it says until it hangs up, to these pieces, each sent by itself.
inline std::string http_answer(std::uint16_t port, const std::vector<std::string>& pieces) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    for (const std::string& piece : pieces)
        (void)::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
    std::string all;
    std::array<char, 4096> octets;
    for (ssize_t got = 0; (got = ::recv(fd, octets.data(), octets.size(), 0)) > 0;)
        all.append(octets.data(), static_cast<std::size_t>(got));
    ::close(fd);
    return all;
}

// The first line of the answer.
inline std::string http_status(std::uint16_t port, const std::string& request) {
    const std::string all = http_answer(port, {request});
    return all.substr(0, all.find("\r\n"));
}

}  // namespace pier::test
