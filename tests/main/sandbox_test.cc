// What fails inside the sandbox, and what works there. Each test forks: the child enters the sandbox as
// serve() does, tries, and tells what was not as it should be.
#include "main/sandbox.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/privileges.h"

namespace pier::program {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

void write_file(const fs::path& file, const std::string& octets) {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary | std::ios::trunc) << octets;
}

std::string read_file(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

bool kernel_has_landlock() {
    return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

constexpr int patience_ms = 30'000;  // with the other side, before the test fails

// How a child ended, and what it has told.
struct Ended {
    int status = 0;
    std::string told;
};

// `meanwhile` is done here while the child runs.
Ended run_child(
    const std::function<std::string()>& child, const std::function<void()>& meanwhile = [] {}) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        const std::string told = child();
        [[maybe_unused]] const auto written = ::write(ends[1], told.data(), told.size());
        ::_exit(0);
    }
    ::close(ends[1]);
    meanwhile();
    Ended ended;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        ended.told.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    ::waitpid(pid, &ended.status, 0);
    return ended;
}

// A listening TCP socket on loopback and its port.
struct Listening {
    int fd = -1;
    sockaddr_in address{};
    Listening() {
        fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
        EXPECT_EQ(::listen(fd, 8), 0);
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    }
    ~Listening() { ::close(fd); }
    const sockaddr* any() const { return reinterpret_cast<const sockaddr*>(&address); }
};

