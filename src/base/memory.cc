#include "base/memory.h"

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

namespace pier::memory {
namespace {

using Moment = std::chrono::steady_clock;
constexpr std::chrono::milliseconds looked_up_every{10};
constexpr std::size_t small_file_octets = 4096;

// Taken by malloc alone, so that giving it back is one system call, which may be done anywhere.
std::atomic<void*> reserve = nullptr;
std::atomic<bool> reserve_wanted = false;
std::atomic<Moment::rep> next_look = 0;
std::atomic<bool> found_short = false, told_short = false;

// Opened once: the sandbox that comes later lets nobody open them. Each reads anew from its beginning.
int use_file = -1, group_limit_file = -1;

// A file of /proc or /sys, without allocating; empty if it cannot be read.
std::string_view read_small(int fd, char (&buffer)[small_file_octets]) {
    const ssize_t n = fd < 0 ? -1 : ::pread(fd, buffer, sizeof buffer, 0);
    return {buffer, n > 0 ? static_cast<std::size_t>(n) : 0};
}

// The number that `text` begins with, which it loses; 0 if there is none ("max").
std::uint64_t take_number(std::string_view& text) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return error == std::errc() ? number : 0;
}

// memory.max of the control group (version 2) that the process was started in; -1 if there is none.
int open_group_limit() {
    char buffer[small_file_octets];
    const int groups_file = ::open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    if (groups_file < 0) return -1;
    std::string_view groups = read_small(groups_file, buffer);
    ::close(groups_file);
    const auto at = groups.find("0::/");
    if (at == std::string_view::npos) return -1;
    groups.remove_prefix(at + 3);
    const std::string path =
        "/sys/fs/cgroup" + std::string(groups.substr(0, groups.find('\n'))) + "/memory.max";
    return ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

struct Use {
    std::uint64_t address_octets = 0;  // all that RLIMIT_AS counts
    std::uint64_t own_octets = 0;      // in memory, and not of a file: what a control group cannot take away
};

Use use() {
    char buffer[small_file_octets];
    std::string_view text = read_small(use_file, buffer);
    const auto page_octets = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const std::uint64_t size = take_number(text), resident = take_number(text), shared = take_number(text);
    return {size * page_octets, (resident - shared) * page_octets};
}

bool look() {
    const Use now = use();
    rlimit address{};
    const bool limited = ::getrlimit(RLIMIT_AS, &address) == 0 && address.rlim_cur != RLIM_INFINITY;
    if (is_short_of(now.address_octets, limited ? address.rlim_cur : 0)) return true;
    char buffer[small_file_octets];
    std::string_view group_limit = read_small(group_limit_file, buffer);
    return is_short_of(now.own_octets, take_number(group_limit));
}

// True if it is there again, or still.
bool set_aside_again() {
    if (!reserve_wanted || reserve.load() != nullptr) return true;
    void* fresh = std::malloc(reserve_octets);
    if (fresh == nullptr) return false;
    void* none = nullptr;
    if (!reserve.compare_exchange_strong(none, fresh)) std::free(fresh);
    return true;
}

void give_up_reserve() {
    void* held = reserve.exchange(nullptr);
    if (held == nullptr) throw std::bad_alloc();
    std::free(held);
    found_short = true;
    next_look = 0;
}

}  // namespace

void set_reserve_aside() {
    use_file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    group_limit_file = open_group_limit();
    reserve_wanted = true;
    set_aside_again();
    std::set_new_handler(give_up_reserve);
}

bool is_short() {
    const Moment::rep now = Moment::now().time_since_epoch().count();
    Moment::rep due = next_look;
    const Moment::rep next = now + Moment::duration(looked_up_every).count();
    if (now < due || !next_look.compare_exchange_strong(due, next)) return found_short;
    // First the limits: what was just given up must not be taken back while it is needed.
    const bool is = look() || !set_aside_again();
    found_short = is;
    if (told_short.exchange(is) == is) return is;
    if (is)
        log::error(
            "memory.short",
            {{"hint",
              "new sessions and logins are turned away; raise the limit (MemoryMax=, ulimit -v) or lower "
              "limits.connections_max"}});
    else
        log::info("memory.enough", {});
    return is;
}

}  // namespace pier::memory
