#include "main/methods.h"

#include <array>
#include <future>
#include <list>
#include <mutex>

#include <boost/algorithm/hex.hpp>
#include <boost/interprocess/streams/bufferstream.hpp>
#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "admin/params.h"
#include "auth/name.h"
#include "base/log.h"
#include "delivery/routing.h"
#include "migrate/store_sink.h"
#include "smtp/path.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using admin::Call;
using admin::Params;

constexpr std::size_t problems_max = 1000;  // told of one account
constexpr std::uint64_t drain_notice_s_max = 24 * 3600;

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

json::object to_json(const std::string& recipient, const smtp::Reply& reply) {
    return {
        {"recipient", recipient}, {"code", reply.code}, {"enhanced", reply.enhanced}, {"text", reply.text}};
}

// An account's name as an address: its local part may be more than SMTP allows, so it is not parsed as a
// path.
smtp::Address address_of(std::string_view name) {
    const auto [local, domain] = auth::split_address(name);
    return {std::string(local), auth::fold_name(domain)};
}

Result<json::value> deliver(store::Store& store, delivery::Delivery& delivery, const Call& call) {
    Params params(call.params);
    const std::vector<std::string> recipients = params.texts("recipients");
    const std::string sender = params.maybe_text("sender").value_or("");
    if (auto good = params.finish(); !good) return good.error();
    if (recipients.empty()) return invalid("nobody to deliver to; name at least one account");
    delivery::Envelope envelope;
    envelope.with = "local";
    if (!sender.empty()) {
        const auto address = smtp::parse_address(sender);
        if (!address)
            return invalid(
                fmt::format("the sender \"{}\" is not an address; write user@example.org", sender));
        envelope.sender = *address;
    }
    if (recipients.size() == 1) envelope.recipient = recipients.front();

    std::vector<smtp::Reply> replies(recipients.size());
    delivery::Routing routing;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < recipients.size(); ++i) {
        const smtp::Address address = address_of(recipients[i]);
        delivery::Resolved resolved = delivery.resolve(address);
        replies[i] = resolved.reply;
        if (!resolved.reply.positive()) continue;
        if (auto full = delivery.domain_refusal(resolved.accounts, call.body.size())) {
            replies[i] = std::move(*full);
            continue;
        }
        delivery.route({address, 0, {}}, std::move(resolved), envelope, routing);
        places.push_back(i);
    }
    if (!places.empty()) {
        std::unique_ptr<store::Spool> spool = store.new_spool();
        boost::interprocess::ibufferstream in(call.body.data(), call.body.size());
        if (auto spooled = delivery::spool_message(in, *spool); !spooled) {
            for (const std::size_t place : places)
                replies[place] = delivery.spool_refusal(spooled.error());
        } else {
            std::promise<std::vector<smtp::Reply>> promise;
            auto answers = promise.get_future();
            delivery.deliver(envelope, routing.take_accounts(), std::move(spool),
                             [&promise](std::vector<smtp::Reply> all) { promise.set_value(std::move(all)); });
            std::vector<smtp::Reply> all = routing.replies(answers.get());
            for (std::size_t i = 0; i < places.size(); ++i)
                replies[places[i]] = std::move(all[i]);
        }
    }
    json::array results;
    for (std::size_t i = 0; i < recipients.size(); ++i)
        results.push_back(to_json(recipients[i], replies[i]));
    return json::value(json::object{{"results", std::move(results)}});
}

// The imports under way: each keeps what it knows of the account's mailboxes, so that a batch of messages
// does not read the mailbox anew. Calls of one import do not overlap; several imports may.
class Imports {
  public:
    Imports(store::Store& store, auth::Directory& directory) : store_(store), directory_(directory) {}

    Result<json::value> append(const Call& call);
    Result<json::value> end(const Call& call);

  private:
    static constexpr std::size_t imports_max =
        8;  // more at once begin anew with every batch, no more than that

    struct Import {
        std::string token;
        store::AccountId account;
        std::mutex mutex;
        migrate::StoreSink sink;
        Import(std::string t, store::Store& store, const auth::Account& who)
            : token(std::move(t)), account(who.id), sink(store, who.id, who.quota_octets) {}
    };
    std::shared_ptr<Import> find(const std::string& token, const auth::Account& account);

    store::Store& store_;
    auth::Directory& directory_;
    std::mutex mutex_;
    std::list<std::shared_ptr<Import>> imports_;  // last used first
};

