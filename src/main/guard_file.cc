#include "main/guard_file.h"

#include <cerrno>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"

namespace pier::program {

GuardFile::GuardFile(auth::Guard& guard, const std::string& data_folder)
    : guard_(guard), path_(data_folder + "/guard.json") {}

void GuardFile::load() {
    std::ifstream in(path_, std::ios::binary);
    if (!in) return;
    std::ostringstream text;
    text << in.rdbuf();
    if (auto restored = guard_.restore(text.str()); !restored)
        log::warning("guard.state.lost", {{"file", path_},
                                          {"reason", restored.error().text},
                                          {"hint", "the guard begins without what it had counted"}});
}

void GuardFile::save() {
    const auto written = write(guard_.save());
    if (!written && !said_failure_)
        log::warning("guard.state.unsaved",
                     {{"file", path_},
                      {"reason", written.error().text},
                      {"hint", "blocks hold until the server stops; make room on the disk"}});
    said_failure_ = !written;
}

Result<void> GuardFile::write(const std::string& text) const {
    const std::string fresh = path_ + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return errno_error(errno, "make " + fresh);
    std::string_view rest = text;
    int failure = 0;
    while (!rest.empty() && failure == 0) {
        const ssize_t n = ::write(fd, rest.data(), rest.size());
        if (n >= 0)
            rest.remove_prefix(static_cast<std::size_t>(n));
        else if (errno != EINTR)
            failure = errno;
    }
    if (failure == 0 && ::fdatasync(fd) != 0) failure = errno;
    ::close(fd);
    if (failure == 0 && ::rename(fresh.c_str(), path_.c_str()) != 0) failure = errno;
    if (failure == 0) return {};
    ::unlink(fresh.c_str());
    return errno_error(failure, "write " + fresh);
}

}  // namespace pier::program
