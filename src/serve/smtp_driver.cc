#include "serve/smtp_driver.h"

#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "delivery/routing.h"
#include "serve/command_timer.h"
#include "serve/feed.h"
#include "serve/login_offer.h"

namespace pier::serve {
namespace {

using net::Connection;
using net::Task;

constexpr int actions_in_a_row_max = 64;  // then others on the loop have their turn

// How the log names what happens.
struct Events {
    std::string_view end, recipient_refused, refused, message, judged;
};
constexpr Events lmtp_events{"lmtp.end", "lmtp.recipient.refused", "lmtp.refused", "lmtp.message",
                             "lmtp.judged"};
constexpr Events smtp_events{"smtp.end", "smtp.recipient.refused", "smtp.refused", "smtp.message",
                             "smtp.judged"};
constexpr Events submission_events{"submission.end", "submission.recipient.refused", "submission.refused",
                                   "submission.message", "submission.judged"};

const Events& events_of(smtp::Kind kind) {
    if (kind == smtp::Kind::lmtp) return lmtp_events;
    return kind == smtp::Kind::smtp ? smtp_events : submission_events;
}

smtp::Facts facts_of(const Connection& connection, const SmtpService& service, const SmtpListener& listener) {
    smtp::Facts facts;
    facts.kind = service.settings.kind;
    facts.hostname = service.settings.hostname;
    facts.tls_available = listener.tls == TlsUse::starttls && service.tls != nullptr;
    facts.tls_active = connection.is_private();
    return facts;
}

Task<bool> start_tls(Connection& connection, SmtpService& service, const SmtpListener& listener) {
    connection.set_deadline(service.settings.tls_handshake_timeout);
    const char* protocol = service.settings.kind == smtp::Kind::lmtp ? "lmtp" : "smtp";
    auto done = co_await measured_start_tls(connection, *service.tls, protocol, listener.tls_meters);
    if (!done)
        log::event(
            connection.log_level(), "tls.failed",
            {{"listener", listener.name}, {"peer", connection.peer().text()}, {"reason", done.error().text}});
    co_return done.has_value();
}

class Driver {
  public:
    Driver(Connection& connection, SmtpService& service, const SmtpListener& listener)
        : connection_(connection),
          service_(service),
          listener_(listener),
          is_smtp_(service.settings.kind != smtp::Kind::lmtp),
          events_(events_of(service.settings.kind)),
          submission_(service.submission == nullptr
                          ? nullptr
                          : std::make_unique<Submission>(connection, *service.submission, listener.name)),
          session_(service.settings.limits, facts()),
          timer_(service.meters) {
        if (service.meters != nullptr) session_.set_observer(&timer_);
    }

    Task<void> run() {
        limit_time();
        for (int in_a_row = 0;; ++in_a_row) {
            smtp::Action action = session_.next();
            if (std::holds_alternative<smtp::Close>(action)) break;
            // Here and not in perform(): a session waits here most of its life, and holds one frame less.
            if (std::holds_alternative<smtp::NeedInput>(action)) {
                in_a_row = 0;
                timer_.finish();
                end_ = feed(session_, co_await connection_.read());
                timer_.begin(connection_.loop().now());
                continue;
            }
            if (in_a_row >= actions_in_a_row_max) {
                in_a_row = 0;
                co_await net::yield(connection_.loop());
            }
            if (!co_await perform(action)) break;
            if (!std::holds_alternative<smtp::Write>(action)) timer_.worked();
        }
        timer_.finish();
        spool_.reset();
        const auto& counts = session_.counts();
        log::event(connection_.log_level(), events_.end,
                   {{"peer", connection_.peer().text()},
                    {"user", user()},
                    {"listener", listener_.name},
                    {"tls", connection_.tls_text()},
                    {"end", end_},
                    {"commands", counts.commands},
                    {"messages", counts.messages},
                    {"octets_in", connection_.octets_in()}});
        // Who brings mail logs in nowhere; but who brings nothing and talks nonsense is a scanner.
        const bool nonsense =
            counts.messages == 0 && counts.bad_commands >= service_.settings.limits.bad_commands_max;
        if (submission_)
            submission_->end(end_, counts.bad_commands);
        else if (is_smtp_ && nonsense && !connection_.is_own_visit())
            service_.guard.strike(connection_.peer().address, "bad commands");
        co_await connection_.close(end_ == "quit" ? Connection::Unread::unlikely
                                                  : Connection::Unread::likely);
    }

