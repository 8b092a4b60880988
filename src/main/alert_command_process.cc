#include "main/alert_command_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <future>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/process.h"
#include "backends/worker.h"
#include "base/printable.h"
#include "main/privileges.h"

namespace pier::program {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view variable_prefix = "PIER_";
constexpr const char* usual_path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t output_octets_max = 200;  // kept, for the error's text
constexpr milliseconds look_time{20};           // how often it is looked whether it has ended
constexpr std::chrono::seconds more_time{5};    // that the server waits longer than the command may run
constexpr std::size_t threads_max = 16;
constexpr int not_executed = 126;  // as shells have it

// Both ends of a pipe; closed with it.
class Pipe {
  public:
    Pipe() { made_ = ::pipe2(ends_.data(), O_CLOEXEC) == 0; }
    ~Pipe() {
        close(0);
        close(1);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    bool made() const { return made_; }
    int end(std::size_t which) const { return ends_[which]; }  // 0: to read from, 1: to write to
    void close(std::size_t which) {
        if (ends_[which] >= 0) ::close(std::exchange(ends_[which], -1));
    }
    void do_not_block(std::size_t which) const { ::fcntl(ends_[which], F_SETFL, O_NONBLOCK); }

  private:
    std::array<int, 2> ends_{-1, -1};
    bool made_ = false;
};

// In the child of a process with threads: calls alone that are safe there (signal-safety(7)).
[[noreturn]] void become_command(const char* file, char* const* environment, int input, int output,
                                 pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(not_executed);
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number)
        ::sigaction(number, &usual, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
        ::dup2(output, STDERR_FILENO) < 0 || ::chdir("/") != 0)
        ::_exit(not_executed);
    ::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    std::array<char*, 2> arguments{const_cast<char*>(file), nullptr};
    ::execve(file, arguments.data(), environment);
    constexpr std::string_view why = "it cannot be executed";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, why.data(), why.size());
    ::_exit(not_executed);
}

// One run of a command.
class Run {
  public:
    Run(const AlertCommand& command, std::string_view input) : command_(command), rest_(input) {}

    // Absent: it has ended well. Else why it has not.
    std::optional<std::string> to_its_end(std::vector<std::string>& environment) {
        if (!input_.made() || !output_.made()) return "no pipes for it: " + std::string(std::strerror(errno));
        std::vector<char*> variables;
        for (std::string& one : environment)
            variables.push_back(one.data());
        variables.push_back(nullptr);
        const pid_t parent = ::getpid();
        child_ = ::fork();
        if (child_ == 0)
            become_command(command_.file.c_str(), variables.data(), input_.end(0), output_.end(1), parent);
        if (child_ < 0) return fmt::format("no process for it: {}", std::strerror(errno));
        ::setpgid(child_, child_);  // whoever is first
        input_.close(0);
        output_.close(1);
        input_.do_not_block(1);
        output_.do_not_block(0);
        return wait();
    }

  private:
    std::optional<std::string> wait() {
        const auto end = steady_clock::now() + command_.timeout;
        int status = 0;
        for (;;) {
            exchange(look_time);
            if (::waitpid(child_, &status, WNOHANG) == child_) break;
            if (steady_clock::now() < end) continue;
            ::kill(-child_, SIGKILL);
            ::kill(child_, SIGKILL);
            ::waitpid(child_, &status, 0);
            return fmt::format("it was killed, for it ran longer than {} s", command_.timeout.count());
        }
        exchange(milliseconds(0));  // its last words
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::nullopt;
        const std::string how = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                                    : fmt::format("exit status {}", WEXITSTATUS(status));
        return said_.empty() ? how : fmt::format("{}: {}", how, printable(said_, output_octets_max));
    }

    void exchange(milliseconds time) {
        std::array<pollfd, 2> fds{{{input_.end(1), POLLOUT, 0}, {output_.end(0), POLLIN, 0}}};
        if (::poll(fds.data(), fds.size(), static_cast<int>(time.count())) <= 0) return;
        if (fds[0].revents != 0) {
            const ssize_t count = ::write(input_.end(1), rest_.data(), rest_.size());
            if (count > 0) rest_.remove_prefix(static_cast<std::size_t>(count));
            // One that does not read it may do its work all the same.
            if (rest_.empty() || (count < 0 && errno != EAGAIN && errno != EINTR)) input_.close(1);
        }
        if (fds[1].revents == 0) return;
        std::array<char, 4096> block;
        const ssize_t count = ::read(output_.end(0), block.data(), block.size());
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) output_.close(0);
        if (count <= 0) return;
        const std::size_t room = output_octets_max - std::min(said_.size(), output_octets_max);
        said_.append(block.data(), std::min(static_cast<std::size_t>(count), room));
    }

    const AlertCommand& command_;
    std::string_view rest_;  // of its input
    std::string said_;
    Pipe input_, output_;
    pid_t child_ = -1;
};

