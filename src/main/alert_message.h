// A notice as a message (RFC 5322) for a person's mailbox. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "watch/notice.h"

namespace pier::program {

struct AlertMessage {
    std::string from;
    std::vector<std::string> to;
    std::string server;  // who tells
    std::string id;      // for its Message-ID; letters, digits, '-', '_'
    Time at{};
};

// Header and body, with CRLF. Any server takes it: base64 stands for what is not ASCII, and for long lines.
std::string alert_message(const AlertMessage& message, const watch::NoticeMail& text);

}  // namespace pier::program
