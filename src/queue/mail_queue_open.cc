// What a start finds in the store.
#include <algorithm>
#include <functional>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "queue/mail_queue.h"
#include "queue/slots.h"
#include "store/wait.h"

namespace pier::queue {
namespace {

constexpr std::string_view setting_key = "queue";  // whose id is the account's
constexpr std::string_view setting_value = R"({"v":1})";
constexpr std::string_view mailbox_name = ".queue";  // kept aside: it counts for nobody
// Of 4,294,967,295 UIDs; then a new mailbox is made, when there is nothing in the old one.
constexpr store::Uid used_up = 1u << 31;

}  // namespace

Result<void> MailQueue::open() {
    if (auto opened = open_mailbox(); !opened) return opened;
    if (auto read = read_messages(); !read) return read;
    const std::lock_guard lock(mutex_);
    accepting_ = true;
    return {};
}

Result<void> MailQueue::open_mailbox() {
    const auto setting = store_.get(store::DirectoryKind::setting, setting_key);
    if (!setting) return setting.error();
    std::uint64_t account = *setting ? (*setting)->id : 0;
    if (!*setting) {
        const auto put = store::wait<std::uint64_t>([&](auto done) {
            store_.put(
                {store::DirectoryKind::setting, std::string(setting_key), 0, std::string(setting_value)},
                std::move(done));
        });
        if (!put) return put.error();
        account = *put;
    }
    account_ = store::AccountId{account};
    const auto present = store_.mailboxes(account_);
    if (!present) return present.error();
    for (const store::MailboxInfo& info : *present) {
        if (info.uid_next < used_up || info.messages != 0) continue;
        const auto removed =
            store::wait<void>([&](auto done) { store_.remove_mailbox(info.id, std::move(done)); });
        if (!removed) return removed.error();
    }
    const auto made = store::wait<store::MailboxId>(
        [&](auto done) { store_.create_mailbox(account_, std::string(mailbox_name), std::move(done)); });
    if (!made) return made.error();
    mailbox_ = *made;
    return {};
}

Result<void> MailQueue::read_messages() {
    const auto snapshot = store_.open(mailbox_);
    if (!snapshot) return snapshot.error();
    const auto entries = (*snapshot)->entries();
    std::unordered_map<std::uint64_t, std::size_t> without_record;  // by id: the place in the mailbox
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const auto id = parse_id((*snapshot)->uidl(i));
        if (id)
            without_record.emplace(static_cast<std::uint64_t>(*id), i);
        else
            log::error("queue.strange_message", {{"uid", entries[i].uid}, {"uidl", (*snapshot)->uidl(i)}});
    }

    std::vector<std::string> left_over;
    std::vector<bool> used;
    bool unreadable = false;
    const auto read = store_.each(store::DirectoryKind::queue, [&](const store::DirectoryRecord& record) {
        const auto slot = slot_of(record.key);
        if (slot && *slot >= used.size()) used.resize(*slot + 1);
        if (slot) used[*slot] = true;
        auto entry = read_entry(record.value);
        if (!slot || !entry) {
            log::error(
                "queue.unreadable_record",
                {{"record", record.key}, {"reason", entry ? "its key is no number" : entry.error().text}});
            unreadable = true;
            return;
        }
        const auto at = without_record.find(static_cast<std::uint64_t>(entry->id));
        if (at == without_record.end()) return left_over.push_back(record.key);
        const std::lock_guard lock(mutex_);
        take_up(std::move(*entry), *slot, entries[at->second].uid);
        without_record.erase(at);
    });
    if (!read) return read.error();
    slots_ = static_cast<std::uint32_t>(used.size());
    for (std::uint32_t slot = 0; slot < slots_; ++slot)
        if (!used[slot]) free_slots_.push_back(slot);
    std::make_heap(free_slots_.begin(), free_slots_.end(), std::greater<>());

    // Never acknowledged, or all done: the process died between the one and the other.
    for (const std::string& key : left_over) {
        const auto erased = store::wait<void>(
            [&](auto done) { store_.erase(store::DirectoryKind::queue, key, std::move(done)); });
        if (!erased) return erased.error();
        const std::lock_guard lock(mutex_);
        free_slots_.push_back(*slot_of(key));
        std::push_heap(free_slots_.begin(), free_slots_.end(), std::greater<>());
    }
    for (const auto& [id, place] : without_record) {
        log::error("queue.no_record",
                   {{"id", to_text(Id{id})},
                    {"uid", entries[place].uid},
                    {"hint", unreadable ? "a record cannot be read; the message is kept as it is"
                                        : "nobody knows who was to get it; it is kept on hold"}});
        if (unreadable) continue;
        if (auto kept = keep_without_record(id, entries[place].uid, entries[place].octets); !kept)
            return kept;
    }
    if (!entries.empty() || !left_over.empty())
        log::info("queue.opened", {{"messages", items_.size()}, {"left_over", left_over.size()}});
    return {};
}

// So that it can be seen and dropped.
Result<void> MailQueue::keep_without_record(std::uint64_t id, store::Uid uid, std::uint64_t octets) {
    Entry entry;
    entry.id = Id{id};
    entry.arrived = clock_();
    entry.octets = octets;
    entry.held = true;
    const std::uint32_t slot = new_slot();
    const auto put = store::wait<std::uint64_t>([&](auto done) {
        store_.put({store::DirectoryKind::queue, slot_key(slot), static_cast<std::uint64_t>(account_),
                    write_entry(entry)},
                   std::move(done));
    });
    if (!put) return put.error();
    const std::lock_guard lock(mutex_);
    take_up(std::move(entry), slot, uid);
    return {};
}

}  // namespace pier::queue
