#include "admin/params.h"

#include <algorithm>

#include <boost/json.hpp>
#include <fmt/ranges.h>

namespace pier::admin {

namespace json = boost::json;

namespace {

std::string text_of(const json::string& text) {
    return {text.data(), text.size()};
}

}  // namespace

void Params::fail(std::string text) {
    if (wrong_.empty()) wrong_ = std::move(text);
}

const json::value* Params::take(std::string_view name) {
    known_.push_back(name);
    const json::value* value = object_.if_contains(json::string_view(name.data(), name.size()));
    return value != nullptr && value->is_null() ? nullptr : value;
}

std::string Params::text(std::string_view name) {
    auto out = maybe_text(name);
    if (!out) fail(fmt::format("the parameter \"{}\" is missing", name));
    return out ? std::move(*out) : std::string();
}

std::optional<std::string> Params::maybe_text(std::string_view name) {
    const json::value* value = take(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_string()) return text_of(value->get_string());
    fail(fmt::format("the parameter \"{}\" is not a text", name));
    return std::nullopt;
}

std::optional<std::uint64_t> Params::maybe_number(std::string_view name) {
    const json::value* value = take(name);
    if (value == nullptr) return std::nullopt;
    boost::system::error_code failed;
    if (value->is_int64() || value->is_uint64()) {
        const auto out = value->to_number<std::uint64_t>(failed);
        if (!failed) return out;
    }
    fail(fmt::format("the parameter \"{}\" is not a whole number from 0", name));
    return std::nullopt;
}

std::optional<bool> Params::maybe_flag(std::string_view name) {
    const json::value* value = take(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_bool()) return value->get_bool();
    fail(fmt::format("the parameter \"{}\" is neither true nor false", name));
    return std::nullopt;
}

std::vector<std::string> Params::texts(std::string_view name) {
    auto out = maybe_texts(name);
    if (!out) fail(fmt::format("the parameter \"{}\" is not a list of texts", name));
    return out ? std::move(*out) : std::vector<std::string>();
}

std::optional<std::vector<std::string>> Params::maybe_texts(std::string_view name) {
    std::vector<std::string> out;
    const json::value* value = take(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_array()) {
        for (const json::value& element : value->get_array()) {
            if (!element.is_string()) break;
            out.push_back(text_of(element.get_string()));
        }
        if (out.size() == value->get_array().size()) return out;
    }
    fail(fmt::format("the parameter \"{}\" is not a list of texts", name));
    return std::nullopt;
}

Result<void> Params::finish() const {
    if (!wrong_.empty()) return Error{ErrorKind::invalid, wrong_};
    for (const auto& [key, value] : object_)
        if (std::ranges::find(known_, std::string_view(key.data(), key.size())) == known_.end())
            return Error{ErrorKind::invalid,
                         fmt::format("the parameter \"{}\" is not known here; known are: {}",
                                     std::string_view(key.data(), key.size()), fmt::join(known_, ", "))};
    return {};
}

}  // namespace pier::admin
