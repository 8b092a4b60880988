#include "migrate/server_connection.h"

#include <utility>

#include <fmt/format.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "migrate/server_text.h"

namespace pier::migrate {
namespace {

std::string tls_error_text() {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : "the connection broke";
}

}  // namespace

ServerConnection::ServerConnection(const ServerUrl& url, ConnectOptions options)
    : url_(url), options_(std::move(options)), context_(nullptr, SSL_CTX_free) {}

Error ServerConnection::broken(std::string_view what) const {
    return {ErrorKind::stopped, fmt::format("{}: {}", url_.text(), what)};
}

Result<std::unique_ptr<ServerConnection>> ServerConnection::open(const ServerUrl& url,
                                                                 ConnectOptions options) {
    std::unique_ptr<ServerConnection> connection(new ServerConnection(url, std::move(options)));
    if (auto connected = connection->connect(); !connected) return connected.error();
    if (url.tls) {
        if (auto started = connection->start_tls(); !started) return started.error();
    }
    return connection;
}

Result<void> ServerConnection::connect() {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int code = getaddrinfo(url_.host.c_str(), std::to_string(url_.port).c_str(), &hints, &found);
        code != 0)
        return broken(fmt::format("no address is found for it: {}", gai_strerror(code)));
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
    Error last = broken("it has no address");
    for (const addrinfo* at = found; at; at = at->ai_next) {
        auto connected =
            net::ClientConnection::connect(at->ai_addr, at->ai_addrlen, options_.connect_limit, {});
        if (connected) {
            connection_ = std::move(*connected);
            return {};
        }
        last = broken(connected.error().text);
    }
    return last;
}

Result<void> ServerConnection::start_tls() {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (!context_) return broken(tls_error_text());
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    const bool trust = options_.ca_file.empty()
                           ? SSL_CTX_set_default_verify_paths(context_.get()) == 1
                           : SSL_CTX_load_verify_file(context_.get(), options_.ca_file.c_str()) == 1;
    if (!trust)
        return Error(ErrorKind::invalid, fmt::format("--ca-file {}: {}", options_.ca_file, tls_error_text()));
    if (!options_.insecure) SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    net::ClientConnection::Ssl tls(SSL_new(context_.get()));
    if (!tls) return broken(tls_error_text());
    SSL* const ssl = tls.get();
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(verify, url_.host.c_str()) != 1) {
        ERR_clear_error();  // it is a name
        X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (SSL_set1_host(ssl, url_.host.c_str()) != 1 ||
            SSL_set_tlsext_host_name(ssl, url_.host.c_str()) != 1)
            return broken(tls_error_text());
    }
    auto started = connection_->start_tls(std::move(tls), options_.answer_limit);
    if (started) return {};
    const long verified = SSL_get_verify_result(ssl);
    if (!options_.insecure && verified != X509_V_OK)
        return Error(
            ErrorKind::invalid,
            fmt::format("{}: its certificate is not trusted ({}); name its authority with --ca-file, "
                        "or take any certificate with --insecure",
                        url_.text(), X509_verify_cert_error_string(verified)));
    return broken(started.error().text);
}

Result<void> ServerConnection::write(std::string_view octets) {
    auto written = connection_->write(octets, options_.answer_limit);
    return written ? written : broken(written.error().text);
}

Result<std::string_view> ServerConnection::read() {
    auto octets = connection_->read(options_.answer_limit);
    return octets ? octets : broken(octets.error().text);
}

}  // namespace pier::migrate