class SandboxTest : public testing::Test {
  protected:
    SandboxTest() {
        std::string pattern = (fs::temp_directory_path() / "pier-sandbox-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
        top_ = pattern;
        write_file(top_ / "data/mail", "mail");
        write_file(top_ / "tls/live/server.pem", "certificate");
        write_file(top_ / "etc/pier.toml", "[server]\n");
        write_file(top_ / "log/pier.log", "first\n");
        write_file(top_ / "elsewhere/secret", "secret");
        fs::create_directories(top_ / "run");
        config_.server.data_folder = (top_ / "data").string();
        config_.tls.certificate = (top_ / "tls/live/server.pem").string();
        config_.log.file = (top_ / "log/pier.log").string();
        config_.admin.socket = (top_ / "run/pier.sock").string();
        config_.queue.enabled = false;  // the narrower walls
    }
    ~SandboxTest() override {
        std::error_code ignored;
        fs::remove_all(top_, ignored);
    }

    // As serve() does; what it complains of, or nothing.
    std::string enter(const std::function<void()>& between = [] {}) {
        if (auto dropped = drop_privileges(""); !dropped) return dropped.error().text;
        forbid_dumps();
        const auto confined = confine_files(reachable_files(config_, (top_ / "etc/pier.toml").string()));
        if (!confined) return confined.error().text;
        between();
        const Calls calls = config_.queue.enabled ? Calls::that_connect : Calls::of_server;
        if (auto closed = confine_calls(calls); !closed) return closed.error().text;
        return "";
    }

    std::string path(const std::string& name) const { return (top_ / name).string(); }

    fs::path top_;
    Config config_;
};

// A call's name, and what it gives: below 0 and errno.
struct Attempt {
    const char* what;
    std::function<long()> attempt;
};

std::string those_that_work(const std::vector<Attempt>& attempts) {
    std::string told;
    for (const auto& [what, attempt] : attempts)
        if (attempt() >= 0) told += fmt::format("{}\n", what);
    return told;
}

TEST_F(SandboxTest, FilesElsewhereAreOutOfReach) {
    if (!kernel_has_landlock()) GTEST_SKIP() << "this kernel has no Landlock";
    // What a program with root's rights could do everywhere.
    const auto child = run_child([&] {
        if (const std::string complaint = enter(); !complaint.empty()) return complaint;
        const auto open_for = [](const std::string& file, int flags) {
            return [file, flags] { return ::open(file.c_str(), flags | O_CLOEXEC, 0600); };
        };
        return those_that_work({
            {"read /etc/shadow", open_for("/etc/shadow", O_RDONLY)},
            {"read /etc/passwd", open_for("/etc/passwd", O_RDONLY)},
            {"write /etc/passwd", open_for("/etc/passwd", O_WRONLY)},
            {"read a file elsewhere", open_for(path("elsewhere/secret"), O_RDONLY)},
            {"write a file elsewhere", open_for(path("elsewhere/secret"), O_WRONLY)},
            {"make a file elsewhere", open_for(path("elsewhere/new"), O_WRONLY | O_CREAT)},
            {"list a folder elsewhere", open_for(path("elsewhere"), O_RDONLY | O_DIRECTORY)},
            {"leave by dots", open_for(path("data/../elsewhere/secret"), O_RDONLY)},
            {"read our own program", open_for("/proc/self/exe", O_RDONLY)},
            {"read our own memory", open_for("/proc/self/mem", O_RDONLY)},
            {"write the certificate", open_for(path("tls/live/server.pem"), O_WRONLY)},
            {"write the configuration", open_for(path("etc/pier.toml"), O_WRONLY)},
            {"read the log", open_for(path("log/pier.log"), O_RDONLY)},
            {"make a file beside the sockets", open_for(path("run/new"), O_WRONLY | O_CREAT)},
            {"remove elsewhere", [&] { return ::unlink(path("elsewhere/secret").c_str()); }},
            {"make a folder elsewhere", [&] { return ::mkdir(path("elsewhere/f").c_str(), 0700); }},
            {"move out", [&] { return ::rename(path("data/mail").c_str(), path("elsewhere/mail").c_str()); }},
            {"move in",
             [&] { return ::rename(path("elsewhere/secret").c_str(), path("data/secret").c_str()); }},
            {"link in", [&] { return ::link(path("elsewhere/secret").c_str(), path("data/l").c_str()); }},
            {"symbolic link", [&] { return ::symlink("/etc/shadow", path("data/s").c_str()); }},
            {"device", [&] { return ::mknod(path("data/d").c_str(), S_IFCHR | 0600, 0x103); }},
        });
    });
    EXPECT_EQ(child.told, "");
    EXPECT_EQ(child.status, 0);
    EXPECT_EQ(read_file(top_ / "elsewhere/secret"), "secret");
}

TEST_F(SandboxTest, CallsBeyondTheListDoNotExist) {
    const Listening listening;
    const pid_t parent = ::getpid();
    const auto child = run_child([&] {
        const int bound_before = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (const std::string complaint = enter(); !complaint.empty()) return complaint;
        const auto socket_of = [](int family, int type) {
            return [family, type] { return ::socket(family, type, 0); };
        };
        const auto call = [](long number, long a = 0, long b = 0, long c = 0) {
            return [=] { return ::syscall(number, a, b, c, 0L, 0L); };
        };
        const rlimit open_files{16, 16};
        return those_that_work({
            {"AF_NETLINK", socket_of(AF_NETLINK, SOCK_RAW)},
            {"AF_PACKET", socket_of(AF_PACKET, SOCK_RAW)},
            {"AF_INET", socket_of(AF_INET, SOCK_STREAM)},
            {"AF_INET6", socket_of(AF_INET6, SOCK_DGRAM)},
            {"AF_VSOCK", socket_of(AF_VSOCK, SOCK_STREAM)},
            {"AF_ALG", socket_of(AF_ALG, SOCK_SEQPACKET)},
            {"connect", [&] { return ::connect(bound_before, listening.any(), sizeof(sockaddr_in)); }},
            {"listen", [&] { return ::listen(bound_before, 1); }},
            {"executable memory",
             [] {
                 void* const made =
                     ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                 return made == MAP_FAILED ? -1L : 0L;
             }},
            {"memory made executable", [&] { return ::mprotect(page, 4096, PROT_READ | PROT_EXEC); }},
            {"a new process", call(SYS_clone, SIGCHLD)},
            {"fork", call(SYS_fork)},
            {"vfork", call(SYS_vfork)},
            {"clone3", call(SYS_clone3)},
            {"a thread in a name space of its own",
             call(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_NEWUSER)},
            {"setuid file", [&] { return ::chmod(path("data/mail").c_str(), 04700); }},
            {"setgid file", [&] { return ::fchmodat(AT_FDCWD, path("data/mail").c_str(), 02700, 0); }},
            {"file made setuid", [&] { return ::open(path("data/s").c_str(), O_CREAT | O_WRONLY, 04700); }},
            {"chown", [&] { return ::chown(path("data/mail").c_str(), 1, 1); }},
            {"setuid", call(SYS_setuid, 0)},
            {"setresuid", call(SYS_setresuid, 0, 0, 0)},
            {"capset", call(SYS_capset)},
            {"limits", [&] { return ::setrlimit(RLIMIT_NOFILE, &open_files); }},
            {"dumps again", [] { return ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }},
            {"a signal to another process", [&] { return ::kill(parent, 0); }},
            {"chroot", [&] { return ::chroot(path("data").c_str()); }},
            {"unshare", call(SYS_unshare, CLONE_NEWNS)},
            {"mount", call(SYS_mount)},
            {"bpf", call(SYS_bpf)},
            {"perf_event_open", call(SYS_perf_event_open)},
            {"io_uring_setup", call(SYS_io_uring_setup, 8)},
            {"userfaultfd", call(SYS_userfaultfd)},
            {"keyctl", call(SYS_keyctl)},
            {"memfd_create", call(SYS_memfd_create)},
            {"pidfd_open", call(SYS_pidfd_open, ::getpid())},
            {"terminal input", call(SYS_ioctl, 0, 0x5412)},
        });
    });
    EXPECT_EQ(child.told, "");
    EXPECT_EQ(child.status, 0);
}

// No bug of Pier's makes one of these: so it is an attack, and the process ends at once.
TEST_F(SandboxTest, StartingAProgramOrReachingIntoAProcessIsTheEnd) {
    const char* arguments[] = {"/bin/true", nullptr};
    char buffer[16];
    const iovec here{buffer, sizeof buffer};
    const pid_t parent = ::getpid();
    const std::vector<Attempt> deadly{
        {"execve", [&] { return ::execv(arguments[0], const_cast<char**>(arguments)); }},
        {"execveat", [&] { return ::syscall(SYS_execveat, AT_FDCWD, arguments[0], arguments, nullptr, 0); }},
        {"ptrace", [] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
        {"process_vm_readv", [&] { return ::process_vm_readv(parent, &here, 1, &here, 1, 0); }},
        {"process_vm_writev", [&] { return ::process_vm_writev(parent, &here, 1, &here, 1, 0); }},
    };
    for (const Attempt& each : deadly) {
        const auto child = run_child([&] {
            if (const std::string complaint = enter(); !complaint.empty()) return complaint;
            each.attempt();
            return std::string("it is still alive");
        });
        EXPECT_EQ(child.told, "") << each.what;
        EXPECT_TRUE(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSYS) << each.what;
    }
}

// Landlock alone already forbids it: so also while the store is replayed, before the list of calls is in
// force.
TEST_F(SandboxTest, NoProgramIsStartedWhileTheStoreOpens) {
    if (!kernel_has_landlock()) GTEST_SKIP() << "this kernel has no Landlock";
    const auto child = run_child([&] {
        std::string told;
        const std::string complaint = enter([&] {
            const char* arguments[] = {"/bin/true", nullptr};
            ::execv(arguments[0], const_cast<char**>(arguments));
            told = errno == EACCES ? "" : std::strerror(errno);
        });
        return complaint + told;
    });
    EXPECT_EQ(child.told, "");
    EXPECT_EQ(child.status, 0);
}

TEST_F(SandboxTest, TheDataFolderIsKept) {
    fs::create_directories(top_ / "other_disk/index");
    fs::create_directory_symlink(top_ / "other_disk/index", top_ / "data/index");
    const auto child = run_child([&] {
        if (const std::string complaint = enter(); !complaint.empty()) return complaint;
        std::string told;
        const auto need = [&told](const char* what, bool good) {
            if (!good) told += fmt::format("{}: {}\n", what, std::strerror(errno));
        };
        need("read", read_file(top_ / "data/mail") == "mail");
        write_file(top_ / "data/log/one", "1");
        const int fd = ::open(path("data/log/one").c_str(), O_RDWR | O_CLOEXEC);
        need("truncate", ::ftruncate(fd, 0) == 0);
        need("write", ::write(fd, "22", 2) == 2 && ::fdatasync(fd) == 0);
        need("rename", ::rename(path("data/log/one").c_str(), path("data/log/two").c_str()) == 0);
        need("read again", read_file(top_ / "data/log/two") == "22");
        need("a file without a name", ::open(path("data").c_str(), O_TMPFILE | O_RDWR, 0600) >= 0);
        need("list and remove", fs::remove_all(top_ / "data/log") == 2);
        write_file(top_ / "data/index/CURRENT", "1");
        need("an index elsewhere", read_file(top_ / "other_disk/index/CURRENT") == "1");
        return told;
    });
    EXPECT_EQ(child.told, "");
    EXPECT_EQ(child.status, 0);
}

// As certbot renews: a new file beside the old one, and the link turned to it by rename.
TEST_F(SandboxTest, AReplacedCertificateIsRead) {
    write_file(top_ / "tls/archive/server1.pem", "certificate 1");
    fs::remove(top_ / "tls/live/server.pem");
    fs::create_symlink("../archive/server1.pem", top_ / "tls/live/server.pem");
    int begin[2], done[2];
    ASSERT_EQ(::pipe(begin) + ::pipe(done), 0);
    const auto renew = [&] {
        pollfd child_has_read{done[0], POLLIN, 0};
        EXPECT_EQ(::poll(&child_has_read, 1, patience_ms), 1);
        write_file(top_ / "tls/archive/server2.pem", "certificate 2");
        fs::create_symlink("../archive/server2.pem", top_ / "tls/live/new.pem");
        fs::rename(top_ / "tls/live/new.pem", top_ / "tls/live/server.pem");
        write_file(top_ / "etc/new.toml", "[log]\n");
        fs::rename(top_ / "etc/new.toml", top_ / "etc/pier.toml");
        fs::rename(top_ / "log/pier.log", top_ / "log/pier.log.1");
        EXPECT_EQ(::write(begin[1], "", 1), 1);
    };
    const auto child = run_child(
        [&] {
            if (const std::string complaint = enter(); !complaint.empty()) return complaint;
            const std::string before = read_file(config_.tls.certificate);
            char octet;
            if (::write(done[1], "", 1) != 1 || ::read(begin[0], &octet, 1) != 1)
                return std::string("no pipe");
            const int log = ::open(config_.log.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
            return fmt::format("{}, {}, {}{}", before, read_file(config_.tls.certificate),
                               read_file(top_ / "etc/pier.toml"),
                               log >= 0 && ::write(log, "second\n", 7) == 7 ? "" : "no log");
        },
        renew);
    for (const int fd : {begin[0], begin[1], done[0], done[1]})
        ::close(fd);
    EXPECT_EQ(child.told, "certificate 1, certificate 2, [log]\n");
    EXPECT_EQ(child.status, 0);
    EXPECT_EQ(read_file(top_ / "log/pier.log"), "second\n");
}

// queue.enabled: it sends mail itself. Programs and ports to listen on stay forbidden.
TEST_F(SandboxTest, AServerThatSendsMailConnects) {
    config_.queue.enabled = true;
    const Listening listening;
    const auto child = run_child([&] {
        if (const std::string complaint = enter(); !complaint.empty()) return complaint;
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || ::connect(fd, listening.any(), sizeof(sockaddr_in)) != 0)
            return fmt::format("no connection: {}", std::strerror(errno));
        const int question = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (question < 0) return fmt::format("no way to DNS: {}", std::strerror(errno));
        return those_that_work({{"listen", [&] { return ::listen(fd, 1); }},
                                {"fork", [] { return ::syscall(SYS_fork); }},
                                {"AF_PACKET", [] { return ::socket(AF_PACKET, SOCK_RAW, 0); }}});
    });
    EXPECT_EQ(child.told, "");
    EXPECT_EQ(child.status, 0);
}

TEST_F(SandboxTest, ConnectionsAndThreadsWork) {
    const Listening listening;
    const auto client = [&] {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::connect(fd, listening.any(), sizeof(sockaddr_in)), 0);
        const timeval patience{patience_ms / 1000, 0};
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        char answer[8] = {};
        EXPECT_EQ(::send(fd, "NOOP\r\n", 6, MSG_NOSIGNAL), 6);
        EXPECT_EQ(::recv(fd, answer, sizeof answer, MSG_WAITALL), 4);
        EXPECT_STREQ(answer, "+OK\n");
        ::close(fd);
    };
    const auto child = run_child(
        [&] {
            if (const std::string complaint = enter(); !complaint.empty()) return complaint;
            std::string told = "nothing was served";
            std::thread serving([&] {
                const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
                epoll_event event{};
                event.events = EPOLLIN;
                if (::epoll_ctl(epoll, EPOLL_CTL_ADD, listening.fd, &event) != 0) return;
                if (::epoll_wait(epoll, &event, 1, patience_ms) != 1) return;
                const int fd = ::accept4(listening.fd, nullptr, nullptr, SOCK_CLOEXEC);
                char command[6];
                if (::recv(fd, command, sizeof command, MSG_WAITALL) != 6 || ::send(fd, "+OK\n", 4, 0) != 4)
                    return;
                ::close(fd);
                told.clear();
            });
            serving.join();
            return told;
        },
        client);
    EXPECT_EQ(child.told, "");
    EXPECT_EQ(child.status, 0);
}

// The management's and LMTP's sockets are made while the store opens, and removed at the end.
TEST_F(SandboxTest, UnixSocketsAreMadeAndRemoved) {
    const int told_to = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un systemd{};
    systemd.sun_family = AF_UNIX;
    path("elsewhere/notify").copy(systemd.sun_path, sizeof systemd.sun_path - 1);
    ASSERT_EQ(::bind(told_to, reinterpret_cast<sockaddr*>(&systemd), sizeof systemd), 0);
    const auto child = run_child([&] {
        bool bound = false;
        const std::string complaint = enter([&] {
            sockaddr_un address{};
            address.sun_family = AF_UNIX;
            config_.admin.socket.copy(address.sun_path, sizeof address.sun_path - 1);
            const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                    ::chmod(config_.admin.socket.c_str(), 0600) == 0 && ::listen(fd, 1) == 0;
        });
        if (!complaint.empty()) return complaint;
        const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        const bool said = ::sendto(fd, "READY=1", 7, MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&systemd),
                                   sizeof systemd) == 7;
        const bool removed = ::unlink(config_.admin.socket.c_str()) == 0;
        return fmt::format("{} {} {}", bound, said, removed);
    });
    EXPECT_EQ(child.told, "true true true");
    char word[16] = {};
    EXPECT_EQ(::recv(told_to, word, sizeof word, MSG_DONTWAIT), 7);
    EXPECT_STREQ(word, "READY=1");
    ::close(told_to);
}

