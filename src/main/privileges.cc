#include "main/privileges.h"

#include <array>
#include <cerrno>
#include <filesystem>

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pier::program {
namespace {

Result<passwd*> look_up(const std::string& user) {
    errno = 0;
    passwd* entry = ::getpwnam(user.c_str());
    if (entry == nullptr)
        return Error{
            ErrorKind::not_found,
            fmt::format(
                "there is no user \"{0}\" to run as: `useradd --system --no-create-home {0}` makes one, or "
                "set server.user to another, or to \"\" to stay root",
                user)};
    return entry;
}

// Becomes `user` if we are root and a user is named.
Result<void> become(const std::string& user) {
    if (::geteuid() != 0 || user.empty()) return {};
    const auto entry = look_up(user);
    if (!entry) return entry.error();
    const passwd& who = **entry;
    if (::initgroups(who.pw_name, who.pw_gid) != 0 || ::setresgid(who.pw_gid, who.pw_gid, who.pw_gid) != 0 ||
        ::setresuid(who.pw_uid, who.pw_uid, who.pw_uid) != 0)
        return errno_error(errno, "become the user " + user);
    if (::setuid(0) == 0) return Error{ErrorKind::io, "root's rights could not be given up"};
    return {};
}

}  // namespace

Result<void> prepare_data_folder(const std::string& folder, const std::string& user) {
    std::error_code error;
    const bool made = std::filesystem::create_directories(folder, error);
    if (error) return errno_error(error.value(), "make the data folder " + folder);
    if (made && ::chmod(folder.c_str(), 0700) != 0) return errno_error(errno, "set the mode of " + folder);
    if (::geteuid() != 0) return {};
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) return errno_error(errno, "look at " + folder);
    if (user.empty()) {
        if (status.st_uid == 0 || (status.st_mode & S_IRWXO) == S_IRWXO) return {};
        return Error{ErrorKind::invalid,
                     fmt::format("the data folder {0} belongs to another user, and server.user is \"\": root "
                                 "gives up its right to pass over that. Set server.user to the owner, or "
                                 "`chown -R root: {0}`",
                                 folder)};
    }
    const auto entry = look_up(user);
    if (!entry) return entry.error();
    if (status.st_uid == (*entry)->pw_uid) return {};
    if (!made)
        return Error{ErrorKind::invalid,
                     fmt::format("the data folder {0} does not belong to {1}: `chown -R {1}: {0}` if it "
                                 "should",
                                 folder, user)};
    if (::chown(folder.c_str(), (*entry)->pw_uid, (*entry)->pw_gid) != 0)
        return errno_error(errno, "give " + folder + " to " + user);
    return {};
}

Result<void> prepare_socket_folder(const std::string& socket_path, const std::string& user) {
    const std::string folder = std::filesystem::path(socket_path).parent_path().string();
    std::error_code error;
    if (folder.empty() || !std::filesystem::create_directories(folder, error)) {
        if (error) return errno_error(error.value(), "make the folder " + folder + " for a socket");
        return {};
    }
    // Whoever may use a socket is for its own mode to say.
    if (::chmod(folder.c_str(), 0755) != 0) return errno_error(errno, "set the mode of " + folder);
    if (::geteuid() != 0 || user.empty()) return {};
    const auto entry = look_up(user);
    if (!entry) return entry.error();
    if (::chown(folder.c_str(), (*entry)->pw_uid, (*entry)->pw_gid) != 0)
        return errno_error(errno, "give " + folder + " to " + user);
    return {};
}

Result<void> drop_privileges(const std::string& user) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    // It takes a capability to give up the right to get them; whom systemd has started does not have it, and
    // cannot run the program that it would need to get any.
    for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
        ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (auto became = become(user); !became) return became;
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
    if (::syscall(SYS_capset, &header, none.data()) != 0)
        return errno_error(errno, "give up all capabilities");
    return {};
}

void forbid_dumps() {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void raise_open_files_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace pier::program
