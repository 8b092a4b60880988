#include "store/fault_disk.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <stdexcept>

#include "store/sparse_bytes.h"

namespace pier::test {

using store::Wait;
using store::log::File;

// ---- the state of the disk ----

namespace {

std::string folder_of(const std::string& name) {
    const auto slash = name.rfind('/');
    return slash == std::string::npos ? "" : name.substr(0, slash);
}

std::string plain_folder(std::string name) {
    while (!name.empty() && name.back() == '/')
        name.pop_back();
    return name == "." ? "" : name;
}

}  // namespace

// A file: what reads see, what would be left after a power loss, and the changes in between.
struct FaultDisk::Node {
    struct Change {
        enum class Kind { write, truncate } kind{};
        std::uint64_t offset = 0, count = 0;  // truncate: the new size is `offset`
    };
    SparseBytes content, durable;
    std::vector<Change> unsynced;
    std::int64_t changes = 1;  // for changed_ns(): a clock that never stands still

    void write(std::uint64_t offset, std::string_view piece) {
        ++changes;
        content.write(offset, piece);
        unsynced.push_back({Change::Kind::write, offset, piece.size()});
    }
    void truncate(std::uint64_t octets) {
        ++changes;
        content.truncate(octets);
        unsynced.push_back({Change::Kind::truncate, octets, 0});
    }
    void save(const Change& change) {
        if (change.kind == Change::Kind::truncate)
            durable.truncate(change.offset);
        else
            durable.take(content, change.offset, change.count);
    }
    void save_all() {
        for (const Change& change : unsynced)
            save(change);
        unsynced.clear();
    }
    void save_some(std::mt19937_64& random);
};

void FaultDisk::Node::save_some(std::mt19937_64& random) {
    constexpr std::uint64_t sector_octets = 512;
    for (const Change& change : unsynced) {
        const auto choice = random() % 6;
        if (choice == 0) continue;
        if (choice == 1 || change.kind == Change::Kind::truncate || change.count == 0) {
            save(change);
        } else if (choice == 2 || choice == 3) {
            durable.take(content, change.offset, random() % change.count);
        } else if (choice == 4) {
            for (std::uint64_t at = change.offset, end = at + change.count; at < end;) {
                const std::uint64_t next = std::min(end, (at / sector_octets + 1) * sector_octets);
                if (random() % 2 == 0) durable.take(content, at, next - at);
                at = next;
            }
        } else if (change.offset + change.count > durable.octets()) {
            durable.truncate(change.offset + change.count);
        }
    }
    unsynced.clear();
}

struct FaultDisk::State {
    using Names = std::map<std::string, std::shared_ptr<Node>>;

    mutable std::mutex mutex;
    Names names, durable_names;
    std::set<std::string> folders{""}, durable_folders{""};
    std::set<std::string> locks;
    std::uint64_t generation = 0;  // Files of an earlier one are dead
    std::optional<std::uint64_t> capacity_octets;
    bool cold = false;

    std::map<Operation, std::uint64_t> calls;
    std::uint64_t failures = 0;
    struct Plan {
        Operation kind{};
        std::uint64_t at = 0;
        int error_number = 0;
        Repeat repeat{};
        bool dies = false;
    };
    std::optional<Plan> plan;

    enum class Verdict { works, fails, dies_here, is_dead };

    // Counts the call, and says whether it is to fail.
    Verdict begin(Operation kind) {
        ++calls[Operation::any];
        ++calls[kind];
        if (!plan || (plan->kind != Operation::any && plan->kind != kind)) return Verdict::works;
        const std::uint64_t n = calls[plan->kind];
        if (n < plan->at || (n > plan->at && plan->repeat == Repeat::once)) return Verdict::works;
        ++failures;
        if (plan->dies) return n == plan->at ? Verdict::dies_here : Verdict::is_dead;
        return Verdict::fails;
    }
    Error error(const std::string& doing) const {
        return errno_error(plan ? plan->error_number : EIO, doing + " (made to fail)");
    }
    std::uint64_t octets_in_all() const {
        std::uint64_t sum = 0;
        for (const auto& [name, node] : names)
            sum += node->content.octets();
        return sum;
    }
    void all_files_die() {
        ++generation;
        locks.clear();
        plan.reset();
    }
};

// ---- files ----

class FaultDisk::OpenFile : public File {
  public:
    OpenFile(std::shared_ptr<State> state, std::shared_ptr<Node> node, std::string name, bool is_lock)
        : state_(std::move(state)),
          node_(std::move(node)),
          name_(std::move(name)),
          is_lock_(is_lock),
          generation_(state_->generation) {}
    ~OpenFile() override {
        const std::lock_guard guard(state_->mutex);
        if (is_lock_ && generation_ == state_->generation) state_->locks.erase(name_);
    }

