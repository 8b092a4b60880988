#include "main/listener_watch.h"

#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/log.h"

namespace pier::program {

void ListenerWatch::add(const std::string& name, const net::ListenSockets& sockets) {
    const net::Endpoint& where = sockets.local();
    if (where.is_unix()) return;
    ports_.push_back({name, where.text(), {where.address}, where.port});
    for (const int fd : sockets.fds()) {
        struct stat status {};
        if (::fstat(fd, &status) == 0) own_.insert(status.st_ino);
    }
}

std::vector<watch::Observation> ListenerWatch::look(Time now) {
    const auto sockets = files_.read();
    // Where nobody at all listens, the file was not read: this server does.
    if (sockets.empty() || ports_.empty()) return {};
    watch::PortFacts facts{ports_, {}, true};
    for (const watch::ListeningSocket& socket : sockets)
        facts.listening.push_back({socket, own_.contains(socket.inode)});
    auto seen = watch::observed_ports(watch::compare_ports(facts), now);
    for (const watch::Observation& one : seen) {
        unsigned& looks = ill_[one.key];
        const unsigned before = std::exchange(looks, one.severity ? looks + 1 : 0);
        if (looks == one.looks)
            log::error(
                "listener.seen",
                {{"key", one.key}, {"what", one.what}, {"evidence", one.evidence}, {"hint", one.step}});
        else if (looks == 0 && before >= one.looks)
            log::info("listener.seen", {{"key", one.key}, {"what", one.what}});
    }
    return seen;
}

}  // namespace pier::program