std::shared_ptr<Imports::Import> Imports::find(const std::string& token, const auth::Account& account) {
    const std::lock_guard lock(mutex_);
    for (auto it = imports_.begin(); it != imports_.end(); ++it) {
        if ((*it)->token != token || (*it)->account != account.id) continue;
        imports_.splice(imports_.begin(), imports_, it);
        return imports_.front();
    }
    imports_.push_front(std::make_shared<Import>(token, store_, account));
    if (imports_.size() > imports_max) imports_.pop_back();
    return imports_.front();
}

// One message of mail.import, with its octets.
struct Incoming {
    migrate::Message message;
    std::string_view octets;
};

Result<std::vector<Incoming>> read_messages(const json::array& list, std::string_view body) {
    std::vector<Incoming> messages;
    for (const json::value& value : list) {
        if (!value.is_object()) return invalid("a message is an object");
        Params params(value.as_object());
        Incoming incoming;
        migrate::Message& message = incoming.message;
        message.mailbox = params.text("mailbox");
        message.flags = params.maybe_number("flags").value_or(0);
        message.internal_date =
            Time(Time::duration(static_cast<std::int64_t>(params.maybe_number("date_us").value_or(0))));
        message.uidl = params.maybe_text("uidl").value_or("");
        const std::string key = params.text("key");
        const std::uint64_t octets = params.maybe_number("octets").value_or(0);
        if (auto good = params.finish(); !good) return good.error();
        if (key.size() != 2 * message.key.size()) return invalid("a message's key has 32 hexadecimal digits");
        try {
            boost::algorithm::unhex(key.begin(), key.end(), message.key.begin());
        } catch (const boost::algorithm::hex_decode_error&) {
            return invalid("a message's key has 32 hexadecimal digits");
        }
        if (octets > body.size()) return invalid("there are fewer octets than the messages claim");
        incoming.octets = body.substr(0, octets);
        body.remove_prefix(octets);
        messages.push_back(std::move(incoming));
    }
    if (!body.empty()) return invalid("there are more octets than the messages claim");
    return messages;
}

json::object to_json(const Result<migrate::Accepted>& result) {
    if (result) return {{"uidl_in_use", result->uidl_in_use}};
    return {{"error", {{"kind", to_string(result.error().kind)}, {"text", result.error().text}}}};
}

Result<json::value> Imports::append(const Call& call) {
    for (const auto& [key, value] : call.params) {
        if (key != "account" && key != "import" && key != "messages")
            return invalid(fmt::format("the parameter \"{}\" is not known", std::string_view(key)));
    }
    const json::value* const account_name = call.params.if_contains("account");
    const json::value* const token = call.params.if_contains("import");
    const json::value* const list = call.params.if_contains("messages");
    if (!account_name || !account_name->is_string() || !token || !token->is_string() || !list ||
        !list->is_array())
        return invalid("mail.import takes \"account\" and \"import\" (texts) and \"messages\" (an array)");
    const auth::AccountPtr account = directory_.find(std::string_view(account_name->as_string()));
    if (!account)
        return Error(ErrorKind::not_found,
                     fmt::format("there is no account {}; make it with \"pier account add\"",
                                 std::string_view(account_name->as_string())));
    auto messages = read_messages(list->as_array(), call.body);
    if (!messages) return messages.error();

    const auto import = find(std::string(token->as_string()), *account);
    std::vector<std::promise<Result<migrate::Accepted>>> promises(messages->size());
    {
        const std::lock_guard lock(import->mutex);
        for (std::size_t i = 0; i < messages->size(); ++i) {
            Incoming& incoming = (*messages)[i];
            const auto done = [&promises, i](Result<migrate::Accepted> result) {
                promises[i].set_value(std::move(result));
            };
            auto spool = import->sink.new_spool();
            auto written = spool ? (*spool)->write(incoming.octets) : Result<void>(spool.error());
            if (!written) {
                done(written.error());
                continue;
            }
            incoming.message.spool = std::move(*spool);
            import->sink.append(std::move(incoming.message), done);
        }
    }
    json::array results;
    for (auto& promise : promises)
        results.push_back(to_json(promise.get_future().get()));
    return json::value(json::object{{"results", std::move(results)}});
}

Result<json::value> Imports::end(const Call& call) {
    Params params(call.params);
    const std::string token = params.text("import");
    if (auto good = params.finish(); !good) return good.error();
    const std::lock_guard lock(mutex_);
    imports_.remove_if([&](const auto& import) { return import->token == token; });
    return json::value(json::object{});
}

