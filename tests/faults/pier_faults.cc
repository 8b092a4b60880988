// Loaded in front of the C library (LD_PRELOAD) by tests/faults: makes system calls of a real `pier serve`
// fail.
//
// PIER_FAULTS names a file that is shared with the test (`Control`, below): the n-th call that can have the
// chosen fault gets it. A call is counted only if the fault makes sense for it, so that every n is a place of
// its own. The same file moves the wall clock.
//
// PIER_FAULTS_JOURNAL names a file to which every change below PIER_FAULTS_ROOT is written, in the order in
// which it happened, so that the test can make what a disk would hold after the power failed. Syncs are
// noted, not done.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

namespace {

// The order is that of CALLS in shim.py.
enum class Call : std::uint32_t {
    none,
    open,
    read,
    write,
    sync,
    truncate,
    allocate,
    rename,
    unlink,
    stat,
    map,
    accept,
    receive,
    send,
    send_file,
    epoll_ctl,
    epoll_wait,
};

constexpr std::int32_t no_fault = 0, short_count = -1;

// Shared with shim.py, which knows its form.
struct Control {
    std::atomic<std::int32_t> fault;      // an errno; short_count; 0: nothing is counted
    std::atomic<std::uint32_t> fail_at;   // the n-th call that can have it, from 1; 0: count alone
    std::atomic<std::uint32_t> for_good;  // 1: all later calls of the same sort too
    std::atomic<std::uint32_t> counted;
    std::atomic<std::uint32_t> hits;
    std::atomic<std::uint32_t> hit_call;  // the sort of the first one
    std::atomic<std::uint32_t> hit_socket;
    std::uint32_t unused;
    std::atomic<std::int64_t> clock_offset_s;
};

template <class Function>
Function real(Function, const char* name) {
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}
// The C library's own function of this name.
#define PIER_REAL(name) static const auto libc = real(&::name, #name)

int open_shared(const char* path) {
    PIER_REAL(open);
    return libc(path, O_RDWR | O_CLOEXEC);
}

Control* control() {
    static Control* const shared = []() -> Control* {
        const char* path = std::getenv("PIER_FAULTS");
        const int fd = path == nullptr ? -1 : open_shared(path);
        if (fd < 0) return nullptr;
        PIER_REAL(mmap);
        void* at = libc(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ::close(fd);
        return at == MAP_FAILED ? nullptr : static_cast<Control*>(at);
    }();
    return shared;
}

enum class Target { file, socket, other };

Target target_of(int fd) {
    struct stat status {};
    PIER_REAL(fstat);
    if (fd <= STDERR_FILENO || libc(fd, &status) != 0) return Target::other;
    return S_ISSOCK(status.st_mode) ? Target::socket : S_ISREG(status.st_mode) ? Target::file : Target::other;
}

bool one_of(std::int32_t fault, std::initializer_list<std::int32_t> these) {
    return std::find(these.begin(), these.end(), fault) != these.end();
}

// Which faults a system call of this sort can have.
bool makes_sense(Call call, std::int32_t fault) {
    switch (call) {
        case Call::open:
            return one_of(fault, {EIO, EMFILE, ENOMEM, EINTR, ENOSPC});
        case Call::read:
            return one_of(fault, {EIO, EINTR, short_count});
        case Call::write:
            return one_of(fault, {EIO, ENOSPC, EINTR, short_count});
        case Call::sync:
            return one_of(fault, {EIO, ENOSPC});
        case Call::truncate:
            return one_of(fault, {EIO, EINTR});
        case Call::allocate:
            return one_of(fault, {EIO, ENOSPC, EINTR});
        case Call::rename:
            return one_of(fault, {EIO, ENOSPC, ENOMEM});
        case Call::unlink:
        case Call::stat:
            return one_of(fault, {EIO, ENOMEM});
        case Call::map:
            return fault == ENOMEM;
        case Call::accept:
            return one_of(fault, {EMFILE, ENOMEM, EINTR});
        // A socket's read is never shorter than what is there (epoll(7) has it so).
        case Call::receive:
            return one_of(fault, {EIO, ENOMEM, EINTR});
        case Call::send:
        case Call::send_file:
            return one_of(fault, {EIO, ENOMEM, EINTR, short_count});
        case Call::epoll_ctl:
            return one_of(fault, {ENOMEM, ENOSPC});
        case Call::epoll_wait:
            return fault == EINTR;
        case Call::none:
            break;
    }
    return false;
}

// The fault of this call: no_fault mostly.
std::int32_t next_fault(Call call, Target target = Target::file) {
    Control* const shared = control();
    if (shared == nullptr) return no_fault;
    const std::int32_t fault = shared->fault;
    if (fault == no_fault || !makes_sense(call, fault)) return no_fault;
    const std::uint32_t n = ++shared->counted;
    const std::uint32_t at = shared->fail_at;
    if (at == 0 || n < at) return no_fault;
    if (n == at) {
        shared->hit_call = static_cast<std::uint32_t>(call);
        shared->hit_socket = target == Target::socket ? 1 : 0;
        // Nobody accepted for good: the dialogue would only wait (descriptors.py is about that).
        if (call == Call::accept) shared->for_good = 0;
    } else if (shared->for_good == 0 || shared->hit_call != static_cast<std::uint32_t>(call)) {
        return no_fault;
    }
    ++shared->hits;
    return fault;
}

// True if the call fails: errno is set.
bool fails(std::int32_t fault) {
    if (fault <= 0) return false;
    errno = fault;
    return true;
}

std::size_t shortened(std::int32_t fault, std::size_t octets) {
    return fault == short_count ? std::max<std::size_t>(octets / 2, std::min<std::size_t>(octets, 1))
                                : octets;
}

bool is_datagram(int fd) {
    int type = 0;
    socklen_t octets = sizeof type;
    return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &octets) == 0 && type == SOCK_DGRAM;
}

// ---- the journal ----

// The order is that of Op in power.py.
enum class Op : std::uint32_t {
    create = 1,
    write,
    truncate,
    sync,
    rename,
    unlink,
    make_folder,
};

struct JournalHead {
    std::uint32_t op, name_octets;
    std::uint64_t inode, offset, data_octets;
};

class Journal {
  public:
    static Journal& get() {
        static Journal journal;
        return journal;
    }
    bool on() const { return fd_ >= 0; }
    bool covers(const char* path) const { return on() && std::strncmp(path, root_, root_octets_) == 0; }
    // Around a change and its note, so that they come in one order.
    std::unique_lock<std::mutex> lock() {
        return on() ? std::unique_lock(mutex_) : std::unique_lock<std::mutex>();
    }

