// The address of the server that is left, as an administrator writes it. Pure functions.
//   pops://ada@example.org@old.example.org    pop3://old.example.org:1110    imaps://[2001:db8::1]/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pier::migrate {

struct ServerUrl {
    enum class Protocol { pop3, imap } protocol = Protocol::pop3;
    bool tls = false;  // from the first octet on (pops, imaps); else STLS or STARTTLS
    std::string user;  // empty: none is named. Percent-encoding is undone
    std::string host;  // a name or an address, without brackets
    std::uint16_t port = 0;

    std::string text() const;  // without the user
};

// `invalid` says what is wrong. A password in it is refused: every user of the machine could read it.
Result<ServerUrl> parse_server_url(std::string_view text);

}  // namespace pier::migrate
