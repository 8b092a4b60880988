#include "main/probe_targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pier::program {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> targets(std::string_view text, const ProbeTargetWords& words = {}) {
    const auto found = parse_probe_target(text, words);
    if (!found) return {found.error().text};
    std::vector<std::string> texts;
    for (const ProbeTarget& one : *found)
        texts.push_back(one.target.text() + " " + std::string(to_string(one.target.protocol)) + " " +
                        std::string(to_string(one.target.tls)) + (one.may_be_closed ? " ?" : ""));
    return texts;
}

TEST(ProbeTargets, ThePortSaysWhatIsSpoken) {
    EXPECT_THAT(targets("mail.example.org:25"), ElementsAre("mail.example.org:25 smtp starttls"));
    EXPECT_THAT(targets("mail.example.org:110"), ElementsAre("mail.example.org:110 pop3 starttls"));
    EXPECT_THAT(targets("mail.example.org:143"), ElementsAre("mail.example.org:143 imap starttls"));
    EXPECT_THAT(targets("mail.example.org:465"), ElementsAre("mail.example.org:465 submission implicit"));
    EXPECT_THAT(targets("mail.example.org:587"), ElementsAre("mail.example.org:587 submission starttls"));
    EXPECT_THAT(targets("mail.example.org:993"), ElementsAre("mail.example.org:993 imap implicit"));
    EXPECT_THAT(targets("[2001:db8::1]:995"), ElementsAre("[2001:db8::1]:995 pop3 implicit"));
    EXPECT_THAT(targets("192.0.2.1:24"), ElementsAre("192.0.2.1:24 lmtp none"));
}

TEST(ProbeTargets, WordsGoBeforeThePort) {
    EXPECT_THAT(targets("h:1995", {"pop3", "", ""}), ElementsAre("h:1995 pop3 starttls"));
    EXPECT_THAT(targets("h:1995", {"pop3", "implicit", ""}), ElementsAre("h:1995 pop3 implicit"));
    EXPECT_THAT(targets("h:995", {"imap", "", ""}), ElementsAre("h:995 imap starttls"));
    EXPECT_THAT(targets("h:110", {"", "none", ""}), ElementsAre("h:110 pop3 none"));
    EXPECT_THAT(targets("h:1995"), ElementsAre(HasSubstr("--protocol")));
}

TEST(ProbeTargets, WithoutAPortAllMailPorts) {
    EXPECT_EQ(targets("2001:db8::1").size(), 7u);
    EXPECT_THAT(targets("h", {"pop3", "", ""}),
                ElementsAre("h:110 pop3 starttls ?", "h:995 pop3 implicit ?"));
    EXPECT_THAT(targets("h", {"pop3", "implicit", ""}), ElementsAre("h:995 pop3 implicit"));
    EXPECT_THAT(targets("h", {"", "implicit", ""}),
                ElementsAre("h:465 submission implicit ?", "h:993 imap implicit ?", "h:995 pop3 implicit ?"));
    EXPECT_THAT(targets("h", {"lmtp", "", ""}), ElementsAre("h:24 lmtp none"));
    EXPECT_THAT(targets("h", {"smtp", "implicit", ""}), ElementsAre(HasSubstr("no usual port")));
}

TEST(ProbeTargets, WhatIsNoTarget) {
    for (const char* text : {"", ":25", "h:", "h:0", "h:65536", "h:25x", "[::1", "[::1]25", "h: 25"})
        EXPECT_FALSE(parse_probe_target(text, {})) << text;
}

TEST(ProbeTargets, OwnListeners) {
    Config config;
    config.server.hostname = "mail.example.org";
    ListenerConfig pop3;
    pop3.tls = TlsUse::starttls;
    ListenerConfig pop3s = pop3;
    pop3s.protocol = Protocol::pop3s;
    pop3s.port = 995;
    pop3s.address = "::";
    pop3s.tls = TlsUse::implicit;
    ListenerConfig lmtp;
    lmtp.protocol = Protocol::lmtp;
    lmtp.path = "/run/pier/lmtp";
    ListenerConfig acme;
    acme.protocol = Protocol::acme_http;
    config.listeners = {pop3, pop3s, lmtp, acme};
    const auto all = own_listeners(config, {});
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].target.text(), "127.0.0.1:110");
    EXPECT_EQ(all[0].target.expected_name(), "mail.example.org");
    EXPECT_EQ(all[0].target.tls, watch::TlsMode::starttls);
    EXPECT_EQ(all[1].target.text(), "[::1]:995");
    EXPECT_EQ(all[1].target.tls, watch::TlsMode::implicit);
    EXPECT_TRUE(own_listeners(config, {"smtp", "", ""}).empty());
}

}  // namespace
}  // namespace pier::program
