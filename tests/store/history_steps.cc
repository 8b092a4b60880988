// The random changes of a History.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "store/history.h"
#include "store/store_calls.h"

namespace pier::test {

using namespace store;

namespace {

std::uint64_t number(MailboxId id) {
    return static_cast<std::uint64_t>(id);
}

}  // namespace

bool History::step(Store& store) {
    if (accounts_.size() < 2) return add_account(store);
    if (mailboxes_.size() < 3) return create_mailbox(store);
    const auto choice = below(100);
    if (choice < 40) return append(store);
    if (choice < 55) return expunge(store);
    if (choice < 65) return set_flags(store);
    if (choice < 80) return copy(store);
    if (choice < 84) return create_mailbox(store);
    if (choice < 87) return rename_mailbox(store);
    if (choice < 90) return remove_mailbox(store);
    if (choice < 97) return put(store);
    return erase(store);
}

std::string History::new_body() {
    static constexpr std::size_t sizes[] = {0, 50, 50, 300, 300, 300, 1000, 1000, 3000, 6000};
    std::size_t octets = below(25) == 0 ? below(body_octets_max + 1) : sizes[below(std::size(sizes))];
    std::string body = fmt::format("Message {}\r\n.\r\n", ++counter_);  // unique, with a dot line
    while (body.size() < octets) {
        const std::uint64_t bits = random_();
        body.append(reinterpret_cast<const char*>(&bits), sizeof bits);
    }
    return body;
}

MailboxId History::some_mailbox() {
    return std::next(mailboxes_.begin(), static_cast<std::ptrdiff_t>(below(mailboxes_.size())))->first;
}

// Some that are there, seldom one that is not.
std::vector<Uid> History::some_uids(MailboxId mailbox) {
    std::vector<Uid> uids;
    const std::uint64_t one_in = 1 + below(4);
    for (const auto& [uid, message] : mailboxes_[mailbox].messages)
        if (below(one_in) == 0 && uids.size() < 8) uids.push_back(uid);
    if (below(5) == 0) uids.push_back(mailboxes_[mailbox].uid_seen + 1000);
    return uids;
}

bool History::add_account(Store& store) {
    const bool failed_before = store.failed();
    Part part{Part::Kind::put};
    part.record = {DirectoryKind::account, fmt::format("account-{}", ++counter_), 0, "v"};
    last_step_ = "put " + part.record.key;
    const auto id = test::put(store, part.record);
    if (!id) return failed(id.error(), failed_before, {part});
    part.record.id = *id;
    apply(part);
    return true;
}

bool History::append(Store& store) {
    const bool failed_before = store.failed();
    std::vector<Part> parts;
    std::vector<Target> targets;
    std::vector<ErrorKind> refusals;  // what each must answer; `invalid` stands for success
    Letter letter{new_body(), below(4) == 0 ? "X-Prefix: 1\r\n" : "",
                  Time(std::chrono::microseconds(static_cast<std::int64_t>(below(1ull << 51))))};
    const std::uint64_t count = below(4) == 0 ? 2 + below(2) : 1;
    auto imported = imported_;
    std::map<AccountId, std::uint64_t> added;
    for (std::uint64_t i = 0; i < count; ++i) {
        Part part{Part::Kind::add};
        part.mailbox = some_mailbox();
        const AccountId account = mailboxes_[part.mailbox].account;
        part.message = {letter.prefix + letter.body, "", below(1 << 20),
                        letter.date.time_since_epoch().count()};
        if (below(5) == 0) part.message.uidl = fmt::format("uidl-{}-{}", counter_, i);
        if (below(5) == 0) part.import_key = ImportKey{static_cast<std::uint8_t>(below(10))};
        Target target = test::to(part.mailbox);
        target.flags = part.message.flags;
        target.uidl = part.message.uidl;
        target.import_key = part.import_key;
        const std::uint64_t octets = part.message.body.size(), used = usage_octets(account) + added[account];
        if (below(6) == 0) target.quota_octets = 1 + used + below(2 * octets + 1);
        ErrorKind refusal = ErrorKind::invalid;
        if (part.import_key && imported.contains({account, *part.import_key}))
            refusal = ErrorKind::exists;
        else if (target.quota_octets != 0 && used + octets > target.quota_octets)
            refusal = ErrorKind::over_quota;
        refusals.push_back(refusal);
        targets.push_back(std::move(target));
        parts.push_back(part);
        if (refusal != ErrorKind::invalid) continue;
        if (part.import_key) imported.emplace(account, *part.import_key);
        added[account] += octets;
    }
    last_step_ = fmt::format("append {} octets to", letter.body.size());
    for (const Part& part : parts)
        last_step_ += fmt::format(" {}", number(part.mailbox));
    const auto results = test::append(store, letter, targets);
    std::vector<Part> possible;
    for (std::size_t i = 0; i < parts.size(); ++i)
        if (refusals[i] == ErrorKind::invalid) possible.push_back(parts[i]);
    if (!results) return failed(results.error(), failed_before, std::move(possible));
    EXPECT_EQ(results->size(), parts.size());
    bool all = true;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const Result<Appended>& result = (*results)[i];
        if (refusals[i] != ErrorKind::invalid) {
            EXPECT_FALSE(result);
            if (!result) {
                EXPECT_EQ(result.error().kind, refusals[i]) << last_step_;
            }
        } else if (!result) {
            all = failed(result.error(), failed_before, {parts[i]});
        } else {
            apply(parts[i], result->uid);
        }
    }
    return all;
}

