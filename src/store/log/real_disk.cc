#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/log/disk.h"

namespace pier::store::log {
namespace {

constexpr std::size_t pieces_at_once = 512;  // IOV_MAX is 1,024

class RealFile : public File {
  public:
    RealFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
    ~RealFile() override { ::close(fd_); }

    Result<void> write(std::uint64_t offset, std::span<const std::string_view> pieces) override {
        while (!pieces.empty()) {
            std::array<iovec, pieces_at_once> vectors;
            const std::size_t count = std::min(pieces.size(), pieces_at_once);
            for (std::size_t i = 0; i < count; ++i)
                vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
            if (auto r = write_vectors(offset, {vectors.data(), count}); !r) return r;
            for (std::size_t i = 0; i < count; ++i)
                offset += pieces[i].size();
            pieces = pieces.subspan(count);
        }
        return {};
    }

    Result<std::size_t> read(std::uint64_t offset, std::span<char> out, Wait wait) const override {
        std::size_t got = 0;
        while (got < out.size()) {
            const iovec vector{out.data() + got, out.size() - got};
            const off_t at = static_cast<off_t>(offset + got);
            ssize_t n = ::preadv2(fd_, &vector, 1, at, wait == Wait::no_wait ? RWF_NOWAIT : 0);
            // Some file systems cannot tell whether they would wait; then waiting is all there is.
            if (n < 0 && errno == EOPNOTSUPP) n = ::preadv2(fd_, &vector, 1, at, 0);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return Error{ErrorKind::busy, "the octets are not in memory"};
            if (n < 0) return errno_error(errno, "read " + path_);
            if (n == 0) break;
            got += static_cast<std::size_t>(n);
        }
        return got;
    }

    Result<void> sync() override {
        if (::fdatasync(fd_) != 0) return errno_error(errno, "make " + path_ + " durable");
        return {};
    }

    Result<void> truncate(std::uint64_t octets) override {
        if (::ftruncate(fd_, static_cast<off_t>(octets)) != 0) return errno_error(errno, "shorten " + path_);
        return {};
    }

    Result<std::uint64_t> octets() const override {
        struct stat status {};
        if (::fstat(fd_, &status) != 0) return errno_error(errno, "look at " + path_);
        return static_cast<std::uint64_t>(status.st_size);
    }

    int descriptor() const override { return fd_; }

    Result<std::int64_t> changed_ns() const override {
        struct stat status {};
        if (::fstat(fd_, &status) != 0) return errno_error(errno, "look at " + path_);
        return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
    }

  private:
    Result<void> write_vectors(std::uint64_t offset, std::span<iovec> vectors) {
        while (!vectors.empty()) {
            const ssize_t n =
                ::pwritev(fd_, vectors.data(), static_cast<int>(vectors.size()), static_cast<off_t>(offset));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return errno_error(errno, "write " + path_);
            offset += static_cast<std::uint64_t>(n);
            std::size_t done = static_cast<std::size_t>(n);
            while (!vectors.empty() && done >= vectors.front().iov_len) {
                done -= vectors.front().iov_len;
                vectors = vectors.subspan(1);
            }
            if (vectors.empty()) break;
            vectors.front().iov_base = static_cast<char*>(vectors.front().iov_base) + done;
            vectors.front().iov_len -= done;
        }
        return {};
    }

    const int fd_;
    const std::string path_;
};

class RealDisk : public Disk {
  public:
    explicit RealDisk(std::string folder) : folder_(std::move(folder)) {}

    Result<std::unique_ptr<File>> create(const std::string& name) override {
        return open_with(name, O_RDWR | O_CREAT | O_EXCL, "create");
    }
    Result<std::unique_ptr<File>> open(const std::string& name) override {
        return open_with(name, O_RDWR, "open");
    }

    Result<std::unique_ptr<File>> create_nameless() override {
        const std::string folder = folder_ + "/tmp";
        int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
            // A file system without O_TMPFILE.
            std::string pattern = folder + "/spool-XXXXXX";
            fd = ::mkostemp(pattern.data(), O_CLOEXEC);
            if (fd >= 0) ::unlink(pattern.c_str());
        }
        if (fd < 0) return errno_error(errno, "make a spool file in " + folder);
        return std::make_unique<RealFile>(fd, "a spool file in " + folder);
    }

    Result<void> remove(const std::string& name) override {
        if (::unlink(path(name).c_str()) != 0) return errno_error(errno, "remove " + path(name));
        return {};
    }

    Result<void> make_folder(const std::string& name) override {
        std::error_code error;
        std::filesystem::create_directories(path(name), error);
        if (error) return errno_error(error.value(), "make the folder " + path(name));
        return {};
    }

    Result<void> sync_folder(const std::string& name) override {
        const int fd = ::open(path(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return errno_error(errno, "open the folder " + path(name));
        const int synced = ::fsync(fd);
        const int error_number = errno;
        ::close(fd);
        if (synced != 0) return errno_error(error_number, "make the folder " + path(name) + " durable");
        return {};
    }

    Result<std::vector<std::string>> list(const std::string& folder) override {
        std::vector<std::string> names;
        std::error_code error;
        for (std::filesystem::directory_iterator at(path(folder), error), end; !error && at != end;
             at.increment(error))
            names.push_back(at->path().filename().string());
        if (error) return errno_error(error.value(), "list " + path(folder));
        std::sort(names.begin(), names.end());
        return names;
    }

    Result<std::uint64_t> free_octets() override {
        struct statvfs status {};
        if (::statvfs(folder_.c_str(), &status) != 0)
            return errno_error(errno, "look at the disk of " + folder_);
        return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
    }

    Result<std::unique_ptr<File>> lock(const std::string& name) override {
        auto file = open_with(name, O_RDWR | O_CREAT, "open");
        if (!file) return file;
        const int fd = (*file)->descriptor();
        if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK) return errno_error(errno, "lock " + path(name));
            char holder[32] = {};
            [[maybe_unused]] const auto n = ::pread(fd, holder, sizeof holder - 1, 0);
            return Error{ErrorKind::busy,
                         fmt::format("the store in {} is in use by process {}; stop that first, or let the "
                                     "command talk to it",
                                     folder_, std::string_view(holder))};
        }
        const std::string own = std::to_string(::getpid());
        if (auto r = (*file)->truncate(0); !r) return r.error();
        const std::string_view piece = own;
        if (auto r = (*file)->write(0, {&piece, 1}); !r && r.error().kind != ErrorKind::no_space)
            return r.error();
        return file;
    }

  private:
    std::string path(const std::string& name) const { return folder_ + "/" + name; }

    Result<std::unique_ptr<File>> open_with(const std::string& name, int flags, const char* doing) {
        const int fd = ::open(path(name).c_str(), flags | O_CLOEXEC, 0600);
        if (fd < 0) return errno_error(errno, fmt::format("{} {}", doing, path(name)));
        return std::make_unique<RealFile>(fd, path(name));
    }

    const std::string folder_;
};

}  // namespace

std::shared_ptr<Disk> real_disk(const std::string& folder) {
    return std::make_shared<RealDisk>(folder);
}

}  // namespace pier::store::log
