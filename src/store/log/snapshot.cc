#include "store/log/snapshot.h"

#include <algorithm>

#include <fmt/format.h>
#include <xxhash.h>

namespace pier::store::log {
namespace {

constexpr std::uint32_t own_uidl = 1u << 16;  // in Entry::bits, above those of the record
constexpr int tries_max = 10;

// The octets of one message in its segment. Its record is looked at when the first octet is needed.
class LogBody : public Body {
  public:
    LogBody(SegmentPtr segment, const Entry& entry, ChecksumKey key)
        : segment_(std::move(segment)),
          entry_(entry),
          key_(key),
          offset_(Place::unpack(entry.place).offset) {}

    std::uint64_t octets() const override { return entry_.octets; }
    bool has_dot_lines() const override { return (entry_.bits & bit::dot_lines) != 0; }

    Result<std::size_t> read(std::uint64_t offset, std::span<char> out, Wait wait) override {
        if (auto found = find_payload(wait); !found) return found.error();
        if (offset >= entry_.octets) return std::size_t{0};
        out =
            out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), entry_.octets - offset)));
        return file_->read(payload_ + offset, out, wait);
    }

    Result<void> verify(Wait wait) override {
        if (auto found = find_payload(wait); !found) return found;
        return check_payload(*file_, payload_, entry_.octets, checksum_, wait);
    }

    Result<std::string_view> load(std::span<char> buffer, Wait wait) override {
        if (buffer.size() < load_room_octets || buffer.size() - load_room_octets < entry_.octets)
            return Error{ErrorKind::invalid, "the buffer is too small for the message"};
        const auto size = static_cast<std::size_t>(entry_.octets);
        std::string_view record;
        if (payload_ == 0) {
            const auto file = segment_->file();
            if (!file) return file.error();
            const auto n = (*file)->read(offset_, buffer.first(size + load_room_octets), wait);
            if (!n) return n.error();
            record = {buffer.data(), *n};
            if (auto found = find_payload(wait, record); !found) return found.error();
        }
        std::string_view octets =
            record.substr(std::min<std::size_t>(record.size(), payload_ - offset_)).substr(0, size);
        if (record.empty() || octets.size() != size) {
            const auto n = file_->read(payload_, buffer.first(size), wait);
            if (!n) return n.error();
            octets = {buffer.data(), *n};
        }
        if (octets.size() != size || XXH3_64bits(octets.data(), octets.size()) != checksum_)
            return Error{ErrorKind::corrupt, "the octets do not match their checksum"};
        return octets;
    }

    std::optional<FileRange> file() const override {
        if (file_ == nullptr || payload_ == 0 || file_->descriptor() < 0) return std::nullopt;
        return FileRange{file_->descriptor(), payload_};
    }

  private:
    // `record`: what has been read of it already.
    Result<void> find_payload(Wait wait, std::string_view record = {}) {
        if (payload_ != 0) return {};
        const auto file = segment_->file();
        if (!file) return file.error();
        const auto size = peek_record(record);
        const auto head = size && size->payload_offset() <= record.size()
                              ? decode_head(record, key_)
                              : read_head(**file, offset_, wait, key_);
        if (!head) return head.error();
        if (head->type != RecordType::message || head->size.payload_octets != entry_.octets)
            return Error{ErrorKind::corrupt,
                         fmt::format("segment {}: the record at {} is not the message that the index "
                                     "means",
                                     segment_->number(), offset_)};
        file_ = *file;
        payload_ = offset_ + head->size.payload_offset();
        checksum_ = head->payload_checksum;
        return {};
    }

    const SegmentPtr segment_;
    const Entry entry_;
    const ChecksumKey key_;
    const std::uint64_t offset_;
    const File* file_ = nullptr;
    std::uint64_t payload_ = 0, checksum_ = 0;
};

}  // namespace

