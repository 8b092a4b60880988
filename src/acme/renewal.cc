#include "acme/renewal.h"

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <openssl/crypto.h>

#include "acme/certificate.h"
#include "base/log.h"
#include "base/random.h"
#include "base/whole_file.h"
#include "net/https.h"
#include "net/self_signed.h"

namespace pier::acme {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

constexpr mode_t owner_alone = 0600;
constexpr std::size_t file_octets_max = 256 << 10;
constexpr std::size_t answer_octets_max = 256 << 10;
constexpr seconds unanswered_pause{5}, refused_pause{15 * 60}, pause_max{6 * 3600};
constexpr int challenge_days = 7;

// From 0 to 1.
double chance() {
    unsigned char octets[2];
    random_bytes(octets);
    return (octets[0] * 256 + octets[1]) / 65535.0;
}

// A secret text, wiped when it goes.
struct Secret {
    std::string text;
    ~Secret() { OPENSSL_cleanse(text.data(), text.size()); }
};

}  // namespace

seconds Renewal::pause_after(int failures, bool refused, std::optional<seconds> retry_after) {
    seconds pause = refused ? refused_pause : unanswered_pause;
    for (int i = 1; i < failures && pause < pause_max; ++i)
        pause *= 2;
    return std::max(std::min(pause, pause_max), retry_after.value_or(seconds(0)));
}

Renewal::Renewal(RenewalSettings settings, Hooks hooks)
    : settings_(std::move(settings)), hooks_(std::move(hooks)) {
    if (auto cleared = publish({}); !cleared) log::error("acme.failed", {{"reason", cleared.error().text}});
    schedule();
    write_status(until_ == Time{} ? "no certificate yet" : "has a certificate");
}

// By the certificate that is there; at once if there is none for these names.
void Renewal::schedule() {
    due_ = system_now();
    until_ = {};
    const Secret pem{[this] {
        auto text = read_whole_file(path("certificate.pem"), file_octets_max);
        return text ? std::move(*text) : std::string();
    }()};
    const auto life = life_of(pem.text);
    if (!life) return;
    until_ = life->until;
    if (is_for(pem.text, settings_.domains)) due_ = life->renewal(chance());
}

Result<Key> Renewal::account_key() const {
    const std::string file = path("account.pem");
    auto pem = read_whole_file(file, file_octets_max);
    if (pem) {
        const Secret secret{std::move(*pem)};
        auto key = Key::from_pem(secret.text);
        if (!key)
            return Error{ErrorKind::invalid,
                         "the account's key " + file + " cannot be used: " + key.error().text};
        return key;
    }
    if (pem.error().kind != ErrorKind::not_found) return pem.error();
    auto key = Key::make();
    if (!key) return key;
    const Secret text{key->pem()};
    if (auto written = replace_file(file, text.text, owner_alone); !written) return written.error();
    log::info("acme.account", {{"key", file}, {"directory", settings_.directory}});
    return key;
}

Result<std::string> Renewal::eab_key() const {
    if (settings_.eab_key_file.empty()) return std::string();
    auto text = read_whole_file(settings_.eab_key_file, file_octets_max);
    if (!text) return text.error();
    const Secret secret{std::move(*text)};
    std::string_view line = secret.text;
    line = line.substr(0, line.find_last_not_of(" \r\n") + 1);
    auto key = base64url_decode(line, file_octets_max);
    if (!key || key->empty())
        return Error{ErrorKind::invalid, settings_.eab_key_file +
                                             " holds no key in base64url; put there what the "
                                             "authority has given you, and nothing else"};
    return *key;
}

Result<void> Renewal::publish(const std::vector<Challenge>& challenges) const {
    json::object http, tls;
    for (const Challenge& one : challenges) {
        if (settings_.challenge_type == "http-01") {
            http[one.token] = one.key_authorization;
            continue;
        }
        auto pair = net::make_self_signed({one.domain}, challenge_days, sha256(one.key_authorization));
        if (!pair) return pair.error();
        tls[one.domain] = json::object{{"certificate", pair->certificate}, {"key", pair->key}};
    }
    return replace_file(path("challenges.json"),
                        json::serialize(json::object{{"http", std::move(http)}, {"tls", std::move(tls)}}),
                        owner_alone);
}

