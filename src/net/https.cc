#include "net/https.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/tls.h"
#include "wire/ascii.h"

namespace pier::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using Code = boost::system::error_code;

constexpr std::size_t header_octets_max = 16 * 1024;
constexpr std::chrono::milliseconds look_up_time{200};  // until HttpsRequest::ended is looked at again

struct Target {
    bool tls = true;
    std::string host;       // without the brackets of an IPv6 address
    std::string authority;  // for the Host field
    std::string port;
    std::string path;  // with its query
};

Result<Target> parse_target(const std::string& text) {
    const auto url = boost::urls::parse_uri(text);
    const auto wrong = [&](std::string_view why) {
        return Error{ErrorKind::invalid, fmt::format("the web address {} cannot be asked: {}", text, why)};
    };
    if (!url) return Error{ErrorKind::invalid, "this is no web address; write https://host/path"};
    if (url->has_userinfo())
        return Error{ErrorKind::invalid, "a web address here may hold no user name or password"};
    Target target;
    target.tls = url->scheme_id() == boost::urls::scheme::https;
    if (!target.tls && url->scheme_id() != boost::urls::scheme::http)
        return wrong("it must begin with https://");
    target.host = url->host_address();
    if (target.host.empty()) return wrong("it names no host");
    target.authority = std::string(url->encoded_host());
    if (url->has_port() && !url->port().empty()) {
        target.port = std::string(url->port());
        target.authority += ":" + target.port;
    } else {
        target.port = target.tls ? "443" : "80";
    }
    target.path = url->encoded_path().empty() ? "/" : std::string(url->encoded_path());
    if (url->has_query()) target.path += "?" + std::string(url->encoded_query());
    return target;
}

// A control character in a field could end it and begin another.
bool is_clean(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool is_token(std::string_view text) {
    const auto fits = [](unsigned char c) {
        return c > 0x20 && c < 0x7f &&
               std::string_view("()<>@,;:\\\"/[]?={}").find(static_cast<char>(c)) == std::string_view::npos;
    };
    return !text.empty() && std::all_of(text.begin(), text.end(), fits);
}

Result<std::string> request_text(const HttpsRequest& request, const Target& target) {
    if (!is_token(request.method))
        return Error{ErrorKind::invalid, "this is no HTTP method: " + request.method};
    std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", request.method,
                                   target.path, target.authority);
    for (const HttpsField& field : request.fields) {
        if (!is_token(field.name) || !is_clean(field.value))
            return Error{ErrorKind::invalid, "a header field has characters that cannot be sent" +
                                                 (is_token(field.name) ? ": " + field.name : "")};
        text += fmt::format("{}: {}\r\n", field.name, field.value);
    }
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT")
        text += fmt::format("Content-Length: {}\r\n", request.body.size());
    text.append("\r\n").append(request.body);
    return text;
}

using TlsContext = asio::ssl::context;

Result<void> believe(TlsContext& context, const std::string& ca_file) {
    Code code;
    if (ca_file.empty())
        context.set_default_verify_paths(code);
    else
        context.load_verify_file(ca_file, code);
    if (!code) return {};
    ERR_clear_error();
    if (ca_file.empty())
        return Error{ErrorKind::io, "the system's certificate authorities cannot be read: " + code.message()};
    return Error{ErrorKind::invalid,
                 fmt::format("cannot use the certificate authorities in {}: {}. It must be PEM and readable.",
                             ca_file, code.message())};
}

// One exchange. Every step is begun, and given until the end of the time; then the socket is closed.
class Exchange {
  public:
    Exchange(const HttpsRequest& request, const Target& target)
        : request_(request), target_(target), end_(std::chrono::steady_clock::now() + request.time_max) {}

    Result<HttpsReply> run(const std::string& text) {
        if (auto ready = set_up(); !ready) return ready.error();
        if (auto connected = connect(); !connected) return connected.error();
        if (target_.tls) return speak(*stream_, text);
        return speak(stream_->next_layer(), text);
    }

  private:
    using TlsSocket = asio::ssl::stream<tcp::socket>;

    Result<void> set_up() {
        // What comes before TLS 1.2 is refused.
        SSL_CTX_set_min_proto_version(context_.native_handle(), TLS1_2_VERSION);
        if (target_.tls && request_.authorities != nullptr)
            SSL_CTX_set1_cert_store(context_.native_handle(), request_.authorities);
        else if (target_.tls)
            if (auto believed = believe(context_, request_.ca_file); !believed) return believed.error();
        stream_.emplace(io_, context_);
        if (!target_.tls) return {};
        stream_->set_verify_mode(asio::ssl::verify_peer);
        X509_VERIFY_PARAM* checks = SSL_get0_param(stream_->native_handle());
        if (X509_VERIFY_PARAM_set1_ip_asc(checks, target_.host.c_str()) == 1) return {};
        ERR_clear_error();
        if (X509_VERIFY_PARAM_set1_host(checks, target_.host.c_str(), target_.host.size()) == 1 &&
            SSL_set_tlsext_host_name(stream_->native_handle(), target_.host.c_str()) == 1)
            return {};
        return failure("cannot be asked over TLS", tls_error_text());
    }

