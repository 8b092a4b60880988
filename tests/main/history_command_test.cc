// pier history, on the store itself: what was changed by whom.
#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "main/cli_fixture.h"

namespace pier::program {
namespace {

class HistoryCommand : public CliTest {
  protected:
    boost::json::array changes(std::vector<std::string> more = {}) {
        more.insert(more.begin(), "history");
        return ask(std::move(more)).at("changes").as_array();
    }
    static const boost::json::value* difference(const boost::json::value& change, std::string_view key) {
        const auto* all = change.as_object().if_contains("differences");
        if (all == nullptr) return nullptr;
        for (const auto& one : all->as_array())
            if (one.at("key").as_string() == key) return &one;
        return nullptr;
    }
};

TEST_F(HistoryCommand, NothingWasChangedYet) {
    const Ran ran = run({"history"});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(ran.out, "no such change is recorded\n");
}

TEST_F(HistoryCommand, WhatIsDoneToAnAccountIsTold) {
    ask({"account", "add", "ada", "--password-file", "-"}, "first secret\n");
    ask({"account", "change", "ada", "--master", "on"});
    ask({"account", "passwd", "ada", "--password-file", "-"}, "second secret\n");
    ask({"account", "disable", "ada", "--reason", "on leave"});
    ask({"account", "remove", "ada", "--yes"});
    const auto all = changes();
    ASSERT_EQ(all.size(), 5u);
    for (const auto& one : all) {
        EXPECT_EQ(one.at("what"), "account");
        EXPECT_EQ(one.at("subject"), "ada");
        EXPECT_EQ(one.at("user").to_number<std::uint32_t>(), ::getuid());
    }
    EXPECT_EQ(all[0].at("by"), "account.add");
    ASSERT_NE(difference(all[0], "password"), nullptr);
    EXPECT_FALSE(difference(all[0], "password")->as_object().contains("before"));
    ASSERT_NE(difference(all[1], "master"), nullptr);
    EXPECT_EQ(difference(all[1], "master")->at("before"), "no");
    EXPECT_EQ(difference(all[1], "master")->at("after"), "yes");
    EXPECT_EQ(all[1].at("differences").as_array().size(), 1u);
    EXPECT_EQ(difference(all[2], "password")->at("after"), "ARGON2ID, another one");
    EXPECT_EQ(difference(all[3], "disabled_text")->at("after"), "on leave");
    EXPECT_FALSE(difference(all[4], "disabled")->as_object().contains("after"));
    EXPECT_EQ(boost::json::serialize(all).find("secret\""), std::string::npos);

    const Ran shown = run({"history", "ADA"});
    EXPECT_EQ(shown.code, 0) << shown.err;
    EXPECT_NE(shown.out.find("  - master = no\n  + master = yes\n"), std::string::npos) << shown.out;
    EXPECT_NE(shown.out.find("account ada  by "), std::string::npos) << shown.out;
}

TEST_F(HistoryCommand, WhatWasRefusedOrChangesNothingIsNotTold) {
    EXPECT_NE(run({"account", "change", "nobody", "--master", "on"}).code, 0);
    ask({"account", "add", "ada", "--generate"});
    ask({"account", "change", "ada", "--master", "off"});
    EXPECT_EQ(changes().size(), 1u);
}

TEST_F(HistoryCommand, DomainsAliasesAndAppPasswordsAreToldToo) {
    ask({"domain", "add", "example.org"});
    ask({"account", "add", "ada", "--generate"});
    ask({"alias", "add", "Info@example.org", "ada"});
    ask({"account", "app-password", "add", "ada", "phone"});
    ask({"account", "app-password", "revoke", "ada", "phone"});
    ask({"alias", "remove", "info@example.org"});
    const auto all = changes();
    ASSERT_EQ(all.size(), 6u);
    EXPECT_EQ(all[0].at("what"), "domain");
    EXPECT_EQ(all[2].at("subject"), "info@example.org");
    EXPECT_EQ(difference(all[2], "targets")->at("after"), "ada");
    EXPECT_NE(difference(all[3], "app_password[phone]"), nullptr);
    EXPECT_EQ(difference(all[5], "targets")->at("before"), "ada");
    EXPECT_EQ(changes({"--what", "alias"}).size(), 2u);
    EXPECT_EQ(changes({"ada"}).size(), 3u);
    EXPECT_EQ(changes({"--since", "1h"}).size(), 6u);
    EXPECT_EQ(changes({"-n", "1"})[0].at("by"), "alias.remove");
    EXPECT_NE(run({"history", "--what", "weather"}).code, 0);
    EXPECT_NE(run({"history", "--since", "soon"}).err.find("--since"), std::string::npos);
    EXPECT_NE(run({"history", "-n", "0"}).code, 0);
    EXPECT_NE(run({"history", "-n", "2"}).out.find("(4 older ones are not shown"), std::string::npos);
}

}  // namespace
}  // namespace pier::program
