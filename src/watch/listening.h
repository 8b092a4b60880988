// Who listens on a port, as /proc tells it (proc(5)). Any thread, but for ListeningFiles: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/network.h"

namespace pier::watch {

struct ListeningSocket {
    IpAddress address;
    std::uint16_t port = 0;
    std::uint64_t inode = 0;
};

// The process behind a port. Its name may be hidden from who asks.
struct Holder {
    int pid = 0;  // 0: not known
    std::string program;
};

// At most so many are looked at; the rest of a longer text is left out.
inline constexpr std::size_t listening_sockets_max = 10'000;

// The listening ones of /proc/net/tcp or tcp6. Lines that are not understood are passed over. Pure.
std::vector<ListeningSocket> parse_proc_tcp(std::string_view text);
// Whether it takes what is sent to `address`, which may be unspecified: every one of the machine.
bool covers(const ListeningSocket& socket, const IpAddress& address);

// Both files, opened once, before a sandbox that would not open them any more, and read again and again.
class ListeningFiles {
  public:
    ListeningFiles();
    ~ListeningFiles();
    ListeningFiles(const ListeningFiles&) = delete;
    ListeningFiles& operator=(const ListeningFiles&) = delete;

    bool readable() const { return v4_ >= 0 || v6_ >= 0; }
    // Nothing where there is no /proc.
    std::vector<ListeningSocket> read() const;

  private:
    int v4_ = -1, v6_ = -1;
};

// Reads both files once.
std::vector<ListeningSocket> listening_sockets();
// The process that has the socket open; absent: none that this user may look into.
std::optional<Holder> holder_of(std::uint64_t inode);
// Whether that process has it open; absent: it may not be looked into.
std::optional<bool> holds(int pid, std::uint64_t inode);

}  // namespace pier::watch
