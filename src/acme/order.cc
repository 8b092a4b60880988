#include "acme/order.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace pier::acme {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

constexpr std::size_t url_octets_max = 2000;
constexpr std::size_t problem_octets_max = 1000;
constexpr std::size_t authorizations_max = 200;
constexpr seconds retry_after_max{24 * 3600};

bool is_url(std::string_view text) {
    return text.starts_with("https://") && text.size() <= url_octets_max &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

// RFC 8555 §8.3: only of base64url's alphabet; it becomes part of a path.
bool is_token(std::string_view text) {
    return !text.empty() && text.size() <= 256 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_';
    });
}

std::string text_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

const json::array* array_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr ? value->if_array() : nullptr;
}

const json::object* object_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr ? value->if_object() : nullptr;
}

// RFC 8555 §6.7: what the authority says, for a person.
std::string problem_text(const json::object& problem) {
    std::string text = fmt::format("{} ({})", text_at(problem, "detail"), text_at(problem, "type"));
    if (const json::array* parts = array_at(problem, "subproblems"))
        for (const json::value& part : *parts)
            if (const json::object* one = part.if_object()) {
                const json::object* name = object_at(*one, "identifier");
                text += fmt::format("; {}: {}", name != nullptr ? text_at(*name, "value") : std::string(),
                                    text_at(*one, "detail"));
            }
    return text.substr(0, problem_octets_max);
}

}  // namespace

// What the answer says, if it is a JSON object.
struct Order::Body {
    json::object object;
    explicit Body(const std::string& text) {
        boost::system::error_code error;
        json::value value = json::parse(text, error);
        if (!error && value.is_object()) object = std::move(value.as_object());
    }
    std::string text(std::string_view key) const { return text_at(object, key); }
    std::string url(std::string_view key) const {
        std::string found = text(key);
        return is_url(found) ? found : std::string();
    }
};

std::optional<seconds> parse_retry_after(std::string_view text, std::int64_t now) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        std::tm parts{};
        const std::string date(text);
        const char* behind = ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        if (behind == nullptr || *behind != '\0') return std::nullopt;
        number = ::timegm(&parts) - now;
    }
    return seconds(std::clamp<std::int64_t>(number, 0, retry_after_max.count()));
}

void Order::fail(std::string text, std::optional<seconds> retry_after) {
    failed_ = {std::move(text), retry_after};
    step_ = Step::failed;
}

Action Order::ask(std::string url, std::string_view payload) {
    nonce_asked_ = nonce_.empty();
    if (nonce_asked_) return Ask{"HEAD", new_nonce_, {}};
    JwsHead head{url, std::exchange(nonce_, {}), step_ == Step::account ? std::string() : account_};
    std::string body = make_jws(key_, head, payload);
    return Ask{"POST", std::move(url), std::move(body)};
}

std::string Order::account_payload() const {
    json::object account{{"termsOfServiceAgreed", true}};
    if (!settings_.contact.empty()) account["contact"] = json::array{"mailto:" + settings_.contact};
    std::string text = json::serialize(account);
    if (settings_.eab_kid.empty()) return text;
    text.pop_back();
    return text + R"(,"externalAccountBinding":)" +
           make_external_binding(key_, settings_.eab_kid, settings_.eab_key, new_account_) + '}';
}

std::string Order::order_payload() const {
    json::array identifiers;
    for (const std::string& domain : settings_.domains)
        identifiers.push_back(json::object{{"type", "dns"}, {"value", domain}});
    return json::serialize(json::object{{"identifiers", std::move(identifiers)}});
}

Action Order::next() {
    if (step_ == Step::failed) return failed_;
    if (step_ == Step::done) return done_;
    if (waits_) return *waits_;
    switch (step_) {
        case Step::directory:
            return Ask{"GET", settings_.directory, {}};
        case Step::account:
            return ask(new_account_, account_payload());
        case Step::order:
            return ask(new_order_, order_payload());
        case Step::authorization:
            return ask(authorizations_[at_], {});
        case Step::publish:
            return Publish{challenges_};
        case Step::answer_challenge:
            return ask(challenge_urls_[at_], "{}");
        case Step::poll_authorization:
            return ask(pending_[at_], {});
        case Step::finalize:
            return ask(finalize_, json::serialize(json::object{{"csr", base64url(settings_.request)}}));
        case Step::poll_order:
            return ask(order_, {});
        case Step::certificate:
            return ask(certificate_, {});
        case Step::done:
        case Step::failed:
            break;
    }
    return failed_;
}

// True: the answer is a problem, and taken care of.
bool Order::take_problem(const Answer& answer) {
    if (answer.status >= 200 && answer.status < 300) {
        bad_nonces_ = 0;
        return false;
    }
    const Body body(answer.body);
    // RFC 8555 §6.5: the same again, with the nonce that came along (or a new one).
    if (body.text("type") == "urn:ietf:params:acme:error:badNonce" && ++bad_nonces_ <= bad_nonces_max)
        return true;
    fail(body.object.empty() ? fmt::format("the authority answers with HTTP status {}", answer.status)
                             : "the authority says: " + problem_text(body.object),
         answer.retry_after);
    return true;
}

void Order::on_answer(const Answer& answer) {
    if (!answer.nonce.empty()) nonce_ = answer.nonce;
    if (take_problem(answer)) return;
    if (std::exchange(nonce_asked_, false)) {
        if (nonce_.empty()) fail("the authority gives no nonce (Replay-Nonce)");
        return;
    }
    const Body body(answer.body);
    switch (step_) {
        case Step::directory:
            return take_directory(body);
        case Step::account:
            return take_account(answer);
        case Step::order:
            return take_order(answer, body);
        case Step::authorization:
            return take_authorization(body);
        case Step::answer_challenge:
            return take_challenge();
        case Step::poll_authorization:
            return take_polled_authorization(answer, body);
        case Step::finalize:
        case Step::poll_order:
            return take_finalized(answer, body);
        case Step::certificate:
            return take_certificate(answer);
        default:
            return fail("an answer that was not asked for");
    }
}

