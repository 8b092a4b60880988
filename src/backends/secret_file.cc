#include "backends/secret_file.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "auth/password.h"

namespace pier::backends {
namespace {

constexpr std::size_t secret_octets_max = 1024;

}  // namespace

Result<std::string> read_secret(const std::string& file, std::string_view key) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor < 0) return errno_error(errno, fmt::format("read {} ({})", file, key));
    std::string text(secret_octets_max + 1, '\0');
    const ::ssize_t octets = ::read(descriptor, text.data(), text.size());
    const int error = errno;
    ::close(descriptor);
    if (octets < 0) return errno_error(error, fmt::format("read {} ({})", file, key));
    const std::size_t end =
        std::string_view(text).substr(0, static_cast<std::size_t>(octets)).find_first_of("\r\n");
    std::string secret = text.substr(0, std::min(end, static_cast<std::size_t>(octets)));
    auth::wipe(text);
    if (secret.empty() || secret.size() > secret_octets_max) {
        auth::wipe(secret);
        return Error{
            ErrorKind::invalid,
            fmt::format("the first line of {} ({}) is no password: it is empty or has more than {} octets",
                        file, key, secret_octets_max)};
    }
    return secret;
}

}  // namespace pier::backends
