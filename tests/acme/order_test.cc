// An order from its directory to its certificate, against an authority that says what each test wants.
#include "acme/order.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pier::acme {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

const std::string ca = "https://ca.example";

class OrderTest : public testing::Test {
  protected:
    void begin(OrderSettings settings) {
        settings_ = std::move(settings);
        order_ = std::make_unique<Order>(settings_, key_);
    }
    static OrderSettings two_names() {
        return {
            ca + "/dir", {"mail.example.org", "pop.example.org"}, "post@example.org", "http-01", "csr", "",
            ""};
    }

    // The next request; its path must be that.
    Ask asked(std::string_view method, std::string_view path) {
        const Action action = order_->next();
        const auto* ask = std::get_if<Ask>(&action);
        EXPECT_NE(ask, nullptr) << "wants " << path << ", action " << action.index() << ": " << failure();
        if (ask == nullptr) return {};
        EXPECT_EQ(ask->method, method);
        EXPECT_EQ(ask->url, ca + std::string(path));
        return *ask;
    }
    void answer(unsigned status, std::string body, std::string location = "",
                std::optional<seconds> retry_after = {}) {
        order_->on_answer(
            {status, fmt::format("nonce-{}", ++nonces_), std::move(location), std::move(body), retry_after});
    }
    static json::value payload(const Ask& ask) {
        const std::string text(json::parse(ask.body).at("payload").as_string());
        return json::parse(*base64url_decode(text, 10'000));
    }
    static json::value head(const Ask& ask) {
        return json::parse(
            *base64url_decode(std::string(json::parse(ask.body).at("protected").as_string()), 10'000));
    }
    std::string failure() {
        const Action action = order_->next();
        const auto* failed = std::get_if<Failed>(&action);
        return failed != nullptr ? failed->text : "not failed";
    }
    template <class T>
    bool wants() {
        return std::holds_alternative<T>(order_->next());
    }

    static std::string authorization(std::string_view name, std::string_view status, std::string_view token) {
        return fmt::format(R"({{"status":"{1}","identifier":{{"type":"dns","value":"{0}"}},"challenges":[)"
                           R"({{"type":"dns-01","url":"{3}/chall/dns/{2}","token":"{2}"}},)"
                           R"({{"type":"http-01","url":"{3}/chall/{2}","token":"{2}"}}]}})",
                           name, status, token, ca);
    }
    void to_account() {
        asked("GET", "/dir");
        answer(200, fmt::format(
                        R"({{"newNonce":"{0}/nonce","newAccount":"{0}/acct","newOrder":"{0}/order"}})", ca));
        asked("POST", "/acct");
        answer(201, R"({"status":"valid"})", ca + "/acct/1");
    }
    void to_order() {
        to_account();
        asked("POST", "/order");
        answer(
            201,
            fmt::format(
                R"({{"status":"pending","authorizations":["{0}/authz/1","{0}/authz/2"],"finalize":"{0}/fin"}})",
                ca),
            ca + "/order/1");
    }
    void to_published() {
        to_order();
        asked("POST", "/authz/1");
        answer(200, authorization("mail.example.org", "pending", "tok1"));
        asked("POST", "/authz/2");
        answer(200, authorization("pop.example.org", "pending", "tok2"));
    }
    void to_polling() {
        to_published();
        order_->on_published();
        asked("POST", "/chall/tok1");
        answer(200, "{}");
        asked("POST", "/chall/tok2");
        answer(200, "{}");
        EXPECT_TRUE(wants<Wait>());
        order_->on_waited();
    }
    void to_finalize() {
        to_polling();
        asked("POST", "/authz/1");
        answer(200, authorization("mail.example.org", "valid", "tok1"));
        asked("POST", "/authz/2");
        answer(200, authorization("pop.example.org", "valid", "tok2"));
    }

    const Key key_ = *Key::make();
    OrderSettings settings_ = two_names();
    std::unique_ptr<Order> order_ = std::make_unique<Order>(settings_, key_);
    int nonces_ = 0;
};

TEST_F(OrderTest, FromTheDirectoryToTheCertificate) {
    asked("GET", "/dir");
    // As a directory comes: without a nonce, so that one is asked for first.
    order_->on_answer(
        {200, "", "",
         fmt::format(R"({{"newNonce":"{0}/nonce","newAccount":"{0}/acct","newOrder":"{0}/order"}})", ca)});
    EXPECT_EQ(asked("HEAD", "/nonce").body, "");
    answer(200, "");
    const Ask account = asked("POST", "/acct");
    EXPECT_EQ(json::serialize(head(account).at("jwk")), key_.jwk());
    EXPECT_EQ(head(account).at("nonce").as_string(), "nonce-1");
    EXPECT_EQ(json::serialize(payload(account)),
              R"({"termsOfServiceAgreed":true,"contact":["mailto:post@example.org"]})");
    answer(201, R"({"status":"valid"})", ca + "/acct/1");

    const Ask order = asked("POST", "/order");
    EXPECT_EQ(head(order).at("kid").as_string(), ca + "/acct/1");
    EXPECT_EQ(head(order).at("nonce").as_string(), "nonce-2") << "each nonce is used once";
    EXPECT_EQ(
        json::serialize(payload(order)),
        R"({"identifiers":[{"type":"dns","value":"mail.example.org"},{"type":"dns","value":"pop.example.org"}]})");
    answer(
        201,
        fmt::format(
            R"({{"status":"pending","authorizations":["{0}/authz/1","{0}/authz/2"],"finalize":"{0}/fin"}})",
            ca),
        ca + "/order/1");
    EXPECT_EQ(json::parse(asked("POST", "/authz/1").body).at("payload").as_string(), "") << "POST-as-GET";
    answer(200, authorization("mail.example.org", "pending", "tok1"));
    asked("POST", "/authz/2");
    answer(200, authorization("pop.example.org", "pending", "tok2"));

    const Action action = order_->next();
    const auto* publish = std::get_if<Publish>(&action);
    ASSERT_NE(publish, nullptr);
    ASSERT_EQ(publish->challenges.size(), 2u);
    EXPECT_EQ(publish->challenges[1].domain, "pop.example.org");
    EXPECT_EQ(publish->challenges[1].token, "tok2");
    EXPECT_EQ(publish->challenges[1].key_authorization, "tok2." + thumbprint(key_.jwk()));
    order_->on_published();
    EXPECT_EQ(json::serialize(payload(asked("POST", "/chall/tok1"))), "{}");
    answer(200, "{}");
    asked("POST", "/chall/tok2");
    answer(200, "{}");

    EXPECT_TRUE(wants<Wait>());
    order_->on_waited();
    asked("POST", "/authz/1");
    answer(200, authorization("mail.example.org", "pending", "tok1"), "", seconds(7));
    const Action waits = order_->next();
    ASSERT_TRUE(std::holds_alternative<Wait>(waits));
    EXPECT_EQ(std::get<Wait>(waits).time, seconds(7)) << "Retry-After";
    order_->on_waited();
    asked("POST", "/authz/1");
    answer(200, authorization("mail.example.org", "valid", "tok1"));
    asked("POST", "/authz/2");
    answer(200, authorization("pop.example.org", "valid", "tok2"));

    EXPECT_EQ(payload(asked("POST", "/fin")).at("csr").as_string(), base64url("csr"));
    answer(200, R"({"status":"processing"})");
    EXPECT_TRUE(wants<Wait>());
    order_->on_waited();
    asked("POST", "/order/1");
    answer(200, fmt::format(R"({{"status":"valid","certificate":"{}/cert"}})", ca));
    asked("POST", "/cert");
    answer(200, "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n");
    const Action done = order_->next();
    ASSERT_TRUE(std::holds_alternative<Done>(done));
    EXPECT_TRUE(std::get<Done>(done).chain.starts_with("-----BEGIN CERTIFICATE-----\nabc"));
}

TEST_F(OrderTest, AnOrderThatNeedsNoProofGoesOnAtOnce) {
    to_order();
    asked("POST", "/authz/1");
    answer(200, authorization("mail.example.org", "valid", "t"));
    asked("POST", "/authz/2");
    answer(200, authorization("pop.example.org", "valid", "t"));
    asked("POST", "/fin");
}

TEST_F(OrderTest, ABadNonceIsTriedAgainWithTheOneThatCame) {
    asked("GET", "/dir");
    answer(200,
           fmt::format(R"({{"newNonce":"{0}/nonce","newAccount":"{0}/acct","newOrder":"{0}/order"}})", ca));
    const std::string problem =
        R"({"type":"urn:ietf:params:acme:error:badNonce","detail":"JWS has an invalid nonce"})";
    for (int turn = 0; turn < Order::bad_nonces_max; ++turn) {
        asked("POST", "/acct");
        answer(400, problem);
    }
    EXPECT_EQ(head(asked("POST", "/acct")).at("nonce").as_string(), fmt::format("nonce-{}", nonces_));
    answer(201, "{}", ca + "/acct/1");
    for (int turn = 0; turn <= Order::bad_nonces_max; ++turn) {
        asked("POST", "/order");
        answer(400, problem);
    }
    EXPECT_EQ(failure(),
              "the authority says: JWS has an invalid nonce (urn:ietf:params:acme:error:badNonce)");
}

TEST_F(OrderTest, AProblemIsToldInTheAuthoritysWords) {
    to_account();
    asked("POST", "/order");
    answer(
        429,
        R"({"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates","subproblems":)"
        R"([{"detail":"no","identifier":{"type":"dns","value":"pop.example.org"}}]})",
        "", seconds(3600));
    EXPECT_EQ(failure(),
              "the authority says: too many certificates (urn:ietf:params:acme:error:rateLimited); "
              "pop.example.org: no");
    EXPECT_EQ(std::get<Failed>(order_->next()).retry_after, seconds(3600));
}

TEST_F(OrderTest, AnAnswerWithoutAProblemDocumentIsToldByItsStatus) {
    asked("GET", "/dir");
    answer(503, "<html>down</html>", "", seconds(60));
    EXPECT_EQ(failure(), "the authority answers with HTTP status 503");
    EXPECT_EQ(std::get<Failed>(order_->next()).retry_after, seconds(60));
}

TEST_F(OrderTest, NoAnswerIsAFailure) {
    asked("GET", "/dir");
    order_->on_failure("cannot connect to ca.example");
    EXPECT_EQ(failure(), "cannot connect to ca.example");
}

TEST_F(OrderTest, AChallengeThatFailsIsToldWithItsReason) {
    to_polling();
    asked("POST", "/authz/1");
    answer(
        200,
        R"({"status":"invalid","identifier":{"type":"dns","value":"mail.example.org"},"challenges":[{"type":"http-01",)"
        R"("error":{"type":"urn:ietf:params:acme:error:connection","detail":"connection refused"}}]})");
    EXPECT_EQ(failure(),
              "the authority did not find the answer to its challenge under mail.example.org: connection "
              "refused (urn:ietf:params:acme:error:connection)");
}

TEST_F(OrderTest, PollingHasAnEnd) {
    to_polling();
    for (int poll = 0; poll < Order::polls_max; ++poll) {
        asked("POST", "/authz/1");
        answer(200, authorization("mail.example.org", "pending", "tok1"), "", seconds(poll * 1000));
        const Action waits = order_->next();
        ASSERT_TRUE(std::holds_alternative<Wait>(waits)) << poll;
        EXPECT_GE(std::get<Wait>(waits).time, seconds(1));
        EXPECT_LE(std::get<Wait>(waits).time, Order::poll_pause_max);
        order_->on_waited();
    }
    asked("POST", "/authz/1");
    answer(200, authorization("mail.example.org", "pending", "tok1"));
    EXPECT_NE(failure().find("does not come to an end"), std::string::npos);
}

TEST_F(OrderTest, AFinalizedOrderThatIsInvalidSaysWhy) {
    to_finalize();
    asked("POST", "/fin");
    answer(200, R"({"status":"invalid","error":{"type":"urn:x","detail":"bad CSR"}})");
    EXPECT_EQ(failure(), "the authority gives no certificate: bad CSR (urn:x)");
}

TEST_F(OrderTest, TheChallengeThatIsWantedMustBeOffered) {
    auto settings = two_names();
    settings.challenge_type = "tls-alpn-01";
    begin(settings);
    to_order();
    asked("POST", "/authz/1");
    answer(200, authorization("mail.example.org", "pending", "tok1"));
    EXPECT_EQ(failure(),
              "the authority does not offer tls-alpn-01 for mail.example.org; change acme.challenge");
}

TEST_F(OrderTest, ExternalBindingIsSentWithTheAccount) {
    auto settings = two_names();
    settings.eab_kid = "kid-1";
    settings.eab_key = "secret";
    begin(settings);
    asked("GET", "/dir");
    answer(200,
           fmt::format(R"({{"newNonce":"{0}/nonce","newAccount":"{0}/acct","newOrder":"{0}/order","meta":)"
                       R"({{"externalAccountRequired":true}}}})",
                       ca));
    const json::value bound = payload(asked("POST", "/acct")).at("externalAccountBinding");
    EXPECT_EQ(json::serialize(bound), make_external_binding(key_, "kid-1", "secret", ca + "/acct"));
}

TEST_F(OrderTest, AnAuthorityThatWantsABindingIsToldOfBeforeItRefuses) {
    asked("GET", "/dir");
    answer(200,
           fmt::format(R"({{"newNonce":"{0}/nonce","newAccount":"{0}/acct","newOrder":"{0}/order","meta":)"
                       R"({{"externalAccountRequired":true}}}})",
                       ca));
    EXPECT_NE(failure().find("acme.eab_kid"), std::string::npos);
}

// Attack: an authority (or who stands in its place) that answers nonsense, or wants other things to be done.
TEST_F(OrderTest, NonsenseIsRefused) {
    const auto refused_directory = [&](std::string body) {
        begin(two_names());
        asked("GET", "/dir");
        answer(200, std::move(body));
        return failure();
    };
    for (const char* body :
         {"", "[]", "{", R"({"newNonce":1})",
          R"({"newNonce":"http://ca.example/n","newAccount":"https://a/","newOrder":"https://b/"})",
          R"({"newNonce":"https://ca.example/ n","newAccount":"https://a/","newOrder":"https://b/"})"})
        EXPECT_EQ(refused_directory(body), "https://ca.example/dir is no ACME directory") << body;

    begin(two_names());
    to_order();
    asked("POST", "/authz/1");
    answer(200, authorization("mail.example.org", "pending", "../../etc/passwd"));
    EXPECT_EQ(failure(), "the authority's challenge cannot be understood");

    begin(two_names());
    to_order();
    asked("POST", "/authz/1");
    answer(200, authorization("somebody.example.com", "pending", "tok1"));
    EXPECT_EQ(failure(), "the authority's challenge cannot be understood");

    begin(two_names());
    to_account();
    asked("POST", "/order");
    answer(201, R"({"authorizations":["file:///etc/passwd"],"finalize":"https://ca.example/fin"})",
           ca + "/order/1");
    EXPECT_EQ(failure(), "the authority's order cannot be understood");
}

TEST(RetryAfter, IsSecondsOrADate) {
    EXPECT_EQ(parse_retry_after("120", 0), seconds(120));
    EXPECT_EQ(parse_retry_after("0", 0), seconds(0));
    EXPECT_EQ(parse_retry_after("999999999", 0), seconds(86400));
    EXPECT_EQ(parse_retry_after("-5", 0), seconds(0));
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 30), seconds(30));
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 30), seconds(0));
    EXPECT_EQ(parse_retry_after("soon", 0), std::nullopt);
    EXPECT_EQ(parse_retry_after("", 0), std::nullopt);
    EXPECT_EQ(parse_retry_after("12x", 0), std::nullopt);
}

}  // namespace
}  // namespace pier::acme
