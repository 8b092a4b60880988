// The management API: methods by name, each from a JSON object (and perhaps octets) to a JSON value. The
// server answers the Unix socket with it; a command without a server calls it in its own process; so both do
// the same.
//
//   Api api;
//   add_directory_methods(api, directory, store);          (admin/methods.h; main/ adds "status", "reload",
//   …) std::string answer = api.call(line, body, octets_max);
//
// Methods are added before the first call; calls come from any thread, several at once, and may wait for the
// disk: not on an event loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "admin/caller.h"
#include "admin/protocol.h"
#include "base/result.h"

namespace pier::admin {

// What a method gets; it lives as long as the call.
struct Call {
    const boost::json::object& params;
    std::string_view body;  // the octets behind the request's line
    Caller caller{};        // who asks
};
using Method = std::function<Result<boost::json::value>(const Call&)>;

class Api {
  public:
    // The name is new.
    void add(std::string name, Method method);
    // Puts something around a method that is there.
    void around(std::string_view name, const std::function<Method(Method)>& wrap);

    // Does the method; `invalid` for one that is not there.
    Result<boost::json::value> call(std::string_view method, const boost::json::object& params,
                                    std::string_view body = {}, const Caller& caller = {}) const;

    // The same from a request's line and the octets behind it, to the answer's line. For whom root asks, the
    // line says.
    std::string call(std::string_view line, std::string_view body, std::uint64_t octets_max,
                     Caller caller = {}) const;

    std::vector<std::string_view> methods() const;  // by name

  private:
    std::map<std::string, Method, std::less<>> methods_;
};

}  // namespace pier::admin
