// One HTTP/1.1 request (RFC 9110, RFC 9112) to a web server, over TLS (RFC 9110 §4.3.4), from start to end on
// a connection of its own. It blocks, and connects: for processes that may connect, never on an event loop.
// Any thread.
//
//   HttpsRequest ask;
//   ask.url = "https://issuer.example/keys";
//   auto reply = https_call(ask);      if (!reply) …; if (reply->status != 200) …
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

#include "base/network.h"
#include "base/result.h"

namespace pier::net {

struct HttpsField {
    std::string name, value;
};

struct HttpsRequest {
    std::string method = "GET";
    std::string url;                   // https://…; http://… only to this machine's loopback
    std::vector<HttpsField> fields{};  // header fields beside Host, Connection and Content-Length
    std::string body{};                // may be secret: what is made of it here is wiped
    bool clear_allowed = false;        // http:// to everywhere: for what is no secret and comes back signed
    std::string ca_file{};             // PEM: the authorities that are believed; empty: the system's
    std::chrono::milliseconds time_max{10'000};  // for all of it; see https_call()
    std::size_t octets_max = 1 << 20;            // of the reply's body

    // Inside the sandbox, where no file is read:
    std::vector<IpAddress> addresses{};  // the host's: they are connected to, and its name is not looked up
    X509_STORE* authorities = nullptr;   // those of ca_file, read already; outlives the call. Null: ca_file
    const std::atomic<bool>* ended = nullptr;  // true: it fails soon, with `io`
};

struct HttpsReply {
    unsigned status = 0;
    std::vector<HttpsField> fields;
    std::string body;

    // The first field of that name, in any case; empty if there is none.
    std::string_view field(std::string_view name) const;
};

// Any status is a reply, also a redirection: none is followed. `invalid`: a URL or field that cannot be sent;
// `io`: no connection, a certificate that is not for that host or not of a known authority, a time-out, a
// reply that is no HTTP, too long or cut off. The text names the URL's host, never what was sent. The
// system's look-up of the host's name ends by its own time limit (resolv.conf(5)), which may be longer than
// `time_max`.
Result<HttpsReply> https_call(const HttpsRequest& request);

}  // namespace pier::net