  private:
    // False: the connection is of no more use.
    Task<bool> perform(smtp::Action& action) {
        if (auto* write = std::get_if<smtp::Write>(&action)) {
            if (auto r = co_await connection_.write(write->text); !r) {
                end_ = end_of(r.error());
                session_.on_eof();
                co_return false;
            }
        } else if (std::holds_alternative<smtp::StartTls>(action)) {
            co_return co_await start_tls();
        } else if (auto* sender = std::get_if<smtp::Sender>(&action)) {
            on_sender(sender->address);
        } else if (auto* recipient = std::get_if<smtp::Recipient>(&action)) {
            co_await on_recipient(*recipient);
        } else if (auto* begin = std::get_if<smtp::BeginMessage>(&action)) {
            on_begin(std::move(*begin));
        } else if (auto* chunk = std::get_if<smtp::Chunk>(&action)) {
            session_.on_chunk(co_await keep(std::move(chunk->octets)));
        } else if (std::holds_alternative<smtp::EndMessage>(action)) {
            session_.on_end(co_await end_message());
        } else if (std::holds_alternative<smtp::AbandonMessage>(action)) {
            spool_.reset();
            connection_.set_worth_finishing(false);
        } else if (submission_) {
            co_await submission_->perform(session_, action);
            limit_time();
        }
        co_return true;
    }

    std::string_view user() const {
        const auth::Account* account = submission_ ? submission_->account() : nullptr;
        return account == nullptr ? std::string_view("-") : std::string_view(account->name);
    }

    smtp::Facts facts() const {
        smtp::Facts facts = facts_of(connection_, service_, listener_);
        if (!submission_) return facts;
        facts.clear_login_allowed = clear_login_allowed(connection_, listener_.clear_login);
        facts.scram = service_.submission->settings.scram;
        facts.sasl = submission_->offer();
        return facts;
    }

    // Who has to log in has so much time for it in all; everybody else may be silent so long.
    void limit_time() {
        if (submission_ && submission_->account() == nullptr) {
            if (!std::exchange(login_limited_, true))
                connection_.set_deadline(service_.submission->settings.login_timeout);
            return;
        }
        if (!std::exchange(idle_limited_, true)) connection_.set_idle_timeout(service_.settings.idle_timeout);
    }

    Task<bool> start_tls() {
        const bool begun = co_await serve::start_tls(connection_, service_, listener_);
        if (!begun) {
            end_ = "tls";
            co_return false;
        }
        login_limited_ = idle_limited_ = false;
        limit_time();
        if (submission_) log_certificate(connection_, listener_.name);
        session_.on_tls(submission_ ? submission_->offer() : wire::SaslOffer());
        co_return true;
    }

    Task<delivery::Resolved> resolve(const smtp::Address& address) {
        if (service_.authenticator == nullptr) co_return service_.delivery.resolve(address);
        if (auto bounce = service_.delivery.resolve_bounce(address)) co_return std::move(*bounce);
        auto found = co_await net::completion<Result<auth::Recipients>>(connection_.loop(), [&](auto done) {
            service_.authenticator->find_recipients(address.local, address.domain, std::move(done));
        });
        co_return service_.delivery.resolved(address, std::move(found));
    }

    void on_sender(const smtp::Address& sender) {
        taken_ = 0;
        auto refusal = submission_->sender_refusal(sender);
        if (refusal)
            log::event(connection_.log_level(), "submission.sender.refused",
                       {{"user", user()},
                        {"sender", sender.text()},
                        {"peer", connection_.peer().text()},
                        {"code", refusal->code},
                        {"reason", refusal->text}});
        session_.on_sender(std::move(refusal));
    }

