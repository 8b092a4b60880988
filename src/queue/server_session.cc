#include "queue/server_session.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/log.h"

namespace pier::queue {
namespace {

constexpr std::size_t chunk_octets = 64 << 10;
constexpr std::size_t piece_octets = 16 << 10;  // sent at a time; also what a TLS record holds
constexpr const char* system_authorities = "/etc/ssl/certs/ca-certificates.crt";

std::string tls_error_text(std::string_view otherwise) {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : std::string(otherwise);
}

// The name or address that the certificate must be for, if it is looked at.
bool expect_host(SSL* ssl, const ServerAddress& server) {
    X509_VERIFY_PARAM* checks = SSL_get0_param(ssl);
    const std::string name = server.host.empty() ? server.address.to_string() : server.host;
    if (X509_VERIFY_PARAM_set1_ip_asc(checks, name.c_str()) == 1) return true;
    ERR_clear_error();  // it is a name
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

}  // namespace

Result<ClientTls> make_client_tls(const std::string& ca_file) {
    ClientTls context(SSL_CTX_new(TLS_client_method()));
    if (!context || SSL_CTX_dane_enable(context.get()) <= 0)
        return Error(ErrorKind::io, "TLS cannot be used: " + tls_error_text("no memory"));
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    const std::string file = ca_file.empty() ? system_authorities : ca_file;
    if (SSL_CTX_load_verify_file(context.get(), file.c_str()) == 1) return context;
    const std::string reason = tls_error_text("it cannot be read");
    if (!ca_file.empty())
        return Error(
            ErrorKind::invalid,
            fmt::format("cannot use the certificate authorities in {}: {}. It must be PEM and readable.",
                        file, reason));
    log::warning("queue.authorities",
                 {{"file", file},
                  {"problem", reason},
                  {"next", "install ca-certificates: no certificate can be verified for MTA-STS"}});
    return context;
}

std::string ServerAddress::text() const {
    const std::string in_brackets = fmt::format("[{}]", address.to_string());
    return host.empty() || host == address.to_string() ? in_brackets
                                                       : fmt::format("{} {}", host, in_brackets);
}

ServerSession::ServerSession(const Around& around, ServerAddress server, TlsDemand demand)
    : around_(around), server_(std::move(server)), demand_(std::move(demand)) {}

std::optional<ServerSession::Trouble> ServerSession::open() {
    const TransportSettings& settings = around_.settings;
    net::ClientConnection::Options options;
    options.stop_fd = around_.stop_fd;
    for (const IpAddress& source : settings.source_addresses)
        if (options.source.is_unspecified() && source.is_v4() == server_.address.is_v4())
            options.source = source;
    auto connected =
        net::ClientConnection::connect(server_.address, server_.port, settings.times.connect, options);
    if (!connected) {
        Outcome outcome;
        outcome.reply = {451, "4.4.1", fmt::format("{}: {}", server_.text(), connected.error().text)};
        return Trouble{outcome, false};
    }
    connection_ = std::move(*connected);
    smtp::Client::Facts facts;
    facts.hostname = settings.hostname;
    facts.login = around_.login;
    facts.clear_login_allowed = server_.address.is_loopback();
    if (demand_.kind == TlsDemand::Kind::never) facts.tls = smtp::Client::Tls::never;
    if (demand_.kind > TlsDemand::Kind::opportunistic) facts.tls = smtp::Client::Tls::required;
    if (demand_.implicit) {
        if (const auto started = handshake(); !started) {
            Outcome outcome;
            outcome.server = server_.text();
            outcome.reply = {451, "4.7.5", started.error().text};
            return Trouble{outcome, true};
        }
        facts.tls_active = true;
        facts.tls_verified = is_verified();
    }
    client_ = std::make_unique<smtp::Client>(smtp::Client::Limits(), facts);
    const Action action = step();
    if (std::holds_alternative<smtp::Client::Ready>(action)) return std::nullopt;
    const smtp::Client::Failed& failed = *failed_;
    Trouble trouble{outcome_of(failed.reply), failed.cause == smtp::Client::Cause::tls};
    // A greeting of 5xx is about us, or about now, more often than about the mail: it is tried again.
    // RFC 7504 has codes for hosts that never take any.
    if (failed.reply.code != 521 && failed.reply.code != 556) trouble.outcome.kind = Outcome::Kind::deferred;
    return trouble;
}

std::chrono::milliseconds ServerSession::limit() const {
    const TransportTimes& times = around_.settings.times;
    switch (client_->stage()) {
        case smtp::Client::Stage::greeting:
            return times.greeting;
        case smtp::Client::Stage::data:
            return times.data;
        case smtp::Client::Stage::block:
            return times.block;
        case smtp::Client::Stage::end_of_data:
            return times.end_of_data;
        case smtp::Client::Stage::quit:
            return times.quit;
        default:
            return times.command;
    }
}

// Until the client says something else than reading, writing or TLS.
ServerSession::Action ServerSession::step() {
    for (;;) {
        Action action = client_->next();
        if (auto* to_write = std::get_if<smtp::Client::Write>(&action)) {
            write(to_write->text);
            OPENSSL_cleanse(to_write->text.data(), to_write->text.size());
        } else if (std::holds_alternative<smtp::Client::NeedInput>(action)) {
            read();
        } else if (std::holds_alternative<smtp::Client::StartTls>(action)) {
            start_tls();
        } else {
            if (auto* failed = std::get_if<smtp::Client::Failed>(&action)) failed_ = *failed;
            return action;
        }
    }
}

// Attack: a server that sends a letter now and then. The time is for a whole reply.
void ServerSession::read() {
    const auto now = std::chrono::steady_clock::now();
    if (!std::exchange(waiting_, true) || client_->replies() != replies_before_) {
        replies_before_ = client_->replies();
        reply_end_ = now + limit();
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(reply_end_ - now);
    const auto octets = connection_->read(std::max(left, std::chrono::milliseconds(0)));
    if (!octets && std::chrono::steady_clock::now() >= reply_end_)
        client_->on_lost(
            fmt::format("it has not answered within {:g} s", static_cast<double>(limit().count()) / 1000));
    else if (!octets)
        client_->on_lost(octets.error().text);
    else if (octets->empty())
        client_->on_lost("it has closed the connection");
    else
        client_->on_bytes(*octets);
}

// And one that takes a few octets now and then: the time is for a whole block.
void ServerSession::write(std::string_view octets) {
    waiting_ = false;
    const auto end = std::chrono::steady_clock::now() + std::min(around_.settings.times.block, limit());
    Result<void> written;
    while (written && !octets.empty()) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        const std::string_view piece = octets.substr(0, piece_octets);
        written = connection_->write(piece, std::max(left, std::chrono::milliseconds(0)));
        octets.remove_prefix(piece.size());
    }
    if (written) return;
    // Who stops taking a message has often said why.
    if (const auto last = connection_->read(std::chrono::milliseconds(0)); last && !last->empty())
        client_->on_bytes(*last);
    client_->on_lost(written.error().text);
}

Result<net::ClientConnection::Ssl> ServerSession::make_ssl() {
    net::ClientConnection::Ssl ssl(SSL_new(around_.tls));
    if (!ssl) return Error(ErrorKind::busy, tls_error_text("no memory"));
    if (demand_.kind == TlsDemand::Kind::dane) {
        if (auto demanded = demand_dane(ssl.get(), demand_.dane, demand_.domain); !demanded)
            return demanded.error();
        return ssl;
    }
    if (!expect_host(ssl.get(), server_)) return Error(ErrorKind::invalid, tls_error_text("no name"));
    // Without a demand the certificate is looked at all the same: REQUIRETLS may ask.
    SSL_set_verify(ssl.get(),
                   demand_.kind == TlsDemand::Kind::certificate ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    return ssl;
}

Result<void> ServerSession::handshake() {
    auto made = make_ssl();
    if (!made) return made.error();
    const auto started = connection_->start_tls(std::move(*made), around_.settings.times.tls);
    const SSL* ssl = connection_->tls();
    if (!started) {
        const long verified = SSL_get_verify_result(ssl);
        const bool by_dane = demand_.kind == TlsDemand::Kind::dane;
        if (verified == X509_V_OK || (!by_dane && demand_.kind != TlsDemand::Kind::certificate))
            return started;
        return Error(ErrorKind::invalid, fmt::format("its certificate is not what {} demands: {}",
                                                     by_dane                 ? "DANE"
                                                     : demand_.word == "sts" ? "MTA-STS"
                                                                             : "the configuration",
                                                     X509_verify_cert_error_string(verified)));
    }
    tls_text_ = fmt::format("{}/{}", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
    if (!demand_.word.empty()) tls_text_ += " " + demand_.word;
    return {};
}

void ServerSession::start_tls() {
    if (const auto started = handshake(); !started)
        client_->on_lost(started.error().text);
    else
        client_->on_tls(is_verified());
}

bool ServerSession::is_verified() const {
    switch (demand_.kind) {
        case TlsDemand::Kind::dane:
        case TlsDemand::Kind::certificate:
            return true;  // or there would be no TLS
        default:
            return demand_.host_proven && SSL_get_verify_result(connection_->tls()) == X509_V_OK;
    }
}

Outcome ServerSession::outcome_of(const smtp::Reply& reply) const {
    Outcome outcome;
    outcome.reply = reply;
    outcome.kind = reply.positive()    ? Outcome::Kind::delivered
                   : reply.code >= 500 ? Outcome::Kind::failed
                                       : Outcome::Kind::deferred;
    outcome.server = server_.text();
    outcome.tls = tls_text_;
    outcome.relays_dsn = reply.positive() && client_->extensions().dsn;
    return outcome;
}

std::size_t ServerSession::messages_max() const {
    const std::size_t theirs = client_->extensions().messages_max;
    const std::size_t ours = around_.settings.messages_per_connection_max;
    return theirs == 0 ? ours : std::min(ours, theirs);
}

ServerSession::Performed ServerSession::perform(const Job& job) {
    Performed performed;
    const std::size_t total = job.envelope.recipients.size();
    const std::size_t theirs = client_->extensions().recipients_max;
    const std::size_t ours = std::max<std::size_t>(around_.settings.recipients_per_message_max, 1);
    const std::size_t at_once = theirs == 0 ? ours : std::min(ours, theirs);
    for (std::size_t first = 0; first < total; first += at_once) {
        const std::size_t count = std::min(at_once, total - first);
        const std::vector<smtp::Reply> replies =
            failed_ ? std::vector<smtp::Reply>(count, failed_->reply) : transact(job, first, count);
        for (const smtp::Reply& reply : replies)
            performed.outcomes.push_back(outcome_of(reply));
        const bool all_deferred = std::ranges::all_of(
            performed.outcomes, [](const Outcome& each) { return each.kind == Outcome::Kind::deferred; });
        if (first == 0) performed.try_elsewhere = failed_ && !sent_end_ && !unreadable_ && all_deferred;
    }
    return performed;
}

std::vector<smtp::Reply> ServerSession::transact(const Job& job, std::size_t first, std::size_t count) {
    sent_octets_ = 0;
    sent_end_ = unreadable_ = false;
    client_->begin(job.envelope, first, count, job.body->octets());
    for (;;) {
        Action action = step();
        if (std::holds_alternative<smtp::Client::NeedChunk>(action)) {
            send_chunk(job);
            continue;
        }
        // Nothing else ends a transaction; whether the dialogue goes on is asked next.
        std::vector<smtp::Reply> replies = std::move(std::get<smtp::Client::Done>(action).replies);
        static_cast<void>(step());
        return replies;
    }
}

void ServerSession::send_chunk(const Job& job) {
    if (sent_octets_ == job.body->octets()) {
        sent_end_ = true;
        client_->on_message_end();
        return;
    }
    chunk_.resize(chunk_octets);
    const auto count = job.body->read(sent_octets_, chunk_, store::Wait::may_block);
    if (!count || *count == 0) {
        const std::string why = count ? "it is shorter than it should be" : count.error().text;
        log::error("queue.unreadable", {{"id", job.id}, {"problem", why}});
        unreadable_ = true;
        client_->on_no_message({451, "4.3.0", "the message cannot be read from the disk now"});
        return;
    }
    sent_octets_ += *count;
    client_->on_chunk(std::string_view(chunk_).substr(0, *count));
    if (sent_octets_ != job.body->octets()) return;
    sent_end_ = true;  // goes out with the last chunk
    client_->on_message_end();
}

void ServerSession::quit() {
    if (failed_) return;
    client_->quit();
    static_cast<void>(step());
}

}  // namespace pier::queue
