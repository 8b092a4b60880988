// Channels of alerts at work, with receivers on loopback.
#include "main/alert_channels.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "base/log.h"
#include "main/alert_message.h"
#include "main/web_receiver.h"
#include "net/web_server.h"
#include "queue/scripted_server.h"
#include "support/certificate.h"
#include "wire/base64.h"

namespace pier::program {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using pier::test::WebReceiver;
using queue::test::Behaviour;
using queue::test::ScriptedServer;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

const Time then = Time(1'790'000'000s);

watch::Notice notice(const std::string& what = "mail.example.org:995 is not reached",
                     watch::Severity severity = watch::Severity::critical,
                     watch::Change change = watch::Change::raised) {
    watch::Alert alert;
    alert.key = "port.mail.example.org:995.reachable";
    alert.group = "mail.example.org";
    alert.state = watch::AlertState::ill;
    alert.severity = severity;
    alert.what = what;
    alert.since = then;
    return {"mail.example.org", {{change, alert}}};
}

// Waits for what comes soon.
bool comes(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!condition() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(5ms);
    return condition();
}

std::string content(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// Or waiting for whoever inherited it to notice.
bool is_dead(pid_t process) {
    const std::string status = content(fmt::format("/proc/{}/stat", process));
    return status.empty() || status.find(") Z ") != std::string::npos;
}

class AlertChannelsTest : public testing::Test {
  protected:
    AlertChannelsTest() {
        std::signal(SIGPIPE, SIG_IGN);
        folder = (fs::temp_directory_path() / "pier-channels-XXXXXX").string();
        if (::mkdtemp(folder.data()) == nullptr) std::abort();
        settings.server = "pier.example";
        settings.retry_after = 0s;
    }
    ~AlertChannelsTest() override {
        channels.reset();
        fs::remove_all(folder);
    }

    std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        const std::string file = folder + "/" + name;
        std::ofstream(file) << text;
        ::chmod(file.c_str(), mode);
        return file;
    }
    AlertChannelConfig& add(const std::string& name, ChannelKind kind) {
        AlertChannelConfig config;
        config.name = name;
        config.kind = kind;
        config.timeout = 10s;
        settings.channels.push_back(config);
        return settings.channels.back();
    }
    // A command of the shell's.
    AlertChannelConfig& add_command(const std::string& name, const std::string& script) {
        AlertChannelConfig& config = add(name, ChannelKind::command);
        config.command = write(name + ".sh", "#!/bin/sh\n" + script, 0700);
        return config;
    }
    void start(AlertChannels::SendMail send_mail = {}) {
        auto made = AlertChannels::make(settings);
        ASSERT_TRUE(made) << made.error().text;
        channels = std::move(*made);
        channels->start(std::move(send_mail));
    }
    std::string failure() {
        const auto made = AlertChannels::make(settings);
        return made ? "it was made" : made.error().text;
    }
    AlertChannels::State state(std::size_t index = 0) const { return channels->states().at(index); }
    std::string test_error(const std::string& channel) const {
        const auto tried = channels->test(channel, then);
        if (!tried) return tried.error().text;
        return tried->at(0).error.value_or("");
    }

    std::string folder;
    AlertChannels::Settings settings;
    std::unique_ptr<AlertChannels> channels;
};

std::string hmac_of(const std::string& secret, const std::string& text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    std::size_t octets = 0;
    EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, secret.data(), secret.size(),
              reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), digest.size(),
              &octets);
    std::string hexadecimal;
    for (std::size_t at = 0; at < octets; ++at)
        hexadecimal += fmt::format("{:02x}", digest.at(at));
    return hexadecimal;
}

