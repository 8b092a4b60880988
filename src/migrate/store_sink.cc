#include "migrate/store_sink.h"

#include <utility>

#include <fmt/format.h>

#include "store/wait.h"

namespace pier::migrate {

StoreSink::StoreSink(store::Store& store, store::AccountId account, std::uint64_t quota_octets)
    : store_(store), account_(account), quota_octets_(quota_octets) {}

Result<std::unique_ptr<store::Spool>> StoreSink::new_spool() {
    return store_.new_spool();
}

Result<StoreSink::Mailbox*> StoreSink::mailbox(const std::string& name) {
    if (const auto known = mailboxes_.find(name); known != mailboxes_.end()) return &known->second;
    const auto id = store::wait<store::MailboxId>(
        [&](auto done) { store_.create_mailbox(account_, name, std::move(done)); });
    if (!id) return Error(id.error().kind, fmt::format("mailbox {}: {}", name, id.error().text));
    const auto snapshot = store_.open(*id);
    if (!snapshot)
        return Error(snapshot.error().kind, fmt::format("mailbox {}: {}", name, snapshot.error().text));
    Mailbox mailbox{*id, {}};
    for (std::size_t i = 0; i < (*snapshot)->entries().size(); ++i)
        mailbox.uidls.insert((*snapshot)->uidl(i));
    return &mailboxes_.emplace(name, std::move(mailbox)).first->second;
}

void StoreSink::append(Message message, store::Done<Accepted> done) {
    const Result<Mailbox*> box = mailbox(message.mailbox);
    if (!box) return done(box.error());
    const bool uidl_in_use = !message.uidl.empty() && !(*box)->uidls.insert(message.uidl).second;

    store::Target target;
    target.mailbox = (*box)->id;
    target.flags = message.flags;
    target.quota_octets = quota_octets_;
    target.import_key = message.key;
    if (!uidl_in_use) target.uidl = std::move(message.uidl);
    store::NewMessage stored;
    stored.spool = std::move(message.spool);
    stored.internal_date = message.internal_date;
    stored.targets.push_back(std::move(target));
    store_.append(std::move(stored),
                  [uidl_in_use, done = std::move(done)](Result<std::vector<Result<store::Appended>>> result) {
                      if (!result) return done(result.error());
                      if (!result->front()) return done(result->front().error());
                      done(Accepted{uidl_in_use});
                  });
}

}  // namespace pier::migrate
