// tls-alpn-01 (RFC 8737): who asks for acme-tls/1 and a name under way gets the challenge's certificate,
// nobody else.
#include "net/tls_challenges.h"

#include <gtest/gtest.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "net/tls_peer.h"
#include "support/certificate.h"

namespace pier::net::test {
namespace {

class Challenges : public testing::TestWithParam<int> {
  protected:
    Challenges() {
        pier::test::make_certificate(files_, 30);
        pier::test::make_certificate(other_, 30, -400, "mail.example.org");
        tls_ = std::move(*Tls::load(
            {.files = {files_.certificate, files_.key}, .others = {{other_.certificate, other_.key}}}));
        std::map<std::string, PemPair> pairs;
        pairs["mail.example.org"] =
            std::move(*make_self_signed({"mail.example.org"}, 7, std::string(32, 'd')));
        EXPECT_TRUE(tls_->answer_challenges(pairs).has_value());
    }

    enum class Gets { challenge, usual, refused };
    Gets gets(const char* name, std::string_view protocols) {
        Pair pair(*tls_, clients_);
        if (name != nullptr) SSL_set_tlsext_host_name(pair.client(), name);
        if (!protocols.empty())
            SSL_set_alpn_protos(pair.client(), reinterpret_cast<const unsigned char*>(protocols.data()),
                                static_cast<unsigned>(protocols.size()));
        if (!pair.handshake()) return Gets::refused;
        const int at = X509_get_ext_by_OBJ(SSL_get0_peer_certificate(pair.client()), identifier_, -1);
        EXPECT_EQ(at >= 0, pair.server().answers_challenge());
        if (at < 0) return Gets::usual;
        const unsigned char* chosen = nullptr;
        unsigned int length = 0;
        SSL_get0_alpn_selected(pair.client(), &chosen, &length);
        EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), length), "acme-tls/1");
        return Gets::challenge;
    }

    ASN1_OBJECT* identifier_ = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    pier::test::CertificateFiles files_, other_;
    std::unique_ptr<Tls> tls_;
    Clients clients_{GetParam()};

    ~Challenges() override { ASN1_OBJECT_free(identifier_); }
};

constexpr std::string_view acme(
    "\x0a"
    "acme-tls/1");
constexpr std::string_view pop3(
    "\x04"
    "pop3");

TEST_P(Challenges, TheAuthorityGetsTheChallengesCertificate) {
    EXPECT_EQ(gets("mail.example.org", acme), Gets::challenge);
    EXPECT_EQ(gets("MAIL.example.org", acme), Gets::challenge);
}

TEST_P(Challenges, NobodyElseDoes) {
    EXPECT_EQ(gets("mail.example.org", ""), Gets::usual);
    EXPECT_EQ(gets("mail.example.org", pop3), Gets::usual);
    EXPECT_EQ(gets(nullptr, acme), Gets::refused);
    EXPECT_EQ(gets("localhost", acme), Gets::refused);
    EXPECT_EQ(gets("mail.example.org", std::string(pop3) + std::string(acme)), Gets::usual)
        << "that alone, RFC 8737 §3";
}

TEST_P(Challenges, WhenItIsOverTheProtocolIsUnknown) {
    EXPECT_TRUE(tls_->answer_challenges({}).has_value());
    EXPECT_EQ(gets("mail.example.org", acme), Gets::refused);
}

TEST_P(Challenges, OneThatCannotBeUsedIsNamed) {
    std::map<std::string, PemPair> pairs;
    pairs["a.example.org"].certificate = "nonsense";
    pairs["b.example.org"] = std::move(*make_self_signed({"b.example.org"}, 7, std::string(32, 'd')));
    const auto answered = tls_->answer_challenges(pairs);
    ASSERT_FALSE(answered.has_value());
    EXPECT_NE(answered.error().text.find("a.example.org"), std::string::npos);
    EXPECT_EQ(gets("b.example.org", acme), Gets::challenge);
}

TEST_P(Challenges, AReloadLeavesThem) {
    EXPECT_TRUE(tls_->reload({.files = {files_.certificate, files_.key}}).has_value());
    EXPECT_EQ(gets("mail.example.org", acme), Gets::challenge);
}

INSTANTIATE_TEST_SUITE_P(Versions, Challenges, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                             return version.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

}  // namespace
}  // namespace pier::net::test
