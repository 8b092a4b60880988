// What the process for the issuer of tokens answers, here without the process.
#include "backends/token_service.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace pier::backends {
namespace {

class TokenServiceTest : public testing::Test {
  protected:
    TokenServiceTest() {
        char pattern[] = "/tmp/pier-tokens-XXXXXX";
        if (mkdtemp(pattern) == nullptr) throw std::runtime_error("mkdtemp");
        folder_ = pattern;
    }
    ~TokenServiceTest() override { std::filesystem::remove_all(folder_); }

    std::string file(const std::string& name, const std::string& text) const {
        std::ofstream(folder_ + "/" + name) << text;
        return folder_ + "/" + name;
    }

    static std::string answer(const TokenIssuerSettings& settings, Message request) {
        const Message reply = token_service(settings)()->answer(request);
        return reply.word + ": " + std::string(reply.fields.get("text"));
    }

    std::string folder_;
};

TEST_F(TokenServiceTest, GivesTheKeysOfAFileAsItIsNow) {
    TokenIssuerSettings settings;
    settings.jwks_file = file("keys", "{\"keys\":[]}\n");
    EXPECT_EQ(answer(settings, {0, "keys", {}}), "keys: {\"keys\":[]}\n");
    file("keys", "other");
    EXPECT_EQ(answer(settings, {0, "keys", {}}), "keys: other");
    std::filesystem::remove(settings.jwks_file);
    EXPECT_EQ(answer(settings, {0, "keys", {}}),
              "outage: can't read " + settings.jwks_file + ": No such file or directory");
}

TEST_F(TokenServiceTest, LimitsTheFile) {
    TokenIssuerSettings settings;
    settings.jwks_file = file("keys", std::string(100 << 10, 'k'));
    EXPECT_EQ(answer(settings, {0, "keys", {}}), "keys: " + std::string(100 << 10, 'k'));
    file("keys", std::string((100 << 10) + 1, 'k'));
    EXPECT_EQ(answer(settings, {0, "keys", {}}), "outage: " + settings.jwks_file + " is too large");
}

TEST_F(TokenServiceTest, WhoCannotBeAskedIsAnOutage) {
    TokenIssuerSettings settings;
    settings.jwks_url = "https://127.0.0.1:1/keys";
    EXPECT_EQ(answer(settings, {0, "keys", {}}), "outage: 127.0.0.1:1 cannot be reached: Connection refused");
    settings.introspection_url = "https://127.0.0.1:1/introspect";
    const std::string text = answer(settings, {0, "introspect", {{"token", "s3cret-token"}}});
    EXPECT_EQ(text, "outage: 127.0.0.1:1 cannot be reached: Connection refused");
    settings.client_id = "pier";
    settings.client_secret_file = folder_ + "/none";
    EXPECT_EQ(answer(settings, {0, "introspect", {{"token", "s3cret-token"}}}),
              "outage: can't read " + settings.client_secret_file + ": No such file or directory");
    EXPECT_EQ(answer(settings, {0, "find", {}}), "outage: it does not know what it was asked");
}

}  // namespace
}  // namespace pier::backends
