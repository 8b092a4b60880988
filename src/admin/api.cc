#include "admin/api.h"

#include <cassert>

#include <fmt/format.h>

namespace pier::admin {

void Api::add(std::string name, Method method) {
    [[maybe_unused]] const bool fresh = methods_.emplace(std::move(name), std::move(method)).second;
    assert(fresh && "two methods of one name: one of them would never be called");
}

void Api::around(std::string_view name, const std::function<Method(Method)>& wrap) {
    const auto at = methods_.find(name);
    assert(at != methods_.end() && "there is no method of that name to put something around");
    at->second = wrap(std::move(at->second));
}

Result<boost::json::value> Api::call(std::string_view method, const boost::json::object& params,
                                     std::string_view body, const Caller& caller) const {
    const auto at = methods_.find(method);
    if (at == methods_.end())
        return Error{ErrorKind::invalid,
                     "the server does not know this method; is it older than the command? "
                     "'pier status' shows its version"};
    return at->second({params, body, caller});
}

std::string Api::call(std::string_view line, std::string_view body, std::uint64_t octets_max,
                      Caller caller) const {
    const auto request = parse_request(line, octets_max);
    if (!request) return write_answer(request.error());
    if (request->octets != body.size())
        return write_answer(Error{ErrorKind::invalid, fmt::format("{} octets were announced and {} came",
                                                                  request->octets, body.size())});
    if (caller.user == 0u) caller.for_user = request->for_user;
    return write_answer(call(request->method, request->params, body, caller));
}

std::vector<std::string_view> Api::methods() const {
    std::vector<std::string_view> out;
    out.reserve(methods_.size());
    for (const auto& [name, method] : methods_)
        out.emplace_back(name);
    return out;
}

}  // namespace pier::admin
