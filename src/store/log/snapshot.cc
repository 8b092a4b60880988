#include "store/log/snapshot.h"

#include <algorithm>

#include <fmt/format.h>

#include "store/log/checksum.h"

namespace pier::store::log {
namespace {

constexpr int tries_max = 10;

// The octets of one message in its segment. Its record is looked at when the first octet is needed.
class LogBody : public Body {
  public:
    LogBody(SegmentPtr segment, const Entry& entry, VerifiedMessages& verified, ChecksumKey key)
        : segment_(std::move(segment)),
          entry_(entry),
          verified_(verified),
          key_(key),
          offset_(Place::unpack(entry.place).offset) {}

    std::uint64_t octets() const override { return entry_.octets; }
    bool has_dot_lines() const override { return (entry_.bits & bit::dot_lines) != 0; }
    bool complete() const override { return complete_; }

    Result<std::size_t> read(std::uint64_t offset, std::span<char> out, Wait wait) override {
        if (auto found = find_payload(wait); !found) return found.error();
        if (offset >= entry_.octets) return std::size_t{0};
        out =
            out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), entry_.octets - offset)));
        return file_->read(payload_ + offset, out, wait);
    }

    Result<void> verify(Wait wait) override {
        if (auto found = find_payload(wait); !found) return found;
        if (is_verified_) return {};
        const auto age = segment_->age(*file_);
        if (auto good = check_payload(*file_, payload_, entry_.octets, checksum_, wait); !good) return good;
        char last[2] = {};
        const auto from = entry_.octets - std::min<std::uint64_t>(entry_.octets, sizeof last);
        const auto n = file_->read(payload_ + from, std::span(last).first(entry_.octets - from), wait);
        if (!n) return n.error();
        now_verified(age, {last, *n});
        return {};
    }

    Result<std::string_view> load(std::span<char> buffer, Wait wait) override {
        if (buffer.size() < load_room_octets || buffer.size() - load_room_octets < entry_.octets)
            return Error{ErrorKind::invalid, "the buffer is too small for the message"};
        const auto size = static_cast<std::size_t>(entry_.octets);
        std::string_view record;
        std::optional<std::uint32_t> age;
        if (payload_ == 0 && !find_verified()) {
            const auto file = segment_->file();
            if (!file) return file.error();
            age = segment_->age(**file);
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
        if (octets.size() != size || (!is_verified_ && checksum_of(octets) != checksum_))
            return Error{ErrorKind::corrupt, "the octets do not match their checksum"};
        now_verified(age, octets);
        return octets;
    }

    std::optional<FileRange> file() const override {
        if (file_ == nullptr || payload_ == 0 || file_->descriptor() < 0) return std::nullopt;
        return FileRange{file_->descriptor(), payload_};
    }

  private:
    // `record`: what has been read of it already.
    Result<void> find_payload(Wait wait, std::string_view record = {}) {
        if (payload_ != 0 || find_verified()) return {};
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

    // Whether it was verified a short while ago; then nothing has to be read to find its octets.
    bool find_verified() {
        const auto file = segment_->file();
        if (!file) return false;
        const auto age = segment_->age(**file);
        const auto known = age ? verified_.find(Place::unpack(entry_.place), *age) : std::nullopt;
        if (!known) return false;
        file_ = *file;
        payload_ = offset_ + known->payload_offset;
        complete_ = known->complete;
        is_verified_ = true;
        return true;
    }

    // `age`: the segment's before the octets were read.
    void now_verified(std::optional<std::uint32_t> age, std::string_view last_octets) {
        if (is_verified_) return;
        complete_ = last_octets.empty() || last_octets.ends_with("\r\n");
        is_verified_ = true;
        if (age)
            verified_.remember(Place::unpack(entry_.place), *age,
                               {static_cast<std::uint32_t>(payload_ - offset_), complete_});
    }

    const SegmentPtr segment_;
    const Entry entry_;
    VerifiedMessages& verified_;
    const ChecksumKey key_;
    const std::uint64_t offset_;
    std::shared_ptr<const File> file_;
    std::uint64_t payload_ = 0, checksum_ = 0;
    bool is_verified_ = false, complete_ = false;
};

// Whether so few entries have to be read and copied that an event loop may do it.
bool short_way(const MailboxState& state, const ListingPtr& listing) {
    constexpr std::uint64_t read_max = 100, copied_max = 10'000;
    const std::uint64_t known = listing && listing->may_grow_to(state) ? listing->entries().size() : 0;
    return known <= copied_max && state.messages - known <= read_max;
}

}  // namespace