TEST_F(AlertChannelsTest, AWebhookIsPostedAndSigned) {
    WebReceiver receiver({204});
    auto& config = add("hook", ChannelKind::webhook);
    config.url = receiver.url("/hooks/T0KEN?a=b");
    config.secret_file = write("secret", "s3cret\nno more\n");
    start();
    channels->send(notice(), then);
    const auto requests = receiver.requests(1);
    ASSERT_THAT(requests, SizeIs(1));
    const auto& request = requests.front();
    EXPECT_THAT(request.head, StartsWith("POST /hooks/T0KEN?a=b HTTP/1.1\r\n"));
    EXPECT_EQ(request.field("Content-Type"), "application/json");
    const std::string timestamp = request.field("X-Pier-Timestamp");
    EXPECT_NEAR(std::stod(timestamp), static_cast<double>(std::time(nullptr)), 60);
    EXPECT_EQ(request.field("X-Pier-Signature"),
              "sha256=" + hmac_of("s3cret", timestamp + "." + request.body));
    EXPECT_EQ(boost::json::parse(request.body).at("at").as_string(), to_rfc3339(then));
    EXPECT_TRUE(comes([&] { return state().sent == 1; }));
    EXPECT_EQ(state().waiting, 0u);
    EXPECT_TRUE(state().last_sent);
    EXPECT_EQ(state().last_error, "");
}

TEST_F(AlertChannelsTest, WhatIsRefusedIsTriedAgainAsTheSameNotice) {
    WebReceiver receiver({503, 404, 200});
    add("hook", ChannelKind::webhook).url = receiver.url();
    start();
    channels->send(notice(), then);
    ASSERT_TRUE(comes([&] { return state().sent == 1; }));
    const auto requests = receiver.requests(3);
    ASSERT_THAT(requests, SizeIs(3));
    EXPECT_EQ(requests[0].body, requests[2].body);
    EXPECT_FALSE(requests[0].field("X-Pier-Id").empty());
    EXPECT_EQ(requests[0].field("X-Pier-Id"), requests[2].field("X-Pier-Id"));
    EXPECT_EQ(requests[0].field("X-Pier-Signature"), "");
    EXPECT_EQ(state().failed, 0u);
    EXPECT_EQ(state().last_error, "");
}

TEST_F(AlertChannelsTest, TriesHaveAnEndAndNoSecretIsInTheirError) {
    WebReceiver receiver({500});
    settings.tries_max = 3;
    auto& config = add("hook", ChannelKind::webhook);
    config.url = receiver.url("/hooks/T0KEN?key=T0KEN");
    start();
    channels->send(notice(), then);
    ASSERT_TRUE(comes([&] { return state().failed == 1; }));
    EXPECT_THAT(receiver.requests(3), SizeIs(3));
    EXPECT_THAT(state().last_error, HasSubstr("answered 500"));
    EXPECT_THAT(state().last_error, HasSubstr("http://127.0.0.1:"));
    EXPECT_THAT(state().last_error, Not(HasSubstr("T0KEN")));
    EXPECT_EQ(state().sent, 0u);
}

TEST_F(AlertChannelsTest, ANoticeThatIsRefusedForItselfHoldsNoOtherUp) {
    WebReceiver receiver({422, 200});
    settings.retry_after = 3600s;
    add("hook", ChannelKind::webhook).url = receiver.url();
    start();
    channels->send(notice("one"), then);
    channels->send(notice("two"), then);
    ASSERT_TRUE(comes([&] { return state().sent == 1; }));
    EXPECT_EQ(state().failed, 1u);
    EXPECT_THAT(receiver.requests(2).at(1).body, HasSubstr("two"));
}

TEST_F(AlertChannelsTest, AUrlThatCannotBeUsedIsRefusedWithoutBeingRepeated) {
    auto& config = add("hook", ChannelKind::webhook);
    for (const char* url : {"ftp://example.org/T0KEN", "https://user:T0KEN@example.org/", "T0KEN"}) {
        config.url = url;
        EXPECT_THAT(failure(), HasSubstr("\"hook\": its url cannot be used"));
        EXPECT_THAT(failure(), Not(HasSubstr("T0KEN")));
    }
}

