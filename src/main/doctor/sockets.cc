#include "main/doctor/sockets.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace pier::program::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view listening = "0A";

// "0100007F": groups of four octets, each in the machine's order, which is little-endian on all that Pier
// runs on.
std::optional<IpAddress> parse_address(std::string_view hex) {
    std::vector<std::uint8_t> octets;
    for (std::size_t at = 0; at + 8 <= hex.size(); at += 8) {
        std::uint32_t word = 0;
        const std::string_view group = hex.substr(at, 8);
        if (std::from_chars(group.begin(), group.end(), word, 16).ptr != group.end()) return std::nullopt;
        for (int i = 0; i < 4; ++i)
            octets.push_back(static_cast<std::uint8_t>(word >> (8 * i)));
    }
    if (octets.size() == 4) {
        boost::asio::ip::address_v4::bytes_type bytes{};
        std::ranges::copy(octets, bytes.begin());
        return IpAddress(boost::asio::ip::address_v4(bytes));
    }
    if (octets.size() != 16) return std::nullopt;
    boost::asio::ip::address_v6::bytes_type bytes{};
    std::ranges::copy(octets, bytes.begin());
    return IpAddress(boost::asio::ip::address_v6(bytes));
}

std::string first_line(const fs::path& file) {
    std::string line;
    std::ifstream in(file);
    std::getline(in, line);
    return line;
}

}  // namespace

std::vector<ListeningSocket> parse_proc_tcp(std::string_view text) {
    std::vector<ListeningSocket> out;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string number, local, remote, state, queues, timer, retransmits, user, timeout;
        ListeningSocket socket;
        if (!(words >> number >> local >> remote >> state >> queues >> timer >> retransmits >> user >>
              timeout >> socket.inode))
            continue;
        const std::size_t colon = local.find(':');
        if (state != listening || colon == std::string::npos) continue;
        const auto address = parse_address(std::string_view(local).substr(0, colon));
        const std::string_view port = std::string_view(local).substr(colon + 1);
        if (!address || std::from_chars(port.begin(), port.end(), socket.port, 16).ptr != port.end())
            continue;
        socket.address = *address;
        out.push_back(std::move(socket));
    }
    return out;
}

bool covers(const ListeningSocket& socket, const IpAddress& address) {
    return socket.address == address || socket.address.is_unspecified() || address.is_unspecified();
}

std::vector<ListeningSocket> listening_sockets() {
    std::vector<ListeningSocket> out;
    for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        std::ifstream in(file);
        std::ostringstream text;
        text << in.rdbuf();
        const auto some = parse_proc_tcp(text.str());
        out.insert(out.end(), some.begin(), some.end());
    }
    return out;
}

std::optional<Holder> holder_of(std::uint64_t inode) {
    const std::string wanted = fmt::format("socket:[{}]", inode);
    std::error_code error;
    for (const auto& process : fs::directory_iterator("/proc", error)) {
        const std::string name = process.path().filename();
        if (name.empty() || name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::error_code hidden;
        for (fs::directory_iterator file(process.path() / "fd", hidden), end; !hidden && file != end;
             file.increment(hidden)) {
            std::error_code gone;
            if (fs::read_symlink(file->path(), gone) == wanted)
                return Holder{std::stoi(name), first_line(process.path() / "comm")};
        }
    }
    return std::nullopt;
}

}  // namespace pier::program::doctor
