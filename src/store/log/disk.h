// All file access of the log goes through this interface, so that a test can stand in a disk that forgets
// what was not synced, tears the last write, or fails the n-th operation. The index (RocksDB) has its own
// files and is derived, so it does not pass here.
//
// Names are relative to the store's folder: "log/00000001.seg". Any thread; one File may be read by many
// threads at once while one writes behind what they read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/store.h"

namespace pier::store::log {

class File {
  public:
    virtual ~File() = default;
    // Writes all of the pieces, one behind the other, at `offset`. After a failure part of them may be there.
    virtual Result<void> write(std::uint64_t offset, std::span<const std::string_view> pieces) = 0;
    // Fewer octets than asked for only at the end of the file. Wait::no_wait fails with `busy` instead of
    // waiting.
    virtual Result<std::size_t> read(std::uint64_t offset, std::span<char> out, Wait wait) const = 0;
    virtual Result<void> sync() = 0;  // fdatasync(2): what was written, and the size
    virtual Result<void> truncate(std::uint64_t octets) = 0;
    virtual Result<std::uint64_t> octets() const = 0;
    virtual int descriptor() const = 0;  // for sendfile; -1 if there is none
    // When it was last changed, by whomever, as the file system tells it. Never waits.
    virtual Result<std::int64_t> changed_ns() const = 0;
};

class Disk {
  public:
    virtual ~Disk() = default;
    virtual Result<std::unique_ptr<File>> create(const std::string& name) = 0;  // fails if it is there
    virtual Result<std::unique_ptr<File>> open(const std::string& name) = 0;  // to read and write; not_found
    virtual Result<std::unique_ptr<File>> create_nameless() = 0;  // gone with the File: for spools
    virtual Result<void> remove(const std::string& name) = 0;
    virtual Result<void> make_folder(const std::string& name) = 0;  // fine if it is there
    virtual Result<void> sync_folder(const std::string& name) = 0;  // creations and removals in it
    virtual Result<std::vector<std::string>> list(
        const std::string& folder) = 0;  // names without the folder, sorted
    virtual Result<std::uint64_t> free_octets() = 0;
    // One process at a time. The File holds the lock; `busy` with the holder's process number in the text if
    // it is taken.
    virtual Result<std::unique_ptr<File>> lock(const std::string& name) = 0;
};

// The real one; `folder` exists or is made.
std::shared_ptr<Disk> real_disk(const std::string& folder);

}  // namespace pier::store::log
