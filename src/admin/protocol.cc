#include "admin/protocol.h"

#include <array>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "admin/caller.h"

namespace pier::admin {

namespace json = boost::json;

namespace {

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

std::string text_of(const json::string& text) {
    return {text.data(), text.size()};
}

Result<json::object> parse_line(std::string_view line, std::string_view what) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    boost::system::error_code failed;
    json::value parsed = json::parse(json::string_view(line.data(), line.size()), failed);
    if (failed) return invalid(fmt::format("the {} is not JSON: {}", what, failed.message()));
    if (!parsed.is_object()) return invalid(fmt::format("the {} is not a JSON object", what));
    return std::move(parsed.get_object());
}

ErrorKind kind_of(std::string_view name) {
    constexpr std::array kinds{ErrorKind::invalid,    ErrorKind::not_found, ErrorKind::exists,
                               ErrorKind::over_quota, ErrorKind::no_space,  ErrorKind::busy,
                               ErrorKind::io,         ErrorKind::corrupt,   ErrorKind::stopped};
    for (const ErrorKind kind : kinds)
        if (to_string(kind) == name) return kind;
    return ErrorKind::io;  // of a newer server
}

}  // namespace

Result<Request> parse_request(std::string_view line, std::uint64_t octets_max) {
    if (line.size() > request_line_octets_max) return invalid("the request is too long");
    auto object = parse_line(line, "request");
    if (!object) return object.error();
    Request out;
    bool has_method = false;
    for (auto& [key, value] : *object) {
        if (key == "method" && value.is_string()) {
            out.method = text_of(value.get_string());
            has_method = true;
        } else if (key == "params" && value.is_object()) {
            out.params = std::move(value.get_object());
        } else if (key == "octets" && (value.is_int64() || value.is_uint64())) {
            boost::system::error_code failed;
            out.octets = value.to_number<std::uint64_t>(failed);
            if (failed) return invalid("the request's \"octets\" is negative");
            if (out.octets > octets_max)
                return invalid(
                    fmt::format("{} octets are more than the {} that are accepted", out.octets, octets_max));
        } else if (key == "for" && value.is_string() && value.get_string().size() <= for_user_octets_max) {
            out.for_user = text_of(value.get_string());
        } else {
            return invalid(
                "the request has a member that is not known or of the wrong type; known are the texts "
                "\"method\" and \"for\", the object \"params\" and the number \"octets\"");
        }
    }
    if (!has_method) return invalid("the request names no method");
    return out;
}

std::string write_request(const Request& request) {
    json::object out{{"method", request.method}, {"params", request.params}};
    if (request.octets != 0) out["octets"] = request.octets;
    if (!request.for_user.empty()) out["for"] = request.for_user;
    return json::serialize(out) + '\n';
}

Result<json::value> parse_answer(std::string_view line) {
    auto object = parse_line(line, "answer");
    if (!object) return object.error();
    if (json::value* ok = object->if_contains("ok"); ok != nullptr && object->size() == 1)
        return std::move(*ok);
    const json::value* error = object->if_contains("error");
    if (error != nullptr && error->is_object()) {
        const json::value* kind = error->get_object().if_contains("kind");
        const json::value* text = error->get_object().if_contains("text");
        if (kind != nullptr && kind->is_string() && text != nullptr && text->is_string())
            return Error{kind_of(text_of(kind->get_string())), text_of(text->get_string())};
    }
    return invalid("the answer is neither \"ok\" nor an \"error\"");
}

std::string write_answer(const Result<json::value>& answer) {
    json::object out;
    if (answer) {
        out["ok"] = *answer;
    } else {
        const Error error = answer.error();
        out["error"] = {{"kind", std::string(to_string(error.kind))}, {"text", error.text}};
    }
    return json::serialize(out) + '\n';
}

}  // namespace pier::admin
