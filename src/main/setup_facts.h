// What a server's set-up is, as facts that can be compared: what a ChangeLog remembers of it.
#pragma once

#include <string>

#include "main/change.h"
#include "main/config.h"
#include "net/tls.h"

namespace pier::program {

// Every value in force: {"pop3.idle_timeout": "\"10m\""}. One of several listeners, certificates, back ends
// or channels stands under its name, or its place where it has none: "listener[pop3-110].port". Of a field
// that may hold a secret (Field::secret) only secret_fact() of it, by `key`. Pure.
Facts configuration_facts(const Config& config, std::string_view key);

// Of each certificate, by its file: subject, names, issuer, time and SHA-256. Reads the files.
Facts certificate_facts(const net::TlsSettings& settings);

}  // namespace pier::program
