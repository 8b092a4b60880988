// A notice in the forms of the channels.
#include "watch/notice.h"

#include <algorithm>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

namespace pier::watch {
namespace {

using namespace std::chrono_literals;

constexpr Time then{std::chrono::hours(24 * 365 * 50)};

Notice notice(Change change = Change::raised) {
    Alert alert;
    alert.key = "port.mail.example.org:995.reachable";
    alert.group = "mail.example.org";
    alert.state = AlertState::ill;
    alert.severity = Severity::critical;
    alert.what = "mail.example.org:995 is not reached\r\nBcc: all@example.org";
    alert.evidence = "sch\xC3\xB6n \x1B[2J";
    alert.step = "Look whether it runs.";
    alert.since = then;
    return {"mail.example.org", {{change, alert}}};
}

TEST(NoticeMail, ItsSubjectIsOneLineOfAscii) {
    const NoticeMail mail = notice_mail(notice(), "pier.example");
    EXPECT_EQ(mail.subject.rfind("[CRITICAL] mail.example.org:995 is not reached", 0), 0U);
    for (const char c : mail.subject)
        EXPECT_TRUE(c >= 0x20 && c <= 0x7E);
    EXPECT_EQ(mail.body.find("\nBcc:"), std::string::npos);
    EXPECT_EQ(mail.body.find('\x1B'), std::string::npos);
    EXPECT_NE(mail.body.find("pier alert ack port.mail.example.org:995.reachable"), std::string::npos);
    EXPECT_EQ(notice_mail(notice(Change::resolved), "pier.example").subject.rfind("[RESOLVED] ", 0), 0U);
}

TEST(NoticeJson, HasWhatTheDocumentationSays) {
    const auto json = boost::json::parse(notice_json(notice(), "pier.example", then + 5s));
    EXPECT_EQ(json.at("version").as_int64(), 1);
    EXPECT_EQ(json.at("at").as_string(), to_rfc3339(then + 5s));
    EXPECT_EQ(json.at("severity").as_string(), "critical");
    const auto& alert = json.at("alerts").at(0);
    EXPECT_EQ(alert.at("change").as_string(), "raised");
    EXPECT_EQ(alert.at("since").as_string(), to_rfc3339(then));
    EXPECT_TRUE(alert.at("acknowledged_by").is_null());
}

// HMAC-SHA-256 of "1.{}" with the key "secret", by `openssl dgst -sha256 -hmac secret`.
TEST(NoticeSignature, IsThatOfTimestampAndBody) {
    EXPECT_EQ(notice_signature("secret", "1", "{}"),
              "sha256=1122767b193110cfec322b6f199b599edbf608ed087f2d27afb0b97d99523908");
}

TEST(NoticeForAlertmanager, EndsNowIfItIsOver) {
    const auto raised = boost::json::parse(notice_for_alertmanager(notice(), "pier.example", then + 5s, 1h));
    const auto over =
        boost::json::parse(notice_for_alertmanager(notice(Change::resolved), "pier.example", then + 5s, 1h));
    EXPECT_EQ(raised.at(0).at("labels"), over.at(0).at("labels"));
    EXPECT_EQ(raised.at(0).at("endsAt").as_string(), to_rfc3339(then + 5s + 1h));
    EXPECT_EQ(over.at(0).at("endsAt").as_string(), to_rfc3339(then + 5s));
}

TEST(NoticeEnvironment, HoldsNoControlCharacters) {
    for (const auto& [name, value] : notice_environment(notice(), "pier.example"))
        EXPECT_TRUE(std::ranges::none_of(value, [](char c) { return c >= 0 && c < 0x20; })) << name;
}

}  // namespace
}  // namespace pier::watch
