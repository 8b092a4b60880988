#include "store/history.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "store/store_calls.h"

namespace pier::test {

using namespace store;

// ---- the model ----

std::uint64_t History::messages() const {
    std::uint64_t sum = 0;
    for (const auto& [id, mailbox] : mailboxes_)
        sum += mailbox.messages.size();
    return sum;
}

std::uint64_t History::usage_octets(AccountId account) const {
    std::uint64_t sum = 0;
    for (const auto& [id, mailbox] : mailboxes_)
        if (mailbox.account == account)
            for (const auto& [uid, message] : mailbox.messages)
                sum += message.body.size();
    return sum;
}

void History::apply(const Part& part, Uid uid) {
    const auto add = [&](MailboxId id, ExpectedMessage message) {
        ExpectedMailbox& mailbox = mailboxes_[id];
        EXPECT_GT(uid, mailbox.uid_seen) << "a UID was given again";
        mailbox.uid_seen = std::max(mailbox.uid_seen, uid);
        mailbox.messages[uid] = std::move(message);
    };
    const auto copied = [&] {
        ExpectedMessage message = mailboxes_[part.mailbox].messages[part.uid];
        message.uidl.clear();
        return message;
    };
    switch (part.kind) {
        case Part::Kind::add:
            add(part.mailbox, part.message);
            if (part.import_key) imported_.emplace(mailboxes_[part.mailbox].account, *part.import_key);
            break;
        case Part::Kind::remove:
            mailboxes_[part.mailbox].messages.erase(part.uid);
            break;
        case Part::Kind::flags:
            mailboxes_[part.mailbox].messages[part.uid].flags = part.message.flags;
            break;
        case Part::Kind::copy:
            add(part.target, copied());
            break;
        case Part::Kind::move: {
            ExpectedMessage message = copied();
            mailboxes_[part.mailbox].messages.erase(part.uid);
            add(part.target, std::move(message));
            break;
        }
        case Part::Kind::create:
            mailboxes_[part.mailbox] = {part.account, part.name, 0, 0, 0, {}};
            break;
        case Part::Kind::rename:
            mailboxes_[part.mailbox].name = part.name;
            break;
        case Part::Kind::remove_mailbox:
            mailboxes_.erase(part.mailbox);
            removed_mailboxes_.insert(part.mailbox);
            break;
        case Part::Kind::put:
            directory_[{part.record.kind, part.record.key}] = part.record;
            if (part.record.kind == DirectoryKind::account &&
                std::find(accounts_.begin(), accounts_.end(), AccountId{part.record.id}) == accounts_.end())
                accounts_.push_back(AccountId{part.record.id});
            break;
        case Part::Kind::erase:
            directory_.erase({part.record.kind, part.record.key});
            break;
    }
}

bool History::failed(const Error& error, bool failed_before, std::vector<Part> parts) {
    last_step_ += ": " + std::string(to_string(error.kind));
    EXPECT_TRUE(error.kind == ErrorKind::no_space || error.kind == ErrorKind::stopped ||
                error.kind == ErrorKind::io)
        << last_step_ << ": " << error.text;
    EXPECT_FALSE(error.text.empty());
    // no_space promises that nothing of it stays; what came after the end was not even begun.
    if (error.kind != ErrorKind::no_space && !failed_before)
        uncertain_.insert(uncertain_.end(), std::make_move_iterator(parts.begin()),
                          std::make_move_iterator(parts.end()));
    return false;
}

// ---- what became of a change without an answer ----

bool History::happened(Store& store, const Part& part, Uid& uid) {
    const auto snapshot_of = [&](MailboxId id) {
        auto snapshot = store.open(id);
        return snapshot ? *snapshot : nullptr;
    };
    const auto index_of = [](const Snapshot& snapshot, Uid wanted) -> std::optional<std::size_t> {
        for (std::size_t i = 0; i < snapshot.entries().size(); ++i)
            if (snapshot.entries()[i].uid == wanted) return i;
        return std::nullopt;
    };
    // A message with that body, newer than all that the model knows.
    const auto find_new = [&](MailboxId id, const std::string& body) {
        const auto snapshot = snapshot_of(id);
        for (std::size_t i = 0; snapshot && i < snapshot->entries().size(); ++i) {
            if (snapshot->entries()[i].uid <= mailboxes_[id].uid_seen) continue;
            const auto found = read_body(*snapshot, i);
            if (!found || *found != body) continue;
            uid = snapshot->entries()[i].uid;
            return true;
        }
        return false;
    };
    const auto snapshot = snapshot_of(part.mailbox);
    switch (part.kind) {
        case Part::Kind::add:
            return find_new(part.mailbox, part.message.body);
        case Part::Kind::remove:
            return snapshot && !index_of(*snapshot, part.uid);
        case Part::Kind::flags: {
            const auto index = snapshot ? index_of(*snapshot, part.uid) : std::nullopt;
            const auto details = index ? snapshot->details(*index) : Result<Details>(Details{});
            return index && details && details->flags == part.message.flags;
        }
        case Part::Kind::copy:
        case Part::Kind::move:
            return find_new(part.target, mailboxes_[part.mailbox].messages[part.uid].body);
        case Part::Kind::create:
        case Part::Kind::rename: {
            const auto all = store.mailboxes(part.account);
            for (std::size_t i = 0; all && i < all->size(); ++i)
                if ((*all)[i].name == part.name) return true;
            return false;
        }
        case Part::Kind::remove_mailbox:
            return !snapshot;
        case Part::Kind::put:
        case Part::Kind::erase: {
            const auto record = store.get(part.record.kind, part.record.key);
            EXPECT_TRUE(record);
            if (!record || !*record) return part.kind == Part::Kind::erase;
            return part.kind == Part::Kind::put && (*record)->value == part.record.value;
        }
    }
    return false;
}

// ---- comparing ----

void History::compare_mailbox(Store& store, MailboxId id, ExpectedMailbox& expected) {
    SCOPED_TRACE(fmt::format("mailbox {} {}", static_cast<std::uint64_t>(id), expected.name));
    const auto opened = store.open(id);
    ASSERT_TRUE(opened) << opened.error().text;
    const Snapshot& snapshot = **opened;
    std::vector<Uid> uids, expected_uids;
    for (const Entry& entry : snapshot.entries())
        uids.push_back(entry.uid);
    std::uint64_t octets = 0;
    for (const auto& [uid, message] : expected.messages) {
        expected_uids.push_back(uid);
        octets += message.body.size();
    }
    ASSERT_EQ(uids, expected_uids);
    std::size_t index = 0;
    for (auto& [uid, message] : expected.messages) {
        SCOPED_TRACE(fmt::format("UID {}", uid));
        EXPECT_EQ(snapshot.entries()[index].octets, message.body.size());
        const std::string uidl = snapshot.uidl(index);
        if (message.uidl.empty()) message.uidl = uidl;
        EXPECT_EQ(uidl, message.uidl);
        const auto body = read_body(snapshot, index);
        ASSERT_TRUE(body) << body.error().text;
        EXPECT_TRUE(*body == message.body) << "other octets than were stored";
        const auto details = snapshot.details(index);
        ASSERT_TRUE(details) << details.error().text;
        EXPECT_EQ(details->flags, message.flags);
        EXPECT_EQ(details->internal_date.time_since_epoch().count(), message.date_us);
        EXPECT_LE(details->modseq, snapshot.modseq());
        ++index;
    }
    const MailboxInfo info = info_of(store, expected.account, id);
    EXPECT_EQ(info.name, expected.name);
    EXPECT_EQ(info.messages, expected.messages.size());
    EXPECT_EQ(info.octets, octets);
    EXPECT_GT(info.uid_next, expected.uid_seen);
    EXPECT_GE(info.modseq, expected.modseq_seen);
    expected.modseq_seen = info.modseq;
    if (expected.uid_validity == 0) expected.uid_validity = info.uid_validity;
    EXPECT_EQ(info.uid_validity, expected.uid_validity);
}

void History::settle(Store& store) {
    SCOPED_TRACE("after " + last_step_);
    for (Part& part : uncertain_) {
        Uid uid = 0;
        if (!happened(store, part, uid)) continue;
        if (part.kind == Part::Kind::create) {
            const auto all = store.mailboxes(part.account);
            for (const MailboxInfo& info : *all)
                if (info.name == part.name) part.mailbox = info.id;
        }
        if (part.kind == Part::Kind::put)
            part.record.id = (*store.get(part.record.kind, part.record.key))->id;
        apply(part, uid);
    }
    uncertain_.clear();

    for (const DirectoryKind kind : {DirectoryKind::account, DirectoryKind::alias, DirectoryKind::domain}) {
        const auto all = store.list(kind);
        ASSERT_TRUE(all) << all.error().text;
        std::size_t expected = 0;
        for (const auto& [key, record] : directory_)
            expected += key.first == kind;
        EXPECT_EQ(all->size(), expected);
        for (const DirectoryRecord& record : *all) {
            const auto found = directory_.find({kind, record.key});
            ASSERT_NE(found, directory_.end()) << record.key << " came out of nowhere";
            EXPECT_EQ(record.value, found->second.value);
            EXPECT_EQ(record.id, found->second.id);
        }
    }
    for (const AccountId account : accounts_) {
        const auto all = store.mailboxes(account);
        ASSERT_TRUE(all) << all.error().text;
        std::size_t boxes = 0, count = 0;
        for (const auto& [id, mailbox] : mailboxes_) {
            if (mailbox.account != account) continue;
            ++boxes;
            count += mailbox.messages.size();
        }
        EXPECT_EQ(all->size(), boxes);
        const auto usage = store.usage(account);
        ASSERT_TRUE(usage) << usage.error().text;
        EXPECT_EQ(usage->octets, usage_octets(account));
        EXPECT_EQ(usage->messages, count);
    }
    for (auto& [id, mailbox] : mailboxes_)
        compare_mailbox(store, id, mailbox);
    for (const MailboxId id : removed_mailboxes_)
        EXPECT_FALSE(store.open(id)) << "a removed mailbox is back";
}

}  // namespace pier::test
