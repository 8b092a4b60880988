// The values and keys of the store's index, from a disk that hands back anything: what is read can be written
// again and means the same, and keys sort as the numbers in them. Input: one octet for the kind of value,
// then its octets.
#include <algorithm>
#include <string>
#include <tuple>

#include "fuzz/require.h"
#include "store/log/index.h"
#include "store/log/octets.h"

namespace {

using namespace pier;
using namespace pier::store;
using namespace pier::store::log;
using fuzz::require;

auto fields_of(const IndexEntry& e) {
    return std::tie(e.place, e.octets, e.bits, e.shared, e.stated_in, e.also_in, e.owner_mailbox, e.owner_uid,
                    e.guid, e.date_us, e.flags, e.modseq, e.uidl, e.import_key);
}
auto fields_of(const MailboxState& m) {
    return std::tie(m.account, m.uid_next, m.uid_validity, m.modseq, m.messages, m.octets, m.gone, m.date_us,
                    m.stated_in, m.name, m.keywords);
}
auto fields_of(const SegmentState& s) {
    return std::tie(s.octets, s.live_octets, s.dead_since_us);
}
auto fields_of(const DirectoryState& d) {
    return std::tie(d.id, d.stated_in, d.gone, d.value);
}

void check_entry(std::string_view octets, std::uint64_t mailbox, Uid uid) {
    const auto listed = decode_listed(octets);
    const auto entry = decode_entry(octets, mailbox, uid);
    if (!entry) return;
    require(listed.has_value(), "what is an entry can be listed");
    require(listed->guid == entry->guid && listed->place == entry->place && listed->octets == entry->octets &&
                listed->bits == entry->bits && listed->uidl == entry->uidl,
            "a listing tells what the entry holds");
    const std::string again = encode_entry(*entry, mailbox, uid);
    const auto back = decode_entry(again, mailbox, uid);
    require(back && fields_of(*back) == fields_of(*entry), "an entry that is written again means the same");
    require(encode_entry(*back, mailbox, uid) == again, "and has one form");
}

template <class State>
void check_state(std::string_view octets) {
    const auto state = decode<State>(octets);
    if (!state) return;
    const auto back = decode<State>(encode(*state));
    require(back && fields_of(*back) == fields_of(*state), "a value that is written again means the same");
}

void check_keys(std::string_view octets) {
    OctetReader in(octets);
    const auto mailbox = in.number<std::uint64_t>(), other = in.number<std::uint64_t>();
    const auto uid = in.number<std::uint32_t>(), other_uid = in.number<std::uint32_t>();
    const std::string name(in.rest());
    if (!in.ok()) return;
    const std::string entry = key::entry(mailbox, uid);
    require(entry.starts_with(key::entries(mailbox)) && entry.starts_with(key::entries_all()),
            "entries stand under their mailbox");
    require(key::entry_of(entry) == std::pair(mailbox, Uid{uid}) && key::entry_uid(entry) == uid,
            "a key tells its entry");
    require((entry < key::entry(other, other_uid)) == (std::pair(mailbox, uid) < std::pair(other, other_uid)),
            "keys sort as mailboxes and UIDs do");
    const Place place = Place::unpack(mailbox);
    require(place.packed() == mailbox, "a place is one number");
    const std::string reference = key::reference(place, other, uid);
    require(reference.starts_with(key::references(place)) &&
                key::reference_entry(reference) == std::pair(other, Uid{uid}),
            "a key tells its reference");
    require(
        key::segment_number(key::segment(uid)) == uid && key::mailbox_id(key::mailbox(mailbox)) == mailbox,
        "a key tells its number");
    require(key::name(mailbox, name).substr(key::names(mailbox).size()) == name, "a key tells its name");
    ImportKey import{};
    octets.copy(reinterpret_cast<char*>(import.data()), import.size());
    require(key::import_key(mailbox, import).ends_with(octets.substr(0, import.size())),
            "a key tells its import");
    const auto kind = static_cast<DirectoryKind>(uid % 5 + 1);
    require(key::directory(kind, name).substr(key::directory_all(kind).size()) == name,
            "a key tells its record");
    std::string number;
    put_short(number, mailbox);
    require(OctetReader(number).short_number() == mailbox && number.size() <= 10, "a short number is short");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view octets = fuzz::text_of(data + 1, size - 1);
    switch (data[0] % 6) {
        case 0:
            check_entry(octets, 5, 7);
            break;
        case 1:
            check_state<MailboxState>(octets);
            break;
        case 2:
            check_state<SegmentState>(octets);
            break;
        case 3:
            check_state<DirectoryState>(octets);
            break;
        case 4:
            check_keys(octets);
            break;
        default:
            static_cast<void>(decode<Guid>(octets));
            static_cast<void>(decode<Position>(octets));
            static_cast<void>(decode<std::uint64_t>(octets));
            static_cast<void>(decode<std::uint32_t>(octets));
            break;
    }
    return 0;
}
