// Who logs in to the server that is left, and how the connection is protected. Shared by the dialogues.
#pragma once

#include <string>

namespace pier::migrate {

struct Login {
    std::string user, password;
    std::string act_as;  // SASL PLAIN's authorization identity (RFC 4616): a master user's way in; or empty
    bool tls_already = false;    // the connection began with TLS
    bool clear_allowed = false;  // --insecure: go on without TLS if the server has none
};

}  // namespace pier::migrate
