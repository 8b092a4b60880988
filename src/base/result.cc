#include "base/result.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

namespace pier {

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::invalid:
            return "invalid";
        case ErrorKind::not_found:
            return "not_found";
        case ErrorKind::exists:
            return "exists";
        case ErrorKind::over_quota:
            return "over_quota";
        case ErrorKind::no_space:
            return "no_space";
        case ErrorKind::busy:
            return "busy";
        case ErrorKind::io:
            return "io";
        case ErrorKind::corrupt:
            return "corrupt";
        case ErrorKind::stopped:
            return "stopped";
    }
    return "unknown";
}

Error errno_error(int error_number, std::string_view doing) {
    ErrorKind kind = ErrorKind::io;
    if (error_number == ENOSPC || error_number == EDQUOT) kind = ErrorKind::no_space;
    if (error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM) kind = ErrorKind::busy;
    if (error_number == ENOENT) kind = ErrorKind::not_found;
    char buffer[128];
    const char* reason = strerror_r(error_number, buffer, sizeof buffer);
    return {kind, fmt::format("cannot {}: {}", doing, reason)};
}

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
    throw std::logic_error(
        fmt::format("unchecked failure at {}:{}: {}", where.file_name(), where.line(), error.text));
}

}  // namespace pier
