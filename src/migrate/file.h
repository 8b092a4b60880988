// A file that is read, at any place; and its lines, whatever their length. Blocks; one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace pier::migrate {

class File {
  public:
    static Result<std::shared_ptr<File>> open(
        const std::filesystem::path& path);  // not_found, io; invalid: not a regular file
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::uint64_t octets() const { return octets_; }  // when it was opened
    Time modified() const { return modified_; }
    Result<std::size_t> read(std::uint64_t offset, std::span<char> out) const;  // 0 only at the end

  private:
    File(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}

    std::filesystem::path path_;
    int fd_;
    std::uint64_t octets_ = 0;
    Time modified_{};
};

Result<std::string> read_whole(const std::filesystem::path& path);

// What is told when a file ends before its end.
Error shrunk_error(const File& file);

// Calls take(block) for the octets from `begin` to `end`.
template <class TakeBlock>
Result<void> read_blocks(const File& file, std::uint64_t begin, std::uint64_t end, TakeBlock&& take) {
    std::string block(65536, '\0');
    while (begin < end) {
        const auto wanted = std::min<std::uint64_t>(block.size(), end - begin);
        const Result<std::size_t> count = file.read(begin, std::span(block.data(), wanted));
        if (!count) return count.error();
        if (*count == 0) return shrunk_error(file);
        if (Result<void> taken = take(std::string_view(block.data(), *count)); !taken) return taken;
        begin += *count;
    }
    return {};
}

// The lines of a file from some place on. A long line comes in pieces, so no line needs more memory than a
// block.
class LineReader {
  public:
    struct Piece {
        std::string_view text;     // with its LF, if `ends_line`; until the next call
        std::uint64_t offset = 0;  // in the file
        bool starts_line = false;
        bool ends_line = false;
        bool blank() const { return starts_line && (text == "\n" || text == "\r\n"); }
    };

    LineReader(std::shared_ptr<const File> file, std::uint64_t begin, std::uint64_t end);

    Result<std::optional<Piece>> next();  // absent at `end`
    void seek(std::uint64_t offset);      // to the start of a line

  private:
    std::shared_ptr<const File> file_;
    std::uint64_t end_;
    std::string block_;
    std::uint64_t block_offset_;  // of the file
    std::size_t at_ = 0;          // in the block
    bool at_line_start_ = true;
};

}  // namespace pier::migrate