// Compares every message of an account with its checksum; what the server serves meanwhile is not disturbed.
Result<json::value> verify_account(store::Store& store, const Call& call) {
    Params params(call.params);
    const auto account = params.maybe_number("account");
    if (auto good = params.finish(); !good) return good.error();
    const auto mailboxes = store.mailboxes(store::AccountId(account.value_or(0)));
    if (!mailboxes) return mailboxes.error();
    std::uint64_t messages = 0, octets = 0;
    json::array problems;
    for (const store::MailboxInfo& mailbox : *mailboxes) {
        const auto snapshot = store.open(mailbox.id);
        if (!snapshot) return snapshot.error();
        const auto entries = (*snapshot)->entries();
        for (std::size_t i = 0; i < entries.size(); ++i) {
            ++messages;
            octets += entries[i].octets;
            const auto body = (*snapshot)->body(i);
            const auto verified = body ? (*body)->verify(store::Wait::may_block) : Result<void>(body.error());
            if (!verified && problems.size() < problems_max)
                problems.push_back(json::value(
                    fmt::format("{}, UID {}: {}", mailbox.name, entries[i].uid, verified.error().text)));
        }
    }
    return json::value(
        json::object{{"messages", messages}, {"octets", octets}, {"problems", std::move(problems)}});
}

Result<json::value> set_log_level(const Call& call) {
    Params params(call.params);
    const std::string word = params.text("level");
    if (auto good = params.finish(); !good) return good.error();
    constexpr std::array<std::pair<std::string_view, log::Level>, 4> levels{{{"debug", log::Level::debug},
                                                                             {"info", log::Level::info},
                                                                             {"warning", log::Level::warning},
                                                                             {"error", log::Level::error}}};
    for (const auto& [name, level] : levels) {
        if (name != word) continue;
        log::Options options = log::options();
        options.level = level;
        if (!log::configure(options))
            return Error(ErrorKind::io, "the log's file can't be opened; look at log.file");
        log::info("log.level", {{"level", word}});
        return json::value(json::object{{"level", word}});
    }
    return invalid(fmt::format("there is no level \"{}\"; known are debug, info, warning and error", word));
}

}  // namespace

void add_mail_methods(admin::Api& api, store::Store& store, auth::Directory& directory,
                      delivery::Delivery& delivery) {
    api.add("mail.deliver", [&store, &delivery](const Call& call) { return deliver(store, delivery, call); });
    const auto imports = std::make_shared<Imports>(store, directory);
    api.add("mail.import", [imports](const Call& call) { return imports->append(call); });
    api.add("mail.import_end", [imports](const Call& call) { return imports->end(call); });
}

void add_store_methods(admin::Api& api, store::Store& store) {
    api.add("store.stats", [&store](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        const store::Stats stats = store.stats();
        return json::value(json::object{{"accounts", stats.accounts},
                                        {"mailboxes", stats.mailboxes},
                                        {"messages", stats.messages},
                                        {"segments", stats.segments},
                                        {"segment_octets", stats.segment_octets},
                                        {"live_octets", stats.live_octets},
                                        {"groups", stats.groups},
                                        {"group_records", stats.group_records},
                                        {"cleaned_segments", stats.cleaned_segments}});
    });
    api.add("store.verify", [&store](const Call& call) { return verify_account(store, call); });
}

void add_server_methods(admin::Api& api, ServerHooks hooks) {
    api.add("status", [status = std::move(hooks.status)](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        return json::value(status());
    });
    api.add("reload", [reload = std::move(hooks.reload)](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        const auto done = reload(call.caller);
        if (!done) return done.error();
        return json::value(json::object{{"text", *done}});
    });
    api.add("drain", [drain = std::move(hooks.drain)](const Call& call) -> Result<json::value> {
        Params params(call.params);
        const auto notice = params.maybe_number("notice_s");
        if (auto good = params.finish(); !good) return good.error();
        if (notice.value_or(0) > drain_notice_s_max)
            return invalid(fmt::format("\"notice_s\" is at most {}", drain_notice_s_max));
        drain(std::chrono::seconds(notice.value_or(0)));
        return json::value(json::object{});
    });
    api.add("drain.end", [resume = std::move(hooks.resume)](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        resume();
        return json::value(json::object{});
    });
    api.add("acme.status", [status = std::move(hooks.acme_status)](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        auto object = status();
        if (!object) return object.error();
        return json::value(std::move(*object));
    });
    api.add("acme.renew", [renew = std::move(hooks.acme_renew)](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        if (auto begun = renew(); !begun) return begun.error();
        return json::value(json::object{});
    });
    api.add("metrics", [metrics = std::move(hooks.metrics)](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        return json::value(json::object{{"text", metrics()}});
    });
    api.add("log.level", set_log_level);
    api.add("log.recent", [](const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        const std::vector<std::string> lines = log::recent_lines();
        return json::value(json::object{{"lines", json::array(lines.begin(), lines.end())}});
    });
}

}  // namespace pier::program