TEST_F(AlertChannelsTest, AWebhookOverTlsIsVerified) {
    pier::test::CertificateFiles files, other;
    pier::test::make_certificate(files, 30);
    pier::test::make_certificate(other, 30);
    pier::test::WebServer good(&files, "HTTP/1.1 204 it\r\n\r\n"), bad(&files, "HTTP/1.1 204 it\r\n\r\n");
    auto& config = add("good", ChannelKind::webhook);
    config.url = good.url("/x");
    config.ca_file = files.certificate;
    auto& wrong = add("bad", ChannelKind::webhook);
    wrong.url = bad.url("/x");
    wrong.ca_file = other.certificate;
    start();
    EXPECT_EQ(test_error("good"), "");
    EXPECT_THAT(good.request(), HasSubstr("This is a test"));
    EXPECT_THAT(test_error("bad"), HasSubstr("its certificate is not believed"));
    EXPECT_EQ(bad.request(), "");
}

TEST_F(AlertChannelsTest, AlertmanagerGetsItsOwnForm) {
    WebReceiver receiver({200});
    settings.resolve_after = 3600s;
    add("am", ChannelKind::alertmanager).url = receiver.url("/api/v2/alerts");
    start();
    channels->send(notice(), then);
    const auto requests = receiver.requests(1);
    ASSERT_THAT(requests, SizeIs(1));
    EXPECT_THAT(requests[0].head, StartsWith("POST /api/v2/alerts HTTP/1.1\r\n"));
    const auto json = boost::json::parse(requests[0].body);
    EXPECT_EQ(json.at(0).at("labels").at("alertname").as_string(), "pier");
    EXPECT_EQ(json.at(0).at("endsAt").as_string(), to_rfc3339(then + 3600s));
}

TEST_F(AlertChannelsTest, OneThatHangsDelaysNoOtherAndEndsWithTheServer) {
    WebReceiver hanging({WebReceiver::silence}), good({200});
    auto& config = add("hanging", ChannelKind::webhook);
    config.url = hanging.url();
    config.timeout = 3600s;
    add("good", ChannelKind::webhook).url = good.url();
    start();
    channels->send(notice("one"), then);
    ASSERT_THAT(hanging.requests(1), SizeIs(1));
    channels->send(notice("two"), then);
    ASSERT_TRUE(comes([&] { return state(1).sent == 2; }));
    EXPECT_EQ(state(0).waiting, 2u);
    channels->stop();
    EXPECT_EQ(state(0).sent, 0u);
}

TEST_F(AlertChannelsTest, AReceiverThatIsSilentIsGivenUpAfterTheTimeout) {
    WebReceiver hanging({WebReceiver::silence});
    settings.tries_max = 1;
    auto& config = add("hanging", ChannelKind::webhook);
    config.url = hanging.url();
    config.timeout = 1s;
    start();
    channels->send(notice(), then);
    ASSERT_TRUE(comes([&] { return state().failed == 1; }));
    EXPECT_THAT(state().last_error, HasSubstr("no answer within"));
}

TEST_F(AlertChannelsTest, TheOldestOfTooManyIsDropped) {
    WebReceiver hanging({WebReceiver::silence});
    settings.waiting_max = 2;
    auto& config = add("hanging", ChannelKind::webhook);
    config.url = hanging.url();
    config.timeout = 3600s;
    start();
    channels->send(notice("one"), then);
    ASSERT_THAT(hanging.requests(1), SizeIs(1));  // it is under way, and is not dropped
    for (const char* what : {"two", "three", "four"})
        channels->send(notice(what), then);
    EXPECT_EQ(state().dropped, 1u);
    EXPECT_EQ(state().waiting, 3u);
}

TEST_F(AlertChannelsTest, WhatIsLessThanAChannelWantsIsNotSentThere) {
    WebReceiver all({200}), critical({200});
    add("all", ChannelKind::webhook).url = all.url();
    auto& config = add("critical", ChannelKind::webhook);
    config.url = critical.url();
    config.at_least = watch::Severity::critical;
    start();
    channels->send(notice("a warning", watch::Severity::warning), then);
    channels->send(notice("critical"), then);
    ASSERT_TRUE(comes([&] { return state(0).sent == 2 && state(1).sent == 1; }));
    EXPECT_THAT(critical.requests(1).at(0).body, Not(HasSubstr("a warning")));
}