TEST_F(SandboxTest, ThreadsOfTheStoreAreConfinedToo) {
    const auto child = run_child([&] {
        std::atomic<bool> go = false;
        int made = 0, opened = 0;
        std::thread early;
        const std::string complaint = enter([&] {
            early = std::thread([&] {
                go.wait(false);
                made = ::socket(AF_NETLINK, SOCK_RAW, 0);
                opened = ::open("/etc/passwd", O_RDONLY);
            });
        });
        go = true;
        go.notify_all();
        early.join();
        return fmt::format("{}{} {}", complaint, made, kernel_has_landlock() ? opened : -1);
    });
    EXPECT_EQ(child.told, "-1 -1");
}

TEST_F(SandboxTest, AThreadMadeBeforeItIsAnError) {
    const auto child = run_child([&] {
        std::atomic<bool> go = false;
        std::thread early([&] { go.wait(false); });
        const std::string complaint = enter();
        go = true;
        go.notify_all();
        early.join();
        return complaint;
    });
    EXPECT_NE(child.told.find("a thread that was made before it"), std::string::npos) << child.told;
}

TEST_F(SandboxTest, NoCapabilityIsLeftAndNoDumpIsMade) {
    const auto child = run_child([&] {
        const std::string complaint = enter();
        rlimit core{1, 1};
        ::getrlimit(RLIMIT_CORE, &core);
        return fmt::format("{}{} {}", complaint, core.rlim_cur, core.rlim_max);
    });
    EXPECT_EQ(child.told, "0 0");
    const auto unconfined = run_child([&] {
        const auto dropped = drop_privileges("");
        forbid_dumps();
        std::string told = dropped ? "" : dropped.error().text;
        std::ifstream in("/proc/self/status");
        for (std::string line; std::getline(in, line);)
            if (line.starts_with("Cap") || line.starts_with("NoNewPrivs"))
                told += line.substr(line.find('\t') + 1) + " ";
        return told + std::to_string(::prctl(PR_GET_DUMPABLE));
    });
    const std::string none = "0000000000000000 ";
    // Who is not root cannot empty the bounding set, which is the fourth, and has none of it.
    if (::geteuid() == 0) {
        EXPECT_EQ(unconfined.told, none + none + none + none + none + "1 0");
    }
}