    bool is_elsewhere(const smtp::Address& address) const {
        return !address.domain.empty() && !service_.submission->directory.has_domain(address.domain);
    }

    // What an account submits for others goes into the queue; nobody else's does.
    void add_elsewhere(const smtp::Address& address, delivery::Resolved& resolved) const {
        if (!submission_ || !is_elsewhere(address) || resolved.reply.code != 550) return;
        if (!service_.delivery.has_queue()) {
            resolved.reply = {550, "5.7.1", "mail for other servers is not taken here"};
            return;
        }
        resolved.reply = {250, "2.1.5", "recipient ok"};
        resolved.elsewhere = {address};
    }

    void admit_elsewhere(const smtp::Address& address, delivery::Resolved& resolved) const {
        if (!submission_) return;
        add_elsewhere(address, resolved);
        if (!resolved.reply.positive()) return;
        if (auto refusal = submission_->recipient_refusal(taken_ + 1)) resolved.reply = std::move(*refusal);
    }

    Task<void> on_recipient(const smtp::Recipient& recipient) {
        auto resolved = co_await resolve(recipient.address);
        admit_elsewhere(recipient.address, resolved);
        if (resolved.reply.positive()) {
            auto full = co_await room_refusal(resolved, recipient.octets);
            if (full) resolved.reply = std::move(*full);
        }
        if (service_.meters != nullptr) ++service_.meters->recipients[reply_class(resolved.reply.code)];
        if (!resolved.reply.positive())
            log::event(connection_.log_level(), events_.recipient_refused,
                       {{"recipient", recipient.address.text()},
                        {"peer", connection_.peer().text()},
                        {"code", resolved.reply.code},
                        {"reason", resolved.reply.text}});
        taken_ += resolved.reply.positive();
        session_.on_recipient(std::move(resolved.reply));
    }

    // LMTP has a reply for each recipient at the end, so the quotas of accounts are looked at there; but not
    // of who also forwards: what is tried again for his mailbox would be forwarded again.
    Task<std::optional<smtp::Reply>> room_refusal(const delivery::Resolved& who, std::uint64_t octets) {
        const delivery::Accounts& accounts = who.accounts;
        const bool own = (is_smtp_ || !who.elsewhere.empty()) && delivery::has_quota(accounts);
        if (!own && !service_.delivery.has_domain_quota(accounts)) co_return std::nullopt;
        co_return co_await net::on_pool(connection_.loop(), service_.disk_pool, [&] {
            return own ? service_.delivery.room_refusal(accounts, octets)
                       : service_.delivery.domain_refusal(accounts, octets);
        });
    }

    // RFC 3848, RFC 6531 §4.3.
    std::string_view protocol_of(const smtp::BeginMessage& begin) const {
        if (!is_smtp_) return begin.envelope.utf8 ? "UTF8LMTP" : "LMTP";
        const bool tls = connection_.is_private(), login = submission_ != nullptr;
        if (begin.envelope.utf8 && login) return tls ? "UTF8SMTPSA" : "UTF8SMTPA";
        if (begin.envelope.utf8) return tls ? "UTF8SMTPS" : "UTF8SMTP";
        if (!begin.extended) return "SMTP";
        if (login) return tls ? "ESMTPSA" : "ESMTPA";
        return tls ? "ESMTPS" : "ESMTP";
    }

