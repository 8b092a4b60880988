#include "main/config_files.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "auth/password.h"
#include "backends/secret_file.h"
#include "backends/settings.h"
#include "watch/probe_tls.h"

namespace pier::program {
namespace {

// Of one section. `until`: what does not work until the file is mended; empty: the server does not start.
class NamedFiles {
  public:
    NamedFiles(Loaded& loaded, std::string section, std::string until = {})
        : loaded_(loaded), section_(std::move(section)), until_(std::move(until)) {}

    void readable(std::string_view key, const std::string& file) const {
        if (!file.empty() && ::access(file.c_str(), R_OK) != 0)
            add(key, fmt::format("can't read {}: {}", file, std::strerror(errno)));
    }
    void executable(std::string_view key, const std::string& file) const {
        if (!file.empty() && ::access(file.c_str(), X_OK) != 0)
            add(key, fmt::format("can't run {}: {}", file, std::strerror(errno)));
    }
    void secret(std::string_view key, const std::string& file) const {
        if (file.empty()) return;
        auto text = backends::read_secret(file, key);
        if (text)
            auth::wipe(*text);
        else
            add(key, text.error().text);
    }
    void authorities(std::string_view key, const std::string& file) const {
        if (file.empty()) return;
        if (const auto trust = watch::TlsTrust::load(file); !trust) add(key, trust.error().text);
    }

  private:
    void add(std::string_view key, const std::string& what) const {
        loaded_.add(until_.empty() ? Severity::error : Severity::warning, loaded_.place(section_, key),
                    until_.empty() ? what : fmt::format("{}: until that is mended, {}", what, until_));
    }

    Loaded& loaded_;
    const std::string section_, until_;
};

// The issuer's process reads them when it needs them.
void check_oauth(Loaded& loaded) {
    const OauthConfig& oauth = loaded.config.oauth;
    const NamedFiles files(loaded, "oauth", "logins by token are told to come back later");
    files.readable("jwks_file", oauth.jwks_file);
    files.secret("client_secret_file", oauth.client_secret_file);
    files.authorities("ca_file", oauth.ca_file);
}

// So do the processes of the back ends, for each connection.
void check_back_ends(Loaded& loaded) {
    for (std::size_t index = 0; index < loaded.config.backends.size(); ++index) {
        const backends::Settings& one = loaded.config.backends[index];
        const NamedFiles files(loaded, fmt::format("backend[{}]", index),
                               fmt::format("the back end \"{}\" is out", one.name));
        if (one.kind == backends::Kind::passwd_file) files.readable("file", one.passwd_file.file);
        if (one.kind == backends::Kind::sql) files.secret("password_file", one.sql.password_file);
        if (one.kind == backends::Kind::ldap) {
            files.authorities("ca_file", one.ldap.ca_file);
            files.secret("bind_password_file", one.ldap.bind_password_file);
        }
    }
}

void check_queue(Loaded& loaded) {
    const QueueConfig& queue = loaded.config.queue;
    const NamedFiles files(loaded, "queue", "mail for the smarthost waits");
    files.secret("smarthost_password_file", queue.smarthost_password_file);
    NamedFiles(loaded, "queue").authorities("ca_file", queue.ca_file);
}

// Read at the start.
void check_watched(Loaded& loaded) {
    const WatchConfig& watch = loaded.config.watch;
    NamedFiles(loaded, "watch").authorities("ca_file", watch.ca_file);
    for (std::size_t index = 0; index < watch.targets.size(); ++index) {
        const NamedFiles files(loaded, fmt::format("watch.target[{}]", index));
        files.secret("password_file", watch.targets[index].password_file);
        files.authorities("ca_file", watch.targets[index].ca_file);
    }
    for (std::size_t index = 0; index < watch.canaries.size(); ++index)
        NamedFiles(loaded, fmt::format("watch.canary[{}]", index))
            .secret("password_file", watch.canaries[index].password_file);
}

// The same.
void check_channels(Loaded& loaded) {
    const AlertsConfig& alerts = loaded.config.alerts;
    for (std::size_t index = 0; index < alerts.channels.size(); ++index) {
        const NamedFiles files(loaded, fmt::format("alerts.channel[{}]", index));
        const AlertChannelConfig& one = alerts.channels[index];
        files.secret("secret_file", one.secret_file);
        files.secret("password_file", one.password_file);
        files.authorities("ca_file", one.ca_file);
        files.executable("command", one.command);
    }
}

}  // namespace

void check_named_files(Loaded& loaded) {
    check_oauth(loaded);
    check_back_ends(loaded);
    check_queue(loaded);
    check_watched(loaded);
    check_channels(loaded);
}

}  // namespace pier::program