    // `name`: the path; a rename has the old one, a line end, and the new one.
    void note(Op op, std::uint64_t inode, const char* name, std::uint64_t offset = 0,
              const iovec* data = nullptr, int pieces = 0, std::size_t data_octets = 0,
              const char* name2 = nullptr) {
        JournalHead head{static_cast<std::uint32_t>(op), static_cast<std::uint32_t>(std::strlen(name)), inode,
                         offset, data_octets};
        std::vector<iovec> all{{&head, sizeof head}, {const_cast<char*>(name), head.name_octets}};
        char line_end = '\n';
        if (name2 != nullptr) {
            all.push_back({&line_end, 1});
            all.push_back({const_cast<char*>(name2), std::strlen(name2)});
            head.name_octets += 1 + static_cast<std::uint32_t>(std::strlen(name2));
        }
        for (int i = 0; i < pieces && data_octets > 0; ++i) {
            all.push_back({data[i].iov_base, std::min(data[i].iov_len, data_octets)});
            data_octets -= all.back().iov_len;
        }
        PIER_REAL(writev);
        for (std::size_t at = 0; at < all.size(); at += pieces_max) {
            const auto count = std::min(pieces_max, all.size() - at);
            if (libc(fd_, &all[at], static_cast<int>(count)) < 0) std::abort();
        }
    }