class Runner final : public backends::Service {
  public:
    explicit Runner(const std::vector<AlertCommand>& commands) : commands_(commands) {}

    backends::Message answer(const backends::Message& request) override {
        const auto command =
            std::ranges::find(commands_, request.fields.get("channel"), &AlertCommand::channel);
        if (command == commands_.end()) return {0, "failed", {{"text", "there is no such command"}}};
        // Attack: who has got into the server might name LD_PRELOAD.
        std::vector<std::string> environment{usual_path};
        for (const auto& [name, value] : request.fields.all())
            if (name.starts_with(variable_prefix)) environment.push_back(fmt::format("{}={}", name, value));
        Run run(*command, request.fields.get("input"));
        if (const auto failure = run.to_its_end(environment)) return {0, "failed", {{"text", *failure}}};
        return {0, "done", {}};
    }

  private:
    const std::vector<AlertCommand>& commands_;
};

Result<void> look_at(const AlertCommand& command) {
    struct stat status {};
    if (::stat(command.file.c_str(), &status) != 0) return errno_error(errno, "run " + command.file);
    constexpr mode_t executable = S_IXUSR | S_IXGRP | S_IXOTH;
    if (!command.file.starts_with('/') || !S_ISREG(status.st_mode) || (status.st_mode & executable) == 0)
        return Error(ErrorKind::invalid,
                     fmt::format("{} is no file that can be run: it must be an absolute path, and executable "
                                 "(chmod +x)",
                                 command.file));
    return {};
}

int work(const std::vector<AlertCommand>& commands, std::chrono::seconds timeout, int fd) {
    std::signal(SIGPIPE, SIG_IGN);  // commands need not read what they are given
    // A pipe's end that took the place of a standard descriptor would be lost when that one is replaced.
    int opened = STDIN_FILENO;
    while (opened >= 0 && opened <= STDERR_FILENO)
        opened = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (opened > STDERR_FILENO) ::close(opened);
    backends::WorkerLimits limits;
    limits.name = "alerts";
    limits.threads = std::min(2 * commands.size(), threads_max);  // one tells, and one may be tested
    limits.timeout = timeout;
    return backends::run_worker(fd, limits, [&commands] { return std::make_unique<Runner>(commands); });
}

Result<void> confine(const std::string& user) {
    if (auto dropped = drop_privileges(user); !dropped) return dropped;
    forbid_dumps();
    return {};
}

}  // namespace

Result<std::unique_ptr<AlertCommands>> AlertCommands::make(std::vector<AlertCommand> commands,
                                                           const std::string& user) {
    backends::ChannelLimits limits;
    limits.timeout = std::chrono::seconds(0);
    for (const AlertCommand& one : commands) {
        if (auto looked = look_at(one); !looked) return looked.error();
        limits.timeout = std::max(limits.timeout, one.timeout + more_time);
    }
    const auto socket = backends::start_process(
        {.name = "alerts",
         .confine = [&user] { return confine(user); },
         .work = [&commands, &limits](int fd) { return work(commands, limits.timeout, fd); }});
    if (!socket) return socket.error();
    return std::unique_ptr<AlertCommands>(new AlertCommands(*socket, limits));
}

AlertCommands::~AlertCommands() {
    stop();
    if (fd_ >= 0) ::close(fd_);
}

void AlertCommands::start() {
    if (fd_ >= 0) process_ = std::make_unique<backends::Channel>("alerts", std::exchange(fd_, -1), limits_);
}

void AlertCommands::stop() {
    if (process_) process_->stop();
}

Result<void> AlertCommands::run(const std::string& channel, const Environment& environment,
                                const std::string& input) {
    backends::Message request{0, "run", {{"channel", channel}, {"input", input}}};
    for (const auto& [name, value] : environment)
        request.fields.add(name, value);
    auto answered = std::make_shared<std::promise<Result<backends::Message>>>();
    auto answer = answered->get_future();
    process_->ask(std::move(request),
                  [answered](Result<backends::Message> one) { answered->set_value(std::move(one)); });
    const auto ended = answer.get();
    if (!ended) return ended.error();
    if (ended->word == "done") return {};
    return Error(ErrorKind::io, std::string(ended->fields.get("text")));
}

}  // namespace pier::program
