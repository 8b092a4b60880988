#include "main/config_check.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <openssl/ssl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main/config_files.h"
#include "net/tls.h"

namespace pier::program {
namespace {

namespace fs = std::filesystem;

// Who the server will be once it runs.
struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;
};

std::optional<Identity> server_identity(Loaded& loaded) {
    const std::string& user = loaded.config.server.user;
    if (geteuid() != 0 || user.empty()) return Identity{geteuid(), getegid(), user};
    const passwd* entry = getpwnam(user.c_str());
    if (entry) return Identity{entry->pw_uid, entry->pw_gid, user};
    loaded.add(Severity::error, loaded.place("server", "user"),
               fmt::format("there is no user \"{0}\"; make one with \"useradd --system {0}\", or write "
                           "server.user = \"\" to "
                           "stay root",
                           user));
    return std::nullopt;
}

// Whether that identity may enter and write the folder. Groups other than the first are not looked at.
bool may_write_folder(const fs::path& folder, const Identity& who) {
    if (who.uid == geteuid()) return access(folder.c_str(), W_OK | X_OK) == 0;
    struct stat status {};
    if (stat(folder.c_str(), &status) != 0) return false;
    if (who.uid == 0) return true;
    const mode_t shift = status.st_uid == who.uid ? 6 : status.st_gid == who.gid ? 3 : 0;
    return ((status.st_mode >> shift) & 3) == 3;
}

std::string name_of(const Identity& who) {
    return who.name.empty() ? "this user" : "user " + who.name;
}

// A folder that has to be there. `what` names its key, for the message.
void check_folder(Loaded& loaded, const Place& place, std::string_view what, const fs::path& folder,
                  const Identity& who) {
    if (std::error_code error; !fs::is_directory(folder, error)) {
        loaded.add(Severity::error, place,
                   fmt::format("{} {} is not a folder; name another", what, folder.string()));
    } else if (!may_write_folder(folder, who)) {
        loaded.add(Severity::error, place,
                   fmt::format("{} {} can't be written by {}; give it to that user with chown", what,
                               folder.string(), name_of(who)));
    }
}

// The server makes it, as the user who starts it.
void check_data_folder(Loaded& loaded, const Identity& who) {
    const fs::path folder = loaded.config.server.data_folder;
    const Place place = loaded.place("server", "data_folder");
    std::error_code error;
    if (fs::exists(folder, error)) return check_folder(loaded, place, "server.data_folder", folder, who);
    fs::path above = folder.parent_path();
    while (!above.empty() && !fs::exists(above, error))
        above = above.parent_path();
    if (!may_write_folder(above, {geteuid(), getegid(), {}}))
        loaded.add(Severity::error, place,
                   fmt::format("server.data_folder {} does not exist, and can't be made in {} by this user; "
                               "make it, and give "
                               "it to {}",
                               folder.string(), above.string(), name_of(who)));
}

// The folder that a socket or the log's file goes to.
void check_folder_of(Loaded& loaded, const Place& place, std::string_view key, const fs::path& file,
                     const Identity& who) {
    const fs::path folder = file.parent_path();
    const std::string what = fmt::format("the folder of {}", key);
    if (std::error_code error; fs::exists(folder, error))
        return check_folder(loaded, place, what, folder, who);
    fs::path above = folder;
    while (above.has_relative_path() && !fs::exists(above))
        above = above.parent_path();
    // The server makes it when it starts.
    if (access(above.c_str(), W_OK) == 0) return;
    loaded.add(
        Severity::warning, place,
        fmt::format("{} {} does not exist, and only its owner can make it in {}; start the server as root or "
                    "by systemd (RuntimeDirectory), or make the folder",
                    what, folder.string(), above.string()));
}

bool can_open(Loaded& loaded, const Place& place, const std::string& file) {
    const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    loaded.add(
        Severity::error, place,
        fmt::format("can't read {}: {}; check the path and who may read it", file, std::strerror(errno)));
    return false;
}

// The files that the section `name` names, its certificate with `key`.
void check_certificate(Loaded& loaded, std::string_view name, std::string_view key,
                       const net::TlsFiles& files) {
    const Place place = loaded.place(name, key), key_place = loaded.place(name, "key");
    bool readable = can_open(loaded, place, files.certificate);
    if (files.key != files.certificate) readable = can_open(loaded, key_place, files.key) && readable;
    if (!readable) return;
    struct stat status {};
    if (stat(files.key.c_str(), &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
        loaded.add(Severity::warning, key_place,
                   fmt::format("everybody on this machine can read the private key {0}; run \"chmod o= {0}\"",
                               files.key));
    const auto tls = net::Tls::load({files});
    if (!tls) {
        loaded.add(Severity::error, place, tls.error().text);
        return;
    }
    for (const std::string& problem : (*tls)->problems())
        loaded.add(Severity::warning, place, problem);
}

void check_client_authorities(Loaded& loaded) {
    const Config& config = loaded.config;
    const Place place = loaded.place("tls", "client_ca");
    if (config.tls.clients.ca_file.empty() || !can_open(loaded, place, config.tls.clients.ca_file)) return;
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_server_method()),
                                                                    SSL_CTX_free);
    if (const auto usable = net::ask_for_certificates(context.get(), config.tls.clients); !usable)
        loaded.add(Severity::error, place, usable.error().text);
}

void check_certificates(Loaded& loaded) {
    const Config& config = loaded.config;
    if (config.tls.configured())
        check_certificate(loaded, "tls", "certificate",
                          {config.tls.certificate, config.tls.key_file(), config.tls.ocsp});
    if (!config.tls.ticket_keys.empty())
        if (const auto keys = net::read_tls_ticket_keys(config.tls.ticket_keys); !keys)
            loaded.add(Severity::error, loaded.place("tls", "ticket_keys"), keys.error().text);
    for (const auto& [key, file] :
         {std::pair("ca_file", &config.acme.ca_file), std::pair("eab_key_file", &config.acme.eab_key_file)})
        if (config.acme.configured() && !file->empty()) can_open(loaded, loaded.place("acme", key), *file);
    for (std::size_t index = 0; index < config.certificates.size(); ++index) {
        const CertificateConfig& one = config.certificates[index];
        if (!one.file.empty())
            check_certificate(loaded, fmt::format("certificate[{}]", index), "file",
                              {one.file, one.key_file(), one.ocsp});
    }
}

int unprivileged_port_min() {
    int port = 1024;
    std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
    return port;
}

// Ports are opened by whoever starts the server, Unix sockets by the user that it becomes.
void check_listeners(Loaded& loaded, const std::optional<Identity>& who) {
    const int port_min = unprivileged_port_min();
    for (std::size_t index = 0; index < loaded.config.listeners.size(); ++index) {
        const ListenerConfig& listener = loaded.config.listeners[index];
        if (!listener.path.empty()) {
            if (who)
                check_folder_of(loaded, loaded.listener_place(index, "path"), "listener.path", listener.path,
                                *who);
        } else if (listener.port != 0 && listener.port < port_min && geteuid() != 0) {
            loaded.add(
                Severity::warning, loaded.listener_place(index, "port"),
                fmt::format(
                    "port {} of listener \"{}\" is open to root alone; start as root, let systemd pass the "
                    "socket, or choose a port from {} on",
                    listener.port, listener.name, port_min));
        }
    }
}

}  // namespace

void check_machine(Loaded& loaded) {
    check_certificates(loaded);
    check_client_authorities(loaded);
    check_named_files(loaded);
    const auto who = server_identity(loaded);
    check_listeners(loaded, who);
    if (!who) return;
    const Config& config = loaded.config;
    if (!config.server.data_folder.empty()) check_data_folder(loaded, *who);
    if (!config.log.file.empty())
        check_folder_of(loaded, loaded.place("log", "file"), "log.file", config.log.file, *who);
    if (!config.admin.socket.empty())
        check_folder_of(loaded, loaded.place("admin", "socket"), "admin.socket", config.admin.socket, *who);
}

}  // namespace pier::program