    static bool named(int fd, struct stat& status) {
        PIER_REAL(fstat);
        return libc(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink > 0 && fd > STDERR_FILENO;
    }

    void wrote(int fd, std::uint64_t offset, const iovec* data, int pieces, ssize_t octets) {
        struct stat status {};
        if (octets > 0 && named(fd, status))
            note(Op::write, status.st_ino, "", offset, data, pieces, static_cast<std::size_t>(octets));
    }

    static std::uint64_t inode_of(int fd) {
        struct stat status {};
        PIER_REAL(fstat);
        return libc(fd, &status) == 0 ? status.st_ino : 0;
    }

  private:
    static constexpr std::size_t pieces_max = 1024;  // IOV_MAX
    Journal() {
        const char* path = std::getenv("PIER_FAULTS_JOURNAL");
        root_ = std::getenv("PIER_FAULTS_ROOT");
        if (path == nullptr || root_ == nullptr) return;
        root_octets_ = std::strlen(root_);
        PIER_REAL(open);
        fd_ = libc(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    }
    std::mutex mutex_;
    const char* root_ = nullptr;
    std::size_t root_octets_ = 0;
    int fd_ = -1;
};

using Open = int (*)(const char*, int, ...);

int open_with(Open libc, const char* path, int flags, mode_t mode) {
    const bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
    const bool makes = nameless || (flags & O_CREAT) != 0;
    Control* const shared = control();
    // Opening what is there needs no space.
    if (shared != nullptr && (shared->fault != ENOSPC || makes) && fails(next_fault(Call::open))) return -1;
    Journal& journal = Journal::get();
    if (nameless || (flags & (O_CREAT | O_TRUNC)) == 0 || !journal.covers(path))
        return libc(path, flags, mode);
    const auto lock = journal.lock();
    const bool fresh = ::access(path, F_OK) != 0;
    const int fd = libc(path, flags, mode);
    if (fd < 0) return fd;
    if (fresh)
        journal.note(Op::create, Journal::inode_of(fd), path);
    else if ((flags & O_TRUNC) != 0)
        journal.note(Op::truncate, Journal::inode_of(fd), "", 0);
    return fd;
}

int sync_with(int (*libc)(int), int fd) {
    if (fails(next_fault(Call::sync))) return -1;
    Journal& journal = Journal::get();
    if (!journal.on()) return libc(fd);
    const auto lock = journal.lock();
    journal.note(Op::sync, Journal::inode_of(fd), "");
    return 0;
}

// Reads and writes of files and of sockets come by the same functions.
Call call_of(Target target, Call of_file, Call of_socket) {
    return target == Target::file ? of_file : target == Target::socket ? of_socket : Call::none;
}

std::int32_t next_fault_of(int fd, Call of_file, Call of_socket) {
    Control* const shared = control();
    if (shared == nullptr || shared->fault == no_fault) return no_fault;
    const Target target = target_of(fd);
    const Call call = call_of(target, of_file, of_socket);
    return call == Call::none ? no_fault : next_fault(call, target);
}

// pwritev and its like: `write` does it for the pieces that are left.
template <class Write>
ssize_t write_with(int fd, const iovec* pieces, int count, std::int64_t offset, const Write& write) {
    const std::int32_t fault = next_fault_of(fd, Call::write, Call::send);
    if (fails(fault)) return -1;
    std::vector<iovec> all(pieces, pieces + count);
    if (fault == short_count) {
        all.resize((all.size() + 1) / 2);
        if (all.size() == 1) all[0].iov_len = shortened(fault, all[0].iov_len);
    }
    Journal& journal = Journal::get();
    if (!journal.on()) return write(all.data(), static_cast<int>(all.size()));
    const auto lock = journal.lock();
    const ssize_t n = write(all.data(), static_cast<int>(all.size()));
    // Without an offset it went to the file's position, which is behind it now.
    if (offset < 0) offset = ::lseek(fd, 0, SEEK_CUR) - n;
    journal.wrote(fd, static_cast<std::uint64_t>(offset), all.data(), static_cast<int>(all.size()), n);
    return n;
}

template <class Read>
ssize_t read_with(int fd, std::size_t octets, const Read& read) {
    const std::int32_t fault = next_fault_of(fd, Call::read, Call::receive);
    if (fails(fault)) return -1;
    return read(shortened(fault, octets));
}

// A change of a name, and its note.
template <class Change>
int change_name(Call call, Op op, const char* path, const char* path2, const Change& change) {
    if (fails(next_fault(call))) return -1;
    Journal& journal = Journal::get();
    if (!journal.covers(path)) return change();
    const auto lock = journal.lock();
    const int done = change();
    if (done == 0) journal.note(op, 0, path, 0, nullptr, 0, 0, path2);
    return done;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    PIER_REAL(open);
    return open_with(libc, path, flags, mode);
}
int open64(const char* path, int flags, ...) __attribute__((alias("open")));
int __open_2(const char* path, int flags) {
    return ::open(path, flags, 0);
}
int __open64_2(const char* path, int flags) __attribute__((alias("__open_2")));

ssize_t read(int fd, void* out, size_t octets) {
    PIER_REAL(read);
    return read_with(fd, octets, [&](size_t most) { return libc(fd, out, most); });
}
ssize_t pread(int fd, void* out, size_t octets, off_t offset) {
    PIER_REAL(pread);
    return read_with(fd, octets, [&](size_t most) { return libc(fd, out, most, offset); });
}
ssize_t pread64(int fd, void* out, size_t octets, off64_t offset) __attribute__((alias("pread")));
ssize_t preadv2(int fd, const iovec* pieces, int count, off_t offset, int flags) {
    PIER_REAL(preadv2);
    if (count != 1) return libc(fd, pieces, count, offset, flags);
    return read_with(fd, pieces->iov_len, [&](size_t most) {
        const iovec piece{pieces->iov_base, most};
        return libc(fd, &piece, 1, offset, flags);
    });
}
ssize_t preadv64v2(int fd, const iovec* pieces, int count, off64_t offset, int flags)
    __attribute__((alias("preadv2")));

ssize_t write(int fd, const void* octets, size_t count) {
    PIER_REAL(write);
    const iovec piece{const_cast<void*>(octets), count};
    return write_with(fd, &piece, 1, -1,
                      [&](const iovec* all, int) { return libc(fd, all->iov_base, all->iov_len); });
}
ssize_t pwrite(int fd, const void* octets, size_t count, off_t offset) {
    PIER_REAL(pwrite);
    const iovec piece{const_cast<void*>(octets), count};
    return write_with(fd, &piece, 1, offset,
                      [&](const iovec* all, int) { return libc(fd, all->iov_base, all->iov_len, offset); });
}
ssize_t pwrite64(int fd, const void* octets, size_t count, off64_t offset) __attribute__((alias("pwrite")));
ssize_t writev(int fd, const iovec* pieces, int count) {
    PIER_REAL(writev);
    return write_with(fd, pieces, count, -1, [&](const iovec* all, int n) { return libc(fd, all, n); });
}
ssize_t pwritev(int fd, const iovec* pieces, int count, off_t offset) {
    PIER_REAL(pwritev);
    return write_with(fd, pieces, count, offset,
                      [&](const iovec* all, int n) { return libc(fd, all, n, offset); });
}
ssize_t pwritev64(int fd, const iovec* pieces, int count, off64_t offset) __attribute__((alias("pwritev")));

int fsync(int fd) {
    PIER_REAL(fsync);
    return sync_with(libc, fd);
}
int fdatasync(int fd) {
    PIER_REAL(fdatasync);
    return sync_with(libc, fd);
}
// It makes nothing durable that can be relied on: not noted. Without flags it does nothing and never fails:
// RocksDB asks so whether there is such a call.
int sync_file_range(int fd, off64_t offset, off64_t octets, unsigned flags) {
    PIER_REAL(sync_file_range);
    if (flags != 0 && fails(next_fault(Call::sync))) return -1;
    return libc(fd, offset, octets, flags);
}

int ftruncate(int fd, off_t octets) noexcept {
    PIER_REAL(ftruncate);
    if (fails(next_fault(Call::truncate))) return -1;
    Journal& journal = Journal::get();
    const auto lock = journal.lock();
    const int done = libc(fd, octets);
    if (done == 0 && journal.on())
        journal.note(Op::truncate, Journal::inode_of(fd), "", static_cast<std::uint64_t>(octets));
    return done;
}
int ftruncate64(int fd, off64_t octets) noexcept __attribute__((alias("ftruncate")));
// RocksDB keeps the size of its files. Without flags (the kept measurements) a file may become longer, by
// zeros.
int fallocate(int fd, int mode, off_t offset, off_t octets) {
    PIER_REAL(fallocate);
    if (fails(next_fault(Call::allocate))) return -1;
    Journal& journal = Journal::get();
    const auto lock = journal.lock();
    const int done = libc(fd, mode, offset, octets);
    if (done != 0 || !journal.on() || mode == FALLOC_FL_KEEP_SIZE) return done;
    if (mode != 0) std::abort();
    struct stat status {};
    if (Journal::named(fd, status))
        journal.note(Op::truncate, status.st_ino, "", static_cast<std::uint64_t>(status.st_size));
    return done;
}
int fallocate64(int fd, int mode, off64_t offset, off64_t octets) __attribute__((alias("fallocate")));

int rename(const char* from, const char* to) noexcept {
    PIER_REAL(rename);
    return change_name(Call::rename, Op::rename, from, to, [&] { return libc(from, to); });
}
int unlink(const char* path) noexcept {
    PIER_REAL(unlink);
    return change_name(Call::unlink, Op::unlink, path, nullptr, [&] { return libc(path); });
}
int mkdir(const char* path, mode_t mode) noexcept {
    PIER_REAL(mkdir);
    return change_name(Call::rename, Op::make_folder, path, nullptr, [&] { return libc(path, mode); });
}

int fstat(int fd, struct stat* status) noexcept {
    PIER_REAL(fstat);
    if (fails(next_fault(Call::stat))) return -1;
    return libc(fd, status);
}
int statvfs(const char* path, struct statvfs* status) noexcept {
    PIER_REAL(statvfs);
    if (fails(next_fault(Call::stat))) return -1;
    return libc(path, status);
}

void* mmap(void* where, size_t octets, int protection, int flags, int fd, off_t offset) noexcept {
    PIER_REAL(mmap);
    if (fails(next_fault(Call::map))) return MAP_FAILED;
    return libc(where, octets, protection, flags, fd, offset);
}
void* mmap64(void* where, size_t octets, int protection, int flags, int fd, off64_t offset) noexcept
    __attribute__((alias("mmap")));

int accept4(int fd, sockaddr* address, socklen_t* octets, int flags) {
    PIER_REAL(accept4);
    if (fails(next_fault(Call::accept, Target::socket))) return -1;
    return libc(fd, address, octets, flags);
}
ssize_t recv(int fd, void* out, size_t octets, int flags) {
    PIER_REAL(recv);
    if (fails(next_fault(Call::receive, Target::socket))) return -1;
    return libc(fd, out, octets, flags);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) {
    PIER_REAL(recvmsg);
    if (fails(next_fault(Call::receive, Target::socket))) return -1;
    return libc(fd, message, flags);
}
ssize_t send(int fd, const void* octets, size_t count, int flags) {
    PIER_REAL(send);
    const std::int32_t fault = next_fault(Call::send, Target::socket);
    if (fails(fault)) return -1;
    return libc(fd, octets, shortened(fault, count), flags);
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
    PIER_REAL(sendmsg);
    const std::int32_t fault = next_fault(Call::send, Target::socket);
    if (fails(fault)) return -1;
    // What is said to systemd is one datagram, and goes whole.
    if (fault != short_count || message->msg_iovlen == 0 || is_datagram(fd)) return libc(fd, message, flags);
    iovec first = message->msg_iov[0];
    first.iov_len = shortened(fault, first.iov_len);
    msghdr less = *message;
    less.msg_iov = &first;
    less.msg_iovlen = 1;
    return libc(fd, &less, flags);
}
ssize_t sendfile(int to, int from, off_t* offset, size_t octets) noexcept {
    PIER_REAL(sendfile);
    const std::int32_t fault = next_fault(Call::send_file, Target::socket);
    if (fails(fault)) return -1;
    return libc(to, from, offset, shortened(fault, octets));
}
ssize_t sendfile64(int to, int from, off64_t* offset, size_t octets) noexcept
    __attribute__((alias("sendfile")));
int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
    PIER_REAL(epoll_ctl);
    if (operation != EPOLL_CTL_DEL && fails(next_fault(Call::epoll_ctl, Target::socket))) return -1;
    return libc(epoll, operation, fd, event);
}
int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
    PIER_REAL(epoll_wait);
    if (fails(next_fault(Call::epoll_wait, Target::socket))) return -1;
    return libc(epoll, events, count, timeout_ms);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
    PIER_REAL(clock_gettime);
    const int done = libc(clock, time);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        if (const Control* shared = control()) time->tv_sec += shared->clock_offset_s;
    return done;
}
int gettimeofday(timeval* time, void* zone) noexcept {
    PIER_REAL(gettimeofday);
    const int done = libc(time, zone);
    if (done == 0)
        if (const Control* shared = control()) time->tv_sec += shared->clock_offset_s;
    return done;
}
time_t time(time_t* out) noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    if (out != nullptr) *out = now.tv_sec;
    return now.tv_sec;
}

}  // extern "C"
