// The management protocol's texts, as they travel over the Unix socket. Pure; any thread. Used by both sides.
//
//   request  {"method":"account.add","params":{"name":"ada@example.org"},"octets":120,"for":"bob"}\n
//            then 120 octets, if any were told
//   answer   {"ok":{…}}\n   or   {"error":{"kind":"not_found","text":"there is no account ada"}}\n
//
// Requests follow each other on one connection; each is answered before the next is read. Requests carry
// passwords: a line is never logged.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"

namespace pier::admin {

// Octets of a line with its LF. A longer one cannot be skipped to find the next request: the connection ends.
inline constexpr std::size_t request_line_octets_max = 1 << 20;
inline constexpr std::size_t answer_line_octets_max = 256 << 20;

struct Request {
    std::string method;
    boost::json::object params;
    std::uint64_t octets = 0;  // that follow the line
    // Caller::for_user, as the command says it; believed of root alone. At most for_user_octets_max.
    std::string for_user{};
};

// From one line, with or without its line end. `invalid` says what is wrong with it: after that nobody knows
// whether octets follow, so the answer is sent and the connection ends. More octets than `octets_max` are
// refused here, before they come.
Result<Request> parse_request(std::string_view line, std::uint64_t octets_max);
std::string write_request(const Request& request);

// What an answer holds: the value, or the error with its kind and text.
Result<boost::json::value> parse_answer(std::string_view line);
std::string write_answer(const Result<boost::json::value>& answer);

}  // namespace pier::admin