TEST_F(AlertChannelsTest, ManyChangesAreSeveralNotices) {
    WebReceiver receiver({200});
    add("hook", ChannelKind::webhook).url = receiver.url();
    start();
    watch::Notice many = notice();
    many.transitions.resize(alerts_per_notice_max + 1, many.transitions.front());
    channels->send(many, then);
    const auto requests = receiver.requests(2);
    ASSERT_THAT(requests, SizeIs(2));
    EXPECT_EQ(boost::json::parse(requests[0].body).at("alerts").as_array().size(), alerts_per_notice_max);
    EXPECT_EQ(boost::json::parse(requests[1].body).at("alerts").as_array().size(), 1u);
}

TEST_F(AlertChannelsTest, ATestSaysOfEachChannelWhetherItTookIt) {
    WebReceiver good({200}), bad({500});
    add("good", ChannelKind::webhook).url = good.url();
    add("bad", ChannelKind::webhook).url = bad.url();
    start();
    const auto all = channels->test("", then);
    ASSERT_TRUE(all);
    ASSERT_THAT(*all, SizeIs(2));
    EXPECT_EQ(all->at(0).channel, "good");
    EXPECT_FALSE(all->at(0).error);
    EXPECT_THAT(all->at(1).error.value_or(""), HasSubstr("answered 500"));
    EXPECT_EQ(test_error("good"), "");
    EXPECT_THAT(good.requests(2).at(1).body, HasSubstr("This is a test"));
    const auto unknown = channels->test("none", then);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().kind, ErrorKind::not_found);
}

TEST_F(AlertChannelsTest, MailIsGivenToThisServer) {
    auto& config = add("mail", ChannelKind::mail);
    config.to = {"ada@example.org", "bob@example.org"};
    std::mutex mutex;
    std::string from, message;
    std::vector<std::string> to;
    start([&](const std::string& sender, const std::vector<std::string>& recipients,
              const std::string& octets) -> Result<void> {
        const std::lock_guard lock(mutex);
        if (from.empty()) {
            from = sender;
            return Error(ErrorKind::busy, "the queue is full");
        }
        to = recipients;
        message = octets;
        return {};
    });
    channels->send(notice(), then);
    ASSERT_TRUE(comes([&] { return state().sent == 1; }));
    EXPECT_EQ(from, "postmaster@pier.example");
    EXPECT_THAT(to, ElementsAre("ada@example.org", "bob@example.org"));
    EXPECT_THAT(message, HasSubstr("\r\nTo: <ada@example.org>,\r\n <bob@example.org>\r\n"));
    EXPECT_THAT(message, HasSubstr("\r\nSubject: [CRITICAL] mail.example.org:995 is not reached\r\n"));
}

TEST_F(AlertChannelsTest, MailGoesThroughAnotherServer) {
    ScriptedServer relay({});
    auto& config = add("mail", ChannelKind::mail);
    config.through = fmt::format("127.0.0.1:{}", relay.port());
    config.to = {"ada@example.org"};
    config.from = "alerts@example.org";
    start();
    channels->send(notice(), then);
    ASSERT_TRUE(comes([&] { return state().sent == 1; })) << state().last_error;
    const auto seen = relay.seen();
    EXPECT_THAT(seen.commands, Contains(StartsWith("MAIL FROM:<alerts@example.org>")));
    EXPECT_THAT(seen.commands, Contains(StartsWith("RCPT TO:<ada@example.org>")));
    ASSERT_THAT(seen.messages, SizeIs(1));
    for (const char* field : {"From: Pier <alerts@example.org>\r\n", "Auto-Submitted: auto-generated\r\n",
                              "MIME-Version: 1.0\r\n", "Content-Type: text/plain; charset=utf-8\r\n"})
        EXPECT_THAT(seen.messages[0], HasSubstr(field));
}

