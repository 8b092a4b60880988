#include "main/sandbox.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "main/config_alerts.h"
#include "main/config_watch.h"

namespace pier::program {
namespace {

namespace fs = std::filesystem;

constexpr const char* how_to_go_without = "; `sandbox = false` in the section [server] starts without it";

// What Debian 12's <linux/landlock.h> does not have yet.
constexpr std::uint64_t access_truncate = 1ull << 14;   // version 3
constexpr std::uint64_t access_ioctl_dev = 1ull << 15;  // version 5
constexpr std::uint64_t network_bind_tcp = 1ull << 0;   // version 4
constexpr std::uint64_t network_connect_tcp = 1ull << 1;
constexpr int rule_net_port = 2;

struct PortRule {
    std::uint64_t access = 0;
    std::uint64_t port = 0;
};

struct RulesetAttributes {
    std::uint64_t files = 0;
    std::uint64_t network = 0;  // version 4; earlier kernels take it as long as it is 0
};

constexpr std::uint64_t access_of_first_version =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
    LANDLOCK_ACCESS_FS_MAKE_SYM;

constexpr std::uint64_t to_keep = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                  LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                  LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                  LANDLOCK_ACCESS_FS_REMOVE_DIR | access_truncate;
constexpr std::uint64_t to_make_sockets = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;
constexpr std::uint64_t to_log = LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr std::uint64_t to_read = LANDLOCK_ACCESS_FS_READ_FILE;

// What a rule on something that is no folder may name.
constexpr std::uint64_t access_of_files =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | access_truncate;

// What libraries read at a time of their own: the number of cores, RocksDB's names and its log's times, the
// rules of malloc. Each would go on without it, in a lesser way.
constexpr const char* read_by_libraries[] = {"/etc/localtime", "/proc/sys/kernel/random/uuid",
                                             "/proc/sys/vm/overcommit_memory",
                                             "/sys/devices/system/cpu/online"};

// Who a host is, and who vouches for it.
constexpr const char* names_of_hosts[] = {"/etc/resolv.conf",
                                          "/etc/hosts",
                                          "/etc/host.conf",
                                          "/etc/nsswitch.conf",
                                          "/etc/gai.conf",
                                          "/etc/services",
                                          "/run/systemd/resolve",
                                          "/run/resolvconf",
                                          "/etc/ssl",
                                          "/usr/share/ca-certificates",
                                          "/usr/local/share/ca-certificates"};

constexpr std::uint16_t dns_port = 53;
constexpr int links_max = 40;  // as the kernel's own limit

// Of /etc or /root it would be everything.
bool is_too_much(const fs::path& folder) {
    return !folder.has_relative_path() || !folder.parent_path().has_relative_path();
}

// Adds the folders that decide what is found under the name `file`: the one that it lies in, and for each
// symbolic link on the way the one that holds the link.
void add_with_folders(const std::string& file, std::vector<std::string>& out,
                      std::vector<std::string>& alone) {
    if (file.empty()) return;
    const auto add_folder = [&out](const fs::path& folder) {
        if (!is_too_much(folder)) out.push_back(folder.string());
    };
    std::error_code error;
    fs::path path = fs::absolute(file, error);
    for (int links = 0; links < links_max; ++links) {
        fs::path before, after;
        bool followed = false;
        for (const fs::path& part : path) {
            if (followed) {
                after /= part;
                continue;
            }
            const fs::path here = before / part;
            if (fs::is_symlink(here, error)) {
                add_folder(before);
                before /= fs::read_symlink(here, error);
                followed = true;
            } else {
                before = here;
            }
        }
        if (!followed) break;
        path = after.empty() ? before : before / after;
    }
    add_folder(path.parent_path());
    if (!is_too_much(path.parent_path())) return;
    out.push_back(path.string());
    alone.push_back(path.string());
}

std::string folder_of(const std::string& file) {
    std::error_code error;
    return fs::absolute(file, error).parent_path().string();
}

// The data folder, and the folders that symbolic links in it lead to: an index on a disk of its own.
void add_data_folder(const std::string& folder, std::vector<std::string>& out) {
    out.push_back(folder);
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
        if (at->is_symlink(error) && at->is_directory(error)) out.push_back(at->path().string());
}

// The folder of a process's threads has an entry for each.
bool is_only_thread() {
    std::error_code error;
    fs::directory_iterator at("/proc/self/task", error);
    return error || std::distance(at, fs::directory_iterator()) <= 1;
}

class Ruleset {
  public:
    explicit Ruleset(const RulesetAttributes& attributes)
        : attributes_(attributes),
          fd_(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes_, sizeof attributes_, 0))) {
    }
    ~Ruleset() { ::close(fd_); }
    Ruleset(const Ruleset&) = delete;
    Ruleset& operator=(const Ruleset&) = delete;

    bool made() const { return fd_ >= 0; }

    Result<void> allow(const std::vector<std::string>& paths, std::uint64_t access) {
        for (const std::string& path : paths)
            if (auto allowed = allow(path, access); !allowed) return allowed;
        return {};
    }

    // Connections to these ports; of a kernel that can forbid them.
    Result<void> allow_connections(const std::vector<std::uint16_t>& ports) {
        if ((attributes_.network & network_connect_tcp) == 0) return {};
        for (const std::uint16_t port : ports) {
            const PortRule rule{network_connect_tcp, port};
            if (::syscall(SYS_landlock_add_rule, fd_, rule_net_port, &rule, 0) != 0)
                return errno_error(errno, "let the sandbox connect to watched ports (Landlock)");
        }
        return {};
    }

