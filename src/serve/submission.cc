#include "serve/submission.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/random.h"
#include "serve/login_offer.h"
#include "wire/address_list.h"

namespace pier::serve {
namespace {

using auth::SenderClaim;
using net::Task;
using smtp::Reply;
using Problem = wire::HeaderReader::Problem;
using Why = smtp::LoginRefused::Why;

constexpr std::string_view protocol = "submission";  // as logs and accounts name it

smtp::LoginRefused to_client(const auth::Refused& refused) {
    const Why why = refused.why == auth::Refused::Why::credentials ? Why::credentials
                    : refused.why == auth::Refused::Why::disabled  ? Why::permanent
                                                                   : Why::temporary;
    return {why, refused.detail.empty() ? refused.text : refused.text + ": " + refused.detail};
}

// ASCII, and not the whole of a long one: it goes into a reply.
std::string shown(const wire::HeaderAddress& address) {
    std::string text = smtp::Address{address.local, address.domain}.text().substr(0, 200);
    std::ranges::replace_if(
        text, [](char c) { return c < ' ' || c > '~'; }, '?');
    return text;
}

bool is_own(SenderClaim claim) {
    return claim == SenderClaim::own || claim == SenderClaim::granted;
}

Reply rate_refusal(const auth::Account& account, std::string_view limit) {
    log::warning("submission.limited", {{"user", account.name}, {"limit", limit}});
    return {450, "4.7.1",
            limit.find("hour") != std::string_view::npos ? "too much mail within an hour; try again later"
                                                         : "too much mail within a day; try again later"};
}

}  // namespace

// ---- the header ----

SubmittedHeader::SubmittedHeader(const SubmissionService& service, const auth::Account& account,
                                 const smtp::Envelope& envelope)
    : service_(service),
      account_(account),
      sender_(envelope.sender),
      utf8_(envelope.utf8),
      reader_(service.settings.header, {"From", "Sender", "Date", "Message-ID"}) {}

std::optional<Reply> SubmittedHeader::take(std::string_view octets) {
    if (checked_) return std::nullopt;
    reader_.feed(octets);
    return reader_.over() ? check() : std::nullopt;
}

std::optional<Reply> SubmittedHeader::finish() {
    if (checked_) return std::nullopt;
    reader_.finish();
    return check();
}

std::optional<Reply> SubmittedHeader::check() {
    checked_ = true;
    switch (reader_.problem()) {
        case Problem::none:
            break;
        case Problem::too_large:
        case Problem::kept_too_large:
            return Reply{554, "5.6.0", "the header is too large"};
        case Problem::too_many_fields:
            return Reply{
                554, "5.6.0",
                fmt::format("the header has more than {} fields", service_.settings.header.fields_max)};
        case Problem::no_field:
            return Reply{554, "5.6.0", "a line of the header is no field"};
    }
    if (reader_.has_8bit() && !utf8_)
        return Reply{554, "5.6.0", "the header is not ASCII; encode it (RFC 2047), or use SMTPUTF8"};
    if (reader_.count("From") == 0) return Reply{554, "5.6.0", "the header has no From"};
    for (const char* field : {"From", "Sender"}) {
        // Attack: programs differ in which of two they show.
        if (reader_.count(field) > 1)
            return Reply{554, "5.6.0", fmt::format("the header has more than one {}", field)};
        if (auto refusal = check_addresses(field)) return refusal;
    }
    return std::nullopt;
}

std::optional<Reply> SubmittedHeader::check_addresses(std::string_view field) {
    const wire::HeaderField* found = reader_.find(field);
    if (found == nullptr) return std::nullopt;
    const auto addresses = wire::parse_address_list(found->body, service_.settings.from_addresses_max);
    if (!addresses || addresses->empty())
        return Reply{554, "5.6.0", fmt::format("{} has no address, or too many, or cannot be read", field)};
    bool all_own = true;
    for (const wire::HeaderAddress& address : *addresses) {
        const auto claim = auth::sender_claim(service_.directory, account_, address.local, address.domain);
        if (claim == SenderClaim::none && service_.settings.sender_check == SenderCheck::both)
            return Reply{550, "5.7.1", fmt::format("{} names {}, which is not yours", field, shown(address))};
        all_own = all_own && is_own(claim);
    }
    if (field == "From") from_is_own_ = all_own;
    return std::nullopt;
}

std::string SubmittedHeader::missing(std::string_view hostname) const {
    std::string fields;
    // RFC 6409 §8.1: who has really sent it, where From is another one. By the address that it has given
    // itself, if that is its own.
    if (!from_is_own_ && reader_.count("Sender") == 0) {
        const auto claim = auth::sender_claim(service_.directory, account_, sender_.local, sender_.domain);
        std::string address = is_own(claim) ? sender_.text() : account_.name;
        if (address.find('@') == std::string::npos) address += fmt::format("@{}", hostname);
        if (utf8_ || std::ranges::all_of(address, [](char c) { return c > ' ' && c <= '~'; }))
            fields += fmt::format("Sender: <{}>\r\n", address);
    }
    if (reader_.count("Date") == 0) fields += fmt::format("Date: {}\r\n", to_rfc5322(service_.clock()));
    if (reader_.count("Message-ID") == 0)
        fields += fmt::format("Message-ID: <{}@{}>\r\n", random_text(24), hostname);
    return fields;
}

// ---- the connection ----

Submission::Submission(net::Connection& connection, SubmissionService& service, std::string_view listener)
    : connection_(connection),
      service_(service),
      listener_(listener),
      gate_(connection, service.authenticator, service.guard, protocol, listener) {}

wire::SaslOffer Submission::offer() const {
    return sasl_offer(connection_, service_.tokens != nullptr ? &service_.token_source : nullptr);
}

Task<bool> Submission::perform(smtp::Session& session, smtp::Action& action) {
    if (auto* keys = std::get_if<smtp::NeedKeys>(&action)) {
        tried_login_ = true;
        auto given = co_await gate_.begin_proof(keys->user, keys->hash);
        if (const auto* refused = std::get_if<auth::Refused>(&given))
            session.on_keys_refused(to_client(*refused));
        else
            session.on_keys(std::get<wire::ScramKeys>(given), random_text(24),
                            connection_.channel_binding(keys->channel_binding));
        co_return true;
    }
    if (const auto* wrong = std::get_if<smtp::WrongProof>(&action)) {
        gate_.wrong_proof(wrong->user);
        ++service_.failed_logins;
        co_return true;
    }
    const bool is_login = std::holds_alternative<smtp::Login>(action) ||
                          std::holds_alternative<smtp::TokenLogin>(action) ||
                          std::holds_alternative<smtp::CertificateLogin>(action);
    if (!is_login) co_return false;
    tried_login_ = true;
    co_await log_in(session, action);
    co_return true;
}

Task<void> Submission::log_in(smtp::Session& session, smtp::Action& action) {
    auth::Verdict verdict;
    if (auto* login = std::get_if<smtp::Login>(&action)) {
        if (login->password) {
            verdict = co_await gate_.check(login->authzid, login->user, *login->password);
            auth::wipe(*login->password);
        } else {
            verdict = gate_.proven(login->authzid, login->user);
        }
    } else if (auto* token = std::get_if<smtp::TokenLogin>(&action)) {
        verdict = co_await gate_.check_token(token->authzid, token->token, *service_.tokens);
        auth::wipe(token->token);
    } else {
        const auto& certificate = std::get<smtp::CertificateLogin>(action);
        verdict = co_await gate_.check_certificate(certificate.authzid, connection_.client()->names);
    }
    session.on_login(enter(std::move(verdict)));
}

std::optional<smtp::LoginRefused> Submission::enter(auth::Verdict verdict) {
    if (const auto* refused = std::get_if<auth::Refused>(&verdict)) {
        ++service_.failed_logins;
        return to_client(*refused);
    }
    auto account = std::get<auth::AccountPtr>(std::move(verdict));
    auto entered = service_.sessions.enter(account->id);
    if (entered.full)
        return smtp::LoginRefused{Why::temporary, "this account has too many sessions; close one of them"};
    account_ = std::move(account);
    seat_ = std::move(entered.seat);
    ++service_.logins;
    log::event(connection_.log_level(), "submission.login",
               {{"user", account_->name},
                {"peer", connection_.peer().text()},
                {"listener", listener_},
                {"tls", connection_.tls_text()}});
    return std::nullopt;
}

std::optional<Reply> Submission::sender_refusal(const smtp::Address& sender) const {
    if (const auto limit = service_.rate.refusal(account_->id, 1); !limit.empty())
        return rate_refusal(*account_, limit);
    if (service_.settings.sender_check == SenderCheck::off) return std::nullopt;
    if (sender.empty()) {
        // Receipts have it (RFC 8098 §3); who is behind it the header then says.
        if (service_.settings.sender_check == SenderCheck::both) return std::nullopt;
        return Reply{550, "5.7.1", "who submits mail names himself as its sender"};
    }
    const auto claim = auth::sender_claim(service_.directory, *account_, sender.local, sender.domain);
    if (claim != SenderClaim::none) return std::nullopt;
    return Reply{550, "5.7.1",
                 fmt::format("{} is not yours to send as", shown({sender.local, sender.domain}))};
}

std::optional<Reply> Submission::recipient_refusal(std::uint64_t recipients) const {
    const auto limit = service_.rate.refusal(account_->id, recipients);
    return limit.empty() ? std::nullopt : std::optional(rate_refusal(*account_, limit));
}

std::optional<Reply> Submission::begin(const smtp::Envelope& envelope) {
    const auto limit = service_.rate.take(account_->id, envelope.recipients.size());
    if (!limit.empty()) return rate_refusal(*account_, limit);
    header_ = std::make_unique<SubmittedHeader>(service_, *account_, envelope);
    return std::nullopt;
}

void Submission::end(std::string_view how, std::uint64_t bad_commands) {
    seat_.reset();
    if (account_ || tried_login_ || how == "shutdown") return;
    if (how == "tls")
        gate_.strike("tls");
    else if (bad_commands > 0)
        gate_.strike("bad commands");
    else if (how != "quit")
        gate_.strike("no login");
}

}  // namespace pier::serve