TEST_F(AlertChannelsTest, AMailServerThatIsSilentIsGivenUpAfterTheTimeout) {
    WebReceiver silent({WebReceiver::silence});  // it waits for a request, and the client for a greeting
    auto& config = add("mail", ChannelKind::mail);
    config.through = silent.url("").substr(std::string("http://").size());
    config.to = {"ada@example.org"};
    config.timeout = 1s;
    start();
    EXPECT_THAT(test_error("mail"), HasSubstr("it has not taken it within 1 s"));
}

TEST_F(AlertChannelsTest, AMailServerThatIsSilentDoesNotHoldTheServersEnd) {
    WebReceiver silent({WebReceiver::silence});
    auto& config = add("mail", ChannelKind::mail);
    config.through = silent.url("").substr(std::string("http://").size());
    config.to = {"ada@example.org"};
    config.timeout = 3600s;
    start();
    channels->send(notice(), then);
    channels->stop();
    EXPECT_EQ(state().sent, 0u);
}

class RelayWithTlsTest : public AlertChannelsTest {
  protected:
    RelayWithTlsTest() {
        pier::test::make_certificate(certificate, 30);
        password_file = write("password", "wonderful\n");
    }
    Behaviour behaviour() const {
        Behaviour made;
        made.extensions = {"PIPELINING", "AUTH PLAIN"};
        made.certificate = certificate.certificate;
        made.key = certificate.key;
        return made;
    }
    void add_mail(const ScriptedServer& relay) {
        auto& config = add("mail", ChannelKind::mail);
        config.through = fmt::format("localhost:{}", relay.port());
        config.to = {"ada@example.org"};
        config.account = "watch";
        config.password_file = password_file;
        config.ca_file = certificate.certificate;
    }

    pier::test::CertificateFiles certificate;
    std::string password_file;
};

TEST_F(RelayWithTlsTest, ALoginIsMadeInsideTls) {
    ScriptedServer relay(behaviour());
    add_mail(relay);
    start();
    EXPECT_EQ(test_error("mail"), "");
    const auto seen = relay.seen();
    EXPECT_THAT(seen.in_tls, ElementsAre(true));
    EXPECT_THAT(seen.commands,
                Contains("AUTH PLAIN " + wire::base64_encode(std::string("\0watch\0wonderful", 16))));
}

TEST_F(RelayWithTlsTest, NoPasswordIsSentWithoutTls) {
    Behaviour plain = behaviour();
    plain.certificate.clear();
    ScriptedServer relay(plain);
    add_mail(relay);
    start();
    EXPECT_THAT(test_error("mail"), HasSubstr("TLS is required"));
    EXPECT_THAT(relay.seen().commands, Not(Contains(StartsWith("AUTH"))));
}

TEST_F(RelayWithTlsTest, NoPasswordIsSentToWhomNoAuthorityKnows) {
    pier::test::CertificateFiles other;
    pier::test::make_certificate(other, 30);
    ScriptedServer relay(behaviour());
    add_mail(relay);
    settings.channels.back().ca_file = other.certificate;
    start();
    EXPECT_THAT(test_error("mail"), HasSubstr("certificate"));
    EXPECT_THAT(relay.seen().commands, Not(Contains(StartsWith("AUTH"))));
}

TEST_F(RelayWithTlsTest, ALoginThatIsRefusedIsSaidWithoutThePassword) {
    Behaviour strict = behaviour();
    strict.replies["AUTH"] = "535 5.7.8 no";
    ScriptedServer relay(strict);
    add_mail(relay);
    start();
    EXPECT_THAT(test_error("mail"), HasSubstr("our login was refused: 535"));
    EXPECT_THAT(test_error("mail"), Not(HasSubstr("wonderful")));
}

