#include "watch/notice.h"

#include <algorithm>
#include <array>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/printable.h"

namespace pier::watch {
namespace {

namespace json = boost::json;

constexpr std::size_t subject_octets_max = 200;

std::string clean(std::string_view text) {
    return printable(text, alert_text_octets_max);
}

std::string ascii(std::string text) {
    for (char& c : text)
        if (c < 0x20 || c > 0x7E) c = '?';
    return text;
}

bool is_over(Change change) {
    return change == Change::resolved || change == Change::forgotten;
}

// "RESOLVED", if all of it is over; else its severity.
std::string_view headline(const Notice& notice) {
    for (const Transition& one : notice.transitions)
        if (!is_over(one.change)) return notice.severity() == Severity::critical ? "CRITICAL" : "WARNING";
    return "RESOLVED";
}

json::object to_json(const Transition& transition) {
    const Alert& alert = transition.alert;
    return {{"change", to_string(transition.change)},
            {"key", clean(alert.key)},
            {"severity", to_string(alert.severity)},
            {"what", clean(alert.what)},
            {"evidence", clean(alert.evidence)},
            {"step", clean(alert.step)},
            {"since", to_rfc3339(alert.since)},
            {"flapping", alert.flapping},
            {"acknowledged_by",
             alert.acknowledged ? json::value(json::string(clean(alert.acknowledged->by))) : json::value()}};
}

}  // namespace

NoticeMail notice_mail(const Notice& notice, std::string_view server) {
    NoticeMail mail;
    const std::size_t more = notice.transitions.size() - 1;
    std::string subject =
        fmt::format("[{}] {}", headline(notice), clean(notice.transitions.front().alert.what));
    if (more > 0) subject += fmt::format(" (and {} more)", more);
    mail.subject = ascii(printable(subject, subject_octets_max));
    for (const Transition& one : notice.transitions) {
        const Alert& alert = one.alert;
        mail.body += fmt::format("{}: {}\n", to_string(one.change), clean(alert.what));
        if (!alert.evidence.empty()) mail.body += fmt::format("  seen:  {}\n", clean(alert.evidence));
        if (!alert.step.empty()) mail.body += fmt::format("  next:  {}\n", clean(alert.step));
        mail.body += fmt::format("  {}  {}, since {}{}\n\n",
                                 is_over(one.change) ? "was:   " : "is:    ", to_string(alert.severity),
                                 to_rfc3339(alert.since), alert.flapping ? ", back and forth" : "");
        if (!is_over(one.change)) mail.body += fmt::format("  pier alert ack {}\n\n", clean(alert.key));
    }
    mail.body += fmt::format("-- \n{}\n", clean(server));
    return mail;
}

std::string notice_json(const Notice& notice, std::string_view server, Time at) {
    json::array alerts;
    for (const Transition& one : notice.transitions)
        alerts.push_back(to_json(one));
    return json::serialize(json::object{{"version", 1},
                                        {"server", clean(server)},
                                        {"at", to_rfc3339(at)},
                                        {"group", clean(notice.group)},
                                        {"severity", to_string(notice.severity())},
                                        {"alerts", std::move(alerts)}});
}

std::string notice_signature(std::string_view secret, std::string_view timestamp, std::string_view body) {
    const std::string text = fmt::format("{}.{}", timestamp, body);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned octets = 0;
    ::HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &octets);
    std::string signature = "sha256=";
    for (unsigned at = 0; at < octets; ++at)
        signature += fmt::format("{:02x}", digest[at]);
    return signature;
}

std::string notice_for_alertmanager(const Notice& notice, std::string_view server, Time at,
                                    std::chrono::seconds resolve_after) {
    json::array alerts;
    for (const Transition& one : notice.transitions) {
        const Alert& alert = one.alert;
        // Labels say which alert it is: nothing that changes meanwhile is one.
        alerts.push_back(json::object{
            {"labels", json::object{{"alertname", "pier"},
                                    {"instance", clean(server)},
                                    {"key", clean(alert.key)},
                                    {"group", clean(notice.group)}}},
            {"annotations", json::object{{"severity", to_string(alert.severity)},
                                         {"summary", clean(alert.what)},
                                         {"description", clean(alert.evidence)},
                                         {"step", clean(alert.step)}}},
            {"startsAt", to_rfc3339(is_over(one.change) ? std::min(alert.since, at) : alert.since)},
            {"endsAt", to_rfc3339(is_over(one.change) ? at : at + resolve_after)}});
    }
    return json::serialize(alerts);
}

std::vector<std::pair<std::string, std::string>> notice_environment(const Notice& notice,
                                                                    std::string_view server) {
    const Transition& first = notice.transitions.front();
    return {{"PIER_SERVER", clean(server)},
            {"PIER_GROUP", clean(notice.group)},
            {"PIER_SEVERITY", std::string(to_string(notice.severity()))},
            {"PIER_CHANGE", std::string(to_string(first.change))},
            {"PIER_KEY", clean(first.alert.key)},
            {"PIER_SUBJECT", notice_mail(notice, server).subject},
            {"PIER_COUNT", std::to_string(notice.transitions.size())}};
}

Notice test_notice(Time at) {
    Alert alert;
    alert.key = "test";
    alert.group = "test";
    alert.state = AlertState::ill;
    alert.severity = Severity::critical;
    alert.what = "This is a test: nothing is wrong";
    alert.step = "Nothing is to be done.";
    alert.since = at;
    return {"test", {{Change::raised, std::move(alert)}}};
}

}  // namespace pier::watch
