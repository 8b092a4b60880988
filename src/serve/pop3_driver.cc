#include "serve/pop3_driver.h"

#include <utility>

#include "base/log.h"
#include "base/random.h"
#include "serve/command_timer.h"
#include "serve/feed.h"
#include "serve/login_gate.h"
#include "serve/login_offer.h"
#include "serve/mail_sender.h"

namespace pier::serve {
namespace {

using net::Connection;
using net::Task;
using Why = pop3::LoginRefused::Why;

constexpr int actions_in_a_row_max = 64;  // then others on the loop have their turn

class ShownMaildrop : public pop3::Maildrop {
  public:
    explicit ShownMaildrop(maildrop::View view) : view_(std::move(view)) {}
    const maildrop::View& view() const { return view_; }
    std::size_t messages() const override { return view_.messages(); }
    std::uint64_t octets() const override { return view_.octets(); }
    std::uint64_t octets(std::size_t index) const override { return view_.entry(index).octets; }
    void append_uidl(std::size_t index, std::string& out) const override { view_.append_uidl(index, out); }

  private:
    const maildrop::View view_;
};

wire::SaslOffer sasl_offer(const Connection& connection, const Pop3Service& service) {
    return serve::sasl_offer(connection, service.tokens != nullptr ? &service.token_source : nullptr);
}

pop3::Facts facts_of(const Connection& connection, const Pop3Service& service, const Pop3Listener& listener) {
    pop3::Facts facts;
    facts.tls_active = connection.is_private();
    facts.sasl = sasl_offer(connection, service);
    facts.tls_available = listener.tls == TlsUse::starttls && service.tls != nullptr;
    facts.clear_login_allowed = clear_login_allowed(connection, listener.clear_login);
    facts.xclient = !connection.peer().is_unix() && contains(listener.introducers, connection.peer().address);
    facts.scram = service.settings.scram;
    facts.login_delay_s = static_cast<std::uint32_t>(service.login_delay.delay().count());
    facts.expire_days = service.keeper.policy().expire_days;
    facts.greeting = service.settings.greeting;
    facts.implementation = service.settings.implementation;
    return facts;
}

class Driver {
  public:
    Driver(Connection& connection, Pop3Service& service, const Pop3Listener& listener)
        : connection_(connection),
          service_(service),
          listener_(listener),
          gate_(connection, service.authenticator, service.guard, "pop3", listener.name),
          session_(service.settings.limits, facts_of(connection, service, listener)),
          began_(std::chrono::steady_clock::now()),
          timer_(service.meters) {
        gate_.set_meters(service.meters);
        if (service.meters != nullptr) session_.set_observer(&timer_);
    }
    ~Driver() {
        if (account_ && service_.meters != nullptr) --service_.meters->sessions;
    }
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    Task<void> run() {
        connection_.set_deadline(service_.settings.login_timeout);
        for (int in_a_row = 0;; ++in_a_row) {
            pop3::Action action = session_.next();
            if (std::holds_alternative<pop3::Close>(action)) break;
            // Here and not in perform(): a session waits here most of its life, and holds one frame less.
            if (std::holds_alternative<pop3::NeedInput>(action)) {
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
            if (!std::holds_alternative<pop3::Write>(action)) timer_.worked();
        }
        timer_.finish();
        lease_.reset();
        seat_.reset();
        log_end();
        if (const auto what = no_good(); !what.empty()) gate_.strike(what);
        co_await connection_.close(end_ == "quit" ? Connection::Unread::unlikely
                                                  : Connection::Unread::likely);
    }

  private:
    // False: the connection is of no more use, or TLS failed.
    Task<bool> perform(pop3::Action& action) {
        if (auto* write = std::get_if<pop3::Write>(&action)) {
            if (auto r = co_await connection_.write(write->text); !r) {
                end_ = end_of(r.error());
                session_.on_eof();
                co_return false;
            }
        } else if (std::holds_alternative<pop3::StartTls>(action)) {
            co_return co_await start_tls();
        } else if (auto* client = std::get_if<pop3::Introduce>(&action)) {
            session_.on_introduced(introduce(*client));
        } else if (auto* keys = std::get_if<pop3::NeedKeys>(&action)) {
            tried_login_ = true;
            auto given = co_await gate_.begin_proof(account_of(keys->user), keys->hash);
            if (const auto* refused = std::get_if<auth::Refused>(&given))
                session_.on_keys_refused(to_client(*refused));
            else
                session_.on_keys(std::get<wire::ScramKeys>(given), random_text(24),
                                 connection_.channel_binding(keys->channel_binding));
        } else if (auto* wrong = std::get_if<pop3::WrongProof>(&action)) {
            gate_.wrong_proof(account_of(wrong->user));
            ++service_.failed_logins;
        } else if (auto* login = std::get_if<pop3::Login>(&action)) {
            tried_login_ = true;
            pop3::LoginReport report = co_await log_in(*login);
            session_.on_login(std::move(report));
        } else if (auto* token = std::get_if<pop3::TokenLogin>(&action)) {
            tried_login_ = true;
            pop3::LoginReport report = co_await log_in(*token);
            auth::wipe(token->token);
            session_.on_login(std::move(report));
        } else if (const auto* certificate = std::get_if<pop3::CertificateLogin>(&action)) {
            tried_login_ = true;
            pop3::LoginReport report = co_await log_in(*certificate);
            session_.on_login(std::move(report));
        } else if (auto* mail = std::get_if<pop3::SendMail>(&action)) {
            session_.on_mail_sent(co_await send(*mail));
        } else if (auto* remove = std::get_if<pop3::Remove>(&action)) {
            session_.on_removed(co_await this->remove(*remove));
        }
        co_return true;
    }

    Task<bool> start_tls() {
        connection_.set_deadline(service_.settings.tls_handshake_timeout);
        auto done = co_await measured_start_tls(connection_, *service_.tls, "pop3", listener_.tls_meters);
        if (!done) {
            log::event(connection_.log_level(), "tls.failed",
                       {{"listener", listener_.name},
                        {"peer", connection_.peer().text()},
                        {"reason", done.error().text}});
            end_ = "tls";
            co_return false;
        }
        if (connection_.answered_challenge()) co_return false;
        connection_.set_deadline(service_.settings.login_timeout);
        log_certificate(connection_, listener_.name);
        session_.on_tls(sasl_offer(connection_, service_));
        co_return true;
    }

    // From here on the client is whom the proxy has named, for everything that looks at addresses.
    pop3::Introduced introduce(const pop3::Introduce& client) {
        using How = pop3::Introduced::How;
        boost::system::error_code malformed;
        const IpAddress address = boost::asio::ip::make_address(client.address, malformed);
        if (malformed) return {How::no_address};
        const net::Endpoint proxy = connection_.peer();
        connection_.introduce({address, client.port, ""}, client.tls ? "TLS" : "");
        const bool admitted = listener_.access.admits(address);
        if (!admitted || service_.guard.blocks(address)) {
            log::warning("connection.refused",
                         {{"listener", listener_.name},
                          {"peer", connection_.peer().text()},
                          {"proxy", proxy.text()},
                          {"reason", admitted ? "blocked by the guard"
                                              : "the listener's networks do not include this address"}});
            return {How::not_welcome};
        }
        return {How::welcome, connection_.is_private(),
                clear_login_allowed(connection_, listener_.clear_login)};
    }

    static pop3::LoginRefused to_client(const auth::Refused& refused) {
        const Why why = refused.why == auth::Refused::Why::credentials ? Why::credentials
                        : refused.why == auth::Refused::Why::disabled  ? Why::permanent
                                                                       : Why::temporary;
        if (refused.detail.empty()) return {why, refused.text, {}};
        return {why, refused.text + ": {}", {refused.detail}};
    }

    Task<pop3::LoginReport> log_in(const pop3::Login& login) {
        const std::string_view authzid = account_of(login.authzid), user = account_of(login.user);
        const metrics::Stopwatch stopwatch(login_time());
        recent_ = authzid != login.authzid || user != login.user;
        auth::Verdict verdict;
        if (login.password)
            verdict = co_await gate_.check(authzid, user, *login.password);
        else
            verdict = gate_.proven(authzid, user);
        co_return co_await enter(std::move(verdict));
    }

    Task<pop3::LoginReport> log_in(const pop3::TokenLogin& login) {
        const std::string_view authzid = account_of(login.authzid);
        const metrics::Stopwatch stopwatch(login_time());
        recent_ = authzid != login.authzid;
        auth::Verdict verdict = co_await gate_.check_token(authzid, login.token, *service_.tokens);
        co_return co_await enter(std::move(verdict));
    }

    Task<pop3::LoginReport> log_in(const pop3::CertificateLogin& login) {
        const std::string_view authzid = account_of(login.authzid);
        const metrics::Stopwatch stopwatch(login_time());
        recent_ = authzid != login.authzid;
        auth::Verdict verdict = co_await gate_.check_certificate(authzid, connection_.client()->names);
        co_return co_await enter(std::move(verdict));
    }

    Task<pop3::LoginReport> enter(auth::Verdict verdict) {
        if (auto* refused = std::get_if<auth::Refused>(&verdict)) {
            ++service_.failed_logins;
            co_return to_client(*refused);
        }
        co_return co_await open(std::get<auth::AccountPtr>(verdict));
    }

    metrics::Histogram* login_time() const {
        return service_.meters != nullptr ? &service_.meters->login_time : nullptr;
    }

    // "recent:ada" is ada, who wants to be shown something else.
    std::string_view account_of(std::string_view user) const {
        const auto asked = maildrop::split_recent(user);
        return service_.keeper.policy().recent_days == 0 ? user : asked.user;
    }

    // What the guard should know of a connection without a login; empty: nothing.
    std::string_view no_good() const {
        const auto& counts = session_.counts();
        if (account_ || tried_login_ || end_ == "shutdown") return {};
        if (end_ == "tls") return "tls";
        if (counts.bad_commands > 0) return "bad commands";
        return end_ == "quit" ? "" : "no login";
    }

    Task<pop3::LoginReport> open(auth::AccountPtr account) {
        if (service_.login_delay.too_soon(account->id))
            co_return pop3::LoginRefused{Why::login_delay,
                                         "An account may log in once in {} seconds; wait and try again",
                                         {std::to_string(service_.login_delay.delay().count())}};
        auto entered = service_.sessions.enter(account->id);
        if (entered.full)
            co_return pop3::LoginRefused{Why::in_use,
                                         "This account has too many sessions; close one of them"};
        if (account->exclusive || service_.settings.exclusive) {
            Leases::Holder holder;
            lease_ =
                service_.leases.acquire(account->id, connection_.peer().text(), service_.clock(), holder);
            if (!lease_)
                co_return pop3::LoginRefused{Why::in_use,
                                             "Maildrop is in use by {} since {}",
                                             {holder.peer, to_rfc3339(holder.since)}};
        }
        auto view = co_await show(*account);
        if (!view) {
            lease_.reset();
            log::error("pop3.open.failed", {{"user", account->name}, {"reason", view.error().text}});
            co_return pop3::LoginRefused{Why::temporary,
                                         "The maildrop cannot be opened now; try again later"};
        }
        account_ = std::move(account);
        if (service_.meters != nullptr) ++service_.meters->sessions;
        seat_ = std::move(entered.seat);
        maildrop_ = std::make_shared<ShownMaildrop>(std::move(*view));
        ++service_.logins;
        service_.login_delay.note(account_->id);
        connection_.set_idle_timeout(service_.settings.idle_timeout);
        connection_.set_worth_finishing(true);
        log::event(connection_.log_level(), "pop3.login",
                   {{"user", account_->name},
                    {"peer", connection_.peer().text()},
                    {"listener", listener_.name},
                    {"tls", connection_.tls_text()},
                    {"messages", maildrop_->messages()},
                    {"octets", maildrop_->octets()}});
        co_return maildrop_;
    }

    // What the session is shown. Most often that is the INBOX, which is in memory.
    Task<Result<maildrop::View>> show(const auth::Account& account) {
        const metrics::Stopwatch stopwatch(service_.meters != nullptr ? &service_.meters->open_time
                                                                      : nullptr);
        const maildrop::Policy& policy = service_.keeper.policy();
        const bool whole = !recent_ && policy.show_days == 0 && policy.show_messages == 0;
        if (whole) {
            auto inbox = service_.store.open(account.inbox, store::Wait::no_wait);
            if (inbox) co_return maildrop::View(std::move(*inbox));
            if (inbox.error().kind != ErrorKind::busy) co_return inbox.error();
        }
        co_return co_await net::on_pool(
            connection_.loop(), service_.disk_pool, [&]() -> Result<maildrop::View> {
                if (recent_) return service_.keeper.recent(account);
                auto inbox = service_.store.open(account.inbox);
                if (!inbox) return inbox.error();
                return maildrop::View::last(std::move(*inbox), policy, service_.clock());
            });
    }

    Task<pop3::MailReport> send(const pop3::SendMail& mail) {
        auto body = maildrop_->view().body(mail.index);
        SendOutcome outcome{SendOutcome::What::refused, {}};
        if (body) {
            outcome =
                co_await send_mail(connection_, service_.disk_pool, **body, mail.body_lines, mail.reply);
        } else {
            outcome.error = body.error();
        }
        if (outcome.what == SendOutcome::What::sent) {
            ++service_.retrieved;
            if (service_.meters != nullptr && !mail.body_lines)
                service_.meters->first_octet_time.observe(outcome.ready - timer_.since());
            co_return pop3::MailSent{};
        }
        if (outcome.error.kind != ErrorKind::busy && outcome.what == SendOutcome::What::refused)
            log::error("pop3.message.unreadable", {{"user", account_->name},
                                                   {"guid", maildrop_->view().entry(mail.index).guid.hex()},
                                                   {"reason", outcome.error.text},
                                                   {"hint", "pier store verify shows what is damaged"}});
        if (outcome.what == SendOutcome::What::broken) {
            end_ = end_of(outcome.error);
            co_return pop3::MailBroken{};
        }
        const bool damaged = outcome.error.kind == ErrorKind::corrupt;
        co_return pop3::MailRefused{!damaged, damaged ? "This message is damaged on the server's disk"
                                                      : "This message cannot be read now; try again later"};
    }

    // How many could not be removed.
    Task<std::size_t> remove(const pop3::Remove& remove) {
        // What is shown though it was deleted before needs nothing more.
        std::vector<store::Uid> uids = maildrop_->view().inbox_uids(remove.indexes);
        const std::size_t count = uids.size();
        if (count == 0) co_return 0;
        auto removed = co_await net::completion<Result<std::uint64_t>>(connection_.loop(), [&](auto done) {
            service_.keeper.remove(*account_, std::move(uids), std::move(done));
        });
        if (!removed) {
            log::error("pop3.remove.failed",
                       {{"user", account_->name}, {"messages", count}, {"reason", removed.error().text}});
            co_return count;
        }
        service_.removed += *removed;
        // What another session removed first is gone as well: that is what the client asked for.
        co_return 0;
    }

    void log_end() {
        const auto& counts = session_.counts();
        const auto ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_);
        log::event(connection_.log_level(), "pop3.end",
                   {{"user", account_ ? std::string_view(account_->name) : std::string_view("-")},
                    {"peer", connection_.peer().text()},
                    {"listener", listener_.name},
                    {"end", end_},
                    {"commands", counts.commands},
                    {"retrieved", counts.retrieved},
                    {"removed", counts.removed},
                    {"octets_out", connection_.octets_out()},
                    {"ms", static_cast<std::int64_t>(ms.count())}});
    }