TEST_F(AlertChannelsTest, ARecipientWhoIsRefusedIsNamedAndTheOthersGetItOnce) {
    Behaviour behaviour;
    behaviour.replies["RCPT TO:<bob@example.org>"] = "550 5.1.1 no such user";
    ScriptedServer relay(behaviour);
    auto& config = add("mail", ChannelKind::mail);
    config.through = fmt::format("127.0.0.1:{}", relay.port());
    config.to = {"ada@example.org", "bob@example.org"};
    start();
    channels->send(notice(), then);
    ASSERT_TRUE(comes([&] { return state().sent == 1; }));
    EXPECT_THAT(state().last_error, HasSubstr("bob@example.org: "));
    EXPECT_THAT(state().last_error, HasSubstr("550 5.1.1 no such user"));
    EXPECT_THAT(relay.seen().messages, SizeIs(1));
}

TEST_F(AlertChannelsTest, ACommandGetsTheNoticeAndNothingElse) {
    ::setenv("PIER_OF_THE_SERVER", "secret", 1);
    add_command(
        "run",
        fmt::format("env | sort >{0}/env; cat >{0}/in; ls /proc/self/fd >{0}/fds; pwd >{0}/end\n", folder));
    start();
    channels->send(notice("it's \"down\"\n$(touch /tmp/x)"), then);
    ASSERT_TRUE(comes([&] { return state().sent == 1; })) << state().last_error;
    ::unsetenv("PIER_OF_THE_SERVER");
    const std::string environment = content(folder + "/env");
    EXPECT_THAT(environment, HasSubstr("PIER_KEY=port.mail.example.org:995.reachable\n"));
    EXPECT_THAT(environment, HasSubstr("PIER_SERVER=pier.example\n"));
    EXPECT_THAT(environment, Not(HasSubstr("PIER_OF_THE_SERVER")));
    EXPECT_EQ(boost::json::parse(content(folder + "/in")).at("at").as_string(), to_rfc3339(then));
    EXPECT_EQ(content(folder + "/fds"), "0\n1\n2\n3\n");  // 3 is the folder that ls reads
    EXPECT_EQ(content(folder + "/end"), "/\n");
}

TEST_F(AlertChannelsTest, ACommandThatFailsSaysWhyAndIsTriedAgain) {
    settings.tries_max = 2;
    add_command("run", fmt::format("echo x >>{}/runs; echo no route to the pager >&2; exit 3\n", folder));
    start();
    channels->send(notice(), then);
    ASSERT_TRUE(comes([&] { return state().failed == 1; }));
    EXPECT_THAT(state().last_error, HasSubstr("exit status 3: no route to the pager"));
    EXPECT_EQ(content(folder + "/runs"), "x\nx\n");
}

TEST_F(AlertChannelsTest, ACommandThatHangsIsKilledWithWhatItHasStarted) {
    settings.tries_max = 1;
    add_command("run", fmt::format("sleep 3600 &\necho $! >{}/child\nwait\n", folder)).timeout = 1s;
    start();
    channels->send(notice(), then);
    ASSERT_TRUE(comes([&] { return state().failed == 1; }));
    EXPECT_THAT(state().last_error, HasSubstr("it was killed, for it ran longer than 1 s"));
    const auto child = static_cast<pid_t>(std::stol(content(folder + "/child")));
    EXPECT_TRUE(comes([&] { return is_dead(child); }));
}

TEST_F(AlertChannelsTest, ACommandEndsWithTheServer) {
    add_command("run", fmt::format("echo $$ >{0}/new\nmv {0}/new {0}/pid\nexec sleep 3600\n", folder));
    settings.channels.back().timeout = 3600s;
    start();
    channels->send(notice(), then);
    ASSERT_TRUE(comes([&] { return fs::exists(folder + "/pid"); }));
    const auto pid = static_cast<pid_t>(std::stol(content(folder + "/pid")));
    channels->stop();
    EXPECT_TRUE(comes([&] { return is_dead(pid); }));
}

