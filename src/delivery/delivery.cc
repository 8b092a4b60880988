#include "delivery/delivery.h"

#include <map>

#include <fmt/format.h>

#include "base/log.h"
#include "base/random.h"
#include "wire/crlf.h"

namespace pier::delivery {
namespace {

constexpr std::size_t block_octets = 65536;  // of a stream, read at once

}  // namespace

Delivery::Delivery(store::Store& store, const auth::Directory& directory, Settings settings, Clock clock)
    : store_(store), directory_(directory), settings_(std::move(settings)), clock_(std::move(clock)) {}

Resolved Delivery::resolve(const smtp::Address& address) const {
    Result<Accounts> accounts = directory_.resolve(address.local, address.domain);
    if (accounts && !accounts->empty()) return {std::move(*accounts), {250, "2.1.5", "recipient ok"}};
    // The directory's own text may tell where an alias leads; the sender learns only that nobody is there.
    if (accounts || accounts.error().kind == ErrorKind::not_found)
        return {{}, {550, "5.1.1", "no such mailbox here"}};
    return {{}, reply(accounts.error())};
}

void Delivery::deliver(const Envelope& envelope, std::vector<Accounts> recipients,
                       std::unique_ptr<store::Spool> spool, Done done) {
    store::NewMessage message;
    message.spool = std::move(spool);
    message.internal_date = clock_();
    message.prefix = trace_fields(envelope, message.internal_date);

    std::map<store::AccountId, std::size_t>
        target_of;  // an account that several recipients lead to is one target
    std::vector<std::vector<std::size_t>> targets_of;  // of each recipient
    for (const Accounts& accounts : recipients) {
        std::vector<std::size_t>& targets = targets_of.emplace_back();
        for (const auth::AccountPtr& account : accounts) {
            const auto [at, is_new] = target_of.try_emplace(account->id, message.targets.size());
            if (is_new) {
                store::Target target;
                target.mailbox = account->inbox;
                target.quota_octets = account->quota_octets;
                message.targets.push_back(std::move(target));
            }
            targets.push_back(at->second);
        }
    }

    auto tell = [this, targets_of = std::move(targets_of),
                 done = std::move(done)](Result<std::vector<Result<store::Appended>>> result) {
        if (!result) return done(std::vector<smtp::Reply>(targets_of.size(), reply(result.error())));
        std::vector<smtp::Reply> replies;
        for (const std::vector<std::size_t>& targets : targets_of) {
            smtp::Reply answer{250, "2.0.0", "delivered"};
            if (targets.empty()) answer = {550, "5.1.1", "no such mailbox here any more"};
            for (const std::size_t target : targets) {
                const Result<store::Appended>& one = result->at(target);
                if (!one && answer.positive()) answer = reply(one.error());
            }
            replies.push_back(std::move(answer));
        }
        done(std::move(replies));
    };
    if (message.targets.empty()) return tell(std::vector<Result<store::Appended>>{});
    store_.append(std::move(message), std::move(tell));
}

smtp::Reply Delivery::spool_refusal(const Error& error) const {
    if (error.kind == ErrorKind::invalid) return {552, "5.3.4", "the message is too large"};
    return reply(error);
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

std::string Delivery::trace_fields(const Envelope& envelope, Time now) const {
    std::string fields = fmt::format("Return-Path: <{}>\r\nReceived: ", envelope.sender.text());
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
