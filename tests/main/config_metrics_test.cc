// The listener that shows measurements: on loopback unless somebody says who may ask.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/config_file.h"

namespace pier::program {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view metrics = "[[listener]]\nprotocol = \"metrics\"\n";

Loaded with(std::string_view more) {
    return parse_config(std::string(metrics) + std::string(more), "/etc/pier/pier.toml");
}

std::vector<std::string> texts(const Loaded& loaded) {
    std::vector<std::string> all;
    for (const Problem& problem : loaded.problems)
        all.push_back(problem.text);
    return all;
}

TEST(ConfigMetrics, IsOnLoopbackAndItsUsualPort) {
    const Loaded loaded = with("");
    ASSERT_EQ(loaded.config.listeners.size(), 1u);
    const ListenerConfig& listener = loaded.config.listeners[0];
    EXPECT_EQ(listener.address, "127.0.0.1");
    EXPECT_EQ(listener.port, 9110);
    EXPECT_EQ(listener.name, "metrics-9110");
    EXPECT_EQ(listener.tls, TlsUse::none);
    EXPECT_THAT(texts(loaded), IsEmpty());
}

TEST(ConfigMetrics, ListensElsewhereForThoseWhoMayAsk) {
    const Loaded loaded = with("allow = [\"10.0.0.9\"]\n");
    EXPECT_EQ(loaded.config.listeners[0].address, "*");
    EXPECT_THAT(texts(loaded), IsEmpty());
}

TEST(ConfigMetrics, IsWarnedOfWhenEverybodyMayAsk) {
    EXPECT_THAT(texts(with("address = \"192.0.2.1\"\n")), ElementsAre(HasSubstr("with listener.allow")));
}

TEST(ConfigMetrics, HasNoTls) {
    EXPECT_THAT(texts(with("tls = \"implicit\"\n")),
                testing::Contains(HasSubstr("metrics are shown without TLS")));
}

}  // namespace
}  // namespace pier::program
