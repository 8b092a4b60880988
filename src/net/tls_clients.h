// Certificates that clients show (RFC 8446 §4.3.2, RFC 5246 §7.4.4): they are asked for, never demanded. One
// that cannot be verified counts as none: a client that shows any certificate it has must still be able to
// log in by password. For Tls and TlsStream; the authorities are read with the server's own certificates.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

#include "base/result.h"

namespace pier::net {

// What of a certificate names its owner (RFC 5280 §4.2.1.6): the e-mail addresses or host names among its
// alternative names, or the one common name of its subject.
enum class ClientName { san_email, san_dns, common_name };

struct TlsClients {
    // PEM: authorities, or certificates themselves. With revocation lists (CRLs) in it, whose certificate is
    // on none of them; then a list must be there, and in time, for each authority. Empty: nobody is asked.
    std::string ca_file;
    ClientName name = ClientName::san_email;
};

// Who a client is that has shown a certificate.
struct TlsClient {
    std::vector<std::string> names;  // empty if it could not be verified, or names nobody
    std::string_view problem;        // why that is so; a literal
};

// Makes `context` ask for certificates. `invalid` if the file cannot be used.
Result<void> ask_for_certificates(SSL_CTX* context, const TlsClients& clients);

// After a handshake, also a resumed one: the certificate lies in the ticket, was verified when that was made,
// by the same authorities, and its time is looked at again. Null: the client has shown none.
std::unique_ptr<TlsClient> client_of(const SSL* ssl);

}  // namespace pier::net