TEST_F(SandboxTest, FoldersDirectlyUnderTheRootAreTooMuch) {
    config_.tls.certificate = "/etc/passwd";
    config_.log.file = "/tmp/pier.log";
    config_.admin.socket = "/run/pier.sock";
    const ReachableFiles files = reachable_files(config_, "/etc/pier/pier.toml");
    EXPECT_THAT(files.read, IsSupersetOf({"/etc/pier", "/etc/passwd"}));
    EXPECT_THAT(files.read, Not(Contains("/etc")));
    EXPECT_EQ(files.logs, std::vector<std::string>{"/tmp/pier.log"});
    EXPECT_EQ(files.alone, (std::vector<std::string>{"/tmp/pier.log", "/etc/passwd"}));
    EXPECT_EQ(files.sockets, std::vector<std::string>{"/run"});
}

TEST_F(SandboxTest, EveryLinkOnTheWayIsFollowed) {
    fs::create_directories(top_ / "certs/v1");
    write_file(top_ / "certs/v1/server.pem", "1");
    fs::create_directory_symlink("v1", top_ / "certs/current");
    fs::create_symlink(top_ / "certs/current/server.pem", top_ / "etc/server.pem");
    config_.tls.certificate = path("etc/server.pem");
    const ReachableFiles files = reachable_files(config_, path("etc/pier.toml"));
    EXPECT_THAT(files.read, IsSupersetOf({path("etc"), path("certs"), path("certs/v1")}));
    fs::create_symlink("loop", top_ / "etc/loop");
    config_.tls.certificate = path("etc/loop");
    EXPECT_FALSE(reachable_files(config_, path("etc/pier.toml")).read.empty());
}

}  // namespace
}  // namespace pier::program
