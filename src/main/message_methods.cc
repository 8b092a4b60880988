#include "main/message_methods.h"

#include <algorithm>

#include <boost/algorithm/hex.hpp>
#include <boost/json/array.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include "admin/params.h"
#include "maildrop/view.h"
#include "store/wait.h"
#include "wire/ascii.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using admin::Call;
using admin::Params;

constexpr std::uint64_t listed_max = 10'000;  // by one call
constexpr std::size_t changes_max = 10'000;

class MessageMethods {
  public:
    MessageMethods(store::Store& store, const auth::Directory& directory, const maildrop::Keeper& keeper,
                   Clock clock)
        : store_(store), directory_(directory), keeper_(keeper), clock_(std::move(clock)) {}

    Result<json::value> mailboxes(const Call& call) const;
    Result<json::value> messages(const Call& call) const;
    Result<json::value> imported(const Call& call) const;
    Result<json::value> set_flags(const Call& call) const;
    Result<json::value> remove(const Call& call) const;

  private:
    Result<auth::AccountPtr> account(const std::string& name) const;
    Result<store::MailboxInfo> mailbox(const auth::Account& account, const std::string& name) const;
    Result<std::vector<store::Uid>> shown(const auth::Account& account) const;

    store::Store& store_;
    const auth::Directory& directory_;
    const maildrop::Keeper& keeper_;
    const Clock clock_;
};

Result<auth::AccountPtr> MessageMethods::account(const std::string& name) const {
    auth::AccountPtr found = directory_.find(name);
    if (!found)
        return Error(ErrorKind::not_found,
                     fmt::format("there is no account {}; \"pier account list\" shows all", name));
    return found;
}

Result<store::MailboxInfo> MessageMethods::mailbox(const auth::Account& account,
                                                   const std::string& name) const {
    const auto all = store_.mailboxes(account.id);
    if (!all) return all.error();
    for (const store::MailboxInfo& info : *all) {
        if (info.name == name) return info;
    }
    return Error(ErrorKind::not_found, fmt::format("{} has no mailbox {}", account.name, name));
}

// The UIDs of what POP3 clients are shown, ascending.
Result<std::vector<store::Uid>> MessageMethods::shown(const auth::Account& account) const {
    auto inbox = store_.open(account.inbox);
    if (!inbox) return inbox.error();
    const maildrop::View view = maildrop::View::last(std::move(*inbox), keeper_.policy(), clock_());
    std::vector<store::Uid> uids;
    for (std::size_t i = 0; i < view.messages(); ++i)
        uids.push_back(view.entry(i).uid);
    return uids;
}

Result<json::value> MessageMethods::mailboxes(const Call& call) const {
    Params params(call.params);
    const std::string name = params.text("account");
    if (auto good = params.finish(); !good) return good.error();
    const auto who = account(name);
    if (!who) return who.error();
    const auto all = store_.mailboxes((*who)->id);
    if (!all) return all.error();
    json::array list;
    for (const store::MailboxInfo& info : *all) {
        if (!store::is_kept_aside(info.name))
            list.push_back(
                json::object{{"name", info.name}, {"messages", info.messages}, {"octets", info.octets}});
    }
    return json::value(json::object{{"mailboxes", std::move(list)}});
}

// Absent for a message that has been removed since the snapshot.
Result<std::optional<json::object>> describe(const store::Snapshot& snapshot, std::size_t index) {
    const auto details = snapshot.details(index);
    if (!details && details.error().kind == ErrorKind::not_found) return std::optional<json::object>();
    if (!details) return details.error();
    const store::Entry& entry = snapshot.entries()[index];
    const std::int64_t date_us = details->internal_date.time_since_epoch().count();
    json::object message{{"uid", entry.uid},
                         {"uidl", snapshot.uidl(index)},
                         {"octets", static_cast<std::uint64_t>(entry.octets)},
                         {"flags", details->flags},
                         {"date_us", date_us < 0 ? 0 : static_cast<std::uint64_t>(date_us)}};
    if (details->import_key) {
        std::string key;
        boost::algorithm::hex_lower(details->import_key->begin(), details->import_key->end(),
                                    std::back_inserter(key));
        message["key"] = key;
    }
    return std::optional(std::move(message));
}

Result<json::value> MessageMethods::messages(const Call& call) const {
    Params params(call.params);
    const std::string name = params.text("account");
    const std::string mailbox_name = params.maybe_text("mailbox").value_or("INBOX");
    const std::uint64_t after = params.maybe_number("after_uid").value_or(0);
    const bool only_shown = params.maybe_flag("shown").value_or(false);
    const std::uint64_t limit = std::min(params.maybe_number("limit").value_or(listed_max), listed_max);
    if (auto good = params.finish(); !good) return good.error();
    const auto who = account(name);
    if (!who) return who.error();
    const auto info = mailbox(**who, mailbox_name);
    if (!info) return info.error();
    const auto snapshot = store_.open(info->id);
    if (!snapshot) return snapshot.error();
    std::vector<store::Uid> uids;
    if (only_shown) {
        auto found = shown(**who);
        if (!found) return found.error();
        uids = std::move(*found);
    }
    json::object answer;
    json::array list;
    std::uint64_t number = 0;
    const auto entries = (*snapshot)->entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (only_shown && !std::ranges::binary_search(uids, entries[i].uid)) continue;
        ++number;
        if (entries[i].uid <= after) continue;
        if (list.size() == limit) {
            answer["next_after_uid"] = list.back().at("uid");
            break;
        }
        auto message = describe(**snapshot, i);
        if (!message) return message.error();
        if (!*message) continue;
        (**message)["number"] = number;
        list.push_back(std::move(**message));
    }
    answer["messages"] = std::move(list);
    return json::value(std::move(answer));
}

