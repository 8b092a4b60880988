#include "migrate/file.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pier::migrate {
namespace {

constexpr std::size_t line_block_octets = 65536;

}  // namespace

Result<std::shared_ptr<File>> File::open(const std::filesystem::path& path) {
    const int fd =
        ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);  // a FIFO must not hang the run
    if (fd < 0) return errno_error(errno, fmt::format("open {}", path.string()));
    std::shared_ptr<File> file(new File(path, fd));
    struct stat status {};
    if (::fstat(fd, &status) != 0) return errno_error(errno, fmt::format("look at {}", path.string()));
    if (!S_ISREG(status.st_mode))
        return Error(ErrorKind::invalid, fmt::format("{} is not a regular file", path.string()));
    file->octets_ = static_cast<std::uint64_t>(status.st_size);
    file->modified_ = Time(std::chrono::seconds(status.st_mtim.tv_sec) +
                           std::chrono::microseconds(status.st_mtim.tv_nsec / 1000));
    return file;
}

File::~File() {
    ::close(fd_);
}

Result<std::size_t> File::read(std::uint64_t offset, std::span<char> out) const {
    for (;;) {
        const ssize_t count = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno != EINTR) return errno_error(errno, fmt::format("read {}", path_.string()));
    }
}

Error shrunk_error(const File& file) {
    return {ErrorKind::io,
            fmt::format("{} has become shorter while it was read; import from a copy that does not change",
                        file.path().string())};
}

Result<std::string> read_whole(const std::filesystem::path& path) {
    const auto file = File::open(path);
    if (!file) return file.error();
    std::string text;
    auto read = read_blocks(**file, 0, (*file)->octets(), [&](std::string_view block) -> Result<void> {
        text += block;
        return {};
    });
    if (!read) return read.error();
    return text;
}

LineReader::LineReader(std::shared_ptr<const File> file, std::uint64_t begin, std::uint64_t end)
    : file_(std::move(file)), end_(end), block_offset_(begin) {}

void LineReader::seek(std::uint64_t offset) {
    if (offset >= block_offset_ && offset <= block_offset_ + block_.size()) {
        at_ = static_cast<std::size_t>(offset - block_offset_);
    } else {
        block_.clear();
        block_offset_ = offset;
        at_ = 0;
    }
    at_line_start_ = true;
}

Result<std::optional<LineReader::Piece>> LineReader::next() {
    std::size_t lf = block_.find('\n', at_);
    if (lf == std::string::npos && block_.size() - at_ < line_block_octets) {
        block_.erase(0, at_);
        block_offset_ += at_;
        at_ = 0;
        // Read until the line's end is here or the block is full, so that a line is cut only when it is long.
        while (lf == std::string::npos && block_.size() < line_block_octets &&
               block_offset_ + block_.size() < end_) {
            const std::size_t have = block_.size();
            block_.resize(have + std::min<std::uint64_t>(line_block_octets, end_ - block_offset_ - have));
            const Result<std::size_t> count =
                file_->read(block_offset_ + have, std::span(block_.data() + have, block_.size() - have));
            block_.resize(have + (count ? *count : 0));
            if (!count) return count.error();
            if (*count == 0) return shrunk_error(*file_);
            lf = block_.find('\n', have);
        }
    }
    if (at_ == block_.size()) return std::optional<Piece>();
    Piece piece;
    piece.ends_line = lf != std::string::npos;
    piece.starts_line = at_line_start_;
    piece.offset = block_offset_ + at_;
    piece.text = std::string_view(block_).substr(at_, piece.ends_line ? lf + 1 - at_ : std::string::npos);
    at_ += piece.text.size();
    at_line_start_ = piece.ends_line;
    return std::optional<Piece>(piece);
}

}  // namespace pier::migrate