    void on_begin(smtp::BeginMessage begin) {
        if (submission_) {
            if (auto refusal = submission_->begin(begin.envelope))
                return session_.on_begin(std::move(refusal));
        }
        envelope_ = {};
        describe_client(begin);
        envelope_.with = protocol_of(begin);
        envelope_.all_or_none = is_smtp_;
        const auto& recipients = begin.envelope.recipients;
        // Delivered-To is of addresses that are ours: another server takes its own there for a loop.
        if (recipients.size() == 1 && !(submission_ && is_elsewhere(recipients.front().address)))
            envelope_.recipient = recipients.front().address.text();
        routing_ = {};
        // Resolved again, so that nothing is kept for recipients of transactions that never come to their
        // data.
        if (submission_) envelope_.account = submission_->account()->name;
        envelope_.body_8bit = begin.envelope.body_8bit;
        envelope_.utf8 = begin.envelope.utf8;
        envelope_.require_tls = begin.envelope.require_tls;
        envelope_.ret = begin.envelope.ret;
        envelope_.id = std::move(begin.envelope.id);
        envelope_.sender = std::move(begin.envelope.sender);
        for (const auto& recipient : recipients) {
            auto resolved = service_.delivery.resolve(recipient.address);
            add_elsewhere(recipient.address, resolved);
            service_.delivery.route(recipient, std::move(resolved), envelope_, routing_);
        }
        // A server that LMTP brings mail from is one of ours: it may say what was found out.
        header_ = delivery::IncomingHeader(is_smtp_ ? service_.settings.hostname : std::string(),
                                           service_.filter != nullptr);
        named_.clear();
        for (const auto& recipient : recipients)
            named_.push_back(recipient.address);
        spool_ = service_.store.new_spool();
        connection_.set_worth_finishing(true);
        session_.on_begin(std::nullopt);
    }

    // For Received; it says nothing of a client that is to be hidden.
    void describe_client(smtp::BeginMessage& begin) {
        if (submission_ && service_.submission->settings.hide_client) return;
        envelope_.helo = std::move(begin.helo);
        const auto& peer = connection_.peer();
        envelope_.peer = peer.is_unix() ? "unix" : fmt::format("[{}]", peer.address.to_string());
    }

    Task<std::optional<smtp::Reply>> keep(std::string octets) {
        if (submission_) {
            if (auto refusal = submission_->header().take(octets)) {
                log_refusal(*refusal);
                co_return refusal;
            }
        }
        octets = header_.feed(octets);
        Result<void> written;
        if (spool_->octets() + octets.size() <= service_.settings.spool_memory_octets) {
            written = spool_->write(octets);
        } else {
            written = co_await net::on_pool(connection_.loop(), service_.disk_pool,
                                            [&] { return spool_->write(octets); });
        }
        if (written) co_return std::nullopt;
        co_return service_.delivery.spool_refusal(written.error());
    }

    void log_refusal(const smtp::Reply& reply) const {
        log::warning(events_.refused, {{"sender", envelope_.sender.text()},
                                       {"user", user()},
                                       {"peer", connection_.peer().text()},
                                       {"code", reply.code},
                                       {"reason", reply.text}});
    }

    Task<std::vector<smtp::Reply>> end_message() {
        if (submission_) {
            if (auto refusal = submission_->header().finish()) {
                log_refusal(*refusal);
                spool_.reset();
                connection_.set_worth_finishing(false);
                co_return std::vector<smtp::Reply>{std::move(*refusal)};
            }
            envelope_.fields = submission_->header().missing(service_.settings.hostname);
        }
        std::vector<smtp::Reply> replies = co_await deliver();
        co_return replies;
    }

    // What the filter says of the message goes into the envelope; a refusal is given back.
    Task<std::optional<smtp::Reply>> look_at_message() {
        filter::Question question;
        if (!connection_.peer().is_unix()) question.ip = connection_.peer().address.to_string();
        question.helo = envelope_.helo;
        question.hostname = service_.settings.hostname;
        question.user = envelope_.account;
        question.sender = envelope_.sender;
        question.recipients = std::move(named_);
        if (connection_.is_private()) {
            const std::string tls(connection_.tls_text());
            question.tls_version = tls.substr(0, tls.find('/'));
            question.tls_cipher = tls.substr(std::min(tls.size(), question.tls_version.size() + 1));
        }
        // With the fields that submission adds: a signature is to cover them.
        const auto read = [this](std::uint64_t offset, std::span<char> out) -> Result<std::size_t> {
            const std::string& fields = envelope_.fields;
            if (offset < fields.size()) return fields.copy(out.data(), out.size(), offset);
            return spool_->read(offset - fields.size(), out);
        };
        auto judgement = co_await net::completion<filter::Judgement>(connection_.loop(), [&](auto done) {
            service_.filter->ask(std::move(question), envelope_.fields.size() + spool_->octets(), read,
                                 std::move(done));
        });
        log::info(events_.judged, {{"sender", envelope_.sender.text()},
                                   {"peer", connection_.peer().text()},
                                   {"verdict", judgement.log}});
        envelope_.added_fields = std::move(judgement.fields);
        envelope_.junk = judgement.spam && service_.settings.junk;
        co_return std::move(judgement.refusal);
    }

