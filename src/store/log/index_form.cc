// The form of the index: keys and values as octets. docs/disk-format.md lists them.
#include "store/log/index.h"
#include "store/log/octets.h"

namespace pier::store::log {
namespace {

// The first octet of a key: which table it belongs to.
enum Table : char {
    table_directory = 'd',
    table_entry = 'm',
    table_import = 'i',
    table_mailbox = 'x',
    table_name = 'n',
    table_own = 'p',
    table_reference = 'r',
    table_segment = 's',
};

// Which parts of an entry's value are there; what is nearly always the same is not written.
enum Part : std::uint8_t {
    part_shared = 1,
    part_uidl = 2,
    part_flags = 4,
    part_stated_in = 8,  // else the segment of the place
    part_owner = 16,     // else this entry
    part_also_in = 32,
    part_import_key = 64,
};

void put_guid(std::string& out, const Guid& guid) {
    out.append(reinterpret_cast<const char*>(guid.bytes.data()), guid.bytes.size());
}

Guid take_guid(OctetReader& in) {
    Guid guid;
    const std::string_view octets = in.text(guid.bytes.size());
    octets.copy(reinterpret_cast<char*>(guid.bytes.data()), octets.size());
    return guid;
}

// What every entry's value begins with; then come the parts that a listing does not need.
ListedEntry take_listed(OctetReader& in, std::uint8_t& parts) {
    ListedEntry entry;
    entry.guid = take_guid(in);
    entry.place = Place::unpack(in.number<std::uint64_t>());
    parts = in.number<std::uint8_t>();
    entry.bits = static_cast<std::uint16_t>(in.short_number());
    entry.octets = in.short_number();
    if ((parts & part_uidl) != 0) entry.uidl = in.text(in.number<std::uint8_t>());
    return entry;
}

}  // namespace

// ---- values ----

std::string encode_entry(const IndexEntry& entry, std::uint64_t mailbox, Uid uid) {
    const bool own = entry.owner_mailbox == mailbox && entry.owner_uid == uid;
    int parts = 0;
    if (entry.shared) parts |= part_shared;
    if (!entry.uidl.empty()) parts |= part_uidl;
    if (entry.flags != 0) parts |= part_flags;
    if (entry.stated_in != entry.place.segment) parts |= part_stated_in;
    if (!own) parts |= part_owner;
    if (!entry.also_in.empty()) parts |= part_also_in;
    if (entry.import_key) parts |= part_import_key;
    std::string out;
    out.reserve(128);
    put_guid(out, entry.guid);
    put_number(out, entry.place.packed());
    put_number(out, static_cast<std::uint8_t>(parts));
    put_short(out, entry.bits);
    put_short(out, entry.octets);
    if (!entry.uidl.empty()) {
        put_number(out, static_cast<std::uint8_t>(entry.uidl.size()));
        out += entry.uidl;
    }
    put_number(out, entry.date_us);
    put_short(out, entry.modseq);
    if (entry.flags != 0) put_number(out, entry.flags);
    if (entry.stated_in != entry.place.segment) put_number(out, entry.stated_in);
    if (!own) {
        put_number(out, entry.owner_mailbox);
        put_number(out, entry.owner_uid);
    }
    if (!entry.also_in.empty()) {
        put_number(out, static_cast<std::uint16_t>(entry.also_in.size()));
        for (const std::uint32_t segment : entry.also_in)
            put_number(out, segment);
    }
    if (entry.import_key)
        out.append(reinterpret_cast<const char*>(entry.import_key->data()), entry.import_key->size());
    return out;
}

std::optional<ListedEntry> decode_listed(std::string_view octets) {
    OctetReader in(octets);
    std::uint8_t parts = 0;
    const ListedEntry entry = take_listed(in, parts);
    if (!in.ok()) return std::nullopt;
    return entry;
}

std::optional<IndexEntry> decode_entry(std::string_view octets, std::uint64_t mailbox, Uid uid) {
    OctetReader in(octets);
    std::uint8_t parts = 0;
    const ListedEntry listed = take_listed(in, parts);
    IndexEntry entry;
    entry.place = listed.place;
    entry.octets = listed.octets;
    entry.bits = listed.bits;
    entry.guid = listed.guid;
    entry.uidl = listed.uidl;
    entry.shared = (parts & part_shared) != 0;
    entry.date_us = in.number<std::int64_t>();
    entry.modseq = in.short_number();
    if ((parts & part_flags) != 0) entry.flags = in.number<std::uint64_t>();
    entry.stated_in = (parts & part_stated_in) != 0 ? in.number<std::uint32_t>() : entry.place.segment;
    entry.owner_mailbox = (parts & part_owner) != 0 ? in.number<std::uint64_t>() : mailbox;
    entry.owner_uid = (parts & part_owner) != 0 ? in.number<std::uint32_t>() : uid;
    if ((parts & part_also_in) != 0) {
        const auto others = in.number<std::uint16_t>();
        for (unsigned i = 0; i < others && in.ok(); ++i)
            entry.also_in.push_back(in.number<std::uint32_t>());
    }
    if ((parts & part_import_key) != 0) {
        ImportKey import_key{};
        const std::string_view text = in.text(import_key.size());
        text.copy(reinterpret_cast<char*>(import_key.data()), text.size());
        entry.import_key = import_key;
    }
    if (!in.ok() || !in.rest().empty()) return std::nullopt;
    return entry;
}

std::string encode(const MailboxState& state) {
    std::string out;
    put_number(out, state.account);
    put_number(out, state.uid_next);
    put_number(out, state.uid_validity);
    put_number(out, state.modseq);
    put_number(out, state.messages);
    put_number(out, state.octets);
    put_number(out, static_cast<std::uint8_t>(state.gone));
    put_number(out, state.date_us);
    put_number(out, state.stated_in);
    put_number(out, static_cast<std::uint16_t>(state.name.size()));
    out += state.name;
    for (const std::string& keyword : state.keywords) {
        put_number(out, static_cast<std::uint8_t>(keyword.size()));
        out += keyword;
    }
    return out;
}

template <>
std::optional<MailboxState> decode(std::string_view octets) {
    OctetReader in(octets);
    MailboxState state;
    state.account = in.number<std::uint64_t>();
    state.uid_next = in.number<std::uint32_t>();
    state.uid_validity = in.number<std::uint32_t>();
    state.modseq = in.number<std::uint64_t>();
    state.messages = in.number<std::uint64_t>();
    state.octets = in.number<std::uint64_t>();
    state.gone = in.number<std::uint8_t>() != 0;
    state.date_us = in.number<std::int64_t>();
    state.stated_in = in.number<std::uint32_t>();
    state.name = in.text(in.number<std::uint16_t>());
    while (in.ok() && !in.rest().empty())
        state.keywords.emplace_back(in.text(in.number<std::uint8_t>()));
    if (!in.ok()) return std::nullopt;
    return state;
}

std::string encode(const SegmentState& state) {
    std::string out;
    put_number(out, state.octets);
    put_number(out, state.live_octets);
    put_number(out, state.dead_since_us);
    return out;
}

template <>
std::optional<SegmentState> decode(std::string_view octets) {
    OctetReader in(octets);
    SegmentState state;
    state.octets = in.number<std::uint64_t>();
    state.live_octets = in.number<std::uint64_t>();
    state.dead_since_us = in.number<std::int64_t>();
    if (!in.ok()) return std::nullopt;
    return state;
}

std::string encode(const DirectoryState& state) {
    std::string out;
    put_number(out, state.id);
    put_number(out, state.stated_in);
    put_number(out, static_cast<std::uint8_t>(state.gone));
    out += state.value;
    return out;
}

template <>
std::optional<DirectoryState> decode(std::string_view octets) {
    OctetReader in(octets);
    DirectoryState state;
    state.id = in.number<std::uint64_t>();
    state.stated_in = in.number<std::uint32_t>();
    state.gone = in.number<std::uint8_t>() != 0;
    state.value = in.rest();
    if (!in.ok()) return std::nullopt;
    return state;
}

template <>
std::optional<Guid> decode(std::string_view octets) {
    Guid guid;
    if (octets.size() != guid.bytes.size()) return std::nullopt;
    octets.copy(reinterpret_cast<char*>(guid.bytes.data()), octets.size());
    return guid;
}

template <>
std::optional<Position> decode(std::string_view octets) {
    OctetReader in(octets);
    Position position;
    position.segment = in.number<std::uint32_t>();
    position.offset = in.number<std::uint64_t>();
    if (!in.ok()) return std::nullopt;
    return position;
}

template <>
std::optional<std::uint64_t> decode(std::string_view octets) {
    OctetReader in(octets);
    const auto value = in.number<std::uint64_t>();
    if (!in.ok()) return std::nullopt;
    return value;
}

template <>
std::optional<std::uint32_t> decode(std::string_view octets) {
    OctetReader in(octets);
    const auto value = in.number<std::uint32_t>();
    if (!in.ok()) return std::nullopt;
    return value;
}

// ---- keys ----

namespace key {

std::string entries(std::uint64_t mailbox) {
    std::string out(1, table_entry);
    put_sorted(out, mailbox);
    return out;
}
std::string entries_all() {
    return std::string(1, table_entry);
}
std::pair<std::uint64_t, Uid> entry_of(std::string_view key) {
    OctetReader in(key.substr(1));
    const auto mailbox = in.sorted<std::uint64_t>();
    return {mailbox, in.sorted<std::uint32_t>()};
}
std::string entry(std::uint64_t mailbox, Uid uid) {
    std::string out = entries(mailbox);
    put_sorted(out, uid);
    return out;
}
std::string mailbox(std::uint64_t mailbox) {
    std::string out(1, table_mailbox);
    put_sorted(out, mailbox);
    return out;
}
std::string mailboxes() {
    return std::string(1, table_mailbox);
}
std::string names(std::uint64_t account) {
    std::string out(1, table_name);
    put_sorted(out, account);
    return out;
}
std::string name(std::uint64_t account, std::string_view name) {
    return names(account) + std::string(name);
}
std::string segments() {
    return std::string(1, table_segment);
}
std::string segment(std::uint32_t number) {
    std::string out = segments();
    put_sorted(out, number);
    return out;
}
std::string import_key(std::uint64_t account, const ImportKey& key) {
    std::string out(1, table_import);
    put_sorted(out, account);
    out.append(reinterpret_cast<const char*>(key.data()), key.size());
    return out;
}
std::string directory_all(DirectoryKind kind) {
    std::string out(1, table_directory);
    put_sorted(out, static_cast<std::uint8_t>(kind));
    return out;
}
std::string directory(DirectoryKind kind, std::string_view name) {
    return directory_all(kind) + std::string(name);
}
std::string references(Place place) {
    std::string out(1, table_reference);
    put_sorted(out, place.packed());
    return out;
}
std::string reference(Place place, std::uint64_t mailbox, Uid uid) {
    std::string out = references(place);
    put_sorted(out, mailbox);
    put_sorted(out, uid);
    return out;
}
std::string position() {
    return std::string(1, table_own) + "position";
}
std::string next_id() {
    return std::string(1, table_own) + "next_id";
}
std::string last_guid() {
    return std::string(1, table_own) + "last_guid";
}
std::string form() {
    return std::string(1, table_own) + "form";
}
std::string store_id() {
    return std::string(1, table_own) + "store_id";
}
Uid entry_uid(std::string_view key) {
    return OctetReader(key.substr(9)).sorted<std::uint32_t>();
}
std::pair<std::uint64_t, Uid> reference_entry(std::string_view key) {
    OctetReader in(key.substr(9));
    const auto mailbox = in.sorted<std::uint64_t>();
    return {mailbox, in.sorted<std::uint32_t>()};
}
std::uint32_t segment_number(std::string_view key) {
    return OctetReader(key.substr(1)).sorted<std::uint32_t>();
}
std::uint64_t mailbox_id(std::string_view key) {
    return OctetReader(key.substr(1)).sorted<std::uint64_t>();
}

}  // namespace key

}  // namespace pier::store::log
