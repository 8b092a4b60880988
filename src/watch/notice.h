// A notice in the form that each kind of channel takes; docs/alerts.md describes them. What strangers sent (a
// greeting in the evidence) comes without control characters, so that it makes no header and no line of its
// own. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "watch/alerts.h"

namespace pier::watch {

struct NoticeMail {
    std::string subject;  // one line of ASCII
    std::string body;     // UTF-8, lines end with LF
};
// `server`: who tells.
NoticeMail notice_mail(const Notice& notice, std::string_view server);

// The body of a webhook's POST.
std::string notice_json(const Notice& notice, std::string_view server, Time at);
// X-Pier-Signature for a body and an X-Pier-Timestamp: "sha256=" and HMAC-SHA-256 over "TIMESTAMP.BODY".
std::string notice_signature(std::string_view secret, std::string_view timestamp, std::string_view body);

// The body for POST /api/v2/alerts of Prometheus' Alertmanager. It takes `resolve_after` without a reminder
// for "well again", so it should be more than the time between reminders.
std::string notice_for_alertmanager(const Notice& notice, std::string_view server, Time at,
                                    std::chrono::seconds resolve_after);

// What a command finds in its environment; at its standard input it reads the JSON.
std::vector<std::pair<std::string, std::string>> notice_environment(const Notice& notice,
                                                                    std::string_view server);

// What `pier alert test` sends.
Notice test_notice(Time at);

}  // namespace pier::watch
