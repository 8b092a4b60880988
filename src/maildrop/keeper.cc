#include "maildrop/keeper.h"

#include <algorithm>
#include <utility>

#include "store/wait.h"

namespace pier::maildrop {
namespace {

// The first moment of the day.
Time day_of(Time time) {
    return Time(std::chrono::floor<std::chrono::days>(time));
}

}  // namespace

Keeper::Keeper(store::Store& store, const Policy& policy, Clock clock)
    : store_(store), policy_(policy), clock_(std::move(clock)) {}

void Keeper::remove(const auth::Account& account, std::vector<store::Uid> uids,
                    store::Done<std::uint64_t> done) const {
    switch (policy_.deleted) {
        case Deleted::removed:
            return store_.expunge(account.inbox, std::move(uids), std::move(done));
        case Deleted::trash:
            return move(account.id, account.inbox, std::move(uids), std::string(trash_mailbox),
                        std::move(done));
        case Deleted::hidden:
            return move(account.id, account.inbox, std::move(uids), hidden_mailbox(clock_()),
                        std::move(done));
    }
}

void Keeper::move(store::AccountId account, store::MailboxId from, std::vector<store::Uid> uids,
                  std::string mailbox, store::Done<std::uint64_t> done) const {
    const auto moved = [done](Result<std::vector<store::Uid>> fresh) {
        if (!fresh) return done(fresh.error());
        done(static_cast<std::uint64_t>(
            std::ranges::count_if(*fresh, [](store::Uid uid) { return uid != 0; })));
    };
    // The store may still be at it when the server ends and this is gone.
    store_.create_mailbox(
        account, std::move(mailbox),
        [&store = store_, from, uids = std::move(uids), done, moved](Result<store::MailboxId> to) mutable {
            if (!to) return done(to.error());
            store.copy(from, std::move(uids), *to, store::Store::Source::remove, moved);
        });
}

Result<View> Keeper::recent(const auth::Account& account) const {
    const auto mailboxes = store_.mailboxes(account.id);
    if (!mailboxes) return mailboxes.error();
    const Time now = clock_();
    const Time earliest = day_of(now - std::chrono::days(policy_.recent_days));
    std::vector<std::shared_ptr<const store::Snapshot>> kept;
    for (const store::MailboxInfo& mailbox : *mailboxes) {
        const auto day = hidden_on(mailbox.name);
        const bool in_trash = policy_.deleted == Deleted::trash && mailbox.name == trash_mailbox;
        if (!in_trash && (!day || *day < earliest)) continue;
        auto snapshot = store_.open(mailbox.id);
        if (snapshot)
            kept.push_back(std::move(*snapshot));
        else if (snapshot.error().kind != ErrorKind::not_found)
            return snapshot.error();
    }
    // After the others: a message that is deleted meanwhile is missing rather than there twice.
    auto inbox = store_.open(account.inbox);
    if (!inbox) return inbox.error();
    return View::recent(std::move(*inbox), std::move(kept), policy_, now);
}

Result<std::vector<Keeper::Kept>> Keeper::deleted_since(store::AccountId account, Time since) const {
    const auto mailboxes = store_.mailboxes(account);
    if (!mailboxes) return mailboxes.error();
    std::vector<Kept> all;
    for (const store::MailboxInfo& mailbox : *mailboxes) {
        const auto day = hidden_on(mailbox.name);
        const bool in_trash = policy_.deleted == Deleted::trash && mailbox.name == trash_mailbox;
        if (!in_trash && (!day || *day < day_of(since))) continue;
        const auto snapshot = store_.open(mailbox.id);
        if (!snapshot) return snapshot.error();
        Kept kept{mailbox.id, {}, 0};
        for (const store::Entry& entry : (*snapshot)->entries()) {
            if (in_trash && entry.guid.time() < since) continue;
            kept.uids.push_back(entry.uid);
            kept.octets += entry.octets;
        }
        if (!kept.uids.empty()) all.push_back(std::move(kept));
    }
    return all;
}

Result<Keeper::Found> Keeper::undeletable(const auth::Account& account, Time since) const {
    const auto all = deleted_since(account.id, since);
    if (!all) return all.error();
    Found found;
    for (const Kept& kept : *all) {
        found.messages += kept.uids.size();
        found.octets += kept.octets;
    }
    return found;
}

Result<Keeper::Found> Keeper::undelete(const auth::Account& account, Time since) const {
    auto all = deleted_since(account.id, since);
    if (!all) return all.error();
    Found found;
    for (Kept& kept : *all) {
        const auto copied = store::wait<std::vector<store::Uid>>([&](auto done) {
            store_.copy(kept.mailbox, kept.uids, account.inbox, store::Store::Source::keep, std::move(done));
        });
        if (!copied) return copied.error();
        found.messages += static_cast<std::uint64_t>(
            std::ranges::count_if(*copied, [](store::Uid uid) { return uid != 0; }));
        found.octets += kept.octets;
        const auto gone = store::wait<std::uint64_t>(
            [&](auto done) { store_.expunge(kept.mailbox, std::move(kept.uids), std::move(done)); });
        if (!gone) return gone.error();
    }
    return found;
}

Result<Keeper::Tidied> Keeper::tidy(const auth::Account& account) const {
    Tidied tidied;
    const Time now = clock_();
    const auto mailboxes = store_.mailboxes(account.id);
    if (!mailboxes) return mailboxes.error();
    for (const store::MailboxInfo& mailbox : *mailboxes) {
        const auto day = hidden_on(mailbox.name);
        // A whole day more: what was hidden at its end is kept as long as what was at its beginning.
        if (!day || now < *day + std::chrono::days(policy_.hidden_days + 1)) continue;
        const auto gone =
            store::wait<void>([&](auto done) { store_.remove_mailbox(mailbox.id, std::move(done)); });
        if (!gone) return gone.error();
        tidied.forgotten += mailbox.messages;
    }
    if (policy_.expire_days == 0) return tidied;
    const auto inbox = store_.open(account.inbox);
    if (!inbox) return inbox.error();
    // From the day on which it came in here: mail that was old when it was imported is kept as long.
    const Time earliest = now - std::chrono::days(policy_.expire_days);
    std::vector<store::Uid> old;
    for (const store::Entry& entry : (*inbox)->entries())
        if (entry.guid.time() < earliest) old.push_back(entry.uid);
    if (old.empty()) return tidied;
    // Nobody looks into the trash for what he did not put there, and it would grow without end.
    const auto expired = store::wait<std::uint64_t>([&](auto done) {
        if (policy_.deleted == Deleted::hidden)
            remove(account, std::move(old), std::move(done));
        else
            store_.expunge(account.inbox, std::move(old), std::move(done));
    });
    if (!expired) return expired.error();
    tidied.expired = *expired;
    return tidied;
}

}  // namespace pier::maildrop