Result<std::shared_ptr<const LogSnapshot>> LogSnapshot::read(const Index& index, const Segments& segments,
                                                             ChecksumKey key, MailboxId mailbox) {
    const auto id = static_cast<std::uint64_t>(mailbox);
    for (int tries = 0; tries < tries_max; ++tries) {
        std::shared_ptr<LogSnapshot> snapshot(new LogSnapshot(index, key, mailbox));
        // The state is read first: if the mailbox changes before its entries are read, the snapshot has a
        // modseq that is too low, and the cache will not take it for current.
        const auto state = index.get_as<MailboxState>(key::mailbox(id));
        if (!state) return state.error();
        if (!*state || (*state)->gone)
            return Error{ErrorKind::not_found, "there is no such mailbox (any more)"};
        snapshot->modseq_ = (*state)->modseq;
        snapshot->entries_.reserve((*state)->messages);
        bool malformed = false;
        const auto read = index.each(key::entries(id), [&](std::string_view at, std::string_view value) {
            const auto entry = decode<IndexEntry>(value);
            malformed = !entry;
            if (malformed) return false;
            std::uint32_t bits = entry->bits;
            if (!entry->uidl.empty()) {
                bits |= own_uidl;
                snapshot->uidls_.emplace_back(static_cast<std::uint32_t>(snapshot->entries_.size()),
                                              entry->uidl);
            }
            snapshot->entries_.push_back(
                {entry->guid, entry->octets, entry->place.packed(), key::entry_uid(at), bits});
            snapshot->octets_ += entry->octets;
            return true;
        });
        if (!read) return read.error();
        if (malformed)
            return Error{ErrorKind::corrupt,
                         "an entry of the index is malformed; `pier store rebuild` makes it anew"};
        if (snapshot->hold_segments(segments)) return std::shared_ptr<const LogSnapshot>(std::move(snapshot));
        // The cleaner has just moved messages: the index knows their new places by now.
    }
    return Error{ErrorKind::corrupt,
                 "the index names a segment that is not there; `pier store rebuild` makes it anew"};
}

bool LogSnapshot::hold_segments(const Segments& segments) {
    std::vector<std::uint32_t> numbers;
    for (const Entry& entry : entries_) {
        const auto number = Place::unpack(entry.place).segment;
        if (numbers.empty() || numbers.back() != number) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    for (const std::uint32_t number : numbers) {
        auto segment = segments.find(number);
        if (!segment) return false;
        held_.push_back(std::move(segment));
    }
    return true;
}

std::string LogSnapshot::uidl(std::size_t index) const {
    if ((entries_[index].bits & own_uidl) == 0) return entries_[index].guid.hex();
    const auto at =
        std::lower_bound(uidls_.begin(), uidls_.end(), index,
                         [](const auto& known, std::size_t wanted) { return known.first < wanted; });
    return at->second;
}

Result<Details> LogSnapshot::details(std::size_t index) const {
    const auto entry =
        index_.get_as<IndexEntry>(key::entry(static_cast<std::uint64_t>(mailbox_), entries_[index].uid));
    if (!entry) return entry.error();
    if (!*entry) return Error{ErrorKind::not_found, "the message has been removed"};
    return Details{(*entry)->flags, (*entry)->modseq, Time(std::chrono::microseconds((*entry)->date_us))};
}

Result<std::unique_ptr<Body>> LogSnapshot::body(std::size_t index) const {
    const Entry& entry = entries_[index];
    const auto number = Place::unpack(entry.place).segment;
    const auto at = std::lower_bound(
        held_.begin(), held_.end(), number,
        [](const SegmentPtr& held, std::uint32_t wanted) { return held->number() < wanted; });
    return std::make_unique<LogBody>(*at, entry, key_);
}

std::uint64_t LogSnapshot::memory_octets() const {
    std::uint64_t octets =
        sizeof *this + entries_.capacity() * sizeof(Entry) + held_.capacity() * sizeof(SegmentPtr);
    for (const auto& [index, uidl] : uidls_)
        octets += sizeof(uidls_[0]) + uidl.capacity();
    return octets;
}

std::shared_ptr<const LogSnapshot> SnapshotCache::find(MailboxId mailbox, std::uint64_t modseq) {
    std::lock_guard lock(mutex_);
    const auto at = by_mailbox_.find(mailbox);
    if (at == by_mailbox_.end() || (*at->second)->modseq() != modseq) return nullptr;
    latest_first_.splice(latest_first_.begin(), latest_first_, at->second);
    return *at->second;
}

void SnapshotCache::keep(std::shared_ptr<const LogSnapshot> snapshot) {
    std::lock_guard lock(mutex_);
    const auto drop = [this](Order::iterator which) {
        octets_ -= (*which)->memory_octets();
        by_mailbox_.erase((*which)->mailbox());
        latest_first_.erase(which);
    };
    if (const auto at = by_mailbox_.find(snapshot->mailbox()); at != by_mailbox_.end()) drop(at->second);
    octets_ += snapshot->memory_octets();
    latest_first_.push_front(std::move(snapshot));
    by_mailbox_[latest_first_.front()->mailbox()] = latest_first_.begin();
    while (octets_ > octets_max_ && !latest_first_.empty())
        drop(std::prev(latest_first_.end()));
}

void SnapshotCache::clear() {
    std::lock_guard lock(mutex_);
    latest_first_.clear();
    by_mailbox_.clear();
    octets_ = 0;
}

}  // namespace pier::store::log