TEST_F(AlertChannelsTest, ACommandRunsWithTheRightsOfTheServersUser) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    ::chmod(folder.c_str(), 0777);
    add_command("run", fmt::format("id -un >{}/who\n", folder));
    ::chmod(settings.channels.back().command.c_str(), 0755);
    settings.user = "nobody";
    start();
    EXPECT_EQ(test_error("run"), "");
    EXPECT_EQ(content(folder + "/who"), "nobody\n");
}

TEST_F(AlertChannelsTest, TheLargestNoticeReachesACommand) {
    add_command("run", fmt::format("cat >{}/in\n", folder));
    start();
    watch::Notice largest = notice(std::string(watch::alert_text_octets_max, '"'));
    watch::Alert& alert = largest.transitions.front().alert;
    alert.evidence = alert.step = alert.what;
    alert.key = std::string(watch::alert_key_octets_max, '"');
    largest.transitions.resize(alerts_per_notice_max, largest.transitions.front());
    channels->send(largest, then);
    ASSERT_TRUE(comes([&] { return state().sent == 1; })) << state().last_error;
    EXPECT_EQ(boost::json::parse(content(folder + "/in")).at("alerts").as_array().size(),
              alerts_per_notice_max);
}

TEST_F(AlertChannelsTest, ACommandNeedNotReadItsInputNorHaveAnInterpreter) {
    add_command("deaf", "exec true\n");
    add("broken", ChannelKind::command).command = write("broken", "#!/nowhere/sh\n", 0700);
    start();
    EXPECT_EQ(test_error("deaf"), "");
    EXPECT_THAT(test_error("broken"), HasSubstr("exit status 126: it cannot be executed"));
}

TEST_F(AlertChannelsTest, AFileThatCannotBeRunIsRefused) {
    auto& config = add("run", ChannelKind::command);
    config.command = write("plain", "text");
    EXPECT_THAT(failure(), HasSubstr("chmod +x"));
    config.command = folder + "/none";
    EXPECT_THAT(failure(), HasSubstr("No such file"));
}

TEST_F(AlertChannelsTest, TheJournalIsTheLog) {
    log::Options options;
    options.file = folder + "/log";
    ASSERT_TRUE(log::configure(options));
    add("log", ChannelKind::journal);
    start();
    channels->send(notice("it is down"), then);
    channels->send(notice("it is down", watch::Severity::critical, watch::Change::resolved), then);
    ASSERT_TRUE(comes([&] { return state().sent == 2; }));
    ASSERT_TRUE(log::configure({}));
    const std::string lines = content(folder + "/log");
    EXPECT_THAT(lines, HasSubstr("level=error event=alert change=raised severity=critical"));
    EXPECT_THAT(lines, HasSubstr("level=info event=alert change=resolved"));
    EXPECT_THAT(lines, HasSubstr("what=\"it is down\""));
}

TEST(AlertMessage, IsAsciiWhateverTheNoticeSays) {
    watch::NoticeMail text{"[WARNING] a subject",
                           "raised: Gr\xC3\xBC\xC3\x9F"
                           "e\n"};
    const std::string message =
        alert_message({"a@example.org", {"b@example.org"}, "pier.example", "id", then}, text);
    EXPECT_TRUE(std::ranges::all_of(message, [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
    EXPECT_THAT(message, HasSubstr("Content-Transfer-Encoding: base64\r\n\r\n" +
                                   wire::base64_encode("raised: Gr\xC3\xBC\xC3\x9F"
                                                       "e\r\n") +
                                   "\r\n"));
    text.body = "line\n" + std::string(2000, 'x') + "\n";
    EXPECT_THAT(alert_message({"a@example.org", {"b@example.org"}, "pier.example", "id", then}, text),
                HasSubstr("Message-ID: <alert.id@pier.example>\r\n"));
    EXPECT_THAT(alert_message({"a@example.org", {"b@example.org"}, "pier.example", "id", then}, text),
                HasSubstr("base64"));
}

}  // namespace
}  // namespace pier::program
