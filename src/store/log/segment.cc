#include "store/log/segment.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "store/log/checksum.h"

namespace pier::store::log {
namespace {

constexpr std::size_t block_octets = 256 * 1024;
// Header and meta of nearly every record are shorter than this: one read gets both.
constexpr std::size_t head_octets = 256;

Result<std::string> read_exactly(const File& file, std::uint64_t offset, std::uint64_t octets, Wait wait) {
    std::string out(octets, '\0');
    const auto n = file.read(offset, out, wait);
    if (!n) return n.error();
    if (*n != octets) return Error{ErrorKind::corrupt, "the segment ends inside a record"};
    return out;
}

// Reads a file front to back in large blocks, so that a scan of small records is not one system call each.
class BlockReader {
  public:
    explicit BlockReader(const File& file) : file_(file) {}

    // The octets at `offset`, fewer than asked for at the end of the file. Valid until the next call.
    Result<std::string_view> at(std::uint64_t offset, std::size_t octets) {
        if (offset < begin_ || offset + octets > begin_ + size_) {
            if (buffer_.size() < std::max(octets, block_octets))
                buffer_.resize(std::max(octets, block_octets));
            const auto n = file_.read(offset, buffer_, Wait::may_block);
            if (!n) return n.error();
            begin_ = offset;
            size_ = *n;
        }
        const std::size_t skip = static_cast<std::size_t>(offset - begin_);
        return std::string_view(buffer_).substr(skip, std::min<std::size_t>(octets, size_ - skip));
    }

