#include "admin/caller.h"

#include <cstdlib>

#include <sys/socket.h>
#include <unistd.h>

#include "base/printable.h"

namespace pier::admin {

std::string for_whom() {
    if (::getuid() != 0) return "";
    for (const char* variable : {"SUDO_USER", "DOAS_USER"})
        if (const char* name = std::getenv(variable); name != nullptr && *name != '\0')
            return printable(name, for_user_octets_max);
    return "";
}

Caller this_process() {
    return {::getuid(), ::getpid(), for_whom()};
}

Caller caller_at(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return {};
    return {peer.uid, peer.pid, ""};
}

}  // namespace pier::admin
