#include "backends/passwd_file.h"

#include <cerrno>
#include <mutex>
#include <tuple>
#include <unordered_map>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/password.h"
#include "backends/passwd_line.h"
#include "backends/stored_password.h"
#include "base/log.h"

namespace pier::backends {
namespace {

constexpr std::uint64_t file_octets_max = 256 << 20;
constexpr std::size_t lines_told_max = 20;  // of those that are broken

struct Users {
    std::unordered_map<std::string, PasswdEntry> by_name;
    std::string some_password;  // what an unknown user's is compared with
};
using UsersPtr = std::shared_ptr<const Users>;

// What is different once the file has been changed or replaced.
struct Version {
    dev_t device = 0;
    ino_t inode = 0;
    off_t octets = -1;
    std::int64_t modified_s = 0, modified_ns = 0, changed_s = 0, changed_ns = 0;
    bool operator==(const Version&) const = default;
};

Version version_of(const struct stat& status) {
    return {status.st_dev,          status.st_ino,         status.st_size,        status.st_mtim.tv_sec,
            status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
}

void read_lines(const std::string& path, std::string_view text, Users& users) {
    std::size_t number = 0, broken = 0;
    const auto tell = [&](std::string_view reason) {
        if (++broken <= lines_told_max)
            log::warning("backend.file.line", {{"file", path}, {"line", number}, {"reason", reason}});
    };
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        auto entry = parse_passwd_line(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        ++number;
        if (!entry) {
            tell(entry.error().text);
            continue;
        }
        if (!*entry) continue;
        if (users.some_password.empty()) users.some_password = (*entry)->password;
        const std::string name = (*entry)->name;
        if (!users.by_name.emplace(name, std::move(**entry)).second)
            tell("another line before it has the same user, and counts");
    }
}

class File {
  public:
    explicit File(std::string path) : path_(std::move(path)) {}

    // As the file is now. The text of an error is an outage's.
    Result<UsersPtr> users() {
        std::lock_guard lock(mutex_);
        struct stat status {};
        if (::stat(path_.c_str(), &status) != 0) return errno_error(errno, "look at " + path_);
        if (users_ && version_of(status) == version_) return users_;
        users_.reset();
        auto users = read();
        if (!users) return users.error();
        users_ = std::move(*users);
        return users_;
    }

  private:
    Result<UsersPtr> read() {
        const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) return errno_error(errno, "open " + path_);
        std::string text;
        const auto read = read_into(fd, text);
        ::close(fd);
        if (!read) return read.error();
        const auto users = std::make_shared<Users>();
        read_lines(path_, text, *users);
        auth::wipe(text);
        // Whoever writes the file anew in place has it empty for a moment, in which nobody's mail may bounce.
        if (users->by_name.empty()) return Error{ErrorKind::invalid, path_ + " has no user in it"};
        log::info("backend.file.read", {{"file", path_}, {"users", users->by_name.size()}});
        return UsersPtr(users);
    }

    Result<void> read_into(int fd, std::string& text) {
        struct stat status {};
        if (::fstat(fd, &status) != 0) return errno_error(errno, "look at " + path_);
        version_ = version_of(status);
        if (static_cast<std::uint64_t>(status.st_size) > file_octets_max)
            return Error{ErrorKind::invalid,
                         fmt::format("{} is larger than {} MiB", path_, file_octets_max >> 20)};
        text.resize(static_cast<std::size_t>(status.st_size));
        std::size_t at = 0;
        while (at < text.size()) {
            const ssize_t octets = ::read(fd, text.data() + at, text.size() - at);
            if (octets < 0 && errno == EINTR) continue;
            if (octets < 0) return errno_error(errno, "read " + path_);
            if (octets == 0) return Error{ErrorKind::busy, path_ + " became shorter while it was read"};
            at += static_cast<std::size_t>(octets);
        }
        return {};
    }

    const std::string path_;
    std::mutex mutex_;
    Version version_;
    UsersPtr users_;
};

class PasswdFile : public Source {
  public:
    PasswdFile(std::shared_ptr<File> file, std::string default_scheme)
        : file_(std::move(file)), default_scheme_(std::move(default_scheme)) {}

    Answer check(const Login& login) override {
        const auto users = file_->users();
        if (!users) return Outage{users.error().text};
        const auto at = (*users)->by_name.find(login.name);
        if (at == (*users)->by_name.end()) {
            // Attack: names that exist are found by the time an answer takes.
            (void)compare((*users)->some_password, default_scheme_, login.password, {});
            return UnknownUser{};
        }
        const PasswdEntry& entry = at->second;
        Answer answer = compare(entry.password, default_scheme_, login.password, entry.user);
        if (std::holds_alternative<Found>(answer) && !entry.may_log_in)
            return NotAllowed{"nologin is set in the file"};
        return answer;
    }

    Answer find(const std::string& name) override {
        const auto users = file_->users();
        if (!users) return Outage{users.error().text};
        const auto at = (*users)->by_name.find(name);
        if (at == (*users)->by_name.end()) return UnknownUser{};
        return Found{at->second.user};
    }

  private:
    const std::shared_ptr<File> file_;
    const std::string default_scheme_;
};

}  // namespace

Result<MakeSource> open_passwd_file(const Settings& settings) {
    auto file = std::make_shared<File>(settings.passwd_file.file);
    return MakeSource([file, scheme = settings.default_scheme]() -> std::unique_ptr<Source> {
        return std::make_unique<PasswdFile>(file, scheme);
    });
}

}  // namespace pier::backends
