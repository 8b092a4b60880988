// Reads a method's parameters strictly: a missing, wrong or unknown one is an error that names it, and
// nothing is done.
//
//   Params params(call.params);
//   const std::string name = params.text("name");
//   const auto quota = params.maybe_number("quota_octets");
//   if (auto good = params.finish(); !good) return good.error();
//
// Values read before finish() fails are empty ones. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"

namespace pier::admin {

class Params {
  public:
    explicit Params(const boost::json::object& object) : object_(object) {}

    std::string text(std::string_view name);
    std::optional<std::string> maybe_text(std::string_view name);
    std::optional<std::uint64_t> maybe_number(std::string_view name);
    std::optional<bool> maybe_flag(std::string_view name);
    std::vector<std::string> texts(std::string_view name);  // an array of texts
    std::optional<std::vector<std::string>> maybe_texts(std::string_view name);

    // `invalid` with the first thing that was wrong; also when there is a parameter that nobody read.
    Result<void> finish() const;

  private:
    const boost::json::value* take(std::string_view name);
    void fail(std::string text);

    const boost::json::object& object_;
    std::vector<std::string_view> known_;
    std::string wrong_;
};

}  // namespace pier::admin
