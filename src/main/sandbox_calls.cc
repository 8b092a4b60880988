// The list of system calls of confine_calls(). A line for each group says who makes them; glibc decides which
// of several equal ones it takes, so neighbours stand together.
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include <fmt/format.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main/sandbox.h"

namespace pier::program {
namespace {

constexpr int allowed_calls[] = {
    // memory; not mapping, which has a condition below
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    // threads
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
    // signals: the main thread waits for them
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack),
    // time, where the kernel's page for it cannot be used
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    // files: octets
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(preadv2),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(lseek),
    SCMP_SYS(sendfile),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(fadvise64),
    SCMP_SYS(readahead),
    SCMP_SYS(flock),
    SCMP_SYS(fcntl),
    SCMP_SYS(close),
    // files: names; making them readable is for Landlock to refuse
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(umask),
    // connections that come in; nothing is bound and nothing is connected any more
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    // the event loop
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    // questions about oneself and the machine
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrandom),
#ifdef __SANITIZE_ADDRESS__
    // the undefined-behaviour sanitizer, which comes with it, looks at an object's type through one
    SCMP_SYS(pipe2),
#endif
};

// No fault of ours makes one of these: somebody else is at work.
constexpr int deadly_calls[] = {
    SCMP_SYS(execve),           SCMP_SYS(execveat),          SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
};

// A condition on an argument of a call, by its place from 0.
scmp_arg_cmp equals(unsigned place, std::uint64_t value) {
    return {place, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp has_none_of(unsigned place, std::uint64_t bits) {
    return {place, SCMP_CMP_MASKED_EQ, bits, 0};
}
scmp_arg_cmp has_of(unsigned place, std::uint64_t bits, std::uint64_t wanted) {
    return {place, SCMP_CMP_MASKED_EQ, bits, wanted};
}

// Gathers rules; the first that fails is remembered.
class Filter {
  public:
    Filter() : context_(::seccomp_init(SCMP_ACT_ERRNO(ENOSYS))) {
        if (context_ == nullptr) failed_ = -ENOMEM;
    }
    ~Filter() { ::seccomp_release(context_); }
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    void set(scmp_filter_attr attribute, std::uint32_t value) {
        note(::seccomp_attr_set(context_, attribute, value));
    }
    // If all conditions are met.
    void allow(int call, std::initializer_list<scmp_arg_cmp> conditions = {}) {
        add(SCMP_ACT_ALLOW, call, conditions);
    }
    void kill(int call) { add(SCMP_ACT_KILL_PROCESS, call, {}); }
    // 0, or a negative number of <errno.h>.
    int load() {
        if (failed_ == 0) note(::seccomp_load(context_));
        return failed_;
    }

  private:
    void add(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> conditions) {
        const int added = ::seccomp_rule_add_array(
            context_, action, call, static_cast<unsigned>(conditions.size()), conditions.begin());
        if (added != -EDOM) note(added);  // which says that this kind of processor has no such call
    }
    void note(int result) {
        if (failed_ == 0 && result < 0) failed_ = result;
    }

    scmp_filter_ctx context_;
    int failed_ = 0;
};

void allow_under_conditions(Filter& filter) {
    // No memory becomes code.
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
        filter.allow(call, {has_none_of(2, PROT_EXEC)});
    // A new thread, never a new process, in no name space of its own. The conditions cannot look into
    // clone3's structure; without it glibc takes clone.
    constexpr std::uint64_t thread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
    constexpr std::uint64_t name_spaces = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS |
                                          CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS;
    filter.allow(SCMP_SYS(clone), {has_of(0, thread | name_spaces, thread)});
    // abort(), which wants to end this process.
    filter.allow(SCMP_SYS(tgkill), {equals(0, static_cast<std::uint64_t>(::getpid()))});
    // No file that would give its owner's rights to whoever runs it.
    constexpr std::uint64_t rights_of_others = S_ISUID | S_ISGID;
    filter.allow(SCMP_SYS(open), {has_none_of(2, rights_of_others)});
    filter.allow(SCMP_SYS(openat), {has_none_of(3, rights_of_others)});
    filter.allow(SCMP_SYS(chmod), {has_none_of(1, rights_of_others)});
    filter.allow(SCMP_SYS(fchmod), {has_none_of(1, rights_of_others)});
    filter.allow(SCMP_SYS(fchmodat), {has_none_of(2, rights_of_others)});
    // systemd is told over a new Unix socket each time.
    filter.allow(SCMP_SYS(socket), {equals(0, AF_UNIX)});
    // The log's stream asks whether it writes to a terminal.
    filter.allow(SCMP_SYS(ioctl), {equals(1, TCGETS)});
    // Threads have names; limits are read, not set.
    filter.allow(SCMP_SYS(prctl), {equals(0, PR_SET_NAME)});
    filter.allow(SCMP_SYS(prlimit64), {equals(2, 0)});
}

// A name is looked up, a connection made: glibc's resolver, Asio, and the queue's own.
void allow_to_connect(Filter& filter) {
    for (const int call : {SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg),
                           SCMP_SYS(socketpair), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
                           SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(epoll_create)})
        filter.allow(call);
    for (const std::uint64_t family : {AF_INET, AF_INET6, AF_NETLINK})
        filter.allow(SCMP_SYS(socket), {equals(0, family)});
    for (const std::uint64_t request : {FIONREAD, FIONBIO})
        filter.allow(SCMP_SYS(ioctl), {equals(1, request)});
}

}  // namespace

Result<void> confine_calls(Calls calls) {
    Filter filter;
    filter.set(SCMP_FLTATR_CTL_TSYNC, 1);
    filter.set(SCMP_FLTATR_CTL_LOG, 1);
    filter.set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);  // a call in the manner of another processor
    filter.set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a binary tree in place of a chain of comparisons
    for (const int call : allowed_calls)
        filter.allow(call);
    for (const int call : deadly_calls)
        filter.kill(call);
    allow_under_conditions(filter);
    if (calls == Calls::that_connect) allow_to_connect(filter);
    if (const int failed = filter.load(); failed != 0)
        return Error{ErrorKind::io,
                     fmt::format("the sandbox (seccomp) cannot be made: {}; `sandbox = false` in the section "
                                 "[server] starts without it",
                                 std::strerror(-failed))};
    return {};
}

}  // namespace pier::program
