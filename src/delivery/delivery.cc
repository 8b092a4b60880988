#include "delivery/delivery.h"

#include <algorithm>
#include <atomic>
#include <map>

#include <fmt/format.h>

#include "base/log.h"
#include "base/random.h"
#include "smtp/path.h"
#include "wire/ascii.h"
#include "wire/crlf.h"

namespace pier::delivery {
namespace {

constexpr std::size_t block_octets = 65536;  // of a stream, read at once

constexpr std::string_view junk_mailbox = "Junk";

smtp::Reply not_forwarded() {
    return {451, "4.3.2", "mail is not forwarded at present; try again later"};
}

}  // namespace

Delivery::Delivery(store::Store& store, const auth::Directory& directory, Settings settings, Clock clock)
    : store_(store),
      directory_(directory),
      settings_(std::move(settings)),
      clock_(std::move(clock)),
      domain_room_(store, directory) {}

Resolved Delivery::resolve(const smtp::Address& address) const {
    if (auto bounce = resolve_bounce(address)) return std::move(*bounce);
    return resolved(address, directory_.resolve(address.local, address.domain));
}

std::optional<Resolved> Delivery::resolve_bounce(const smtp::Address& address) const {
    if (!Srs::is_rewritten(address.local) || address.domain.empty()) return std::nullopt;
    if (!directory_.has_domain(address.domain) && !wire::ascii_equal(address.domain, settings_.srs_domain))
        return std::nullopt;
    auto sender = srs().restore(address.local, clock_());
    if (!sender) {
        log::info("delivery.srs_refused", {{"recipient", address.text()}, {"reason", sender.error().text}});
        return Resolved{{}, {550, "5.1.1", "no such mailbox here"}};
    }
    if (queue_ == nullptr) return Resolved{{}, not_forwarded()};
    return Resolved{{}, {250, "2.1.5", "recipient ok"}, {std::move(*sender)}, true};
}

Resolved Delivery::resolved(const smtp::Address& address, Result<auth::Recipients> found) const {
    const bool ours = address.domain.empty() || directory_.has_domain(address.domain);
    const bool nobody = found ? found->empty() : found.error().kind == ErrorKind::not_found;
    if (nobody && !ours) return {{}, {550, "5.7.1", "mail for this domain is not taken here"}};
    if (nobody && wire::ascii_equal(address.local, "postmaster")) found = auth::Recipients{postmaster(), {}};
    if (found && !found->empty()) return somebody(std::move(*found));
    // The directory's own text may tell where an alias leads; the sender learns only that nobody is there.
    if (found || found.error().kind == ErrorKind::not_found)
        return {{}, {550, "5.1.1", "no such mailbox here"}};
    if (found.error().kind == ErrorKind::busy)
        return {{}, {451, "4.4.3", "the address cannot be looked up now; try again later"}};
    return {{}, reply(found.error())};
}

Resolved Delivery::somebody(auth::Recipients found) const {
    Resolved out{std::move(found.accounts), {250, "2.1.5", "recipient ok"}};
    if (!found.elsewhere.empty() && queue_ == nullptr) return {{}, not_forwarded()};
    for (const std::string& text : found.elsewhere)
        if (auto elsewhere = smtp::parse_address(text)) out.elsewhere.push_back(std::move(*elsewhere));
    return out;
}

Accounts Delivery::postmaster() const {
    if (const auto account = directory_.find(settings_.postmaster)) return {account};
    const Accounts all = directory_.accounts();
    const auto oldest =
        std::ranges::min_element(all, {}, [](const auto& account) { return account->created; });
    return oldest == all.end() ? Accounts{} : Accounts{*oldest};
}

bool has_quota(const Accounts& accounts) {
    return std::ranges::any_of(accounts, [](const auto& account) { return account->quota_octets != 0; });
}

std::optional<smtp::Reply> Delivery::room_refusal(const Accounts& accounts, std::uint64_t octets) const {
    for (const auto& account : accounts) {
        if (account->quota_octets == 0) continue;
        const auto used = store_.usage(account->id);
        if (!used) return reply(used.error());
        // What is exactly full takes nothing more, of whatever size.
        if (used->octets + std::max<std::uint64_t>(octets, 1) > account->quota_octets)
            return reply({ErrorKind::over_quota,
                          fmt::format("{} octets are used of {}'s quota", used->octets, account->name)});
    }
    return domain_refusal(accounts, octets);
}

bool Delivery::has_domain_quota(const Accounts& accounts) const {
    return std::ranges::any_of(
        accounts, [this](const auto& account) { return !domain_room_.limited_domain(*account).empty(); });
}

std::optional<smtp::Reply> Delivery::domain_refusal(const Accounts& accounts, std::uint64_t octets) const {
    for (const auto& account : accounts) {
        const std::string domain = domain_room_.limited_domain(*account);
        if (domain.empty()) continue;
        const auto full = domain_room_.is_full(domain, std::max<std::uint64_t>(octets, 1), clock_());
        if (!full) return reply(full.error());
        if (*full) return reply({ErrorKind::over_quota, fmt::format("the domain {} is full", domain)});
    }
    return std::nullopt;
}

// Which targets of the message are whose.
struct Delivery::Plan {
    std::vector<std::vector<std::size_t>> targets_of;  // of each recipient
    bool elsewhere = false, all_or_none = false;
    std::uint64_t octets = 0;  // of the message
    std::map<store::AccountId, std::size_t>
        target_of;                                // an account that several recipients lead to is one target
    std::vector<store::AccountId> accounts;       // of each target
    std::vector<std::string> domains;             // with a quota, of the targets; each as often
    std::map<std::size_t, smtp::Reply> refusals;  // of recipients, before anything was asked

