// What rspamd is asked about a message, and what it answers, by its HTTP protocol (/checkv2 of its normal
// worker; rspamd.com/doc/architecture/protocol.html). Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "smtp/session.h"

namespace pier::filter {

// Where a message comes from and for whom.
struct Question {
    std::string ip;                       // of the client; empty: a Unix socket or a local command
    std::string helo;                     // what it has called itself
    std::string hostname;                 // our own name, in Authentication-Results
    std::string user;                     // who has logged in; empty: nobody
    std::string id;                       // for rspamd's log
    std::string tls_version, tls_cipher;  // empty: in clear
    smtp::Address sender;
    std::vector<smtp::Address> recipients;
};

enum class Action {
    accept,
    mark,    // spam, but not so sure: it is taken and marked ("add header", "rewrite subject")
    defer,   // "greylist", "soft reject"
    reject,  // "reject"
};

struct Verdict {
    Action action = Action::accept;
    std::string action_text = "no action";  // rspamd's own word
    double score = 0, required = 0;
    std::string text;    // for the client, where it is refused; empty: rspamd has said nothing
    std::string fields;  // to be put in front of the message, as "Name: value" lines with CRLF
};

inline constexpr std::size_t answer_octets_max = 4 << 20;   // of rspamd's JSON
inline constexpr std::size_t fields_octets_max = 64 << 10;  // more are left out

// The request's head, up to the empty line; a body of `octets` follows. `path_host`: what stands in Host.
std::string request_head(const Question& question, std::uint64_t octets, std::string_view host);

// The body of a reply with status 200. `invalid`: nothing that could be understood.
Result<Verdict> parse_verdict(std::string_view body);

// The refusal of the message; only for defer and reject.
smtp::Reply refusal(const Verdict& verdict);

// The status and the body of a whole HTTP/1 reply, or how much is still missing.
struct HttpReply {
    unsigned status = 0;
    std::string_view body;
};
// Absent: it is not all there; `at_end`: no more will come. `invalid`: it is no HTTP, or longer than
// answer_octets_max. The view is into `octets`.
Result<std::optional<HttpReply>> parse_http(std::string_view octets, bool at_end);

}  // namespace pier::filter