    Task<std::vector<smtp::Reply>> deliver() {
        auto refusal = routing_.loop_refusal(header_);
        if (const std::string rest = header_.finish(); !refusal && !rest.empty())
            if (const auto written = spool_->write(rest); !written)
                refusal = service_.delivery.spool_refusal(written.error());
        const std::uint64_t octets = spool_->octets();
        if (!refusal && service_.filter != nullptr) refusal = co_await look_at_message();
        std::vector<smtp::Reply> replies;
        if (refusal) {
            spool_.reset();
            replies.assign(routing_.recipients(), *refusal);
        } else {
            const auto began = std::chrono::steady_clock::now();
            replies = co_await net::completion<std::vector<smtp::Reply>>(connection_.loop(), [&](auto done) {
                service_.delivery.deliver(envelope_, routing_.take_accounts(), std::move(spool_),
                                          std::move(done));
            });
            replies = routing_.replies(replies);
            if (service_.meters != nullptr)
                service_.meters->delivery_time.observe(std::chrono::steady_clock::now() - began);
        }
        connection_.set_worth_finishing(false);
        std::uint64_t delivered = 0;
        for (const auto& reply : replies) {
            if (service_.meters != nullptr) ++service_.meters->messages[reply_class(reply.code)];
            if (reply.positive())
                ++delivered;
            else
                log_refusal(reply);
        }
        log::info(events_.message, {{"sender", envelope_.sender.text()},
                                    {"user", user()},
                                    {"peer", connection_.peer().text()},
                                    {"recipients", replies.size()},
                                    {"delivered", delivered},
                                    {"octets", octets}});
        ++service_.messages;
        service_.recipients += delivered;
        service_.octets += octets;
        // They are all the same: it is all or none.
        if (is_smtp_) replies.resize(1);
        co_return replies;
    }

    Connection& connection_;
    SmtpService& service_;
    const SmtpListener& listener_;
    const bool is_smtp_;
    const Events& events_;
    std::unique_ptr<Submission> submission_;  // null: it is LMTP, or SMTP of the world
    smtp::Session session_;
    CommandTimer timer_;
    delivery::Routing routing_;
    delivery::IncomingHeader header_;
    std::vector<smtp::Address> named_;  // the recipients as the client has named them; for the filter
    delivery::Envelope envelope_;
    std::unique_ptr<store::Spool> spool_;
    std::uint64_t taken_ = 0;  // recipients of the transaction under way
    bool login_limited_ = false, idle_limited_ = false;
    std::string_view end_ = "quit";
};

}  // namespace

Task<void> serve_smtp(Connection& connection, SmtpService& service, const SmtpListener& listener) {
    if (listener.tls == TlsUse::implicit) {
        const bool begun = co_await start_tls(connection, service, listener);
        if (!begun) {
            if (service.submission != nullptr)
                Submission(connection, *service.submission, listener.name).end("tls", 0);
            co_return;
        }
        if (connection.answered_challenge()) {
            log::info("acme.asked", {{"listener", listener.name}, {"peer", connection.peer().text()}});
            co_await connection.close(Connection::Unread::likely);
            co_return;
        }
    }
    if (service.submission != nullptr && connection.tls()) log_certificate(connection, listener.name);
    Driver driver(connection, service, listener);
    co_await driver.run();
}

}  // namespace pier::serve
