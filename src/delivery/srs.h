// The Sender Rewriting Scheme (SRS; draft of M. Wallner and S. Weber as libsrs2 and postsrsd speak it): a
// message that is forwarded gets a sender of our own domain, so that SPF holds, from which we find the
// original sender again when a bounce comes back. Pure: the time is passed in.
//
//   SRS0=hash=day=example.com=eve@us      eve@example.com, forwarded by us
//   SRS1=hash=first.example==h=d=…@us     what first.example had rewritten already: a bounce goes back to it
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "smtp/envelope.h"

namespace pier::delivery {

inline constexpr int srs_days_max = 21;  // a bounce comes within that, or not at all

class Srs {
  public:
    explicit Srs(std::string secret) : secret_(std::move(secret)) {}

    // Whether it has SRS's syntax: then it is nobody's name.
    static bool is_rewritten(std::string_view local);

    // The sender under which `domain` forwards what `sender` has sent; absent if that would be longer than
    // an address may be. The null sender stays what it is.
    std::optional<smtp::Address> rewrite(const smtp::Address& sender, std::string_view domain,
                                         Time now) const;

    // The original sender, or the server that has rewritten it before us, of a local part that rewrite()
    // made. `invalid` for all others, and for one that is older than srs_days_max.
    Result<smtp::Address> restore(std::string_view local, Time now) const;

  private:
    std::string hash_of(std::string_view tag, std::string_view text) const;

    std::string secret_;
};

}  // namespace pier::delivery
