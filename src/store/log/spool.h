// The octets of a message on their way into the log: in memory first, in a nameless file when they grow.
#pragma once

#include <memory>
#include <string>

#include "store/log/disk.h"
#include "store/store.h"

namespace pier::store::log {

class LogSpool : public Spool {
  public:
    LogSpool(Disk& disk, std::uint64_t memory_octets, std::uint64_t octets_max)
        : disk_(disk), memory_octets_(memory_octets), octets_max_(octets_max) {}

    Result<void> write(std::string_view octets) override;
    std::uint64_t octets() const override { return octets_; }
    Result<std::size_t> read(std::uint64_t offset, std::span<char> out) const override;

    // Of its own lines; whether its first octet begins a line depends on what is put in front of it.
    bool has_dot_lines() const { return dot_lines_; }
    bool begins_with_dot() const { return begins_with_dot_; }
    const File* file() const { return file_.get(); }  // null: all is in memory()
    const std::string& memory() const { return memory_; }

  private:
    Result<void> move_to_file();

    Disk& disk_;
    const std::uint64_t memory_octets_, octets_max_;
    std::uint64_t octets_ = 0;
    std::string memory_;
    std::unique_ptr<File> file_;
    char last_ = '\0';
    bool dot_lines_ = false, begins_with_dot_ = false;
};

// Whether a line of `octets` begins with a dot; `last` is the octet before them, and becomes their last one.
bool find_dot_line(std::string_view octets, char& last);

}  // namespace pier::store::log