    std::size_t replies() const { return targets_of.size() + (elsewhere ? 1 : 0); }
};

std::vector<smtp::Reply> Delivery::replies(const Plan& plan,
                                           const Result<std::vector<Result<store::Appended>>>& result) const {
    if (!result)
        return std::vector<smtp::Reply>(plan.replies(),
                                        plan.elsewhere ? queue_reply(result.error()) : reply(result.error()));
    std::vector<smtp::Reply> out;
    for (std::size_t i = 0; i < plan.targets_of.size(); ++i) {
        const std::vector<std::size_t>& targets = plan.targets_of[i];
        smtp::Reply answer{250, "2.0.0", "delivered"};
        const auto refused = plan.refusals.find(i);
        if (refused != plan.refusals.end())
            answer = refused->second;
        else if (targets.empty())
            answer = {550, "5.1.1", "no such mailbox here any more"};
        for (const std::size_t target : targets) {
            const Result<store::Appended>& one = result->at(target);
            if (!one && answer.positive()) answer = reply(one.error());
        }
        out.push_back(std::move(answer));
    }
    if (plan.elsewhere) {
        const auto refused = std::ranges::find_if(*result, [](const auto& one) { return !one; });
        const bool kept = !plan.all_or_none || refused == result->end();
        out.push_back(kept ? smtp::Reply{250, "2.0.0", "queued"} : reply(refused->error()));
    }
    return out;
}

void Delivery::add_target(const auth::Account& account, std::size_t recipient, store::NewMessage& message,
                          Plan& plan) const {
    const auto known = plan.target_of.find(account.id);
    if (known != plan.target_of.end()) return plan.targets_of[recipient].push_back(known->second);
    if (std::string domain = domain_room_.limited_domain(account); !domain.empty()) {
        const auto copies = static_cast<std::uint64_t>(std::ranges::count(plan.domains, domain)) + 1;
        if (domain_room_.was_full(domain, copies * plan.octets)) {
            plan.refusals.try_emplace(
                recipient, reply({ErrorKind::over_quota, fmt::format("the domain {} is full", domain)}));
            return;
        }
        plan.domains.push_back(std::move(domain));
    }
    store::Target target;
    target.mailbox = account.inbox;
    target.quota_octets = account.quota_octets;
    plan.targets_of[recipient].push_back(message.targets.size());
    plan.target_of.emplace(account.id, message.targets.size());
    message.targets.push_back(std::move(target));
    plan.accounts.push_back(account.id);
}

void Delivery::deliver(const Envelope& envelope, std::vector<Accounts> recipients,
                       std::unique_ptr<store::Spool> spool, Done done) {
    store::NewMessage message;
    message.spool = std::move(spool);
    message.internal_date = clock_();
    message.all_or_none = envelope.all_or_none;

    const auto plan = std::make_shared<Plan>();
    plan->elsewhere = !envelope.outgoing.empty();
    plan->all_or_none = envelope.all_or_none;
    plan->octets = message.spool->octets();
    for (std::size_t i = 0; i < recipients.size(); ++i) {
        plan->targets_of.emplace_back();
        for (const auth::AccountPtr& account : recipients[i])
            add_target(*account, i, message, *plan);
    }
    message.prefix =
        trace_fields(envelope, message.internal_date, message.targets.empty() ? Way::passes : Way::ends_here);
    message.prefix += envelope.fields;
    if (envelope.all_or_none && !plan->refusals.empty())
        return done(std::vector<smtp::Reply>(plan->replies(), plan->refusals.begin()->second));
    // Somebody was removed meanwhile: tried again, he is refused by name.
    if (envelope.all_or_none &&
        std::ranges::any_of(recipients, [](const Accounts& one) { return one.empty(); }))
        return done(std::vector<smtp::Reply>(plan->replies(),
                                             reply({ErrorKind::busy, "a recipient is not there any more"})));
    if (!envelope.junk || message.targets.empty())
        return hand_over(std::move(message), envelope, plan, std::move(done));
    const auto waiting = std::make_shared<store::NewMessage>(std::move(message));
    find_junk(waiting, plan, [this, waiting, envelope, plan, done = std::move(done)] {
        hand_over(std::move(*waiting), envelope, plan, done);
    });
}

// Where the mailbox cannot be made the mail goes to the INBOX: marked it is in either.
void Delivery::find_junk(std::shared_ptr<store::NewMessage> message, std::shared_ptr<const Plan> plan,
                         std::function<void()> then) {
    struct Left {
        std::atomic<std::size_t> count;
        std::function<void()> then;
    };
    const auto left = std::make_shared<Left>();
    left->count = plan->accounts.size();
    left->then = std::move(then);
    for (std::size_t i = 0; i < plan->accounts.size(); ++i)
        store_.create_mailbox(plan->accounts[i], std::string(junk_mailbox),
                              [message, left, i](Result<store::MailboxId> made) {
                                  if (made)
                                      message->targets[i].mailbox = *made;
                                  else
                                      log::error("delivery.junk", {{"cause", made.error().text}});
                                  if (--left->count == 0) left->then();
                              });
}

void Delivery::hand_over(store::NewMessage message, const Envelope& envelope,
                         std::shared_ptr<const Plan> plan, Done done) {
    if (!plan->elsewhere && message.targets.empty())
        return done(replies(*plan, std::vector<Result<store::Appended>>{}));
    auto tell = [this, plan, done = std::move(done)](Result<std::vector<Result<store::Appended>>> result) {
        // A target that was refused counts until the domain is counted anew.
        if (result)
            for (const std::string& domain : plan->domains)
                domain_room_.add(domain, plan->octets);
        done(replies(*plan, result));
    };
    if (!plan->elsewhere) return store_.append(std::move(message), std::move(tell));
    if (queue_ == nullptr) return tell(Error{ErrorKind::stopped, "there is no queue for mail elsewhere"});
    queue::NewOutgoing outgoing;
    outgoing.envelope.sender = envelope.sender;
    outgoing.envelope.body_8bit = envelope.body_8bit;
    outgoing.envelope.utf8 = envelope.utf8;
    outgoing.envelope.require_tls = envelope.require_tls;
    outgoing.envelope.ret = envelope.ret;
    outgoing.envelope.id = envelope.id;
    outgoing.recipients = envelope.outgoing;
    outgoing.account = envelope.account;
    // Return-Path is of what ends here (trace_fields()).
    if (!message.targets.empty()) outgoing.local_octets = message.prefix.find('\n') + 1;
    queue_->append(std::move(message), std::move(outgoing), std::move(tell));
}

smtp::Reply Delivery::spool_refusal(const Error& error) const {
    if (error.kind == ErrorKind::invalid) return {552, "5.3.4", "the message is too large"};
    return reply(error);
}

smtp::Reply Delivery::queue_reply(const Error& error) const {
    if (error.kind != ErrorKind::busy) return reply(error);
    log::warning("delivery.queue_full", {{"cause", error.text}});
    return {452, "4.3.1", "the queue is full; try again later"};
}

// The texts are for the sender, so they name no file of ours; the log has the cause.
smtp::Reply Delivery::reply(const Error& error) const {
    if (error.kind == ErrorKind::over_quota) {
        log::info("delivery.over_quota", {{"cause", error.text}});
        if (settings_.over_quota == OverQuota::permanent) return {552, "5.2.2", "the mailbox is full"};
        return {452, "4.2.2", "the mailbox is full; try again later"};
    }
    log::error("delivery.failed", {{"kind", to_string(error.kind)}, {"cause", error.text}});
    switch (error.kind) {
        case ErrorKind::not_found:
            return {550, "5.1.1", "the mailbox is not there any more"};
        case ErrorKind::no_space:
            return {452, "4.3.1", "no space on the disk; try again later"};
        case ErrorKind::busy:
        case ErrorKind::stopped:
            return {451, "4.3.2", "the store takes no mail at present; try again later"};
        default:
            return {451, "4.3.0", "the message could not be stored; try again later"};
    }
}

std::string Delivery::trace_fields(const Envelope& envelope, Time now, Way way) const {
    std::string fields;
    if (way == Way::ends_here) fields = fmt::format("Return-Path: <{}>\r\n", envelope.sender.text());
    // RFC 9228. Only where it is the one recipient: nobody shall learn of others.
    if (envelope.recipient.find('@') != std::string::npos)
        fields += fmt::format("Delivered-To: {}\r\n", envelope.recipient);
    fields += envelope.added_fields;
    fields += "Received: ";
    if (!envelope.helo.empty()) {
        fields += "from " + envelope.helo;
        if (!envelope.peer.empty()) fields += " (" + envelope.peer + ")";
        fields += "\r\n\t";
    }
    fields += fmt::format("by {} (Pier) with {} id {}", settings_.hostname, envelope.with, random_text(16));
    if (!envelope.recipient.empty()) fields += fmt::format("\r\n\tfor <{}>", envelope.recipient);
    fields += fmt::format(";\r\n\t{}\r\n", to_rfc5322(now));
    return fields;
}

Result<void> spool_message(std::istream& in, store::Spool& spool) {
    wire::CrlfNormalizer lines;
    std::string block(block_octets, '\0'), octets;
    bool at_start = true, in_from_line = false, empty = true;
    while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0) {
        std::string_view rest(block.data(), static_cast<std::size_t>(in.gcount()));
        if (at_start) in_from_line = rest.starts_with("From ");  // of an mbox, not a field (RFC 4155)
        at_start = false;
        if (in_from_line) {
            const auto lf = rest.find('\n');
            in_from_line = lf == std::string_view::npos;
            rest.remove_prefix(in_from_line ? rest.size() : lf + 1);
        }
        empty = empty && rest.empty();
        octets.clear();
        lines.feed(rest, octets);
        if (auto written = spool.write(octets); !written) return written;
    }
    if (in.bad()) return Error(ErrorKind::io, "cannot read the message: the input has failed; try again");
    if (empty) return Error(ErrorKind::invalid, "the message is empty; give it on standard input");
    octets.clear();
    lines.finish(octets);
    return spool.write(octets);
}

}  // namespace pier::delivery
