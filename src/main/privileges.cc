#include "main/privileges.h"

#include <cerrno>
#include <filesystem>

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

}  // namespace

Result<void> prepare_data_folder(const std::string& folder, const std::string& user) {
    std::error_code error;
    const bool made = std::filesystem::create_directories(folder, error);
    if (error) return errno_error(error.value(), "make the data folder " + folder);
    if (made && ::chmod(folder.c_str(), 0700) != 0) return errno_error(errno, "set the mode of " + folder);
    if (::geteuid() != 0 || user.empty()) return {};
    const auto entry = look_up(user);
    if (!entry) return entry.error();
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) return errno_error(errno, "look at " + folder);
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

void raise_open_files_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace pier::program