Result<Answer> Renewal::ask(const Ask& what) const {
    net::HttpsRequest request;
    request.method = what.method;
    request.url = what.url;
    request.body = what.body;
    request.ca_file = settings_.ca_file;
    request.octets_max = answer_octets_max;
    request.time_max = std::chrono::seconds(30);
    request.fields = {{"User-Agent", "Pier"}};
    if (what.method == "POST") request.fields.push_back({"Content-Type", "application/jose+json"});
    const auto reply = net::https_call(request);
    if (!reply) return reply.error();
    const auto now = std::chrono::duration_cast<seconds>(system_now().time_since_epoch()).count();
    return Answer{reply->status, std::string(reply->field("Replay-Nonce")),
                  std::string(reply->field("Location")), reply->body,
                  parse_retry_after(reply->field("Retry-After"), now)};
}

Renewal::Obtained Renewal::drive(Order& order) {
    for (;;) {
        const Action action = order.next();
        if (const auto* what = std::get_if<Ask>(&action)) {
            const auto answer = ask(*what);
            if (!answer) return {{}, Failure{answer.error().text}};
            log::debug("acme.asked_authority",
                       {{"method", what->method}, {"url", what->url}, {"status", answer->status}});
            order.on_answer(*answer);
        } else if (const auto* wanted = std::get_if<Publish>(&action)) {
            if (auto published = publish(wanted->challenges); !published)
                return {{}, Failure{published.error().text}};
            if (!hooks_.challenges_changed())
                return {{}, Failure{"the server does not take the answers for the authority up"}};
            order.on_published();
        } else if (const auto* waits = std::get_if<Wait>(&action)) {
            if (!hooks_.wait(waits->time)) return {{}, Failure{"the server stops"}};
            order.on_waited();
        } else if (const auto* failed = std::get_if<Failed>(&action)) {
            return {{}, Failure{failed->text, true, failed->retry_after}};
        } else {
            return {std::get<Done>(action).chain};
        }
    }
}

std::optional<Renewal::Failure> Renewal::obtain() {
    const auto account = account_key();
    if (!account) return Failure{account.error().text};
    auto binding = eab_key();
    if (!binding) return Failure{binding.error().text};
    const Secret binding_key{std::move(*binding)};
    const auto key = Key::make();
    if (!key) return Failure{key.error().text};
    const auto request = make_request(*key, settings_.domains);
    if (!request) return Failure{request.error().text};

    Order order({settings_.directory, settings_.domains, settings_.contact, settings_.challenge_type,
                 *request, settings_.eab_kid, binding_key.text},
                *account);
    const Obtained obtained = drive(order);
    // Nobody is to ask any more, whatever came of it.
    if (publish({})) hooks_.challenges_changed();
    if (obtained.failure) return obtained.failure;
    const auto life = check_chain(obtained.chain, *key, settings_.domains, system_now());
    if (!life) return Failure{life.error().text, true};
    Secret file{obtained.chain};
    if (!file.text.ends_with('\n')) file.text += '\n';
    const Secret key_text{key->pem()};
    file.text += key_text.text;
    if (auto written = replace_file(path("certificate.pem"), file.text, owner_alone); !written)
        return Failure{written.error().text};
    return std::nullopt;
}

void Renewal::attempt() {
    tried_ = system_now();
    write_status("asking the authority");
    const auto failed = obtain();
    if (failed) {
        ++failures_;
        failure_ = failed->text;
        const seconds pause = pause_after(failures_, failed->refused, failed->retry_after);
        due_ = system_now() + pause;
        log::error("acme.failed",
                   {{"reason", failure_},
                    {"failures", failures_},
                    {"next_s", pause.count()},
                    {"hint", until_ == Time{} ? "there is no certificate yet: a self-signed one stands in"
                                              : "the certificate that is there stays in use"}});
        write_status("failed");
        return;
    }
    failures_ = 0;
    failure_.clear();
    schedule();
    log::info("acme.certificate", {{"until", to_rfc3339(until_)}, {"renewal", to_rfc3339(due_)}});
    write_status("has a certificate");
    hooks_.certificate_changed();
}

void Renewal::write_status(std::string_view state) const {
    const auto text = [](Time time) {
        return time == Time{} ? json::value() : json::value(to_rfc3339(time));
    };
    json::object status{{"state", state},
                        {"domains", json::array(settings_.domains.begin(), settings_.domains.end())},
                        {"directory", settings_.directory},
                        {"challenge", settings_.challenge_type},
                        {"until", text(until_)},
                        {"tried", text(tried_)},
                        {"next", text(due_)},
                        {"failures", failures_},
                        {"failure", failure_}};
    if (auto written = replace_file(path("status.json"), json::serialize(status), owner_alone); !written)
        log::warning("acme.status.failed", {{"reason", written.error().text}});
}

}  // namespace pier::acme