    Error failure(std::string_view doing, std::string_view why) const {
        return {ErrorKind::io, fmt::format("{} {}: {}", target_.authority, doing, why)};
    }

    Error failure(std::string_view doing, const Code& code) {
        if (code == asio::error::timed_out)
            return failure(doing, fmt::format("no answer within {} ms", request_.time_max.count()));
        const long verified = stream_ ? SSL_get_verify_result(stream_->native_handle()) : X509_V_OK;
        if (verified != X509_V_OK)
            return failure(doing, fmt::format("its certificate is not believed: {}",
                                              X509_verify_cert_error_string(verified)));
        return failure(doing, code.message());
    }

    // `begin` starts an operation, given a handler that takes the code it ends with.
    template <class Begin>
    Code wait_for(Begin begin) {
        std::optional<Code> ended;
        begin([&ended](Code code, auto&&...) { ended = code; });
        io_.restart();
        const auto is_over = [this] {
            return std::chrono::steady_clock::now() >= end_ || (request_.ended && *request_.ended);
        };
        while (!ended && !is_over())
            io_.run_until(std::min(end_, std::chrono::steady_clock::now() + look_up_time));
        if (ended) return *ended;
        resolver_.cancel();
        Code ignored;
        stream_->next_layer().close(ignored);
        io_.run();  // the handler holds what lives here
        return asio::error::timed_out;
    }

    Result<void> find(std::vector<tcp::endpoint>& found) {
        if (!request_.addresses.empty()) {
            for (const IpAddress& address : request_.addresses)
                found.emplace_back(address, static_cast<std::uint16_t>(std::stoul(target_.port)));
            return {};
        }
        const Code code = wait_for([&](auto done) {
            resolver_.async_resolve(
                target_.host, target_.port,
                [&found, done](Code result, const tcp::resolver::results_type& entries) mutable {
                    for (const auto& entry : entries)
                        found.push_back(entry.endpoint());
                    done(result);
                });
        });
        if (code) return failure("was not found", code);
        return {};
    }

    Result<void> connect() {
        std::vector<tcp::endpoint> found;
        if (auto ready = find(found); !ready) return ready.error();
        // Attack: what goes over the wire without TLS can be read and changed there.
        const auto is_near = [](const auto& entry) { return entry.address().is_loopback(); };
        if (!target_.tls && !request_.clear_allowed && !std::all_of(found.begin(), found.end(), is_near))
            return Error{ErrorKind::invalid,
                         target_.authority + " is another machine: it is asked by https:// only"};
        Code code = wait_for([&](auto done) { asio::async_connect(stream_->next_layer(), found, done); });
        if (code) return failure("cannot be reached", code);
        if (!target_.tls) return {};
        code = wait_for([&](auto done) { stream_->async_handshake(TlsSocket::client, done); });
        if (code) return failure("could not begin TLS", code);
        return {};
    }

    template <class Stream>
    Result<HttpsReply> speak(Stream& stream, const std::string& text) {
        Code code =
            wait_for([&](auto done) { asio::async_write(stream, asio::buffer(text), std::move(done)); });
        if (code) return failure("took no request", code);
        beast::flat_buffer buffer;
        beast::http::response_parser<beast::http::string_body> parser;
        parser.header_limit(header_octets_max);
        parser.body_limit(request_.octets_max);
        parser.skip(request_.method == "HEAD");
        code = wait_for([&](auto done) { beast::http::async_read(stream, buffer, parser, std::move(done)); });
        // Attack: a reply that somebody cuts off must not look like a short one.
        if (code) return failure("gave no whole reply", code);
        HttpsReply reply;
        reply.status = parser.get().result_int();
        for (const auto& field : parser.get())
            reply.fields.push_back({std::string(field.name_string()), std::string(field.value())});
        reply.body = std::move(parser.get().body());
        return reply;
    }

    const HttpsRequest& request_;
    const Target& target_;
    const std::chrono::steady_clock::time_point end_;
    asio::io_context io_{1};
    TlsContext context_{TlsContext::tls_client};
    tcp::resolver resolver_{io_};
    std::optional<TlsSocket> stream_;
};

}  // namespace

std::string_view HttpsReply::field(std::string_view name) const {
    for (const HttpsField& each : fields)
        if (wire::ascii_equal(each.name, name)) return each.value;
    return {};
}

Result<HttpsReply> https_call(const HttpsRequest& request) {
    const auto target = parse_target(request.url);
    if (!target) return target.error();
    auto text = request_text(request, *target);
    if (!text) return text.error();
    auto reply = Exchange(request, *target).run(*text);
    OPENSSL_cleanse(text->data(), text->size());
    ERR_clear_error();
    return reply;
}

}  // namespace pier::net