bool History::expunge(Store& store) {
    const bool failed_before = store.failed();
    const MailboxId mailbox = some_mailbox();
    const std::vector<Uid> uids = some_uids(mailbox);
    std::vector<Part> parts;
    last_step_ = fmt::format("expunge from {}:", number(mailbox));
    for (const Uid uid : uids) {
        last_step_ += fmt::format(" {}", uid);
        if (!mailboxes_[mailbox].messages.contains(uid)) continue;
        Part part{Part::Kind::remove, mailbox};
        part.uid = uid;
        parts.push_back(part);
    }
    const auto count = test::expunge(store, mailbox, uids);
    if (!count) return failed(count.error(), failed_before, std::move(parts));
    EXPECT_EQ(*count, parts.size()) << last_step_;
    for (const Part& part : parts)
        apply(part);
    return true;
}

bool History::set_flags(Store& store) {
    const bool failed_before = store.failed();
    const MailboxId mailbox = some_mailbox();
    std::vector<Part> parts;
    std::vector<FlagChange> changes;
    last_step_ = fmt::format("set flags in {}:", number(mailbox));
    for (const Uid uid : some_uids(mailbox)) {
        changes.push_back({uid, random_()});
        last_step_ += fmt::format(" {}", uid);
        if (!mailboxes_[mailbox].messages.contains(uid)) continue;
        Part part{Part::Kind::flags, mailbox};
        part.uid = uid;
        part.message.flags = changes.back().flags;
        parts.push_back(part);
    }
    const auto done = test::set_flags(store, mailbox, changes);
    if (!done) return failed(done.error(), failed_before, std::move(parts));
    for (const Part& part : parts)
        apply(part);
    return true;
}

