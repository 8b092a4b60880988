#include "store/store_calls.h"

#include <algorithm>
#include <memory>

namespace pier::test {

using namespace store;

Result<std::uint64_t> put(Store& store, DirectoryRecord record) {
    return wait<std::uint64_t>([&](auto done) { store.put(std::move(record), std::move(done)); });
}

Result<void> erase(Store& store, DirectoryKind kind, std::string key) {
    return wait<void>([&](auto done) { store.erase(kind, std::move(key), std::move(done)); });
}

Result<MailboxId> create_mailbox(Store& store, AccountId account, std::string name) {
    return wait<MailboxId>(
        [&](auto done) { store.create_mailbox(account, std::move(name), std::move(done)); });
}

Result<void> rename_mailbox(Store& store, MailboxId mailbox, std::string name) {
    return wait<void>([&](auto done) { store.rename_mailbox(mailbox, std::move(name), std::move(done)); });
}

Result<void> remove_mailbox(Store& store, MailboxId mailbox) {
    return wait<void>([&](auto done) { store.remove_mailbox(mailbox, std::move(done)); });
}

Result<std::uint64_t> expunge(Store& store, MailboxId mailbox, std::vector<Uid> uids) {
    return wait<std::uint64_t>([&](auto done) { store.expunge(mailbox, std::move(uids), std::move(done)); });
}

Result<void> set_flags(Store& store, MailboxId mailbox, std::vector<FlagChange> changes) {
    return wait<void>([&](auto done) { store.set_flags(mailbox, std::move(changes), std::move(done)); });
}

Result<std::vector<Uid>> copy(Store& store, MailboxId from, std::vector<Uid> uids, MailboxId to,
                              Store::Source source) {
    return wait<std::vector<Uid>>(
        [&](auto done) { store.copy(from, std::move(uids), to, source, std::move(done)); });
}

Result<NewMessage> spooled(Store& store, const Letter& letter, std::vector<Target> targets,
                           std::size_t piece_octets) {
    NewMessage message;
    message.spool = store.new_spool();
    for (std::string_view rest = letter.body; !rest.empty();) {
        const std::string_view piece = rest.substr(0, piece_octets);
        if (auto written = message.spool->write(piece); !written) return written.error();
        rest.remove_prefix(piece.size());
    }
    message.prefix = letter.prefix;
    message.targets = std::move(targets);
    message.internal_date = letter.date;
    return message;
}

Result<std::vector<Result<Appended>>> append(Store& store, const Letter& letter,
                                             std::vector<Target> targets) {
    auto message = spooled(store, letter, std::move(targets));
    if (!message) return message.error();
    return wait<std::vector<Result<Appended>>>(
        [&](auto done) { store.append(std::move(*message), std::move(done)); });
}

Result<Appended> append(Store& store, const Letter& letter, Target target) {
    std::vector<Target> targets;
    targets.push_back(std::move(target));
    auto all = append(store, letter, std::move(targets));
    if (!all) return all.error();
    if (all->size() != 1) return Error{ErrorKind::invalid, "not one result for one target"};
    return std::move(all->front());
}

Target to(MailboxId mailbox) {
    Target target;
    target.mailbox = mailbox;
    return target;
}

Result<std::string> read_body(const Snapshot& snapshot, std::size_t index) {
    auto body = snapshot.body(index);
    if (!body) return body.error();
    if (auto verified = (*body)->verify(Wait::may_block); !verified) return verified.error();
    std::string octets((*body)->octets(), '\0');
    auto count = (*body)->read(0, octets, Wait::may_block);
    if (!count) return count.error();
    octets.resize(*count);
    return octets;
}

Result<std::string> load_body(const Snapshot& snapshot, std::size_t index) {
    auto body = snapshot.body(index);
    if (!body) return body.error();
    std::string buffer((*body)->octets() + Body::load_room_octets, '\0');
    const auto octets = (*body)->load(buffer, Wait::may_block);
    if (!octets) return octets.error();
    return std::string(*octets);
}

std::vector<std::string> bodies(const Snapshot& snapshot) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < snapshot.entries().size(); ++i) {
        // Both ways to the octets must come to the same.
        auto body = read_body(snapshot, i);
        const auto loaded = load_body(snapshot, i);
        if (body && loaded && *body != *loaded) body = Error{ErrorKind::corrupt, "load() gives other octets"};
        if (body && !loaded) body = loaded.error();
        all.push_back(body ? *body : "(" + body.error().text + ")");
    }
    return all;
}

std::vector<std::string> bodies(Store& store, MailboxId mailbox) {
    const auto snapshot = store.open(mailbox);
    if (!snapshot) return {"(" + snapshot.error().text + ")"};
    return bodies(**snapshot);
}

MailboxInfo info_of(Store& store, AccountId account, MailboxId mailbox) {
    const auto all = store.mailboxes(account);
    if (!all) return {};
    const auto found =
        std::find_if(all->begin(), all->end(), [&](const auto& row) { return row.id == mailbox; });
    return found == all->end() ? MailboxInfo{} : *found;
}

}  // namespace pier::test