Result<json::value> MessageMethods::imported(const Call& call) const {
    Params params(call.params);
    const std::string name = params.text("account");
    const std::vector<std::string> texts = params.texts("keys");
    if (auto good = params.finish(); !good) return good.error();
    const auto who = account(name);
    if (!who) return who.error();
    std::vector<store::ImportKey> keys(texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        try {
            if (texts[i].size() != 2 * keys[i].size()) throw boost::algorithm::not_enough_input();
            boost::algorithm::unhex(texts[i].begin(), texts[i].end(), keys[i].begin());
        } catch (const boost::algorithm::hex_decode_error&) {
            return Error(ErrorKind::invalid, "a message's key has 32 hexadecimal digits");
        }
    }
    const auto known = store_.imported((*who)->id, keys);
    if (!known) return known.error();
    json::array answers;
    for (const bool one : *known)
        answers.push_back(json::value(one));
    return json::value(json::object{{"imported", std::move(answers)}});
}

// An array of numbers or objects: Params reads neither.
Result<const json::array*> array_of(const Call& call, std::string_view name,
                                    std::initializer_list<std::string_view> known) {
    for (const auto& [key, value] : call.params) {
        if (std::find(known.begin(), known.end(), std::string_view(key)) == known.end())
            return Error(ErrorKind::invalid,
                         fmt::format("the parameter \"{}\" is not known", std::string_view(key)));
    }
    const json::value* list = call.params.if_contains(name);
    if (!list || !list->is_array() || list->as_array().size() > changes_max)
        return Error(ErrorKind::invalid,
                     fmt::format("\"{}\" is an array of at most {} elements", name, changes_max));
    return &list->as_array();
}

Result<json::value> MessageMethods::set_flags(const Call& call) const {
    const auto list = array_of(call, "changes", {"account", "mailbox", "changes"});
    if (!list) return list.error();
    Params params(call.params);
    const std::string name = params.text("account"), mailbox_name = params.text("mailbox");
    std::vector<store::FlagChange> changes;
    for (const json::value& value : **list) {
        if (!value.is_object()) return Error(ErrorKind::invalid, "a change is an object");
        Params change(value.as_object());
        const auto uid = change.maybe_number("uid"), flags = change.maybe_number("flags");
        if (auto good = change.finish(); !good) return good.error();
        if (!uid || !flags || *uid > UINT32_MAX)
            return Error(ErrorKind::invalid, "a change has \"uid\" and \"flags\", which are numbers");
        changes.push_back({static_cast<store::Uid>(*uid), *flags});
    }
    const auto who = account(name);
    if (!who) return who.error();
    const auto info = mailbox(**who, mailbox_name);
    if (!info) return info.error();
    const auto done = store::wait<void>(
        [&](auto answered) { store_.set_flags(info->id, std::move(changes), std::move(answered)); });
    if (!done) return done.error();
    return json::value(json::object{});
}

Result<json::value> MessageMethods::remove(const Call& call) const {
    const auto list = array_of(call, "uids", {"account", "mailbox", "uids"});
    if (!list) return list.error();
    Params params(call.params);
    const std::string name = params.text("account"), mailbox_name = params.text("mailbox");
    std::vector<store::Uid> uids;
    for (const json::value& value : **list) {
        boost::system::error_code wrong;
        uids.push_back(value.to_number<store::Uid>(wrong));
        if (wrong) return Error(ErrorKind::invalid, "a UID is a number of 32 bits");
    }
    const auto who = account(name);
    if (!who) return who.error();
    const auto info = mailbox(**who, mailbox_name);
    if (!info) return info.error();
    const auto removed = store::wait<std::uint64_t>([&](auto done) {
        if (info->id == (*who)->inbox)
            keeper_.remove(**who, std::move(uids), std::move(done));
        else
            store_.expunge(info->id, std::move(uids), std::move(done));
    });
    if (!removed) return removed.error();
    return json::value(json::object{{"removed", *removed}});
}

}  // namespace

void add_message_methods(admin::Api& api, store::Store& store, const auth::Directory& directory,
                         const maildrop::Keeper& keeper, Clock clock) {
    const auto methods = std::make_shared<MessageMethods>(store, directory, keeper, std::move(clock));
    api.add("mail.mailboxes", [methods](const Call& call) { return methods->mailboxes(call); });
    api.add("mail.messages", [methods](const Call& call) { return methods->messages(call); });
    api.add("mail.imported", [methods](const Call& call) { return methods->imported(call); });
    api.add("mail.set_flags", [methods](const Call& call) { return methods->set_flags(call); });
    api.add("mail.remove", [methods](const Call& call) { return methods->remove(call); });
}

}  // namespace pier::program