    Result<void> write(std::uint64_t offset, std::span<const std::string_view> pieces) override {
        const std::lock_guard guard(state_->mutex);
        if (is_dead()) return dead("write");
        const auto verdict = state_->begin(Operation::write);
        if (verdict == State::Verdict::is_dead) return state_->error("write " + name_);
        std::uint64_t octets = 0;
        for (const std::string_view piece : pieces)
            octets += piece.size();
        std::uint64_t allowed = verdict == State::Verdict::fails ? octets / 2 : octets;
        bool full = false;
        if (state_->capacity_octets) {
            const std::uint64_t used = state_->octets_in_all(), capacity = *state_->capacity_octets;
            const std::uint64_t reach = node_->content.octets() + (capacity > used ? capacity - used : 0);
            full = offset + allowed > reach;
            if (full) allowed = reach > offset ? reach - offset : 0;
        }
        for (const std::string_view piece : pieces) {
            const std::string_view part = piece.substr(0, allowed);
            if (!part.empty()) node_->write(offset, part);
            offset += part.size();
            allowed -= part.size();
        }
        if (verdict != State::Verdict::works) return state_->error("write " + name_);
        if (full) return errno_error(ENOSPC, "write " + name_);
        return {};
    }

    Result<std::size_t> read(std::uint64_t offset, std::span<char> out, Wait wait) const override {
        const std::lock_guard guard(state_->mutex);
        if (is_dead()) return dead("read");
        if (state_->begin(Operation::read) != State::Verdict::works) return state_->error("read " + name_);
        if (wait == Wait::no_wait && state_->cold)
            return Error{ErrorKind::busy, "the octets are not in memory"};
        return node_->content.read(offset, out);
    }

    Result<void> sync() override {
        const std::lock_guard guard(state_->mutex);
        if (is_dead()) return dead("sync");
        const auto verdict = state_->begin(Operation::sync);
        // The kernel takes what it could not save for saved (see the header).
        if (verdict == State::Verdict::fails) node_->unsynced.clear();
        if (verdict != State::Verdict::works) return state_->error("make durable " + name_);
        node_->save_all();
        return {};
    }

    Result<void> truncate(std::uint64_t octets) override {
        const std::lock_guard guard(state_->mutex);
        if (is_dead()) return dead("shorten");
        const auto verdict = state_->begin(Operation::truncate);
        if (verdict == State::Verdict::works || verdict == State::Verdict::dies_here) node_->truncate(octets);
        if (verdict != State::Verdict::works) return state_->error("shorten " + name_);
        return {};
    }

    Result<std::uint64_t> octets() const override {
        const std::lock_guard guard(state_->mutex);
        if (is_dead()) return dead("look at");
        if (state_->begin(Operation::look) != State::Verdict::works) return state_->error("look at " + name_);
        return node_->content.octets();
    }

    int descriptor() const override { return -1; }

    Result<std::int64_t> changed_ns() const override {
        const std::lock_guard guard(state_->mutex);
        if (is_dead()) return dead("look at");
        return node_->changes;
    }

  private:
    bool is_dead() const { return generation_ != state_->generation; }
    Error dead(const char* doing) const {
        return errno_error(EIO,
                           std::string(doing) + " " + name_ + " through a file of before the power loss");
    }

