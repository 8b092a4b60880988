// The commands' side of the management socket: connects, sends a request, waits for its answer. One thread;
// blocks.
//
//   auto client = Client::connect("/run/pier/admin.sock");
//   auto answer = client->call("account.show", {{"name", "ada"}});
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"

namespace pier::admin {

class Client {
  public:
    // `not_found`: no server runs there. `io`: the socket is there and closed to this user, or the like.
    // `patience` is how long an answer may take, in silence.
    static Result<Client> connect(const std::string& path,
                                  std::chrono::milliseconds patience = std::chrono::minutes(10));

    Client(Client&& other) noexcept;
    Client& operator=(Client&& other) noexcept;
    ~Client();

    // The answer's value or error. After an `io` error the connection is over.
    Result<boost::json::value> call(std::string_view method, const boost::json::object& params,
                                    std::string_view body = {});

  private:
    explicit Client(int fd) : fd_(fd) {}
    Result<void> send(std::string_view octets) const;
    Result<std::string> receive_line();

    int fd_ = -1;
    std::string received_;  // behind the last answer
};

}  // namespace pier::admin
