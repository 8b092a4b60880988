// An LMTP client (RFC 2033) with one recipient for each message; pipelines where the server offers it (RFC
// 2920).
#pragma once

#include <string>
#include <string_view>

#include "load/run.h"
#include "load/stream.h"
#include "load/task.h"

namespace load {

class LmtpClient {
  public:
    LmtpClient(Run& run, std::size_t slot);

    Task<> open();
    Task<> deliver(std::string_view recipient, std::string_view message);  // returns after the 250
    Task<> quit();

  private:
    Task<> expect(std::string_view code, std::string_view to);  // a whole reply, one line or more
    Task<> hello();

    Run& run_;
    Stream stream_;
    bool pipelining_ = false;
    std::string data_;
};

}  // namespace load
