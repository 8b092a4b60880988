// What `pier doctor` asks of a running server: those who decide about logins and addresses say what they
// would decide.
//
//   doctor.login      user, address, [protocol], [listener], [tls], [password]
//                       -> {"user","address","protocol","listener","where","tls","gates":
//                           [{"gate","state","code","text","step"}, …]}
//   doctor.recipient  address -> {"address","accepted","domain_served","reply","accounts","elsewhere","room"}
#include <future>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "admin/params.h"
#include "auth/name.h"
#include "auth/password.h"
#include "main/running.h"
#include "serve/login_examination.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using admin::Call, admin::Params;

// As accounts and app passwords name it; empty: nobody logs in by such a listener.
std::string_view login_protocol(Protocol protocol) {
    if (protocol == Protocol::pop3 || protocol == Protocol::pop3s) return "pop3";
    if (protocol == Protocol::submission || protocol == Protocol::submissions) return "submission";
    return {};
}

serve::LoginWay way_by(const ListenerConfig& listener) {
    serve::LoginWay way{listener.name};
    if (listener.tls == TlsUse::implicit) way.tls = serve::TlsUse::implicit;
    if (listener.tls == TlsUse::starttls) way.tls = serve::TlsUse::starttls;
    if (listener.clear_login == ClearLogin::never) way.clear_login = serve::ClearLogin::never;
    if (listener.clear_login == ClearLogin::always) way.clear_login = serve::ClearLogin::always;
    return way;
}

json::object to_json(const serve::LoginGateReport& gate) {
    return {{"gate", gate.gate},
            {"state", serve::to_string(gate.state)},
            {"code", gate.code},
            {"text", gate.text},
            {"step", gate.step}};
}

std::string text_of(const smtp::Reply& reply) {
    return fmt::format("{} {} {}", reply.code, reply.enhanced, reply.text);
}

}  // namespace

// The best for a client that uses TLS, or does not; absent: nobody has said.
const ListenerConfig* Running::login_listener(std::string_view protocol, std::string_view name,
                                              std::optional<bool> tls) const {
    const ListenerConfig* best = nullptr;
    for (const ListenerConfig& listener : config_.listeners) {
        if (login_protocol(listener.protocol) != protocol) continue;
        if (!name.empty()) {
            if (listener.name == name) return &listener;
            continue;
        }
        const auto merit = [&](const ListenerConfig& one) {
            if (one.tls == TlsUse::none) return tls.value_or(true) ? 0 : 2;
            return (one.tls == TlsUse::implicit) == tls.value_or(true) ? 2 : 1;
        };
        if (best == nullptr || merit(listener) > merit(*best)) best = &listener;
    }
    return best;
}

Result<json::value> Running::examine_login(const Call& call) {
    Params params(call.params);
    serve::LoginQuestion question;
    question.user = params.text("user");
    const std::string address = params.text("address");
    question.protocol = params.maybe_text("protocol").value_or("pop3");
    const std::string name = params.maybe_text("listener").value_or("");
    const auto tls = params.maybe_flag("tls");
    question.password = params.maybe_text("password");
    if (auto good = params.finish(); !good) return good.error();
    if (auto good = auth::check_protocols(std::array{question.protocol}); !good) return good.error();
    boost::system::error_code failed;
    question.from = boost::asio::ip::make_address(address, failed);
    if (failed)
        return Error{ErrorKind::invalid,
                     fmt::format("\"{}\" is not an IP address; write one, as in 192.0.2.7", address)};
    json::object out{{"user", question.user}, {"address", address}, {"protocol", question.protocol}};
    const ListenerConfig* listener = login_listener(question.protocol, name, tls);
    if (listener == nullptr) {
        const serve::LoginGateReport none{
            "listener", serve::LoginGateReport::State::stops, "no_listener",
            fmt::format("no listener takes logins by {}{}", question.protocol,
                        name.empty() ? "" : fmt::format(" under the name {}", name)),
            fmt::format("add a [[listener]] with protocol = \"{}\", then: systemctl restart pier",
                        question.protocol)};
        out["gates"] = json::array{to_json(none)};
        return json::value(std::move(out));
    }
    const serve::LoginWay way = way_by(*listener);
    question.tls = tls.value_or(way.tls != serve::TlsUse::none);
    std::string where;
    for (const auto& [at, endpoint] : server_->listeners())
        if (at == listener->name) where += (where.empty() ? "" : ", ") + endpoint.text();
    const serve::LoginJudges judges{*server_,  guard_,  *authenticator_, *directory_,           chain_.get(),
                                    sessions_, leases_, login_delay_,    config_.pop3.exclusive};
    json::array gates;
    for (const auto& gate : serve::examine_login(judges, way, question))
        gates.push_back(to_json(gate));
    if (question.password) auth::wipe(*question.password);
    out["listener"] = listener->name;
    out["where"] = where;
    out["tls"] = question.tls;
    out["gates"] = std::move(gates);
    return json::value(std::move(out));
}

Result<json::value> Running::examine_recipient(const Call& call) {
    Params params(call.params);
    const std::string text = params.text("address");
    if (auto good = params.finish(); !good) return good.error();
    const auto [local, domain] = auth::split_address(text);
    const smtp::Address address{std::string(local), auth::fold_name(domain)};
    delivery::Resolved resolved;
    if (chain_) {
        std::promise<Result<auth::Recipients>> promise;
        auto found = promise.get_future();
        authenticator_->find_recipients(
            address.local, address.domain,
            [&promise](Result<auth::Recipients> all) { promise.set_value(std::move(all)); });
        resolved = delivery_->resolved(address, found.get());
    } else {
        resolved = delivery_->resolve(address);
    }
    json::array accounts, elsewhere;
    for (const auto& account : resolved.accounts)
        accounts.push_back(json::value(account->name));
    for (const auto& one : resolved.elsewhere)
        elsewhere.push_back(json::value(one.text()));
    const auto full = delivery_->room_refusal(resolved.accounts, 0);
    return json::value(json::object{{"address", text},
                                    {"accepted", resolved.reply.positive()},
                                    {"domain_served", domain.empty() || directory_->has_domain(domain)},
                                    {"reply", text_of(resolved.reply)},
                                    {"accounts", std::move(accounts)},
                                    {"elsewhere", std::move(elsewhere)},
                                    {"room", full ? text_of(*full) : std::string()}});
}

void Running::register_doctor_methods() {
    api_.add("doctor.login", [this](const Call& call) { return examine_login(call); });
    api_.add("doctor.recipient", [this](const Call& call) { return examine_recipient(call); });
}

}  // namespace pier::program
