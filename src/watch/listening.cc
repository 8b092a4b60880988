#include "watch/listening.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace pier::watch {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view listening = "0A";
// A line has some 150 octets, and connections have lines too.
constexpr std::size_t proc_octets_max = 64 << 20;

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
    for (std::string line; out.size() < listening_sockets_max && std::getline(lines, line);) {
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
    if (socket.address == address || address.is_unspecified()) return true;
    // One at :: may take IPv4 too.
    return socket.address.is_unspecified() && (socket.address.is_v6() || address.is_v4());
}

ListeningFiles::ListeningFiles()
    : v4_(::open("/proc/net/tcp", O_RDONLY | O_CLOEXEC)),
      v6_(::open("/proc/net/tcp6", O_RDONLY | O_CLOEXEC)) {}

ListeningFiles::~ListeningFiles() {
    for (const int fd : {v4_, v6_})
        if (fd >= 0) ::close(fd);
}

std::vector<ListeningSocket> ListeningFiles::read() const {
    std::vector<ListeningSocket> out;
    for (const int fd : {v4_, v6_}) {
        if (fd < 0) continue;
        std::string text;
        std::array<char, 16384> block;
        while (text.size() < proc_octets_max) {
            const ssize_t n = ::pread(fd, block.data(), block.size(), static_cast<off_t>(text.size()));
            if (n <= 0) break;
            text.append(block.data(), static_cast<std::size_t>(n));
        }
        const auto some = parse_proc_tcp(text);
        out.insert(out.end(), some.begin(), some.end());
    }
    return out;
}

std::vector<ListeningSocket> listening_sockets() {
    return ListeningFiles().read();
}

std::optional<bool> holds(int pid, std::uint64_t inode) {
    const std::string wanted = fmt::format("socket:[{}]", inode);
    std::error_code hidden;
    for (fs::directory_iterator file(fmt::format("/proc/{}/fd", pid), hidden), end; !hidden && file != end;
         file.increment(hidden)) {
        std::error_code gone;
        if (fs::read_symlink(file->path(), gone) == wanted) return true;
    }
    return hidden ? std::nullopt : std::optional(false);
}

std::optional<Holder> holder_of(std::uint64_t inode) {
    const std::string wanted = fmt::format("socket:[{}]", inode);
    std::error_code error;
    for (const auto& process : fs::directory_iterator("/proc", error)) {
        const std::string name = process.path().filename();
        if (name.empty() || name.find_first_not_of("0123456789") != std::string::npos) continue;
        if (holds(std::stoi(name), inode).value_or(false))
            return Holder{std::stoi(name), first_line(process.path() / "comm")};
    }
    return std::nullopt;
}

}  // namespace pier::watch