void Order::take_directory(const Body& body) {
    new_nonce_ = body.url("newNonce");
    new_account_ = body.url("newAccount");
    new_order_ = body.url("newOrder");
    if (new_nonce_.empty() || new_account_.empty() || new_order_.empty())
        return fail(fmt::format("{} is no ACME directory", settings_.directory));
    const json::object* meta = object_at(body.object, "meta");
    const json::value* bound = meta != nullptr ? meta->if_contains("externalAccountRequired") : nullptr;
    if (bound != nullptr && bound->is_bool() && bound->as_bool() && settings_.eab_kid.empty())
        return fail(
            "the authority wants an account that it knows otherwise: write acme.eab_kid and "
            "acme.eab_key_file");
    step_ = Step::account;
}

void Order::take_account(const Answer& answer) {
    if (!is_url(answer.location)) return fail("the authority gives the account no address (Location)");
    account_ = answer.location;
    step_ = Step::order;
}

void Order::take_order(const Answer& answer, const Body& body) {
    order_ = answer.location;
    finalize_ = body.url("finalize");
    const json::array* authorizations = array_at(body.object, "authorizations");
    if (!is_url(order_) || finalize_.empty() || authorizations == nullptr || authorizations->empty() ||
        authorizations->size() > authorizations_max)
        return fail("the authority's order cannot be understood");
    for (const json::value& one : *authorizations) {
        if (!one.is_string() || !is_url(one.as_string()))
            return fail("the authority's order cannot be understood");
        authorizations_.emplace_back(one.as_string());
    }
    step_ = Step::authorization;
}

void Order::take_authorization(const Body& body) {
    const json::object* identifier = object_at(body.object, "identifier");
    const std::string domain = identifier != nullptr ? text_at(*identifier, "value") : std::string();
    const std::string status = body.text("status");
    if (status == "pending") {
        bool found = false;
        if (const json::array* challenges = array_at(body.object, "challenges"))
            for (const json::value& value : *challenges) {
                const json::object* one = value.if_object();
                if (found || one == nullptr || text_at(*one, "type") != settings_.challenge_type) continue;
                const std::string token = text_at(*one, "token"), url = text_at(*one, "url");
                const bool ours = std::find(settings_.domains.begin(), settings_.domains.end(), domain) !=
                                  settings_.domains.end();
                if (!ours || !is_token(token) || !is_url(url))
                    return fail("the authority's challenge cannot be understood");
                challenges_.push_back({domain, token, token + '.' + thumbprint(key_.jwk())});
                challenge_urls_.push_back(url);
                pending_.push_back(authorizations_[at_]);
                found = true;
            }
        if (!found)
            return fail(fmt::format("the authority does not offer {} for {}; change acme.challenge",
                                    settings_.challenge_type, domain));
    } else if (status != "valid") {
        return fail(fmt::format("the authorization of {} is {}", domain, status));
    }
    if (++at_ < authorizations_.size()) return;
    at_ = 0;
    step_ = pending_.empty() ? Step::finalize : Step::publish;
}

void Order::take_challenge() {
    if (++at_ < challenge_urls_.size()) return;
    at_ = 0;
    polls_ = 0;
    step_ = Step::poll_authorization;
    waits_ = Wait{poll_pause};
}

// True: the same is to be asked again, later.
bool Order::poll_again(const Answer& answer) {
    if (++polls_ > polls_max) {
        fail("the authority does not come to an end; it is tried again later");
        return false;
    }
    waits_ = Wait{std::clamp(answer.retry_after.value_or(poll_pause), seconds(1), poll_pause_max)};
    return true;
}

void Order::take_polled_authorization(const Answer& answer, const Body& body) {
    const std::string status = body.text("status");
    if (status == "pending" || status == "processing") {
        poll_again(answer);
        return;
    }
    if (status != "valid") {
        std::string why = "no reason given";
        if (const json::array* challenges = array_at(body.object, "challenges"))
            for (const json::value& value : *challenges)
                if (const json::object* one = value.if_object())
                    if (const json::object* error = object_at(*one, "error")) why = problem_text(*error);
        return fail(fmt::format("the authority did not find the answer to its challenge under {}: {}",
                                challenges_[at_].domain, why));
    }
    polls_ = 0;
    if (++at_ < pending_.size()) return;
    at_ = 0;
    step_ = Step::finalize;
}

void Order::take_finalized(const Answer& answer, const Body& body) {
    const std::string status = body.text("status");
    if (status == "valid") {
        certificate_ = body.url("certificate");
        if (certificate_.empty()) return fail("the authority does not say where the certificate is");
        step_ = Step::certificate;
        return;
    }
    if (status == "invalid") {
        const json::object* error = object_at(body.object, "error");
        return fail("the authority gives no certificate: " +
                    (error != nullptr ? problem_text(*error) : "no reason given"));
    }
    step_ = Step::poll_order;
    poll_again(answer);
}

void Order::take_certificate(const Answer& answer) {
    if (answer.body.find("-----BEGIN CERTIFICATE-----") == std::string::npos)
        return fail("what the authority sends is no certificate (PEM)");
    done_ = {answer.body};
    step_ = Step::done;
}

}  // namespace pier::acme
