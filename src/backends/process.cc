#include "backends/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/message.h"
#include "base/log.h"

namespace pier::backends {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds pause_min{100}, pause_max{10'000};
constexpr std::chrono::seconds lived_well{60};  // then the next death counts as the first

// The server's listening sockets, and the ends of other workers: with them a client could be waited for that
// the server has closed. Files stay: the log's is among them.
void close_sockets_but(int kept) {
    std::vector<int> sockets;
    std::error_code error;
    for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
         at.increment(error)) {
        const int fd = std::atoi(at->path().filename().c_str());
        struct stat status {};
        if (fd > STDERR_FILENO && fd != kept && ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode))
            sockets.push_back(fd);
    }
    for (const int fd : sockets)
        ::close(fd);
}

// Whether the server has closed its end, after at most that time.
bool hung_up(int fd, milliseconds time) {
    pollfd one{fd, 0, 0};
    int result = 0;
    do {
        result = ::poll(&one, 1, static_cast<int>(time.count()));
    } while (result < 0 && errno == EINTR);
    return (one.revents & POLLHUP) != 0;
}

std::string how_it_ended(int status) {
    if (WIFSIGNALED(status)) return fmt::format("signal {}", WTERMSIG(status));
    return fmt::format("exit status {}", WEXITSTATUS(status));
}

void tell(int fd, std::string_view word, Fields fields) {
    const auto text = encode({0, std::string(word), std::move(fields)});
    if (text) (void)::send(fd, text->data(), text->size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

[[noreturn]] void work(const ProcessPlan& plan, int fd, pid_t supervisor) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != supervisor) ::_exit(1);
    tell(fd, "ready", {{"pid", std::to_string(::getpid())}});
    ::_exit(plan.work(fd));
}

[[noreturn]] void supervise(const ProcessPlan& plan, int fd) {
    close_sockets_but(fd);
    ::prctl(PR_SET_NAME, fmt::format("pier-{}", plan.name).substr(0, 15).c_str());
    if (const auto confined = plan.confine(); !confined) {
        log::error("backend.start.failed", {{"backend", plan.name}, {"reason", confined.error().text}});
        ::_exit(1);
    }
    milliseconds pause = pause_min;
    while (!hung_up(fd, milliseconds(0))) {
        const auto began = steady_clock::now();
        const pid_t supervisor = ::getpid();
        const pid_t child = ::fork();
        if (child == 0) work(plan, fd, supervisor);
        std::string how = fmt::format("it could not be made: {}", std::strerror(errno));
        if (child > 0) {
            int status = 0;
            while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
            }
            how = how_it_ended(status);
        }
        if (hung_up(fd, milliseconds(0))) break;
        if (steady_clock::now() - began > lived_well) pause = pause_min;
        tell(fd, "gone", {{"how", how}});
        if (hung_up(fd, pause)) break;
        pause = std::min(pause * 2, pause_max);
    }
    ::_exit(0);
}

}  // namespace

Result<int> start_process(const ProcessPlan& plan) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return errno_error(errno, "make the sockets for the back end " + plan.name);
    const pid_t child = ::fork();
    if (child < 0) {
        const int error_number = errno;
        ::close(ends[0]);
        ::close(ends[1]);
        return errno_error(error_number, "make the process for the back end " + plan.name);
    }
    if (child == 0) supervise(plan, ends[1]);
    ::close(ends[1]);
    return ends[0];
}

}  // namespace pier::backends
