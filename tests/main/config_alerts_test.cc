// Which channels of alerts are possible, and what is refused.
#include "main/config_alerts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/sandbox.h"

namespace pier::program {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Nobody listens for the whole network, so that nothing else is warned of.
constexpr std::string_view quiet = "[[listener]]\nprotocol = \"lmtp\"\npath = \"/run/x\"\n";

Loaded parse(const std::string& text) {
    return parse_config(std::string(quiet) + text, "/etc/pier/pier.toml");
}

std::vector<std::string> texts(const std::string& text) {
    std::vector<std::string> all;
    for (const Problem& problem : parse(text).problems)
        all.push_back(problem.text);
    return all;
}

std::vector<std::string> of_channel(const std::string& keys) {
    return texts("[[alerts.channel]]\n" + keys);
}

TEST(ConfigAlerts, ChannelsOfEveryKindAreRead) {
    const Loaded loaded = parse(
        "[alerts]\nquiet_hours = \"22:00-07:00\"\nremind_after = \"2h\"\ndisk_free_warning = 20\n"
        "[[alerts.channel]]\nkind = \"mail\"\nto = [\"a@example.org\", \"b@example.org\"]\n"
        "through = \"mail.example.net:587\"\naccount = \"pier\"\npassword_file = \"/etc/pier/p\"\n"
        "[[alerts.channel]]\nkind = \"webhook\"\nurl = \"https://hooks.example.org/x\"\n"
        "secret_file = \"/etc/pier/s\"\nat_least = \"critical\"\n"
        "[[alerts.channel]]\nkind = \"command\"\nname = \"page\"\ncommand = \"/usr/bin/page\"\n"
        "[[alerts.channel]]\n"
        "[[alerts.channel]]\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:9093/api/v2/alerts\"\n");
    EXPECT_THAT(loaded.problems, IsEmpty());
    const AlertsConfig& alerts = loaded.config.alerts;
    EXPECT_EQ(alerts.remind_after, seconds(2 * 3600));
    EXPECT_EQ(alerts.disk_free_warning, 20u);
    ASSERT_EQ(alerts.channels.size(), 5u);
    EXPECT_EQ(alerts.channels[0].name, "mail");
    EXPECT_THAT(alerts.channels[0].to, ElementsAre("a@example.org", "b@example.org"));
    EXPECT_EQ(alerts.channels[1].at_least, watch::Severity::critical);
    EXPECT_EQ(alerts.channels[2].name, "page");
    EXPECT_EQ(alerts.channels[3].kind, ChannelKind::journal);
    EXPECT_THAT(alert_ports(loaded.config), ElementsAre(443, 587, 9093));
}

TEST(ConfigAlerts, WithoutChannelsNothingIsConnectedTo) {
    EXPECT_THAT(alert_ports(parse("").config), IsEmpty());
    Loaded loaded = parse("[queue]\nenabled = false\n[watch]\nown = false\n");
    EXPECT_THAT(reachable_files(loaded.config, "").connects_to, IsEmpty());
    loaded = parse(
        "[queue]\nenabled = false\n[watch]\nown = false\n[[alerts.channel]]\nkind = \"webhook\"\n"
        "url = \"https://[2001:db8::1]:8443/\"\n");
    EXPECT_THAT(loaded.problems, IsEmpty());
    EXPECT_THAT(reachable_files(loaded.config, "").connects_to, ElementsAre(8443, 53));
}

TEST(ConfigAlerts, WhatAChannelNeedsIsSaid) {
    EXPECT_THAT(of_channel("kind = \"mail\"\n"), ElementsAre(HasSubstr("needs recipients")));
    EXPECT_THAT(of_channel("kind = \"webhook\"\n"), ElementsAre(HasSubstr("needs to know where to")));
    EXPECT_THAT(of_channel("kind = \"alertmanager\"\n"), ElementsAre(HasSubstr("needs to know where to")));
    EXPECT_THAT(of_channel("kind = \"command\"\n"), ElementsAre(HasSubstr("by its whole path")));
    const Loaded loaded = parse("[[alerts.channel]]\nkind = \"command\"\ncommand = \"page\"\n");
    EXPECT_THAT(loaded.problems, IsEmpty());
    EXPECT_EQ(loaded.config.alerts.channels[0].command, "/etc/pier/page") << "from the file's folder on";
}

TEST(ConfigAlerts, WhatHasNoMeaningIsRefused) {
    EXPECT_THAT(of_channel("kind = \"journal\"\nurl = \"https://x.example/\"\n"),
                ElementsAre(HasSubstr("alerts.channel.url has no meaning for kind = \"journal\"")));
    EXPECT_THAT(of_channel("kind = \"mail\"\nto = [\"a@example.org\"]\nsecret_file = \"/x\"\n"),
                ElementsAre(HasSubstr("secret_file has no meaning")));
    EXPECT_THAT(of_channel("kind = \"mail\"\nto = [\"a@example.org\"]\nca_file = \"/x\"\n"),
                ElementsAre(HasSubstr("without through")));
    EXPECT_THAT(
        of_channel("kind = \"mail\"\nto = [\"a@example.org\"]\naccount = \"x\"\npassword_file = \"/x\"\n"),
        ElementsAre(HasSubstr("nobody logs in without")));
}

TEST(ConfigAlerts, WhatIsWrongIsToldAtItsPlace) {
    EXPECT_THAT(texts("[alerts]\nquiet_hours = \"22-7\"\n"), ElementsAre(HasSubstr("alerts.quiet_hours")));
    EXPECT_THAT(texts("[alerts]\ndisk_free_warning = 1\n"), ElementsAre(HasSubstr("nobody is warned")));
    EXPECT_THAT(of_channel("kind = \"webhook\"\nurl = \"ftp://x/\"\n"),
                ElementsAre(HasSubstr("is no web address")));
    EXPECT_THAT(of_channel("kind = \"webhook\"\nurl = \"http://hooks.example.org/\"\n"),
                ElementsAre(HasSubstr("write https")));
    EXPECT_THAT(of_channel("kind = \"mail\"\nto = [\"nobody\"]\n"),
                ElementsAre(HasSubstr("is no address of mail")));
    EXPECT_THAT(of_channel("kind = \"mail\"\nto = [\"a@example.org\"]\nthrough = \"mail.example.net\"\n"),
                ElementsAre(HasSubstr("a server and its port")));
    EXPECT_THAT(of_channel("[[alerts.channel]]\n"), ElementsAre(HasSubstr("two channels have the name")));
    std::string many;
    for (int i = 0; i < 17; ++i)
        many += "[[alerts.channel]]\nname = \"c" + std::to_string(i) + "\"\n";
    EXPECT_THAT(texts(many), ElementsAre(HasSubstr("at most 16")));
}

}  // namespace
}  // namespace pier::program
