#include "main/config_delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/sandbox.h"

namespace pier::program {
namespace {

using testing::HasSubstr;

Loaded parse(const std::string& text) {
    return parse_config(text, "/etc/pier/pier.toml");
}

std::string errors(const std::string& text) {
    std::string found;
    for (const Problem& problem : parse(text).problems)
        if (problem.severity == Severity::error) found += problem.text + "\n";
    return found;
}

TEST(ConfigDelivery, a_separator_is_no_letter) {
    for (const char* good : {"", "+", "-", "_", "=", "."})
        EXPECT_EQ(errors("[delivery]\nsubaddress_separator = \"" + std::string(good) + "\"\n"), "") << good;
    for (const char* bad : {"a", "@", " ", "++"})
        EXPECT_NE(errors("[delivery]\nsubaddress_separator = \"" + std::string(bad) + "\"\n"), "") << bad;
    EXPECT_THAT(errors("[delivery]\nsrs_domain = \"no domain\"\n"), HasSubstr("delivery.srs_domain"));
}

TEST(ConfigDelivery, the_old_key_for_full_mailboxes_works_on) {
    const auto of = [](const std::string& text) { return delivery_settings(parse(text).config).over_quota; };
    EXPECT_EQ(of(""), delivery::OverQuota::temporary);
    EXPECT_EQ(of("[lmtp]\nover_quota = \"permanent\"\n"), delivery::OverQuota::permanent);
    EXPECT_EQ(of("[delivery]\nover_quota = \"permanent\"\n"), delivery::OverQuota::permanent);
    EXPECT_EQ(delivery_settings(parse("[delivery]\nsrs_domain = \"Srs.example\"\n").config).srs_domain,
              "srs.example");
}

TEST(ConfigFilter, is_off_until_it_is_named) {
    EXPECT_FALSE(is_filtered(parse("").config, "smtp"));
    const Config config = parse("[filter]\nrspamd = \"127.0.0.1:11333\"\n").config;
    EXPECT_TRUE(is_filtered(config, "smtp"));
    EXPECT_TRUE(is_filtered(config, "submission"));
    EXPECT_FALSE(is_filtered(config, "lmtp"));
    const Config other = parse(
                             "[filter]\nrspamd = \"/run/rspamd.sock\"\nlisteners = [\"lmtp\"]\n"
                             "when_down = \"refuse\"\ntimeout = \"5s\"\nsize_max = \"1 MiB\"\n")
                             .config;
    EXPECT_FALSE(is_filtered(other, "smtp"));
    EXPECT_TRUE(is_filtered(other, "lmtp"));
    const filter::Settings settings = filter_settings(other);
    EXPECT_EQ(settings.server, "/run/rspamd.sock");
    EXPECT_TRUE(settings.refuse_when_down);
    EXPECT_EQ(settings.timeout, std::chrono::seconds(5));
    EXPECT_EQ(settings.octets_max, 1u << 20);
}

TEST(ConfigFilter, is_on_this_machine) {
    EXPECT_THAT(errors("[filter]\nrspamd = \"192.0.2.1:11333\"\n"), HasSubstr("another machine"));
    EXPECT_THAT(errors("[filter]\nrspamd = \"localhost\"\n"), HasSubstr("filter.rspamd"));
    EXPECT_THAT(errors("[filter]\nlisteners = [\"pop3\"]\n"), HasSubstr("smtp, submission and lmtp"));
}

// Nothing else may let the server out.
TEST(ConfigFilter, the_server_connects_only_for_it_and_for_the_queue) {
    const auto connects = [](const std::string& text) {
        return reachable_files(parse(text).config, "/etc/pier/pier.toml").connects;
    };
    const std::string no_queue = "[queue]\nenabled = false\n";
    EXPECT_FALSE(connects(no_queue));
    EXPECT_TRUE(connects(""));
    EXPECT_TRUE(connects(no_queue + "[filter]\nrspamd = \"127.0.0.1:11333\"\n"));
}

}  // namespace
}  // namespace pier::program
