#include "main/migration.h"

#include <algorithm>
#include <map>
#include <set>

#include <boost/algorithm/hex.hpp>
#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "main/backend_sink.h"
#include "migrate/digest.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using migrate::Item;
using migrate::Line;
using migrate::MailboxPlan;
using migrate::Present;

constexpr std::size_t failures_listed_max = 1000;
constexpr std::size_t asked_at_once = 5000;  // keys, flags or UIDs in one call

// All that the source has, mailbox by mailbox.
struct There {
    std::vector<Item> items;             // by the number under which the source gave them
    std::vector<std::string> mailboxes;  // in its order
    std::map<std::string, std::vector<std::size_t>> by_mailbox;
};

There read_source(migrate::Source& source, MigrationReport& report) {
    There there;
    for (;;) {
        Result<std::optional<Item>> item = source.next();
        if (!item) {
            ++report.failed;
            if (report.failures.size() < failures_listed_max)
                report.failures.push_back({"", item.error().text});
            continue;
        }
        if (!*item) return there;
        auto& places = there.by_mailbox[(*item)->mailbox];
        if (places.empty()) there.mailboxes.push_back((*item)->mailbox);
        places.push_back(there.items.size());
        there.items.push_back(std::move(**item));
    }
}

// Those items that are to be added, as a source of their own.
class Chosen : public migrate::Source {
  public:
    Chosen(std::vector<Item>& items, std::vector<std::size_t> chosen)
        : items_(items), chosen_(std::move(chosen)) {
        for (const std::size_t i : chosen_)
            octets_total_ += items_[i].octets;
    }
    Result<std::optional<Item>> next() override {
        if (given_ == chosen_.size()) return std::optional<Item>();
        return std::optional(items_[chosen_[given_++]]);
    }
    std::uint64_t octets_total() const override { return octets_total_; }

  private:
    std::vector<Item>& items_;
    const std::vector<std::size_t> chosen_;
    std::size_t given_ = 0;
    std::uint64_t octets_total_ = 0;
};

class Migration {
  public:
    Migration(Backend& backend, const std::string& account, const There& there)
        : backend_(backend), account_(account), there_(there) {}

    Result<std::vector<MailboxPlan>> compare();
    Result<std::uint64_t> set_flags(const MailboxPlan& plan);
    Result<std::uint64_t> remove(const MailboxPlan& plan);

  private:
    Result<std::set<std::string>> mailboxes_here();
    Result<std::vector<Present>> messages_here(const std::string& mailbox);
    Result<std::set<store::ImportKey>> imported(const std::vector<const Item*>& items);
    static Present present(const json::object& message);

    Backend& backend_;
    const std::string& account_;
    const There& there_;
};

Result<std::set<std::string>> Migration::mailboxes_here() {
    const auto answer = backend_.call("mail.mailboxes", {{"account", account_}});
    if (!answer) return answer.error();
    std::set<std::string> names;
    for (const json::value& mailbox : answer->at("mailboxes").as_array())
        names.emplace(mailbox.at("name").as_string());
    return names;
}

Present Migration::present(const json::object& message) {
    Present here;
    here.uid = message.at("uid").to_number<store::Uid>();
    here.uidl = message.at("uidl").as_string();
    here.octets = message.at("octets").to_number<std::uint64_t>();
    here.flags = message.at("flags").to_number<store::Flags>();
    if (const json::value* key = message.if_contains("key")) {
        const std::string digits(key->as_string());
        store::ImportKey octets{};
        if (digits.size() == 2 * octets.size()) {
            boost::algorithm::unhex(digits.begin(), digits.end(), octets.begin());
            here.key = octets;
        }
    }
    return here;
}

Result<std::vector<Present>> Migration::messages_here(const std::string& mailbox) {
    std::vector<Present> all;
    std::uint64_t after = 0;
    for (;;) {
        const auto answer = backend_.call(
            "mail.messages", {{"account", account_}, {"mailbox", mailbox}, {"after_uid", after}});
        if (!answer) return answer.error();
        for (const json::value& message : answer->at("messages").as_array())
            all.push_back(present(message.as_object()));
        const json::value* next = answer->as_object().if_contains("next_after_uid");
        if (!next) return all;
        after = next->to_number<std::uint64_t>();
    }
}

Result<std::set<store::ImportKey>> Migration::imported(const std::vector<const Item*>& items) {
    std::set<store::ImportKey> known;
    for (std::size_t begin = 0; begin < items.size(); begin += asked_at_once) {
        const std::size_t end = std::min(items.size(), begin + asked_at_once);
        std::vector<store::ImportKey> keys;
        json::array texts;
        for (std::size_t i = begin; i < end; ++i) {
            keys.push_back(migrate::import_key(items[i]->identity));
            std::string digits;
            boost::algorithm::hex_lower(keys.back().begin(), keys.back().end(), std::back_inserter(digits));
            texts.push_back(json::value(digits));
        }
        const auto answer =
            backend_.call("mail.imported", {{"account", account_}, {"keys", std::move(texts)}});
        if (!answer) return answer.error();
        const json::array& list = answer->at("imported").as_array();
        for (std::size_t i = 0; i < keys.size(); ++i) {
            if (list.at(i).as_bool()) known.insert(keys[i]);
        }
    }
    return known;
}