    const std::shared_ptr<State> state_;
    const std::shared_ptr<Node> node_;
    const std::string name_;
    const bool is_lock_;
    const std::uint64_t generation_;
};

// ---- names ----

Result<std::unique_ptr<File>> FaultDisk::create(const std::string& name) {
    const std::lock_guard guard(state_->mutex);
    const auto verdict = state_->begin(Operation::create);
    if (verdict == State::Verdict::fails || verdict == State::Verdict::is_dead)
        return state_->error("create " + name);
    if (!state_->folders.contains(folder_of(name))) return errno_error(ENOENT, "create " + name);
    if (state_->names.contains(name)) return errno_error(EEXIST, "create " + name);
    const auto node = state_->names[name] = std::make_shared<Node>();
    if (verdict == State::Verdict::dies_here) return state_->error("create " + name);
    return std::make_unique<OpenFile>(state_, node, name, false);
}

Result<std::unique_ptr<File>> FaultDisk::open(const std::string& name) {
    const std::lock_guard guard(state_->mutex);
    if (state_->begin(Operation::open) != State::Verdict::works) return state_->error("open " + name);
    const auto found = state_->names.find(name);
    if (found == state_->names.end()) return errno_error(ENOENT, "open " + name);
    return std::make_unique<OpenFile>(state_, found->second, name, false);
}

Result<std::unique_ptr<File>> FaultDisk::create_nameless() {
    const std::lock_guard guard(state_->mutex);
    if (state_->begin(Operation::create) != State::Verdict::works) return state_->error("make a spool file");
    return std::make_unique<OpenFile>(state_, std::make_shared<Node>(), "a spool file", false);
}

Result<void> FaultDisk::remove(const std::string& name) {
    const std::lock_guard guard(state_->mutex);
    const auto verdict = state_->begin(Operation::remove);
    if (verdict == State::Verdict::fails || verdict == State::Verdict::is_dead)
        return state_->error("remove " + name);
    if (state_->names.erase(name) == 0) return errno_error(ENOENT, "remove " + name);
    if (verdict == State::Verdict::dies_here) return state_->error("remove " + name);
    return {};
}

Result<void> FaultDisk::make_folder(const std::string& name) {
    const std::lock_guard guard(state_->mutex);
    const auto verdict = state_->begin(Operation::folder);
    if (verdict == State::Verdict::works || verdict == State::Verdict::dies_here)
        state_->folders.insert(plain_folder(name));
    if (verdict != State::Verdict::works) return state_->error("make the folder " + name);
    return {};
}

Result<void> FaultDisk::sync_folder(const std::string& name) {
    const std::lock_guard guard(state_->mutex);
    if (state_->begin(Operation::sync_folder) != State::Verdict::works)
        return state_->error("make durable the folder " + name);
    const std::string folder = plain_folder(name);
    if (!state_->folders.contains(folder)) return errno_error(ENOENT, "open the folder " + name);
    std::erase_if(state_->durable_names, [&](const auto& entry) { return folder_of(entry.first) == folder; });
    for (const auto& [file, node] : state_->names)
        if (folder_of(file) == folder) state_->durable_names[file] = node;
    for (const std::string& inner : state_->folders)
        if (!inner.empty() && folder_of(inner) == folder) state_->durable_folders.insert(inner);
    return {};
}

Result<std::vector<std::string>> FaultDisk::list(const std::string& name) {
    const std::lock_guard guard(state_->mutex);
    if (state_->begin(Operation::look) != State::Verdict::works) return state_->error("list " + name);
    const std::string folder = plain_folder(name);
    if (!state_->folders.contains(folder)) return errno_error(ENOENT, "list " + name);
    std::vector<std::string> inside;
    for (const auto& [file, node] : state_->names)
        if (folder_of(file) == folder) inside.push_back(file.substr(folder.empty() ? 0 : folder.size() + 1));
    return inside;
}

Result<std::uint64_t> FaultDisk::free_octets() {
    const std::lock_guard guard(state_->mutex);
    if (state_->begin(Operation::look) != State::Verdict::works) return state_->error("look at the disk");
    if (!state_->capacity_octets) return std::uint64_t{1} << 40;
    const std::uint64_t used = state_->octets_in_all();
    return *state_->capacity_octets > used ? *state_->capacity_octets - used : 0;
}

Result<std::unique_ptr<File>> FaultDisk::lock(const std::string& name) {
    const std::lock_guard guard(state_->mutex);
    if (state_->begin(Operation::open) != State::Verdict::works) return state_->error("lock " + name);
    if (!state_->locks.insert(name).second) return Error{ErrorKind::busy, name + " is held by process 1"};
    return std::make_unique<OpenFile>(state_, std::make_shared<Node>(), name, true);
}

// ---- faults ----

FaultDisk::FaultDisk() : state_(std::make_shared<State>()) {}
FaultDisk::~FaultDisk() = default;

void FaultDisk::fail_operation(std::uint64_t n, int error_number, Repeat repeat, Operation kind) {
    const std::lock_guard guard(state_->mutex);
    state_->plan = State::Plan{kind, state_->calls[kind] + n, error_number, repeat, false};
}

void FaultDisk::die_at_operation(std::uint64_t n) {
    const std::lock_guard guard(state_->mutex);
    state_->plan =
        State::Plan{Operation::any, state_->calls[Operation::any] + n, EIO, Repeat::for_good, true};
}

void FaultDisk::work_again() {
    const std::lock_guard guard(state_->mutex);
    state_->plan.reset();
}

void FaultDisk::power_loss(Unsynced unsynced, std::mt19937_64& random) {
    const std::lock_guard guard(state_->mutex);
    State& state = *state_;
    const auto is_kept = [&] {
        return unsynced == Unsynced::kept || (unsynced == Unsynced::some && random() % 2 == 0);
    };
    for (const std::string& folder : state.folders)
        if (!state.durable_folders.contains(folder) && is_kept()) state.durable_folders.insert(folder);
    state.folders = state.durable_folders;
    std::set<std::string> all;
    for (const auto& [name, node] : state.names)
        all.insert(name);
    for (const auto& [name, node] : state.durable_names)
        all.insert(name);
    for (const std::string& name : all) {
        const auto now = state.names.find(name), safe = state.durable_names.find(name);
        const auto node_now = now == state.names.end() ? nullptr : now->second;
        const auto node_safe = safe == state.durable_names.end() ? nullptr : safe->second;
        if (node_now == node_safe || !is_kept()) continue;
        if (node_now)
            state.durable_names[name] = node_now;
        else
            state.durable_names.erase(name);
    }
    std::erase_if(state.durable_names,
                  [&](const auto& entry) { return !state.folders.contains(folder_of(entry.first)); });
    for (const auto& [name, node] : state.durable_names) {
        if (unsynced == Unsynced::kept) node->save_all();
        if (unsynced == Unsynced::some) node->save_some(random);
        node->unsynced.clear();
        node->content = node->durable;
    }
    state.names = state.durable_names;
    state.all_files_die();
}

void FaultDisk::process_death() {
    const std::lock_guard guard(state_->mutex);
    state_->all_files_die();
}

std::shared_ptr<FaultDisk> FaultDisk::clone() const {
    const std::lock_guard guard(state_->mutex);
    auto copy = std::make_shared<FaultDisk>();
    State& state = *copy->state_;
    std::map<const Node*, std::shared_ptr<Node>> copies;
    const auto copied = [&](const State::Names& names) {
        State::Names result;
        for (const auto& [name, node] : names) {
            auto& twin = copies[node.get()];
            if (!twin) twin = std::make_shared<Node>(*node);
            result[name] = twin;
        }
        return result;
    };
    state.names = copied(state_->names);
    state.durable_names = copied(state_->durable_names);
    state.folders = state_->folders;
    state.durable_folders = state_->durable_folders;
    state.capacity_octets = state_->capacity_octets;
    state.cold = state_->cold;
    return copy;
}

void FaultDisk::set_capacity_octets(std::optional<std::uint64_t> octets) {
    const std::lock_guard guard(state_->mutex);
    state_->capacity_octets = octets;
}

void FaultDisk::set_cold(bool cold) {
    const std::lock_guard guard(state_->mutex);
    state_->cold = cold;
}

std::uint64_t FaultDisk::operations(Operation kind) const {
    const std::lock_guard guard(state_->mutex);
    return state_->calls[kind];
}

std::uint64_t FaultDisk::failures() const {
    const std::lock_guard guard(state_->mutex);
    return state_->failures;
}

// ---- past all faults ----

FaultDisk::Node& FaultDisk::node_of(const std::string& name) const {
    const auto found = state_->names.find(name);
    if (found == state_->names.end()) throw std::runtime_error("the test's disk has no file " + name);
    return *found->second;
}

std::vector<std::string> FaultDisk::names() const {
    const std::lock_guard guard(state_->mutex);
    std::vector<std::string> all;
    for (const auto& [name, node] : state_->names)
        all.push_back(name);
    return all;
}

std::string FaultDisk::contents(const std::string& name) const {
    const std::lock_guard guard(state_->mutex);
    const Node& node = node_of(name);
    std::string octets(node.content.octets(), '\0');
    node.content.read(0, octets);
    return octets;
}

std::uint64_t FaultDisk::octets(const std::string& name) const {
    const std::lock_guard guard(state_->mutex);
    return node_of(name).content.octets();
}

void FaultDisk::overwrite(const std::string& name, std::uint64_t offset, std::string_view piece) {
    const std::lock_guard guard(state_->mutex);
    Node& node = node_of(name);
    ++node.changes;
    node.content.write(offset, piece);
    node.durable.write(offset, piece);
}

void FaultDisk::flip_bit(const std::string& name, std::uint64_t octet, unsigned bit) {
    char value = 0;
    {
        const std::lock_guard guard(state_->mutex);
        if (node_of(name).content.read(octet, {&value, 1}) != 1)
            throw std::runtime_error("no octet " + std::to_string(octet) + " in " + name);
    }
    value = static_cast<char>(value ^ (1 << bit));
    overwrite(name, octet, {&value, 1});
}

void FaultDisk::cut(const std::string& name, std::uint64_t octets) {
    const std::lock_guard guard(state_->mutex);
    Node& node = node_of(name);
    node.content.truncate(octets);
    node.durable.truncate(octets);
}

}  // namespace pier::test
