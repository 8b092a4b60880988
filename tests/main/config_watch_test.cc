// What is watched by which configuration, and what is refused.
#include "main/config_watch.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/sandbox.h"

namespace pier::program {
namespace {

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

std::vector<std::string> targets(const OwnPorts& own) {
    std::vector<std::string> all;
    for (const watch::Target& target : own.targets)
        all.push_back(target.text());
    return all;
}

TEST(ConfigWatch, TargetsAreReadWithWhatTheirPortsSay) {
    const Loaded loaded = parse(
        "[watch]\ninterval = \"1m\"\n"
        "[[watch.target]]\nhost = \"mail.example.org\"\nport = 995\n"
        "[[watch.target]]\nhost = \"2001:db8::1\"\nport = 1110\nprotocol = \"pop3\"\ntls = \"none\"\n"
        "[[watch.target]]\nhost = \"mail.example.org\"\nprotocol = \"lmtp\"\n");
    EXPECT_THAT(loaded.problems, IsEmpty());
    const auto& all = loaded.config.watch.targets;
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(loaded.config.watch.interval, seconds(60));
    const auto first = watched_target(all[0]), second = watched_target(all[1]),
               third = watched_target(all[2]);
    ASSERT_TRUE(first && second && third);
    EXPECT_EQ(first->text(), "mail.example.org:995");
    EXPECT_EQ(first->protocol, watch::Protocol::pop3);
    EXPECT_EQ(first->tls, watch::TlsMode::implicit);
    EXPECT_EQ(second->text(), "[2001:db8::1]:1110");
    EXPECT_EQ(second->tls, watch::TlsMode::none);
    EXPECT_EQ(third->text(), "mail.example.org:24");
    EXPECT_THAT(watched_ports(loaded.config), ElementsAre(24, 995, 1110));
}

TEST(ConfigWatch, WhatIsWrongIsToldAtItsPlace) {
    const Loaded loaded = parse("[[watch.target]]\nhost = \"mail.example.org\"\n");
    ASSERT_EQ(loaded.problems.size(), 1u);
    EXPECT_EQ(loaded.problems[0].place.text(), "/etc/pier/pier.toml:5:1");
    EXPECT_THAT(texts("[watch]\nintervall = 3\n"), ElementsAre(HasSubstr("did you mean \"interval\"?")));
    EXPECT_THAT(texts("[[watch.targte]]\nhost = \"x\"\n"),
                ElementsAre(HasSubstr("did you mean \"target\"?")));
    EXPECT_THAT(texts("[watch.target]\nhost = \"x\"\n"), ElementsAre(HasSubstr("[[watch.target]]")));
    EXPECT_THAT(texts("[[watch.target]]\nhst = \"x\"\n"),
                testing::Contains(HasSubstr("unknown key \"hst\" in [watch.target]")));
    EXPECT_THAT(texts("[[watch.target]]\nhost = \"a b\"\nport = 25\n"), ElementsAre(HasSubstr("is no host")));
    EXPECT_THAT(texts("[[watch.target]]\nhost = \"1::2::3\"\nport = 25\n"),
                ElementsAre(HasSubstr("is no host")));
    EXPECT_THAT(texts("[\"watch.target\"]\n"), ElementsAre(HasSubstr("unknown section")));
}

TEST(ConfigWatch, AnEmptyTargetIsAWarningAndWatchesNothing) {
    const Loaded loaded = parse("[[watch.target]]\n[[watch.canary]]\n");
    EXPECT_TRUE(loaded.usable());
    EXPECT_EQ(loaded.problems.size(), 2u);
    EXPECT_FALSE(watches(loaded.config));
}

std::string many(std::string_view section, std::size_t count, std::string_view keys) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
        text += fmt::format("[[{}]]\nname = \"n{}\"\n{}", section, i, keys);
    return text;
}

TEST(ConfigWatch, TheNumberOfTargetsAndCanariesIsBounded) {
    EXPECT_TRUE(parse(many("watch.target", watch_targets_max, "")).usable());
    EXPECT_FALSE(parse(many("watch.target", watch_targets_max + 1, "")).usable());
    EXPECT_TRUE(parse(many("watch.canary", watch_canaries_max, "")).usable());
    EXPECT_FALSE(parse(many("watch.canary", watch_canaries_max + 1, "")).usable());
}

TEST(ConfigWatch, CanariesNameTheirWay) {
    const std::string rest =
        "from = \"a@example.org\"\nto = \"b@example.org\"\naccount = \"b\"\npassword_file = \"x\"\n";
    const auto canary = [&](const std::string& sender, const std::string& fetcher) {
        return fmt::format("[[watch.canary]]\nsender = \"{}\"\nfetcher = \"{}\"\n{}", sender, fetcher, rest);
    };
    EXPECT_THAT(texts(canary("mail.example.org:25", "mail.example.org:995")), IsEmpty());
    EXPECT_THAT(texts(canary("mail.example.org:4711", "mail.example.org:995")),
                ElementsAre(HasSubstr("watch.canary.sender can't be \"mail.example.org:4711\"")));
    EXPECT_THAT(texts(canary("mail.example.org:4711", "mail.example.org:995") +
                      "[[watch.target]]\nhost = \"mail.example.org\"\nport = 4711\nprotocol = \"lmtp\"\n"),
                IsEmpty())
        << "a target says what that port speaks";
    EXPECT_THAT(texts(canary("mail.example.org:995", "mail.example.org:25")).size(), 2u);
    EXPECT_THAT(texts(canary("mail.example.org:25", "mail.example.org:143")),
                ElementsAre(HasSubstr("a canary is fetched over POP3")));
    EXPECT_THAT(texts(canary("mail.example.org:25", "mail.example.org:995") +
                      canary("mail.example.org:587", "mail.example.org:995")),
                ElementsAre(HasSubstr("two canaries have the name")));
    EXPECT_FALSE(
        parse("[[watch.canary]]\nsender = \"h:25\"\nfetcher = \"h:995\"\nfrom = \"a@b\"\nto = \"c@d\"\n")
            .usable())
        << "without an account";
}

TEST(ConfigWatch, OwnListenersAreWatchedWhereALookCanGetIn) {
    const std::string listeners =
        "[[listener]]\nprotocol = \"pop3\"\naddress = \"127.0.0.1\"\n"
        "[[listener]]\nprotocol = \"smtp\"\nname = \"world\"\n"
        "[[listener]]\nprotocol = \"submission\"\nallow = [\"10.0.0.0/8\"]\nclear_login = \"always\"\n"
        "[[listener]]\nprotocol = \"lmtp\"\nport = 24\nproxies = [\"127.0.0.1\"]\n"
        "[[listener]]\nprotocol = \"metrics\"\n";
    const Loaded loaded = parse(listeners);
    const OwnPorts own = watched_own_ports(loaded.config);
    EXPECT_THAT(targets(own), ElementsAre("127.0.0.1:110", "127.0.0.1:25"));
    ASSERT_EQ(own.left_out.size(), 2u);
    EXPECT_EQ(own.left_out[0].listener, "submission-587");
    EXPECT_EQ(own.left_out[1].listener, "lmtp-24");
    EXPECT_TRUE(watches(loaded.config));
    EXPECT_THAT(targets(watched_own_ports(parse(listeners + "[watch]\nown = false\n").config)), IsEmpty());
}

TEST(ConfigWatch, OwnCertificatesAreForTheNameThatClientsUse) {
    EXPECT_EQ(own_certificate_name(parse("[server]\nhostname = \"a.example\"\n").config), "a.example");
    EXPECT_EQ(own_certificate_name(
                  parse("[server]\nhostname = \"a.example\"\n[acme]\ndomains = [\"b.example\"]\n").config),
              "b.example");
    EXPECT_EQ(own_certificate_name(parse("[watch]\nname = \"c.example\"\n").config), "c.example");
}

// Who watches connects to these ports and to DNS; who does not, nowhere.
TEST(ConfigWatch, TheSandboxIsAsWideAsWhatIsWatched) {
    const std::string no_queue = "[queue]\nenabled = false\n";
    const auto reach = [&](const std::string& text) {
        return reachable_files(parse(no_queue + text).config, "/etc/pier/pier.toml");
    };
    EXPECT_THAT(reach("").connects_to, IsEmpty());
    const auto watching = reach("[[watch.target]]\nhost = \"mail.example.org\"\nport = 995\n");
    EXPECT_FALSE(watching.connects);
    EXPECT_THAT(watching.connects_to, ElementsAre(995, 53));
    EXPECT_THAT(watching.read, testing::Contains("/etc/resolv.conf"));
}

}  // namespace
}  // namespace pier::program
