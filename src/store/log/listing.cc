#include "store/log/listing.h"

#include <algorithm>
#include <limits>

namespace pier::store::log {
namespace {

constexpr std::uint64_t own_uidl = 1u << 15;   // in Entry::bits, above those of the record
constexpr std::uint64_t keeping_octets = 160;  // what the cache needs for one, about

std::uint32_t segment_number(const Entry& entry) {
    return Place::unpack(entry.place).segment;
}

struct ByNumber {
    bool operator()(const SegmentPtr& a, const SegmentPtr& b) const { return a->number() < b->number(); }
    bool operator()(const SegmentPtr& a, std::uint32_t b) const { return a->number() < b; }
};

}  // namespace

Result<ListingPtr> Listing::read(const Index& index, const Index::Moment& as_of, const Segments& segments,
                                 std::uint64_t mailbox, const MailboxState& state, const ListingPtr& base,
                                 Wait wait) {
    if (base && base->may_grow_to(state)) {
        std::shared_ptr<Listing> longer(new Listing(mailbox));
        longer->begin_with(*base, state.messages);
        // All that came is read, however many are expected: if more are found, something was removed.
        constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
        if (auto read = longer->read_entries(index, as_of, state, all, wait); !read) return read.error();
        if (longer->is_of(state) && longer->hold_segments(segments, base->entries_.size()))
            return ListingPtr(std::move(longer));
    }
    std::shared_ptr<Listing> fresh(new Listing(mailbox));
    fresh->entries_.reserve(state.messages);
    if (auto read = fresh->read_entries(index, as_of, state, state.messages, wait); !read)
        return read.error();
    if (!fresh->is_of(state)) return Index::malformed();
    if (!fresh->hold_segments(segments, 0))
        return Error{ErrorKind::busy, "the index names a segment that is not there"};
    return ListingPtr(std::move(fresh));
}

bool Listing::may_grow_to(const MailboxState& state) const {
    return state.uid_next >= uid_next_ && state.messages >= entries_.size() &&
           state.messages - entries_.size() <= state.uid_next - uid_next_;
}

void Listing::begin_with(const Listing& base, std::uint64_t messages) {
    uid_next_ = base.uid_next_;
    octets_ = base.octets_;
    entries_.reserve(messages);
    entries_.assign(base.entries_.begin(), base.entries_.end());
    own_uidls_ = base.own_uidls_;
    uidl_text_ = base.uidl_text_;
    held_ = base.held_;
}

// Those from uid_next_ on, until there are `messages_max`: behind the last one the index may be long full of
// what was removed.
Result<void> Listing::read_entries(const Index& index, const Index::Moment& as_of, const MailboxState& state,
                                   std::uint64_t messages_max, Wait wait) {
    bool malformed = false;
    const auto take = [&](std::string_view at, std::string_view value) {
        const auto listed = decode_listed(value);
        malformed = !listed;
        if (malformed) return false;
        Entry entry;
        entry.guid = listed->guid;
        entry.place = listed->place.packed();
        entry.octets = listed->octets;
        entry.bits = listed->bits;
        entry.uid = key::entry_uid(at);
        if (!listed->uidl.empty()) {
            entry.bits |= own_uidl;
            own_uidls_.push_back({static_cast<std::uint32_t>(entries_.size()), uidl_text_.size()});
            uidl_text_ += static_cast<char>(listed->uidl.size());
            uidl_text_ += listed->uidl;
        }
        entries_.push_back(entry);
        octets_ += listed->octets;
        return entries_.size() < messages_max;
    };
    if (uid_next_ < state.uid_next && entries_.size() < messages_max) {
        const auto read =
            index.each_from(key::entry(mailbox_, uid_next_), key::entries(mailbox_), &as_of, take, wait);
        if (!read) return read;
    }
    if (malformed) return Index::malformed();
    uid_next_ = state.uid_next;
    own_uidls_.shrink_to_fit();
    uidl_text_.shrink_to_fit();
    return {};
}

// Those of the entries from the index `from` on.
bool Listing::hold_segments(const Segments& segments, std::size_t from) {
    std::uint32_t last = 0;
    for (const Entry& entry : std::span(entries_).subspan(from)) {
        const std::uint32_t number = segment_number(entry);
        if (number == last || holds(number)) continue;
        last = number;
        auto segment = segments.find(number);
        if (!segment) return false;
        held_.insert(std::lower_bound(held_.begin(), held_.end(), number, ByNumber()), std::move(segment));
    }
    return true;
}

bool Listing::holds(std::uint32_t segment) const {
    const auto at = std::lower_bound(held_.begin(), held_.end(), segment, ByNumber());
    return at != held_.end() && (*at)->number() == segment;
}

SegmentPtr Listing::segment_of(const Entry& entry) const {
    return *std::lower_bound(held_.begin(), held_.end(), segment_number(entry), ByNumber());
}

void Listing::append_uidl(std::size_t index, std::string& out) const {
    if ((entries_[index].bits & own_uidl) == 0) return entries_[index].guid.append_hex(out);
    const auto own =
        std::lower_bound(own_uidls_.begin(), own_uidls_.end(), index,
                         [](const OwnUidl& known, std::size_t wanted) { return known.index < wanted; });
    const auto octets = static_cast<std::uint8_t>(uidl_text_[own->at]);
    out.append(uidl_text_, own->at + 1, octets);
}

std::uint64_t Listing::memory_octets() const {
    return sizeof *this + entries_.capacity() * sizeof(Entry) + own_uidls_.capacity() * sizeof(OwnUidl) +
           uidl_text_.capacity() + held_.capacity() * sizeof(SegmentPtr) + keeping_octets;
}

ListingPtr ListingCache::find(std::uint64_t mailbox) {
    std::lock_guard lock(mutex_);
    const auto at = by_mailbox_.find(mailbox);
    if (at == by_mailbox_.end()) return nullptr;
    latest_first_.splice(latest_first_.begin(), latest_first_, at->second);
    return *at->second;
}

std::uint64_t ListingCache::generation() const {
    std::lock_guard lock(mutex_);
    return generation_;
}

void ListingCache::keep(ListingPtr listing, std::uint64_t generation) {
    std::lock_guard lock(mutex_);
    if (generation != generation_) return;
    if (const auto at = by_mailbox_.find(listing->mailbox()); at != by_mailbox_.end()) drop(at->second);
    octets_ += listing->memory_octets();
    latest_first_.push_front(std::move(listing));
    by_mailbox_[latest_first_.front()->mailbox()] = latest_first_.begin();
    while (octets_ > octets_max_)
        drop(std::prev(latest_first_.end()));
}

void ListingCache::forget(std::uint32_t segment) {
    std::lock_guard lock(mutex_);
    ++generation_;
    for (auto at = latest_first_.begin(); at != latest_first_.end();) {
        const auto next = std::next(at);
        if ((*at)->holds(segment)) drop(at);
        at = next;
    }
}

std::uint64_t ListingCache::octets() const {
    std::lock_guard lock(mutex_);
    return octets_;
}

void ListingCache::drop(Order::iterator which) {
    octets_ -= (*which)->memory_octets();
    by_mailbox_.erase((*which)->mailbox());
    latest_first_.erase(which);
}

}  // namespace pier::store::log