    Connection& connection_;
    Pop3Service& service_;
    const Pop3Listener& listener_;
    LoginGate gate_;
    pop3::Session session_;
    std::chrono::steady_clock::time_point began_;
    CommandTimer timer_;
    std::unique_ptr<Leases::Lease> lease_;
    std::unique_ptr<AccountSessions::Seat> seat_;
    auth::AccountPtr account_;
    std::shared_ptr<const ShownMaildrop> maildrop_;
    bool recent_ = false;  // the login was "recent:…"
    bool tried_login_ = false;
    std::string_view end_ = "quit";
};

}  // namespace

Task<void> serve_pop3(Connection& connection, Pop3Service& service, const Pop3Listener& listener) {
    if (listener.tls == TlsUse::implicit) {
        connection.set_deadline(service.settings.tls_handshake_timeout);
        auto done = co_await measured_start_tls(connection, *service.tls, "pop3", listener.tls_meters);
        if (!done) {
            log::event(connection.log_level(), "tls.failed",
                       {{"listener", listener.name},
                        {"peer", connection.peer().text()},
                        {"reason", done.error().text}});
            LoginGate(connection, service.authenticator, service.guard, "pop3", listener.name).strike("tls");
            co_return;
        }
        if (connection.answered_challenge()) {
            log::info("acme.asked", {{"listener", listener.name}, {"peer", connection.peer().text()}});
            co_await connection.close(Connection::Unread::likely);
            co_return;
        }
    }
    if (connection.tls()) log_certificate(connection, listener.name);
    Driver driver(connection, service, listener);
    co_await driver.run();
}

}  // namespace pier::serve