bool History::copy(Store& store) {
    const bool failed_before = store.failed();
    const MailboxId from = some_mailbox();
    MailboxId target = from;
    for (int i = 0; i < 4 && (target == from || mailboxes_[target].account != mailboxes_[from].account); ++i)
        target = some_mailbox();
    if (mailboxes_[target].account != mailboxes_[from].account) target = from;
    const auto source = below(2) == 0 ? Store::Source::keep : Store::Source::remove;
    const auto kind = source == Store::Source::keep ? Part::Kind::copy : Part::Kind::move;
    const std::vector<Uid> uids = some_uids(from);
    last_step_ = fmt::format("{} from {} to {}:", kind == Part::Kind::copy ? "copy" : "move", number(from),
                             number(target));
    std::vector<Part> parts;
    for (const Uid uid : uids) {
        last_step_ += fmt::format(" {}", uid);
        Part part{kind, from, target};
        part.uid = uid;
        parts.push_back(part);
    }
    const auto is_there = [&](const Part& part) { return mailboxes_[from].messages.contains(part.uid); };
    const auto results = test::copy(store, from, uids, target, source);
    if (!results) {
        std::erase_if(parts, [&](const Part& part) { return !is_there(part); });
        return failed(results.error(), failed_before, std::move(parts));
    }
    EXPECT_EQ(results->size(), parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (is_there(parts[i]))
            apply(parts[i], (*results)[i]);
        else
            EXPECT_EQ((*results)[i], 0u) << last_step_;
    }
    return true;
}

bool History::create_mailbox(Store& store) {
    const bool failed_before = store.failed();
    Part part{Part::Kind::create};
    part.account = accounts_[below(accounts_.size())];
    part.name = fmt::format("Folder/{}", ++counter_);
    last_step_ = "create " + part.name;
    const auto id = test::create_mailbox(store, part.account, part.name);
    if (!id) return failed(id.error(), failed_before, {part});
    EXPECT_FALSE(mailboxes_.contains(*id) || removed_mailboxes_.contains(*id))
        << "a mailbox's number was given again";
    part.mailbox = *id;
    apply(part);
    return true;
}

bool History::rename_mailbox(Store& store) {
    const bool failed_before = store.failed();
    Part part{Part::Kind::rename, some_mailbox()};
    part.account = mailboxes_[part.mailbox].account;
    part.name = fmt::format("Renamed/{}", ++counter_);
    last_step_ = fmt::format("rename {} to {}", number(part.mailbox), part.name);
    const auto done = test::rename_mailbox(store, part.mailbox, part.name);
    if (!done) return failed(done.error(), failed_before, {part});
    apply(part);
    return true;
}

bool History::remove_mailbox(Store& store) {
    const bool failed_before = store.failed();
    const Part part{Part::Kind::remove_mailbox, some_mailbox()};
    last_step_ = fmt::format("remove mailbox {}", number(part.mailbox));
    const auto done = test::remove_mailbox(store, part.mailbox);
    if (!done) return failed(done.error(), failed_before, {part});
    apply(part);
    return true;
}

bool History::put(Store& store) {
    const bool failed_before = store.failed();
    Part part{Part::Kind::put};
    part.record = {below(2) == 0 ? DirectoryKind::alias : DirectoryKind::domain,
                   fmt::format("key-{}", below(8)), 0, fmt::format("value {}", ++counter_)};
    last_step_ = "put " + part.record.key;
    const auto id = test::put(store, part.record);
    if (!id) return failed(id.error(), failed_before, {part});
    const auto present = directory_.find({part.record.kind, part.record.key});
    if (present != directory_.end()) {
        EXPECT_EQ(*id, present->second.id) << "its id changed";
    }
    part.record.id = *id;
    apply(part);
    return true;
}

bool History::erase(Store& store) {
    const bool failed_before = store.failed();
    Part part{Part::Kind::erase};
    part.record.kind = below(2) == 0 ? DirectoryKind::alias : DirectoryKind::domain;
    part.record.key = fmt::format("key-{}", below(8));
    last_step_ = "erase " + part.record.key;
    const bool is_there = directory_.contains({part.record.kind, part.record.key});
    const auto done = test::erase(store, part.record.kind, part.record.key);
    if (!done && !is_there && done.error().kind == ErrorKind::not_found) return true;
    if (!done) return failed(done.error(), failed_before, {part});
    EXPECT_TRUE(is_there) << last_step_ << ": it was not there";
    apply(part);
    return true;
}

}  // namespace pier::test
