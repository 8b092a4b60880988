#include "main/queue_methods.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "admin/params.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using admin::Call, admin::Params;
using queue::MailQueue;

constexpr std::uint64_t listed_max = 10'000;

std::string reply_text(const smtp::Reply& reply) {
    if (reply.code == 0) return {};
    std::string text = std::to_string(reply.code);
    for (const std::string& part : {reply.enhanced, reply.text})
        if (!part.empty()) text += ' ' + part;
    return text;
}

json::object to_json(const queue::Recipient& recipient) {
    json::object out{{"address", recipient.to.address.text()},
                     {"state", queue::to_string(recipient.state)},
                     {"attempts", recipient.attempts},
                     {"reply", reply_text(recipient.reply)},
                     {"server", recipient.server},
                     {"sender", recipient.sender.text()}};
    const bool waits = recipient.state == queue::State::waiting;
    out["next"] = waits && recipient.next != Time() ? json::value(to_rfc3339(recipient.next)) : json::value();
    return out;
}

// What a line of the list says of all recipients that are left.
json::object summary(const queue::Entry& entry) {
    json::object out{{"id", queue::to_text(entry.id)},
                     {"sender", entry.envelope.sender.text()},
                     {"arrived", to_rfc3339(entry.arrived)},
                     {"octets", entry.octets},
                     {"account", entry.account},
                     {"held", entry.held}};
    std::uint64_t left = 0;
    const queue::Recipient* next = nullptr;
    std::string first;
    for (const queue::Recipient& recipient : entry.recipients) {
        if (recipient.finished()) continue;
        if (++left == 1) first = recipient.to.address.text();
        if (recipient.state == queue::State::waiting && (next == nullptr || recipient.next < next->next))
            next = &recipient;
    }
    out["recipients"] = entry.recipients.size();
    out["recipients_left"] = left;
    out["first_recipient"] = first;
    out["next"] =
        next != nullptr && next->next != Time() ? json::value(to_rfc3339(next->next)) : json::value();
    out["reply"] = next != nullptr ? reply_text(next->reply) : std::string();
    return out;
}

json::object details(const queue::Entry& entry) {
    json::object out = summary(entry);
    json::array recipients;
    for (const queue::Recipient& recipient : entry.recipients)
        recipients.push_back(to_json(recipient));
    out["each"] = std::move(recipients);
    out["body_8bit"] = entry.envelope.body_8bit;
    out["utf8"] = entry.envelope.utf8;
    out["require_tls"] = entry.envelope.require_tls;
    out["envelope_id"] = entry.envelope.id;
    return out;
}

Result<json::value> list(const MailQueue& queue, const Call& call) {
    Params params(call.params);
    MailQueue::Filter filter;
    filter.sender = params.maybe_text("sender").value_or("");
    filter.recipient = params.maybe_text("recipient").value_or("");
    filter.destination = params.maybe_text("destination").value_or("");
    filter.held = params.maybe_flag("held").value_or(false);
    const std::string state = params.maybe_text("state").value_or("");
    filter.entries_max =
        std::min(params.maybe_number("messages_max").value_or(filter.entries_max), listed_max);
    if (auto good = params.finish(); !good) return good.error();
    for (const auto known :
         {queue::State::waiting, queue::State::delivered, queue::State::failed, queue::State::bounced})
        if (state == queue::to_string(known)) filter.state = known;
    if (!state.empty() && !filter.state)
        return Error(ErrorKind::invalid,
                     fmt::format("there is no state \"{}\"; known are waiting, delivered, "
                                 "failed and bounced",
                                 state));
    const auto listing = queue.list(filter);
    if (!listing) return listing.error();
    json::array messages;
    for (const queue::Entry& entry : listing->entries)
        messages.push_back(summary(entry));
    return json::value(json::object{{"messages", std::move(messages)},
                                    {"matching", listing->matching},
                                    {"waiting", queue.counts().messages}});
}

Result<queue::Id> read_id(Params& params) {
    const std::string text = params.text("id");
    const auto id = queue::parse_id(text);
    if (!id)
        return Error(ErrorKind::invalid,
                     fmt::format("\"{}\" is no number of a message; \"pier queue list\" shows them", text));
    return *id;
}

// A method that does something with one message.
using Act = std::function<Result<void>(MailQueue&, queue::Id)>;
Result<json::value> with_message(MailQueue& queue, const Call& call, const Act& act) {
    Params params(call.params);
    const auto id = read_id(params);
    if (auto good = params.finish(); !good) return good.error();
    if (!id) return id.error();
    if (auto done = act(queue, *id); !done) return done.error();
    return json::value(json::object{});
}

Result<json::value> drop(MailQueue& queue, const Call& call) {
    Params params(call.params);
    const bool bounce = params.maybe_flag("bounce").value_or(false);
    const auto id = read_id(params);
    if (auto good = params.finish(); !good) return good.error();
    if (!id) return id.error();
    const auto how = bounce ? MailQueue::Drop::tell : MailQueue::Drop::silently;
    if (auto done = queue.drop(*id, how); !done) return done.error();
    return json::value(json::object{});
}

Result<json::value> show(const MailQueue& queue, const Call& call) {
    Params params(call.params);
    const auto id = read_id(params);
    if (auto good = params.finish(); !good) return good.error();
    if (!id) return id.error();
    const auto entry = queue.show(*id);
    if (!entry) return entry.error();
    return json::value(details(*entry));
}

}  // namespace

void add_queue_methods(admin::Api& api, FindQueue find, Sends sends) {
    using Method = std::function<Result<json::value>(MailQueue&, const Call&)>;
    const auto add = [&](const char* name, Method method) {
        api.add(name, [find, method = std::move(method)](const Call& call) -> Result<json::value> {
            const auto queue = find();
            if (!queue) return queue.error();
            return method(**queue, call);
        });
    };
    const auto add_for_message = [&](const char* name, Act act) {
        add(name, [act = std::move(act)](MailQueue& queue, const Call& call) {
            return with_message(queue, call, act);
        });
    };
    const Error no_server(ErrorKind::invalid, "no server is running, so nothing is sent; start it");
    add("queue.list", list);
    add("queue.show", show);
    add_for_message("queue.retry", [sends, no_server](MailQueue& queue, queue::Id id) -> Result<void> {
        if (sends == Sends::no) return no_server;
        return queue.retry(id);
    });
    add_for_message("queue.hold", [](MailQueue& queue, queue::Id id) { return queue.hold(id); });
    add_for_message("queue.release", [](MailQueue& queue, queue::Id id) { return queue.release(id); });
    add("queue.drop", drop);
    add("queue.flush", [sends, no_server](MailQueue& queue, const Call& call) -> Result<json::value> {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        if (sends == Sends::no) return no_server;
        return json::value(json::object{{"messages", queue.retry_all()}});
    });
}

json::object describe(const MailQueue::Counts& counts) {
    return {{"messages", counts.messages},
            {"held", counts.held},
            {"destinations", counts.destinations},
            {"unreachable", counts.unreachable},
            {"connections", counts.connections},
            {"added", counts.added},
            {"delivered", counts.delivered},
            {"deferred", counts.deferred},
            {"failed", counts.failed},
            {"expired", counts.expired},
            {"notices", counts.notices}};
}

}  // namespace pier::program
