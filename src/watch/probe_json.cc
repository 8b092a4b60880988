#include "watch/probe_json.h"

#include <cmath>

#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>

namespace pier::watch {
namespace {

namespace json = boost::json;

double milliseconds(std::chrono::microseconds time) {
    return static_cast<double>(time.count()) / 1000;
}

template <class Value>
json::value or_null(const std::optional<Value>& value) {
    if (!value) return nullptr;
    return json::value_from(*value);
}

json::array to_json(const std::vector<Phase>& phases) {
    json::array list;
    for (const Phase& phase : phases)
        list.push_back(json::object{{"phase", phase.name}, {"ms", milliseconds(phase.time)}});
    return list;
}

json::array to_json(const std::vector<Finding>& findings) {
    json::array list;
    for (const Finding& one : findings)
        list.push_back(json::object{{"severity", to_string(one.severity)},
                                    {"code", one.code},
                                    {"what", one.what},
                                    {"evidence", one.evidence},
                                    {"step", one.step}});
    return list;
}

json::value to_json(const std::optional<Failure>& failure) {
    if (!failure) return nullptr;
    return json::object{{"phase", failure->phase}, {"text", failure->text}};
}

json::object to_json(const Certificate& one) {
    return {{"subject", one.subject},
            {"issuer", one.issuer},
            {"names", json::value_from(one.names)},
            {"not_before", to_rfc3339(one.not_before)},
            {"not_after", to_rfc3339(one.not_after)},
            {"key_type", one.key_type},
            {"key_bits", one.key_bits},
            {"signature", one.signature},
            {"self_signed", one.self_signed}};
}

json::value to_json(const std::optional<TlsFacts>& tls, Time now) {
    if (!tls) return nullptr;
    json::array chain, distrust;
    for (const Certificate& one : tls->chain)
        chain.push_back(to_json(one));
    for (const TlsFacts::Distrust& one : tls->distrust)
        distrust.push_back(json::object{{"depth", one.depth}, {"text", one.text}});
    json::object object{{"version", tls->version},   {"cipher", tls->cipher},
                        {"group", tls->group},       {"alpn", tls->alpn},
                        {"trusted", tls->trusted()}, {"name_matches", tls->name_matches},
                        {"chain", std::move(chain)}, {"distrust", std::move(distrust)}};
    if (!tls->chain.empty())
        object["days_left"] =
            std::chrono::floor<std::chrono::days>(tls->chain.front().not_after - now).count();
    return object;
}

json::object to_json(const TlsLimits& limits) {
    json::object object{{"tls_1_0", or_null(limits.takes_tls_1_0)},
                        {"tls_1_1", or_null(limits.takes_tls_1_1)},
                        {"without_encryption", or_null(limits.without_encryption)},
                        {"anonymous", or_null(limits.anonymous)},
                        {"broken", or_null(limits.broken)},
                        {"no_forward_secrecy", or_null(limits.no_forward_secrecy)},
                        {"injected_command", or_null(limits.takes_injected_command)},
                        {"wrong_alpn", nullptr}};
    constexpr std::array<std::string_view, 3> words{"ignored", "refused", "taken"};
    if (limits.wrong_alpn) object["wrong_alpn"] = words.at(static_cast<std::size_t>(*limits.wrong_alpn));
    return object;
}

json::object to_json(const Seen& seen) {
    return {{"greeting", seen.greeting},
            {"capabilities", or_null(seen.capabilities)},
            {"capabilities_tls", or_null(seen.capabilities_tls)},
            {"capabilities_login", or_null(seen.capabilities_login)},
            {"starttls_offered", or_null(seen.starttls_offered)},
            {"clear_user_taken", or_null(seen.clear_user_taken)},
            {"logged_in", seen.logged_in},
            {"login_refusal", seen.login_refusal},
            {"login_held_back", seen.login_held_back},
            {"messages", or_null(seen.messages)},
            {"octets", or_null(seen.maildrop_octets)},
            {"retrieved_octets", or_null(seen.retrieved_octets)},
            {"relay_reply", or_null(seen.relay_reply)},
            {"relays", seen.relays},
            {"verify_tells_names", or_null(seen.verify_tells_names)},
            {"ended_well", seen.ended_well}};
}

json::value to_json(std::optional<Severity> severity) {
    if (!severity) return nullptr;
    return json::value_from(to_string(*severity));
}

}  // namespace

json::object to_json(const Probe& probe) {
    return {{"target", probe.target.text()},
            {"protocol", to_string(probe.target.protocol)},
            {"tls_mode", to_string(probe.target.tls)},
            {"name", probe.target.expected_name()},
            {"time", to_rfc3339(probe.begun)},
            {"address", probe.address},
            {"near", probe.near},
            {"worst", to_json(probe.worst())},
            {"total_ms", milliseconds(probe.total)},
            {"phases", to_json(probe.phases)},
            {"failure", to_json(probe.failure)},
            {"seen", to_json(probe.seen)},
            {"tls", to_json(probe.tls, probe.begun)},
            {"limits", to_json(probe.limits)},
            {"findings", to_json(probe.findings)}};
}

json::object to_json(const Canary& canary) {
    return {{"from", canary.from},
            {"to", canary.to},
            {"sent_by", canary.sent_by},
            {"fetched_by", canary.fetched_by},
            {"time", to_rfc3339(canary.begun)},
            {"worst", to_json(canary.worst())},
            {"sent", canary.sent},
            {"came", canary.came},
            {"unchanged", canary.unchanged},
            {"deleted", canary.deleted},
            {"old_ones_deleted", canary.old_ones_deleted},
            {"phases", to_json(canary.phases)},
            {"failure", to_json(canary.failure)},
            {"findings", to_json(canary.findings)}};
}

}  // namespace pier::watch