  private:
    const File& file_;
    std::string buffer_;
    std::uint64_t begin_ = 0;
    std::size_t size_ = 0;
};

}  // namespace

std::string segment_name(std::uint32_t number) {
    return fmt::format("log/{:08}.seg", number);
}

std::optional<std::uint32_t> segment_number(const std::string& file_name) {
    if (!file_name.ends_with(".seg")) return std::nullopt;
    std::uint32_t number = 0;
    const char* end = file_name.data() + file_name.size() - 4;
    const auto [stopped, error] = std::from_chars(file_name.data(), end, number);
    if (error != std::errc() || stopped != end || number == 0) return std::nullopt;
    return number;
}

Result<std::shared_ptr<File>> Segment::file() const {
    std::shared_ptr<File> fresh;
    {
        std::lock_guard lock(mutex_);
        used_ = true;
        if (file_) return file_;
        auto opened = disk_.open(segment_name(number_));
        if (!opened) return opened.error();
        fresh = std::move(*opened);
        file_ = fresh;
    }
    open_files_->add(weak_from_this());
    return fresh;
}

std::optional<std::uint32_t> Segment::age(const File& file) const {
    const std::uint32_t age = age_;
    const auto changed = file.changed_ns();
    if (!changed) return std::nullopt;
    std::int64_t known = 0;
    if (changed_ns_.compare_exchange_strong(known, *changed) || known == *changed) return age;
    return std::nullopt;
}

Segment::OwnChange::OwnChange(const Segment& segment, const File& file) : segment_(segment), file_(file) {
    if (!segment.age(file)) ++segment.age_;
}

Segment::OwnChange::~OwnChange() {
    const auto changed = file_.changed_ns();
    segment_.changed_ns_ = changed ? *changed : -1;
}

void Segment::keep_open() const {
    std::lock_guard lock(mutex_);
    kept_ = true;
    if (file_) return;
    // If it cannot be opened now, whoever still needs it is told so when reading.
    if (auto opened = disk_.open(segment_name(number_))) file_ = std::move(*opened);
}

bool Segment::close_if_unused() const {
    std::lock_guard lock(mutex_);
    if (kept_) return true;
    if (std::exchange(used_, false)) return false;
    file_ = nullptr;
    return true;
}

void OpenFiles::add(std::weak_ptr<const Segment> segment) {
    std::lock_guard lock(mutex_);
    open_.push_back(std::move(segment));
    // Two rounds: in the first one each may have been used.
    for (std::size_t steps = 2 * open_.size(); steps > 0 && open_.size() > files_max_; --steps) {
        std::weak_ptr<const Segment> first = std::move(open_.front());
        open_.pop_front();
        const SegmentPtr still_there = first.lock();
        if (still_there && !still_there->close_if_unused()) open_.push_back(std::move(first));
    }
}

std::size_t OpenFiles::count() const {
    std::lock_guard lock(mutex_);
    return open_.size();
}

SegmentPtr Segments::make(Disk& disk, std::uint32_t number, std::shared_ptr<File> file) {
    const bool is_open = file != nullptr;
    const auto segment = std::make_shared<const Segment>(disk, number, open_files_, std::move(file));
    {
        std::lock_guard lock(mutex_);
        segments_[number] = segment;
    }
    if (is_open) open_files_->add(segment);
    return segment;
}

void Segments::take_out(std::uint32_t number) {
    std::lock_guard lock(mutex_);
    segments_.erase(number);
}

SegmentPtr Segments::find(std::uint32_t number) const {
    std::lock_guard lock(mutex_);
    const auto at = segments_.find(number);
    return at == segments_.end() ? nullptr : at->second;
}

std::vector<std::uint32_t> Segments::numbers() const {
    std::lock_guard lock(mutex_);
    std::vector<std::uint32_t> numbers;
    for (const auto& [number, segment] : segments_)
        numbers.push_back(number);
    return numbers;
}

Result<std::optional<std::uint64_t>> sealed_at(const File& file, ChecksumKey key) {
    const auto octets = file.octets();
    if (!octets) return octets.error();
    if (*octets < segment_header_octets + footer_octets) return std::optional<std::uint64_t>();
    const auto footer = read_exactly(file, *octets - footer_octets, footer_octets, Wait::may_block);
    if (!footer) return footer.error();
    return decode_footer(*footer, key);
}

namespace {

// Reads header and meta, and calls `decode` with octets that begin with them.
template <class Decode>
auto read_and_decode(const File& file, std::uint64_t offset, Wait wait, const Decode& decode)
    -> decltype(decode(std::string_view())) {
    std::array<char, head_octets> head;
    const auto n = file.read(offset, head, wait);
    if (!n) return n.error();
    const std::string_view octets(head.data(), *n);
    const auto size = peek_record(octets);
    if (!size) return Error{ErrorKind::corrupt, fmt::format("no record at offset {}", offset)};
    if (size->payload_offset() <= octets.size()) return decode(octets);
    const auto all = read_exactly(file, offset, size->payload_offset(), wait);
    if (!all) return all.error();
    return decode(*all);
}

}  // namespace

Result<RecordHead> read_head(const File& file, std::uint64_t offset, Wait wait, ChecksumKey key) {
    return read_and_decode(file, offset, wait,
                           [&](std::string_view octets) { return decode_head(octets, key); });
}

Result<Record> read_record(const File& file, std::uint64_t offset, Wait wait, ChecksumKey key,
                           RecordSize& size) {
    return read_and_decode(file, offset, wait, [&](std::string_view octets) {
        if (const auto peeked = peek_record(octets)) size = *peeked;
        return decode_record(octets, key);
    });
}

Result<void> check_payload(const File& file, std::uint64_t offset, std::uint64_t octets,
                           std::uint64_t checksum, Wait wait) {
    thread_local std::string block(block_octets, '\0');
    Checksum sum;
    while (octets > 0) {
        const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(octets, block.size()));
        const auto n = file.read(offset, {block.data(), most}, wait);
        if (!n) return n.error();
        if (*n == 0) return Error{ErrorKind::corrupt, "the segment ends inside a message"};
        sum.add({block.data(), *n});
        offset += *n;
        octets -= *n;
    }
    if (sum.value() != checksum) return Error{ErrorKind::corrupt, "the octets do not match their checksum"};
    return {};
}

Result<std::string> read_table(const File& file, std::uint64_t table_offset, ChecksumKey key) {
    RecordSize size;
    const auto record = read_record(file, table_offset, Wait::may_block, key, size);
    if (!record) return record.error();
    if (record->type != RecordType::table)
        return Error{ErrorKind::corrupt, "the footer does not lead to a table"};
    const auto octets = file.octets();
    if (!octets) return octets.error();
    if (size.total() > *octets - table_offset) return Error{ErrorKind::corrupt, "the table is cut short"};
    auto table =
        read_exactly(file, table_offset + size.payload_offset(), size.payload_octets, Wait::may_block);
    if (!table) return table;
    if (checksum_of(*table) != record->payload_checksum)
        return Error{ErrorKind::corrupt, "the table does not match its checksum"};
    return table;
}

Result<void> for_each_in_table(std::uint32_t number, std::string_view table, std::uint64_t from,
                               ChecksumKey key, const OnRecord& on_record) {
    while (true) {
        const auto entry = next_table_entry(table);
        if (!entry) return entry.error();
        if (!*entry) return {};
        if ((*entry)->offset < from) continue;
        const auto record = decode_record((*entry)->header_and_meta, key);
        if (!record) return record.error();
        const std::uint64_t total =
            record_octets((*entry)->header_and_meta.size() - record_header_octets, record->payload_octets);
        if (auto r = on_record(*record, {number, (*entry)->offset}, total); !r) return r;
    }
}

