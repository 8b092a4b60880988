// What the running server says.
#include <charconv>

#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "admin/client.h"
#include "auth/name.h"
#include "main/doctor/gathering.h"

namespace pier::program::doctor {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds patience{60};
constexpr std::size_t damaged_max = 20;

// An answer that lacks what it should have is as good as none: the finding is then missing, and nothing
// breaks.
json::value ask(admin::Client& client, std::string_view method, json::object params = {}) {
    auto answer = client.call(method, params);
    return answer ? std::move(*answer) : json::value();
}

json::array list_of(const json::value& answer, std::string_view key) {
    const json::object* object = answer.if_object();
    const json::value* list = object != nullptr ? object->if_contains(key) : nullptr;
    return list != nullptr && list->is_array() ? list->as_array() : json::array();
}

json::object object_of(const json::value& answer) {
    return answer.is_object() ? answer.as_object() : json::object();
}

std::vector<std::string> error_lines(const json::value& answer) {
    std::vector<std::string> out;
    for (const json::value& line : list_of(answer, "lines")) {
        if (!line.is_string()) continue;
        const std::string text(line.as_string());
        if (text.find("level=error") != std::string::npos ||
            text.find("\"level\":\"error\"") != std::string::npos)
            out.push_back(text);
    }
    return out;
}

std::optional<double> sample(std::string_view page, std::string_view name) {
    const std::size_t at = page.find(fmt::format("\n{} ", name));
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view number = page.substr(at + name.size() + 2);
    double value = 0;
    if (std::from_chars(number.begin(), number.end(), value).ec != std::errc()) return std::nullopt;
    return value;
}

std::optional<std::chrono::milliseconds> sync_time(const json::value& metrics) {
    const json::object* object = metrics.if_object();
    const json::value* page = object != nullptr ? object->if_contains("text") : nullptr;
    if (page == nullptr || !page->is_string()) return std::nullopt;
    const std::string_view text(page->as_string());
    const auto sum = sample(text, "pier_store_sync_seconds_sum"),
               count = sample(text, "pier_store_sync_seconds_count");
    if (!sum || !count || *count < 1) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(*sum / *count * 1000));
}

// By its name, or as people log in: "ada@example.org" for "ada".
json::object show_account(admin::Client& client, const std::string& name) {
    for (const std::string& one : {name, std::string(auth::split_address(name).first)})
        if (auto found = client.call("account.show", {{"name", one}})) return object_of(*found);
    return {};
}

void ask_about_account(admin::Client& client, const Config& config, const std::string& name,
                       ServerFacts& out) {
    out.guard_blocks = list_of(ask(client, "guard.list"), "blocks");
    out.account = show_account(client, name);
    if (out.account.empty() && config.backends.empty()) out.account = {{"name", name}, {"missing", "yes"}};
}

void ask_about_recipient(admin::Client& client, const std::string& address, ServerFacts& out) {
    out.recipient = object_of(ask(client, "doctor.recipient", {{"address", address}}));
    for (const json::value& name : list_of(out.recipient, "accounts")) {
        const json::object account = object_of(ask(client, "account.show", {{"name", name.as_string()}}));
        const json::value* id = account.if_contains("id");
        if (id == nullptr) continue;
        for (const json::value& damage : list_of(ask(client, "store.verify", {{"account", *id}}), "problems"))
            if (damage.is_string() && out.damaged.size() < damaged_max)
                out.damaged.push_back(fmt::format("{}: {}", std::string_view(name.as_string()),
                                                  std::string_view(damage.as_string())));
    }
}

}  // namespace

ServerFacts server_facts(const Config& config, const Request& request) {
    ServerFacts out;
    out.socket = config.admin.socket;
    out.has_socket = !config.admin.socket.empty();
    if (!out.has_socket) return out;
    auto client = admin::Client::connect(config.admin.socket, patience);
    if (!client) {
        if (client.error().kind != ErrorKind::not_found) out.closed = client.error().text;
        return out;
    }
    auto status = client->call("status", {});
    if (!status) {  // one with all connections taken closes this one too
        out.closed = status.error().text;
        return out;
    }
    out.runs = true;
    out.status = object_of(*status);
    if (config.acme.configured()) out.status["acme"] = object_of(ask(*client, "acme.status"));
    out.errors = error_lines(ask(*client, "log.recent"));
    out.sync_time = sync_time(ask(*client, "metrics"));
    for (const json::value& domain : list_of(ask(*client, "domain.list"), "domains"))
        out.domains.emplace_back(domain.at("name").as_string());
    const About& about = request.about;
    if (!about.client.empty())
        out.guard_explained = object_of(ask(*client, "guard.explain", {{"address", about.client}}));
    if (request.areas.contains(Area::account) && !about.account.empty())
        ask_about_account(*client, config, about.account, out);
    if (request.areas.contains(Area::mail)) {
        out.store_read = true;
        out.queue = list_of(ask(*client, "queue.list"), "messages");
        if (!about.account.empty()) ask_about_recipient(*client, about.account, out);
    }
    return out;
}

}  // namespace pier::program::doctor
