#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/doctor/diagnosis.h"

namespace pier::program::doctor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using watch::Severity;

const Time now = Time(std::chrono::seconds(1'800'000'000));
constexpr std::uint64_t gib = 1ull << 30;

Facts of_running_server() {
    Facts facts;
    facts.now = now;
    facts.config_file = "/etc/pier/pier.toml";
    facts.server = ServerFacts{};
    facts.server->runs = true;
    facts.server->socket = "/run/pier/pier.sock";
    return facts;
}

std::vector<std::string> codes(const Facts& facts) {
    std::vector<std::string> out;
    for (const watch::Finding& finding : diagnose(facts, {})) {
        EXPECT_FALSE(finding.what.empty() || finding.step.empty()) << finding.code;
        out.push_back(finding.code);
    }
    return out;
}

ListenerFacts pop3() {
    ListenerFacts listener{.name = "pop3-110", .where = "*:110", .port = 110, .address_problem = {}};
    listener.listened = listener.of_server = true;
    return listener;
}

CertificateFacts certificate() {
    CertificateFacts out;
    out.file = "/etc/pier/cert.pem";
    out.key_file = "/etc/pier/key.pem";
    out.host = "mail.example.org";
    out.names = {"mail.example.org"};
    out.not_before = now - std::chrono::hours(24);
    out.not_after = now + std::chrono::hours(24 * 60);
    return out;
}

DiskFacts disk() {
    return {"/var/lib/pier", "", 100 * gib, 50 * gib, 1000, 500};
}

TEST(Doctor, finds_nothing_where_nothing_is_wrong) {
    Facts facts = of_running_server();
    facts.listeners = {pop3()};
    facts.certificates = {certificate()};
    facts.disk = disk();
    facts.clock = ClockFacts{.synchronised = true, .newest_file = {}};
    facts.machine = MachineFacts{8 * gib, 4 * gib, 20000, 11000};
    facts.firewall = watch::Firewall{};
    facts.filter = FilterFacts{"127.0.0.1:11333", "", false};
    EXPECT_THAT(codes(facts), IsEmpty());
}

TEST(Doctor, a_server_that_is_down_and_a_port_that_another_has) {
    Facts facts = of_running_server();
    facts.server->runs = false;
    EXPECT_THAT(codes(facts), ElementsAre("server_down"));
    ListenerFacts listener = pop3();
    listener.of_server = false;
    listener.holder = watch::Holder{812, "nginx"};
    facts.listeners = {listener};
    const auto findings = diagnose(facts, {});
    ASSERT_EQ(findings.size(), 2u);
    EXPECT_EQ(findings[1].code, "port_taken");
    EXPECT_THAT(findings[1].evidence, HasSubstr("nginx (process 812)"));
}

TEST(Doctor, listeners_that_cannot_be_opened) {
    const auto code = [](auto change, bool runs) {
        Facts facts = of_running_server();
        facts.server->runs = runs;
        ListenerFacts listener = pop3();
        listener.of_server = listener.listened = false;
        change(listener);
        facts.listeners = {listener};
        return codes(facts).back();
    };
    EXPECT_EQ(code([](auto& one) { one.address_problem = "Cannot assign"; }, false), "address_not_here");
    EXPECT_EQ(code([](auto& one) { one.needs_rights = true; }, false), "port_needs_rights");
    EXPECT_EQ(code([](auto&) {}, true), "listener_missing");
    EXPECT_EQ(code([](auto&) {}, false), "server_down");
}

TEST(Doctor, how_a_listener_answers) {
    const auto code = [](const char* phase, const char* text) {
        Facts facts = of_running_server();
        ListenerFacts listener = pop3();
        listener.probe.emplace();
        listener.probe->failure = watch::Failure{phase, text};
        facts.listeners = {listener};
        return codes(facts).at(0);
    };
    EXPECT_EQ(code("connect", "Connection refused"), "listener_unreachable");
    EXPECT_EQ(code("greeting", "timed out"), "listener_silent");
    EXPECT_EQ(code("greeting", "-ERR [SYS/TEMP] Too many connections"), "connections_full");
    EXPECT_EQ(code("tls", "handshake"), "listener_tls_fails");
    EXPECT_EQ(code("quit", "closed"), "listener_broken");

    Facts facts = of_running_server();
    ListenerFacts listener = pop3();
    listener.probe.emplace();
    for (const auto& [ms, found] : {std::pair(2999, 0u), std::pair(3000, 1u)}) {
        listener.probe->phases = {{"greeting", std::chrono::milliseconds(ms)}};
        facts.listeners = {listener};
        EXPECT_EQ(codes(facts).size(), found) << ms;
    }
}

TEST(Doctor, certificates) {
    const auto code = [](auto change) {
        Facts facts = of_running_server();
        CertificateFacts one = certificate();
        change(one);
        facts.certificates = {one};
        const auto all = codes(facts);
        return all.size() == 1 ? all.front() : std::to_string(all.size());
    };
    EXPECT_EQ(code([](auto& one) { one.not_after = now; }), "certificate_expired");
    EXPECT_EQ(code([](auto& one) { one.not_before = now + std::chrono::seconds(1); }),
              "certificate_not_yet_valid");
    EXPECT_EQ(code([](auto& one) { one.not_after = now + std::chrono::hours(24 * 14); }),
              "certificate_ends_soon");
    EXPECT_EQ(code([](auto& one) { one.not_after = now + std::chrono::hours(24 * 15); }), "0");
    EXPECT_EQ(code([](auto& one) { one.for_host = false; }), "certificate_wrong_name");
    EXPECT_EQ(code([](auto& one) { one.key_matches = false; }), "certificate_key_mismatch");
    EXPECT_EQ(code([](auto& one) { one.key_unreadable = "no"; }), "key_unreadable");
    EXPECT_EQ(code([](auto& one) { one.key_open = true; }), "key_open");
    EXPECT_EQ(code([](auto& one) { one.unreadable = "no"; }), "certificate_unreadable");
}

TEST(Doctor, disk_memory_descriptors_and_clock_at_their_thresholds) {
    const auto of_disk = [](std::uint64_t octets_free, std::uint64_t inodes_free) {
        Facts facts = of_running_server();
        facts.disk = disk();
        facts.disk->octets_free = octets_free;
        facts.disk->inodes_free = inodes_free;
        return codes(facts);
    };
    EXPECT_THAT(of_disk(64ull << 20, 500), ElementsAre("disk_full"));
    EXPECT_THAT(of_disk((64ull << 20) + 1, 500), ElementsAre("disk_nearly_full"));
    EXPECT_THAT(of_disk(5 * gib, 500), ElementsAre("disk_nearly_full"));
    EXPECT_THAT(of_disk(6 * gib, 500), IsEmpty());
    EXPECT_THAT(of_disk(50 * gib, 20), ElementsAre("inodes_short"));
    EXPECT_THAT(of_disk(50 * gib, 21), IsEmpty());

    Facts facts = of_running_server();
    facts.machine = MachineFacts{8 * gib, 64ull << 20, 10999, 11000};
    EXPECT_THAT(codes(facts), ElementsAre("memory_short", "descriptors_low"));
    facts.machine.reset();
    facts.clock = ClockFacts{false, std::chrono::seconds(300), "x"};
    EXPECT_THAT(codes(facts), ElementsAre("clock_behind", "clock_unsynchronised"));
    facts.clock = ClockFacts{std::nullopt, std::chrono::seconds(299), "x"};
    EXPECT_THAT(codes(facts), IsEmpty());
}

TEST(Doctor, what_the_server_says_of_itself) {
    Facts facts = of_running_server();
    facts.server->status = boost::json::parse(R"({
        "drain": {"draining": true, "connections": 3},
        "limits": {"limits.connections_max": {"limit": 10, "now": 10, "reached": 4},
                   "limits.sessions_per_account_max": {"limit": 1, "reached": 2},
                   "auth.waiting_max": {"limit": 1000, "now": 10, "reached": 0}},
        "backends": [{"name": "ldap", "worker": true, "outages": 2, "restarts": 0},
                     {"name": "pam", "worker": false, "outages": 0, "restarts": 9}],
        "oauth": {"outages": 1}, "tls": {"self_signed": true, "certificate": "x"},
        "acme": {"failures": 2, "failure": "no answer"}})")
                               .as_object();
    facts.server->errors = {"time=… level=error event=store.failed reason=x",
                            "time=… level=error event=tls.reload.failed reason=x"};
    facts.server->sync_time = std::chrono::milliseconds(1000);
    EXPECT_THAT(codes(facts),
                ElementsAre("draining", "connections_full", "backend_down", "certificate_stand_in",
                            "certificate_not_taken_up", "limit_reached", "logins_wait", "backend_down",
                            "issuer_down", "renewal_fails", "log_errors", "slow_disk"));
    // An answer of another version, without what is looked for, is no finding.
    facts = of_running_server();
    facts.server->status =
        boost::json::parse(R"({"limits": [], "drain": 1, "backends": {}, "tls": null})").as_object();
    EXPECT_THAT(codes(facts), IsEmpty());
}

TEST(Doctor, names_and_recipients) {
    Facts facts = of_running_server();
    facts.takes_mail_from_world = true;
    EXPECT_THAT(codes(facts), IsEmpty());  // the store was not asked
    facts.server->store_read = true;
    EXPECT_THAT(codes(facts), ElementsAre("no_domain"));
    const auto code = [](const char* recipient) {
        Facts one = of_running_server();
        one.server->recipient = boost::json::parse(recipient).as_object();
        const auto all = codes(one);
        return all.empty() ? std::string() : all.front();
    };
    EXPECT_EQ(
        code(R"({"address":"a@b.example","accepted":false,"domain_served":false,"reply":"550 5.7.1 x"})"),
        "domain_not_served");
    EXPECT_EQ(
        code(R"({"address":"a@b.example","accepted":false,"domain_served":true,"reply":"550 5.1.1 x"})"),
        "recipient_unknown");
    EXPECT_EQ(
        code(R"({"address":"a@b.example","accepted":false,"domain_served":true,"reply":"451 4.4.3 x"})"),
        "backend_down");
    EXPECT_EQ(
        code(R"({"address":"a@b.example","accepted":true,"domain_served":true,"room":"452 4.2.2 full"})"),
        "account_full");
    EXPECT_EQ(code(R"({"address":"a@b.example","accepted":true,"domain_served":true,"room":""})"), "");
}

TEST(Doctor, records_of_dns_once_each) {
    using State = RecordCheck::State;
    Facts facts = of_running_server();
    facts.dns =
        DnsFacts{.host = "mail.example.org", .unanswered = {}, .addresses = {"192.0.2.1"}, .domains = {}};
    const RecordCheck spf{{"mail.example.org", "TXT", "v=spf1 a -all", "SPF", false}, State::missing, ""};
    for (const char* domain : {"example.org", "example.net"})
        facts.dns->domains.push_back(
            {domain,
             {spf, {{domain, "MX", "10 mail.example.org.", "", false}, State::differs, "10 other."}}});
    EXPECT_THAT(codes(facts), ElementsAre("domain_mx_elsewhere", "domain_mx_elsewhere", "domain_no_spf"));
    facts.dns->unanswered = "no answer";
    EXPECT_THAT(codes(facts), ElementsAre("dns_unanswered"));
    facts.dns->unanswered.clear();
    facts.dns->domains.clear();
    facts.dns->addresses.clear();
    facts.dns->time = std::chrono::milliseconds(2000);
    EXPECT_THAT(codes(facts), ElementsAre("host_no_address", "slow_dns"));
}

TEST(Doctor, a_login_by_its_gates) {
    const auto findings = login_findings(boost::json::parse(R"([
        {"gate":"tls","state":"passes","code":"","text":"fine","step":""},
        {"gate":"guard","state":"holds","code":"guard_delays","text":"it waits","step":"wait"},
        {"gate":"password","state":"stops","code":"wrong_password","text":"it is wrong","step":"pier account passwd ada"}])")
                                             .as_array());
    ASSERT_EQ(findings.size(), 2u);
    EXPECT_EQ(findings[0].severity, Severity::warning);
    EXPECT_EQ(findings[1].severity, Severity::critical);
    EXPECT_EQ(findings[1].step, "pier account passwd ada");
}

}  // namespace
}  // namespace pier::program::doctor
