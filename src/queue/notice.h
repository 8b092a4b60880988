// What the sender of a queued message is told: that it could not be delivered (a bounce), that it waits, that
// it was delivered (RFC 3461 §5, RFC 3464, RFC 6522; RFC 6533 for internationalized mail). A whole message,
// its text in plain words. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "queue/entry.h"
#include "smtp/envelope.h"

namespace pier::queue {

struct NoticeSettings {
    std::string hostname;                        // Reporting-MTA, and of MAILER-DAEMON
    std::size_t original_octets_max = 50 << 10;  // a larger message comes back as its header alone
};

enum class NoticeKind { failed, delayed, relayed, delivered };  // by RFC 3464 §2.3.3's words
std::string_view to_string(NoticeKind kind);

struct NoticeFacts {
    NoticeKind kind = NoticeKind::failed;
    std::vector<std::size_t> recipients;  // of the entry: who it is about, at least one
    Time now{};
    Time given_up{};     // delayed: until when it is tried
    std::string unique;  // letters and digits nobody can guess: for the boundary and the Message-ID
};

// How much of the original the notice brings back: RET (RFC 3461 §4.3) and the size decide. A notice that is
// no bounce brings the header alone.
enum class BringBack { whole, header };
BringBack bring_back(const Entry& entry, NoticeKind kind, const NoticeSettings& settings);

// How many octets of the original must be known for that: a longer header is cut.
std::size_t original_octets_needed(const Entry& entry, NoticeKind kind, const NoticeSettings& settings);

struct Notice {
    smtp::Envelope envelope;  // from <> to the sender, who gets no notice about it
    std::string octets;       // CRLF line ends
};

// `original`: the first original_octets_needed() octets of it (or all, if it has fewer).
Notice write_notice(const Entry& entry, const NoticeFacts& facts, std::string_view original,
                    const NoticeSettings& settings);

// What a reply means to somebody who has sent a message: one or two sentences, and what he can do.
std::string explain(const smtp::Reply& reply);

// Whether its NOTIFY (RFC 3461 §4.1) wants a notice of that kind; without one a failure and a delay are told.
bool wants_notice(const smtp::Envelope::Recipient& recipient, NoticeKind kind);

// "a+2Bb" as "a+b" (RFC 3461 §4); as it is if it is malformed.
std::string decode_xtext(std::string_view text);

}  // namespace pier::queue
