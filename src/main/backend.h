// Where the commands' methods are done: in the running server, over its management socket, or, when none
// runs, in this process on the store itself. The methods are the same (admin/, methods.h). One thread; calls
// wait for the disk.
#pragma once

#include <memory>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"
#include "main/config.h"

namespace pier::program {

class Backend {
  public:
    virtual ~Backend() = default;
    // One method ("account.add"), its parameters, and octets that go with it (a message).
    virtual Result<boost::json::value> call(std::string_view method, boost::json::object params,
                                            std::string_view body = {}) = 0;
};

// Fails when the socket is there but closed to this user, or when neither server nor store can be had.
Result<std::unique_ptr<Backend>> open_backend(const Config& config);

// Whether a server answers at the management socket.
Result<bool> server_runs(const Config& config);

// Before the store is opened by a command: its folder is there, and a command that root has started becomes
// the server's user for good, so that the store never holds a file that the server can't open. The log tells
// warnings only from then on.
Result<void> prepare_store_access(const Config& config);

}  // namespace pier::program
