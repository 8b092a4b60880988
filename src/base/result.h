// Results: what a function that may fail returns. A failure of disk, network or input is a value; an
// exception is our own bug. Result<T> is boost::system::result: `if (!r) return r.error();`, `*r`,
// `r->member`.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <boost/system/result.hpp>

namespace pier {

enum class ErrorKind {
    invalid,  // the caller's input is wrong
    not_found,
    exists,
    over_quota,  // the account's quota does not allow it
    no_space,    // ENOSPC, EDQUOT: goes away when space is made
    busy,        // a limit, a lock, no descriptors, no memory; goes away by itself
    io,          // the disk or the network failed
    corrupt,     // stored bytes do not match their checksum
    stopped,     // the service is stopping or has failed for good
};

struct Error {
    ErrorKind kind{};
    std::string text;  // for a person: the cause, and the next step where there is one

    Error() = default;  // Boost's result asks for it
    Error(ErrorKind k, std::string t) : kind(k), text(std::move(t)) {}
};

// The word for a kind, as logs and --json use it: "over_quota".
std::string_view to_string(ErrorKind kind);

// From errno: ENOSPC, EDQUOT become no_space; EMFILE, ENFILE, ENOMEM busy; ENOENT not_found; others io.
// `doing` names the action and the thing: "write /var/lib/pier/log/00000001.seg".
Error errno_error(int error_number, std::string_view doing);

[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace pier
