#include "base/whole_file.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pier {
namespace {

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

  private:
    const int fd_;
};

std::string folder_of(const std::string& file) {
    const std::size_t slash = file.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : file.substr(0, slash);
}

Result<void> write_all(int fd, std::string_view text, const std::string& file) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno_error(errno, "write " + file);
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fsync(fd) != 0) return errno_error(errno, "write " + file);
    return {};
}

}  // namespace

Result<std::string> read_whole_file(const std::string& file, std::size_t octets_max) {
    const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (in.get() < 0) return errno_error(errno, "read " + file);
    struct stat status {};
    if (::fstat(in.get(), &status) != 0) return errno_error(errno, "read " + file);
    if (!S_ISREG(status.st_mode)) return Error{ErrorKind::invalid, file + " is no file"};
    std::string text;
    // Not what the size says: the file may grow meanwhile.
    text.resize(octets_max + 1);
    std::size_t count = 0;
    while (count < text.size()) {
        const ssize_t got = ::read(in.get(), text.data() + count, text.size() - count);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error(errno, "read " + file);
        if (got == 0) break;
        count += static_cast<std::size_t>(got);
    }
    if (count > octets_max)
        return Error{ErrorKind::invalid, file + " has more than " + std::to_string(octets_max) + " octets"};
    text.resize(count);
    return text;
}

Result<void> replace_file(const std::string& file, std::string_view text, mode_t mode) {
    const std::string fresh = file + ".new";
    ::unlink(fresh.c_str());
    {
        const Descriptor out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        if (out.get() < 0) return errno_error(errno, "make " + fresh);
        struct stat old {};
        if (::stat(file.c_str(), &old) == 0 && (old.st_uid != ::geteuid() || old.st_gid != ::getegid()) &&
            ::fchown(out.get(), old.st_uid, old.st_gid) != 0)
            return errno_error(errno, "give " + fresh + " to the owner of " + file);
        if (auto written = write_all(out.get(), text, fresh); !written) return written;
    }
    if (::rename(fresh.c_str(), file.c_str()) != 0) return errno_error(errno, "rename " + fresh);
    const Descriptor folder(::open(folder_of(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() >= 0) ::fsync(folder.get());
    return {};
}

}  // namespace pier