namespace {

// One pass over an unsealed segment; see scan_segment.
class Scanner {
  public:
    Scanner(const File& file, std::uint32_t number, std::uint64_t from, std::uint64_t durable_to,
            ChecksumKey key, const OnRecord& on_record)
        : file_(file),
          reader_(file),
          number_(number),
          from_(from),
          durable_to_(durable_to),
          key_(key),
          on_record_(on_record) {}

    Result<Scan> run() {
        const auto octets = file_.octets();
        if (!octets) return octets.error();
        scan_.octets = *octets;
        while (scan_.end + record_header_octets <= scan_.octets) {
            const auto found = try_record(scan_.end);
            if (!found) return found.error();
            if (*found == Found::table) break;
            if (*found == Found::good) continue;
            const auto next = next_acknowledged(scan_.end);
            if (!next) return next.error();
            if (!*next) break;
            scan_.problems.push_back(
                fmt::format("segment {}: octets {} to {} are damaged: what they recorded is lost", number_,
                            scan_.end, **next));
            scan_.end = **next;
        }
        return std::move(scan_);
    }

  private:
    enum class Found { good, bad, table };

    // Header and meta at `offset` if they are good, and the whole record lies inside the file.
    Result<std::optional<Record>> head_at(std::uint64_t offset, RecordSize& size, std::string& octets) {
        auto head = reader_.at(offset, head_octets);
        if (!head) return head.error();
        const auto peeked = peek_record(*head);
        if (!peeked || offset + peeked->total() > scan_.octets) return std::optional<Record>();
        size = *peeked;
        if (size.payload_offset() > head->size()) head = reader_.at(offset, size.payload_offset());
        if (!head) return head.error();
        octets = head->substr(0, size.payload_offset());
        auto record = decode_record(octets, key_);
        if (!record) return std::optional<Record>();
        return std::optional<Record>(std::move(*record));
    }

    // Takes the record at `offset` if it is good: then scan_.end lies behind it. Nothing comes behind a
    // table.
    Result<Found> try_record(std::uint64_t offset) {
        RecordSize size;
        std::string octets;
        const auto record = head_at(offset, size, octets);
        if (!record) return record.error();
        if (!*record) return Found::bad;
        if ((*record)->type == RecordType::table) return Found::table;
        if (offset >= from_) {
            const auto payload = check_payload(file_, offset + size.payload_offset(), size.payload_octets,
                                               (*record)->payload_checksum, Wait::may_block);
            if (!payload && payload.error().kind != ErrorKind::corrupt) return payload.error();
            if (!payload) {
                // A damaged message whose record is whole is kept: reading it says so, everything else goes
                // on.
                const auto later = next_acknowledged(offset);
                if (!later) return later.error();
                if (!*later) return Found::bad;
                scan_.problems.push_back(
                    fmt::format("segment {}: the message at {} is damaged", number_, offset));
            }
            if (auto r = on_record_(**record, {number_, offset}, size.total()); !r) return r.error();
        }
        append_table_entry(scan_.table, offset, octets);
        scan_.end = offset + size.total();
        return Found::good;
    }

    // Where to go on behind `bad` if it was durable; absent if nothing shows that it was.
    Result<std::optional<std::uint64_t>> next_acknowledged(std::uint64_t bad) {
        std::optional<std::uint64_t> first;
        for (std::uint64_t offset = bad + record_alignment; offset + record_header_octets <= scan_.octets;
             offset += record_alignment) {
            const auto head = reader_.at(offset, record_header_octets);
            if (!head) return head.error();
            if (!peek_record(*head)) continue;
            RecordSize size;
            std::string octets;
            const auto record = head_at(offset, size, octets);
            if (!record) return record.error();
            if (!*record || (*record)->group_start > offset || (*record)->type == RecordType::table) continue;
            if (!first) first = offset;
            if (bad < durable_to_) return std::optional(std::min(offset, durable_to_));
            if ((*record)->group_start > bad) return first;
            offset += size.total() - record_alignment;
        }
        if (bad < durable_to_) return std::optional(durable_to_);
        return std::optional<std::uint64_t>();
    }

    const File& file_;
    BlockReader reader_;
    const std::uint32_t number_;
    const std::uint64_t from_, durable_to_;
    const ChecksumKey key_;
    const OnRecord& on_record_;
    Scan scan_;
};

}  // namespace

Result<Scan> scan_segment(const File& file, std::uint32_t number, std::uint64_t from,
                          std::uint64_t durable_to, ChecksumKey key, const OnRecord& on_record) {
    return Scanner(file, number, from, durable_to, key, on_record).run();
}

}  // namespace pier::store::log