    bool enforce() const { return ::syscall(SYS_landlock_restrict_self, fd_, 0) == 0; }

  private:
    Result<void> allow(const std::string& path, std::uint64_t access) {
        const int parent = ::open(path.c_str(), O_PATH | O_CLOEXEC);
        if (parent < 0) return {};  // not there
        struct stat status {};
        if (::fstat(parent, &status) != 0 || !S_ISDIR(status.st_mode)) access &= access_of_files;
        landlock_path_beneath_attr rule{};
        rule.allowed_access = access & attributes_.files;
        rule.parent_fd = parent;
        const auto added = ::syscall(SYS_landlock_add_rule, fd_, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        const int error_number = errno;
        ::close(parent);
        if (added != 0)
            return errno_error(error_number, "keep " + path + " within reach of the sandbox (Landlock)");
        return {};
    }

    const RulesetAttributes attributes_;
    const int fd_;
};

}  // namespace

ReachableFiles reachable_files(const Config& config, const std::string& config_file) {
    ReachableFiles files;
    files.connects = config.filter.configured() || config.queue.enabled;
    files.connects_to = watched_ports(config);
    for (const std::uint16_t port : alert_ports(config))
        files.connects_to.push_back(port);
    const bool looks_names_up = !files.connects_to.empty();
    if (looks_names_up) files.connects_to.push_back(dns_port);  // where an answer is too long for a datagram
    add_data_folder(config.server.data_folder, files.kept);
    if (!config.admin.socket.empty()) files.sockets.push_back(folder_of(config.admin.socket));
    for (const ListenerConfig& listener : config.listeners)
        if (!listener.path.empty()) files.sockets.push_back(folder_of(listener.path));
    files.read.assign(std::begin(read_by_libraries), std::end(read_by_libraries));
    add_with_folders(config.log.file, files.logs, files.alone);
    for (const std::string& file : {config_file, config.tls.certificate, config.tls.key, config.tls.ocsp,
                                    config.tls.ticket_keys, config.tls.clients.ca_file})
        add_with_folders(file, files.read, files.alone);
    files.chooses_address = config.queue.enabled && !config.queue.source_addresses.empty();
    if (config.queue.enabled || looks_names_up)
        for (const char* place : names_of_hosts)
            files.read.emplace_back(place);
    if (config.queue.enabled) {
        for (const std::string& file : {config.queue.ca_file, config.queue.smarthost_password_file})
            add_with_folders(file, files.read, files.alone);
    }
    for (const CertificateConfig& one : config.certificates)
        for (const std::string& file : {one.file, one.key, one.ocsp})
            add_with_folders(file, files.read, files.alone);
    return files;
}

ReachableFiles files_of_tls_agent(const Config& config) {
    ReachableFiles files;
    files.connects = true;
    for (const char* folder : {"/acme", "/ocsp"})
        files.kept.push_back(config.server.data_folder + folder);
    files.read.assign(std::begin(read_by_libraries), std::end(read_by_libraries));
    // Libraries for hosts and for who vouches for them are loaded when they are needed.
    for (const char* place : names_of_hosts)
        files.read.emplace_back(place);
    for (const char* place : {"/usr/lib", "/lib"})
        files.read.emplace_back(place);
    add_with_folders(config.log.file, files.logs, files.alone);
    for (const std::string& file : {config.tls.certificate, config.acme.ca_file, config.acme.eab_key_file})
        add_with_folders(file, files.read, files.alone);
    for (const CertificateConfig& one : config.certificates)
        add_with_folders(one.file, files.read, files.alone);
    return files;
}

Result<int> confine_files(const ReachableFiles& files) {
    if (!is_only_thread())
        return Error{ErrorKind::invalid,
                     "the sandbox would not hold for a thread that was made before it: this is a fault of "
                     "Pier, please report it"};
    const auto version = static_cast<int>(
        ::syscall(SYS_landlock_create_ruleset, nullptr, std::size_t{0}, LANDLOCK_CREATE_RULESET_VERSION));
    if (version < 1) {
        log::warning("sandbox.no_landlock",
                     {{"reason", std::strerror(errno)},
                      {"hint",
                       "this kernel cannot confine a process to folders: Linux 5.13 is the first that can, "
                       "with landlock in its parameter lsm="}});
        return 0;
    }
    RulesetAttributes attributes{.files = access_of_first_version};
    if (version >= 2) attributes.files |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) attributes.files |= access_truncate;
    if (version >= 4)
        attributes.network =
            (files.chooses_address ? 0 : network_bind_tcp) | (files.connects ? 0 : network_connect_tcp);
    if (version >= 5) attributes.files |= access_ioctl_dev;

    Ruleset ruleset(attributes);
    if (!ruleset.made())
        return Error{ErrorKind::io, fmt::format("the sandbox (Landlock) cannot be made: {}{}",
                                                std::strerror(errno), how_to_go_without)};
    if (auto allowed = ruleset.allow(files.kept, to_keep); !allowed) return allowed.error();
    if (auto allowed = ruleset.allow(files.sockets, to_make_sockets); !allowed) return allowed.error();
    if (auto allowed = ruleset.allow(files.logs, to_log); !allowed) return allowed.error();
    if (auto allowed = ruleset.allow(files.read, to_read); !allowed) return allowed.error();
    if (auto allowed = ruleset.allow_connections(files.connects_to); !allowed) return allowed.error();
    if (!ruleset.enforce())
        return Error{ErrorKind::io, fmt::format("the sandbox (Landlock) cannot be entered: {}{}",
                                                std::strerror(errno), how_to_go_without)};
    return version;
}

}  // namespace pier::program
