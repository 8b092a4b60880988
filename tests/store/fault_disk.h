// A disk in memory that does what real disks do on bad days: it forgets what was not synced, tears the write
// under way, fails the n-th operation, is full, or waits.
//
//   auto disk = std::make_shared<FaultDisk>();
//   disk->die_at_operation(17);        // the 17th call from now finds the machine dead; so does every later
//   one … use a store on it, destroy the store … disk->power_loss(FaultDisk::Unsynced::lost, random); … open
//   the store again: what was acknowledged must be there …
//
// It is as strict as POSIX allows: a file's octets and size are safe only after File::sync, its name only
// after sync_folder of the folder it is in (the store's own folder is "" or "."), and after a failed sync the
// octets that it was to save are never saved by a later one, although reads still see them (what Linux does).
//
// Contents are sparse, so that a message of several GiB of zeros costs nothing. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "store/log/disk.h"

namespace pier::test {

class FaultDisk : public store::log::Disk {
  public:
    enum class Operation {
        any,
        write,
        sync,
        truncate,
        read,
        create,
        open,
        remove,
        folder,
        sync_folder,
        look
    };
    enum class Repeat { once, for_good };
    // What becomes of octets and names that were not synced. some: each write and each name by itself is
    // kept, lost, torn at any octet, or kept in some of its sectors, and the size may be kept without the
    // octets.
    enum class Unsynced { lost, some, kept };

    FaultDisk();
    ~FaultDisk() override;

    // The n-th call of that kind from now (1 is the next) fails. A write that fails has written its first
    // half.
    void fail_operation(std::uint64_t n, int error_number, Repeat repeat, Operation kind = Operation::any);
    // As if the machine died in the n-th call from now: it and every later one fail with EIO and change
    // nothing, except that power_loss may find traces of what the n-th was to do.
    void die_at_operation(std::uint64_t n);
    void work_again();  // takes fail_operation and die_at_operation back

    // The machine loses power and starts again: every File of before fails from now on, no lock is held.
    void power_loss(Unsynced unsynced, std::mt19937_64& random);
    // Only the process died: what it wrote is still seen, but is no safer than before.
    void process_death();

    std::shared_ptr<FaultDisk> clone()
        const;  // an equal disk of its own, with no lock held and nothing failing

    void set_capacity_octets(std::optional<std::uint64_t> octets);  // of all files; then ENOSPC
    void set_cold(bool cold);                                       // Wait::no_wait reads answer `busy`

    std::uint64_t operations(Operation kind = Operation::any) const;  // calls so far
    std::uint64_t failures() const;  // calls that fail_operation or dying made fail

    // What is on it, past all faults; names like "log/00000001.seg". They throw if the name is not there.
    std::vector<std::string> names() const;
    std::string contents(const std::string& name) const;
    std::uint64_t octets(const std::string& name) const;
    void overwrite(const std::string& name, std::uint64_t offset, std::string_view piece);  // durable at once
    void flip_bit(const std::string& name, std::uint64_t octet, unsigned bit);              // durable at once
    void cut(const std::string& name, std::uint64_t octets);                                // durable at once

    Result<std::unique_ptr<store::log::File>> create(const std::string& name) override;
    Result<std::unique_ptr<store::log::File>> open(const std::string& name) override;
    Result<std::unique_ptr<store::log::File>> create_nameless() override;
    Result<void> remove(const std::string& name) override;
    Result<void> make_folder(const std::string& name) override;
    Result<void> sync_folder(const std::string& name) override;
    Result<std::vector<std::string>> list(const std::string& folder) override;
    Result<std::uint64_t> free_octets() override;
    Result<std::unique_ptr<store::log::File>> lock(const std::string& name) override;

  private:
    struct Node;
    struct State;
    class OpenFile;

    Node& node_of(const std::string& name) const;

    std::shared_ptr<State> state_;  // Files keep it alive
};

}  // namespace pier::test