Result<std::shared_ptr<const LogSnapshot>> LogSnapshot::open(const Index& index, const Segments& segments,
                                                             ListingCache& cache, VerifiedMessages& verified,
                                                             ChecksumKey key, MailboxId mailbox, Wait wait) {
    const auto id = static_cast<std::uint64_t>(mailbox);
    const auto with = [&](ListingPtr listing, std::uint64_t modseq) {
        return std::make_shared<const LogSnapshot>(index, verified, key, std::move(listing), modseq);
    };
    auto state = index.get_as<MailboxState>(key::mailbox(id), nullptr, wait);
    if (!state) return state.error();
    auto listing = cache.find(id);
    if (listing && *state && !(*state)->gone && listing->is_of(**state))
        return with(std::move(listing), (*state)->modseq);
    if (wait == Wait::no_wait && *state && !short_way(**state, listing))
        return Error{ErrorKind::busy, "the listing has to be read"};

    for (int tries = 0; tries < tries_max; ++tries) {
        const std::uint64_t generation = cache.generation();
        const Index::Moment now(index);
        state = index.get_as<MailboxState>(key::mailbox(id), &now, wait);
        if (!state) return state.error();
        if (!*state || (*state)->gone)
            return Error{ErrorKind::not_found, "there is no such mailbox (any more)"};
        auto fresh = Listing::read(index, now, segments, id, **state, listing, wait);
        if (fresh) {
            cache.keep(*fresh, generation);
            return with(std::move(*fresh), (*state)->modseq);
        }
        if (fresh.error().kind != ErrorKind::busy || wait == Wait::no_wait) return fresh.error();
        // The cleaner has just moved messages: the index knows their new places by now.
    }
    return Error{ErrorKind::corrupt,
                 "the index names a segment that is not there; `pier store rebuild` makes it anew"};
}

Result<Details> LogSnapshot::details(std::size_t index) const {
    const auto entry = index_.entry(listing_->mailbox(), listing_->entries()[index].uid);
    if (!entry) return entry.error();
    if (!*entry) return Error{ErrorKind::not_found, "the message has been removed"};
    return Details{(*entry)->flags, (*entry)->modseq, Time(std::chrono::microseconds((*entry)->date_us)),
                   (*entry)->import_key};
}

Result<std::unique_ptr<Body>> LogSnapshot::body(std::size_t index) const {
    const Entry& entry = listing_->entries()[index];
    return std::make_unique<LogBody>(listing_->segment_of(entry), entry, verified_, key_);
}

Result<std::unique_ptr<Body>> body_of(const Index& index, const Segments& segments,
                                      VerifiedMessages& verified, ChecksumKey key, MailboxId mailbox,
                                      Uid uid) {
    for (int tries = 0; tries < tries_max; ++tries) {
        const auto there = index.entry(static_cast<std::uint64_t>(mailbox), uid);
        if (!there) return there.error();
        if (!*there) return Error{ErrorKind::not_found, "the message has been removed"};
        auto segment = segments.find((*there)->place.segment);
        if (!segment) continue;  // the cleaner has just moved it: the index knows its new place by now
        Entry entry;
        entry.guid = (*there)->guid;
        entry.place = (*there)->place.packed();
        entry.octets = (*there)->octets;
        entry.bits = (*there)->bits;
        entry.uid = uid;
        return std::make_unique<LogBody>(std::move(segment), entry, verified, key);
    }
    return Error{ErrorKind::corrupt,
                 "the index names a segment that is not there; `pier store rebuild` makes it anew"};
}

}  // namespace pier::store::log
