// How a listener uses TLS, and from where it takes logins without.
#pragma once

namespace pier::serve {

enum class TlsUse { none, starttls, implicit };
enum class ClearLogin { never, loopback, always };

}  // namespace pier::serve