Result<std::vector<MailboxPlan>> Migration::compare() {
    const auto names = mailboxes_here();
    if (!names) return names.error();
    std::vector<std::string> mailboxes = there_.mailboxes;
    // An INBOX that is empty at the source is compared too: all of its mail may have gone.
    if (!there_.by_mailbox.contains("INBOX")) mailboxes.insert(mailboxes.begin(), "INBOX");
    std::vector<MailboxPlan> plans;
    for (const std::string& mailbox : mailboxes) {
        std::vector<const Item*> items;
        if (const auto places = there_.by_mailbox.find(mailbox); places != there_.by_mailbox.end()) {
            for (const std::size_t i : places->second)
                items.push_back(&there_.items[i]);
        }
        std::vector<Present> here;
        if (names->contains(mailbox)) {
            auto listed = messages_here(mailbox);
            if (!listed) return listed.error();
            here = std::move(*listed);
        }
        const auto known = imported(items);
        if (!known) return known.error();
        plans.push_back(migrate::compare(mailbox, items, here, *known));
    }
    return plans;
}

Result<std::uint64_t> Migration::set_flags(const MailboxPlan& plan) {
    std::uint64_t count = 0;
    json::array changes;
    const auto send = [&]() -> Result<void> {
        if (changes.empty()) return {};
        count += changes.size();
        auto answer = backend_.call(
            "mail.set_flags",
            {{"account", account_}, {"mailbox", plan.mailbox}, {"changes", std::exchange(changes, {})}});
        if (!answer) return answer.error();
        return {};
    };
    for (const Line& line : plan.lines) {
        if (!line.flags) continue;
        changes.push_back(json::object{{"uid", line.uid}, {"flags", *line.flags}});
        if (changes.size() < asked_at_once) continue;
        if (auto sent = send(); !sent) return sent.error();
    }
    if (auto sent = send(); !sent) return sent.error();
    return count;
}

Result<std::uint64_t> Migration::remove(const MailboxPlan& plan) {
    std::uint64_t count = 0;
    json::array uids;
    const auto send = [&]() -> Result<void> {
        if (uids.empty()) return {};
        auto answer = backend_.call(
            "mail.remove",
            {{"account", account_}, {"mailbox", plan.mailbox}, {"uids", std::exchange(uids, {})}});
        if (!answer) return answer.error();
        count += answer->at("removed").to_number<std::uint64_t>();
        return {};
    };
    for (const Line& line : plan.lines) {
        if (line.sign != Line::Sign::gone) continue;
        uids.push_back(line.uid);
        if (uids.size() < asked_at_once) continue;
        if (auto sent = send(); !sent) return sent.error();
    }
    if (auto sent = send(); !sent) return sent.error();
    return count;
}

// The numbers of the items to add, in the order of the source.
std::vector<std::size_t> to_add(const There& there, const std::vector<MailboxPlan>& plans) {
    std::vector<std::size_t> chosen;
    for (const MailboxPlan& plan : plans) {
        for (const Line& line : plan.lines) {
            if (line.sign == Line::Sign::add) chosen.push_back(there.by_mailbox.at(plan.mailbox)[line.item]);
        }
    }
    return chosen;
}

void add(Backend& backend, const std::string& account, migrate::Source& source, There& there,
         const MigrationOptions& options, MigrationReport& report) {
    std::vector<std::size_t> chosen = to_add(there, report.before);
    source.will_read(chosen);
    Chosen items(there.items, std::move(chosen));
    migrate::ImportOptions importing;
    importing.progress = options.progress;
    importing.stop = options.stop;
    BackendSink sink(backend, account, options.message_octets_max);
    migrate::Report done = run_import(items, sink, importing);
    report.added = done.counts.imported;
    report.failed += done.counts.failed;
    std::ranges::move(done.failures, std::back_inserter(report.failures));
    std::ranges::move(done.warnings, std::back_inserter(report.warnings));
    if (done.ended_by) report.ended_by = done.ended_by->text;
    report.stopped = done.stopped;
}

Result<void> make_the_same(Migration& migration, const MigrationOptions& options, MigrationReport& report) {
    for (const MailboxPlan& plan : report.before) {
        const auto changed = migration.set_flags(plan);
        if (!changed) return changed.error();
        report.changed += *changed;
        if (!options.remove) continue;
        const auto removed = migration.remove(plan);
        if (!removed) return removed.error();
        report.removed += *removed;
    }
    return {};
}

}  // namespace

bool MigrationReport::differs() const {
    return failed > 0 || stopped || !ended_by.empty() || std::ranges::any_of(after, &MailboxPlan::differs);
}

Result<MigrationReport> migrate_account(Backend& backend, const std::string& account, migrate::Source& source,
                                        const MigrationOptions& options) {
    MigrationReport report;
    There there = read_source(source, report);
    Migration migration(backend, account, there);
    auto before = migration.compare();
    if (!before) return before.error();
    report.before = std::move(*before);
    report.warnings = source.warnings();
    if (options.dry_run) {
        report.after = report.before;
        return report;
    }
    add(backend, account, source, there, options, report);
    if (report.ended_by.empty() && !report.stopped) {
        if (auto made = make_the_same(migration, options, report); !made) report.ended_by = made.error().text;
    }
    auto after = migration.compare();  // not what should be here now, but what is
    if (!after) return after.error();
    report.after = std::move(*after);
    return report;
}

}  // namespace pier::program
