// [acme]: what fits together, and what Pier makes of it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/config.h"
#include "main/config_file.h"

namespace pier::program {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view good = "[acme]\ndomains = [\"mail.example.org\"]\nterms_agreed = true\n";
constexpr std::string_view asked = "[[listener]]\nprotocol = \"acme-http\"\naddress = \"127.0.0.1\"\n";

Loaded parse(std::string_view text) {
    return parse_config(text, "/etc/pier/pier.toml");
}

std::vector<std::string> errors_of(std::string_view text) {
    std::vector<std::string> texts;
    for (const Problem& problem : parse(text).problems)
        if (problem.severity == Severity::error) texts.push_back(problem.text);
    return texts;
}

TEST(ConfigAcme, TheUsualListenersAnswerTheAuthorityToo) {
    const Loaded loaded = parse(good);
    EXPECT_TRUE(loaded.usable());
    std::vector<std::string> names;
    for (const ListenerConfig& listener : loaded.config.listeners)
        names.push_back(listener.name);
    EXPECT_THAT(names, ElementsAre("pop3-110", "pop3s-995", "acme-http-80", "lmtp-socket"));
    EXPECT_EQ(loaded.config.listeners[0].tls, TlsUse::starttls);
    const Loaded by_tls = parse(fmt::format("{}challenge = \"tls-alpn-01\"\n", good));
    EXPECT_EQ(by_tls.config.listeners[2].name, "acme-443");
    EXPECT_EQ(by_tls.config.listeners[2].tls, TlsUse::implicit);
}

TEST(ConfigAcme, TheCertificateLiesInTheDataFolder) {
    const Config config = parse(fmt::format("{}[server]\ndata_folder = \"/data\"\n", good)).config;
    ASSERT_TRUE(has_tls(config));
    const net::TlsSettings settings = tls_settings(config);
    EXPECT_EQ(settings.files.certificate, "/data/acme/certificate.pem");
    EXPECT_EQ(settings.files.key, settings.files.certificate);
    EXPECT_THAT(settings.stand_in, ElementsAre("mail.example.org"));
    EXPECT_EQ(settings.ocsp_folder, "/data/ocsp");
    EXPECT_FALSE(has_tls(parse("").config));
}

TEST(ConfigAcme, NamesAreThoseOfHosts) {
    const auto errors_with = [](std::string_view name) {
        return errors_of(fmt::format("[acme]\nterms_agreed = true\ndomains = [\"{}\"]\n", name));
    };
    const std::string label(63, 'a');
    for (const std::string& name :
         {std::string("a.example"), std::string("xn--bcher-kva.example"), label + ".example"})
        EXPECT_THAT(errors_with(name), IsEmpty()) << name;
    for (const std::string& name :
         {std::string("localhost"), std::string("*.example.org"), std::string("Mail.example.org"),
          std::string("a..b"), std::string(".a.b"), std::string("a.b."), std::string(""),
          std::string("a.b,DNS:evil.example"), label + "a.example", std::string("192.0.2.1:80")})
        EXPECT_THAT(errors_with(name), ElementsAre(HasSubstr("is no name that a certificate can be got for")))
            << name;
    EXPECT_THAT(errors_of("[acme]\ndomains = \"a.example\"\n"), ElementsAre(HasSubstr("is a list of names")));
}

TEST(ConfigAcme, WhatDoesNotFitIsTold) {
    const auto errors_with = [](std::string_view more) { return errors_of(fmt::format("{}{}", good, more)); };
    EXPECT_THAT(errors_of("[acme]\ndomains = [\"a.example\"]\n"),
                ElementsAre(HasSubstr("acme.terms_agreed = true")));
    EXPECT_THAT(errors_with("directory = \"http://ca.example/dir\"\n"), ElementsAre(HasSubstr("https://")));
    EXPECT_THAT(errors_with("contact = \"nobody\"\n"), ElementsAre(HasSubstr("acme.contact is an address")));
    EXPECT_THAT(errors_with("eab_kid = \"k\"\n"), ElementsAre(HasSubstr("only together")));
    EXPECT_THAT(errors_with("eab_key_file = \"/k\"\n"), ElementsAre(HasSubstr("only together")));
    EXPECT_THAT(errors_with("[tls]\ncertificate = \"/c.pem\"\n"),
                ElementsAre(HasSubstr("no place beside [acme]")));
}

TEST(ConfigAcme, SomebodyHasToAnswer) {
    const auto with = [](std::string_view listeners, std::string_view more = "") {
        return errors_of(fmt::format("{}{}{}", good, more, listeners));
    };
    constexpr std::string_view pop3 = "[[listener]]\naddress = \"127.0.0.1\"\n";
    constexpr std::string_view pop3s = "[[listener]]\nprotocol = \"pop3s\"\naddress = \"127.0.0.1\"\n";
    constexpr std::string_view acme = "[[listener]]\nprotocol = \"acme\"\naddress = \"127.0.0.1\"\n";
    constexpr std::string_view by_tls = "challenge = \"tls-alpn-01\"\n";
    EXPECT_THAT(with(asked), IsEmpty());
    EXPECT_THAT(with(pop3), ElementsAre(HasSubstr("no listener has protocol = \"acme-http\"")));
    EXPECT_THAT(with(acme), ElementsAre(HasSubstr("no listener has protocol = \"acme-http\"")));
    EXPECT_THAT(with(acme, by_tls), IsEmpty());
    EXPECT_THAT(with(pop3s, by_tls), IsEmpty());
    EXPECT_THAT(with(pop3, by_tls), ElementsAre(HasSubstr("no listener has protocol = \"acme\"")));
    EXPECT_THAT(errors_of(asked), ElementsAre(HasSubstr("there is no [acme] section")));
    EXPECT_THAT(with("[[listener]]\nprotocol = \"acme-http\"\ntls = \"implicit\"\n"),
                ElementsAre(HasSubstr("asks without TLS")));
}

}  // namespace
}  // namespace pier::program
