// OAUTHBEARER, XOAUTH2 and EXTERNAL: the examples of those who made them, and clients that mean harm.
#include "wire/bearer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/base64.h"
#include "wire/sasl_limits.h"

namespace pier::wire {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

const SaslTokenSource source{"example_scope", "https://example.com/.well-known/openid-configuration"};

SaslOffer offer() {
    SaslOffer all(SaslChannel::bindable);
    all.tokens = &source;
    all.certificate = true;
    return all;
}

std::string decoded(std::string_view text) {
    return base64_decode(text, sasl_message_octets_max).value();
}

std::string challenge(const SaslStep& step) {
    const auto* held = std::get_if<SaslChallenge>(&step);
    return held ? held->text : "not a challenge";
}

std::string failure(const SaslStep& step) {
    const auto* held = std::get_if<SaslFailed>(&step);
    return held ? held->text : "";
}

// RFC 7628 §4.1 and §4.2.
constexpr std::string_view rfc7628_token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
constexpr std::string_view rfc7628_first =
    "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRj"
    "Mk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
constexpr std::string_view rfc7628_error =
    "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOiJodHRw"
    "czovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0=";

TEST(Offer, NamesTokensAndCertificatesOnlyWhereTheyAreTaken) {
    EXPECT_THAT(sasl_mechanisms(offer()),
                ElementsAre("EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
                            "SCRAM-SHA-1", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"));
    for (const auto name : sasl_mechanisms(offer()))
        EXPECT_NE(SaslExchange::begin(name, offer()), nullptr) << name;
    for (const auto* name : {"OAUTHBEARER", "XOAUTH2", "EXTERNAL"})
        EXPECT_EQ(SaslExchange::begin(name, SaslChannel::bindable), nullptr) << name;
    EXPECT_NE(SaslExchange::begin("oauthbearer", offer()), nullptr);
}

TEST(Oauthbearer, ExampleOfTheRfcThatSucceeds) {
    auto exchange = SaslExchange::begin("OAUTHBEARER", offer());
    const auto step = exchange->start(decoded(rfc7628_first));
    const auto& check = std::get<SaslCheckToken>(step);
    EXPECT_EQ(check.authzid, "user@example.com");
    EXPECT_EQ(check.token, rfc7628_token);
    EXPECT_NE(failure(exchange->on_response("")), "") << "a finished exchange went on";
}

TEST(Oauthbearer, ExampleOfTheRfcThatFails) {
    auto exchange = SaslExchange::begin("OAUTHBEARER", offer());
    EXPECT_EQ(challenge(exchange->start(std::nullopt)), "");
    ASSERT_TRUE(std::holds_alternative<SaslCheckToken>(exchange->on_response(decoded(rfc7628_first))));
    EXPECT_EQ(base64_encode(challenge(exchange->on_token_refused())), rfc7628_error);
    EXPECT_EQ(failure(exchange->on_response(decoded("AQ=="))), "Authentication failed");
    EXPECT_NE(failure(exchange->on_response(decoded(rfc7628_first))), "");
}

TEST(Oauthbearer, WhoShowsNoTokenIsToldWhereTheyCome) {
    for (const auto& message : {"n,,\1auth=\1\1"s, "n,,\1host=h\1auth=Bearer \1\1"s}) {
        auto exchange = SaslExchange::begin("OAUTHBEARER", offer());
        EXPECT_EQ(base64_encode(challenge(exchange->start(message))), rfc7628_error);
        EXPECT_NE(failure(exchange->on_response("\1")), "");
    }
}

TEST(Oauthbearer, ReadsNamesAndPassesOverWhatItDoesNotKnow) {
    const auto read = [](const std::string& message) {
        auto parsed = parse_bearer(BearerForm::oauthbearer, message);
        return parsed ? parsed->authzid + "|" + parsed->token : "refused";
    };
    EXPECT_EQ(read("n,,\1auth=Bearer abc\1\1"), "|abc");
    EXPECT_EQ(read("y,a=a=2Cb=3Dc,\1auth=bearer   abc==\1\1"), "a,b=c|abc==");
    EXPECT_EQ(read("n,a=\xC3\xA4,\1qs=x=y&z\1AUTH=Bearer A-._~+/z0\1mthd=\1\1"), "\xC3\xA4|A-._~+/z0");
}

TEST(Oauthbearer, RefusesWhatIsMalformed) {
    for (const auto& message : {""s,
                                "\1"s,
                                "\1\1"s,
                                "n,,"s,
                                "n,,\1"s,
                                "n,,\1\1"s,
                                "n,\1auth=Bearer x\1\1"s,
                                "n\1auth=Bearer x\1\1"s,
                                "x,,\1auth=Bearer x\1\1"s,
                                "p=tls-exporter,,\1auth=Bearer x\1\1"s,
                                "n,b=x,\1auth=Bearer x\1\1"s,
                                "n,a=,\1auth=Bearer x\1\1"s,
                                "n,a=a=b,\1auth=Bearer x\1\1"s,
                                "n,a=a,b,\1auth=Bearer x\1\1"s,
                                "n,,\1auth=Bearer x\1"s,
                                "n,,\1auth=Bearer x"s,
                                "n,,\1auth=Bearer x\1\1\1"s,
                                "n,,\1auth=Bearer x\1\1auth=Bearer y\1\1"s,
                                "n,,\1auth=Bearer x\1auth=Bearer y\1\1"s,
                                "n,,\1host=h\1\1"s,
                                "n,,\1auth\1\1"s,
                                "n,,\1=Bearer x\1\1"s,
                                "n,,\1au th=Bearer x\1\1"s,
                                "n,,\1auth=Bearer\1\1"s,
                                "n,,\1auth=Basic eDp5\1\1"s,
                                "n,,\1auth=Bearer x y\1\1"s,
                                "n,,\1auth=Bearer =\1\1"s,
                                "n,,\1auth=Bearer x=y\1\1"s,
                                "n,,\1auth=Bearer \xC3\xA4\1\1"s,
                                "n,,\1host=\0\1auth=Bearer x\1\1"s,
                                "n,,\1host=\x7F\1auth=Bearer x\1\1"s,
                                "user=ada\1auth=Bearer x\1\1"s}) {
        const auto parsed = parse_bearer(BearerForm::oauthbearer, message);
        EXPECT_FALSE(parsed) << message;
        auto exchange = SaslExchange::begin("OAUTHBEARER", offer());
        EXPECT_THAT(failure(exchange->start(message)), HasSubstr("malformed")) << message;
        EXPECT_NE(failure(exchange->on_response("n,,\1auth=Bearer x\1\1")), "") << "it went on";
    }
}

TEST(Oauthbearer, LimitsMessagesAndNames) {
    const auto message = [](std::size_t octets) {
        const std::string rest = "n,,\1auth=Bearer \1\1";
        return "n,,\1auth=Bearer " + std::string(octets - rest.size(), 't') + "\1\1";
    };
    EXPECT_TRUE(parse_bearer(BearerForm::oauthbearer, message(sasl_message_octets_max)));
    EXPECT_FALSE(parse_bearer(BearerForm::oauthbearer, message(sasl_message_octets_max + 1)));
    const auto named = [](const std::string& name) {
        return SaslExchange::begin("OAUTHBEARER", offer())->start("n,a=" + name + ",\1auth=Bearer x\1\1");
    };
    EXPECT_TRUE(std::holds_alternative<SaslCheckToken>(named(std::string(sasl_user_octets_max, 'n'))));
    EXPECT_NE(failure(named(std::string(sasl_user_octets_max + 1, 'n'))), "");
    EXPECT_NE(failure(named("\xFF")), "");
    EXPECT_NE(failure(named("a\0b"s)), "");
}

// As Google documents it.
TEST(Xoauth2, ExampleOfItsMaker) {
    auto exchange = SaslExchange::begin("XOAUTH2", offer());
    const auto step = exchange->start(
        decoded("dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJo"
                "ZG1semRHRXVZMjl0Q2cBAQ=="));
    const auto& check = std::get<SaslCheckToken>(step);
    EXPECT_EQ(check.authzid, "someuser@example.com");
    EXPECT_EQ(check.token, "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
    EXPECT_EQ(challenge(exchange->on_token_refused()),
              R"({"status":"401","schemes":"bearer","scope":"example_scope"})");
    EXPECT_EQ(failure(exchange->on_response("")), "Authentication failed");
}

TEST(Xoauth2, RefusesWhatIsMalformed) {
    for (const auto& message :
         {""s, "\1\1"s, "user=ada"s, "user=ada\1\1"s, "auth=Bearer x\1\1"s, "user=\1auth=Bearer x\1\1"s,
          "user=ada\1user=bo\1auth=Bearer x\1\1"s, "user=ada\1auth=Bearer x\1"s,
          "n,a=ada,\1auth=Bearer x\1\1"s, "user=ada\1auth=Bearer x\1\1y"s})
        EXPECT_FALSE(parse_bearer(BearerForm::xoauth2, message)) << message;
}

TEST(BearerError, IsJsonWhateverIsConfigured) {
    EXPECT_EQ(bearer_error(BearerForm::oauthbearer, {}), R"({"status":"invalid_token"})");
    EXPECT_EQ(bearer_error(BearerForm::xoauth2, {}), R"({"status":"401","schemes":"bearer"})");
    EXPECT_EQ(bearer_error(BearerForm::oauthbearer, {"a\"b\\c\n", ""}),
              R"({"status":"invalid_token","scope":"a\"b\\c\u000a"})");
}

TEST(External, GivesTheAuthzidOnce) {
    auto exchange = SaslExchange::begin("EXTERNAL", offer());
    EXPECT_EQ(challenge(exchange->start(std::nullopt)), "");
    EXPECT_EQ(std::get<SaslCheckCertificate>(exchange->on_response("")).authzid, "");
    EXPECT_NE(failure(exchange->on_response("ada")), "");
    // RFC 4422 appendix A.2
    EXPECT_EQ(
        std::get<SaslCheckCertificate>(SaslExchange::begin("EXTERNAL", offer())->start("fred@example.com"))
            .authzid,
        "fred@example.com");
}

TEST(External, RefusesBadNames) {
    const auto start = [](const std::string& authzid) {
        return SaslExchange::begin("EXTERNAL", offer())->start(authzid);
    };
    for (const auto& authzid : {"a\0"s, "\xFF"s, std::string(sasl_user_octets_max + 1, 'a')})
        EXPECT_NE(failure(start(authzid)), "");
    EXPECT_TRUE(std::holds_alternative<SaslCheckCertificate>(start(std::string(sasl_user_octets_max, 'a'))));
}

}  // namespace
}  // namespace pier::wire
