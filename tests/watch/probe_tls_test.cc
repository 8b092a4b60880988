#include "watch/probe_tls.h"

#include <fstream>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "support/certificate.h"

namespace pier::watch {
namespace {

using testing::IsEmpty;
using Why = TlsFacts::Distrust::Why;

struct FreeChain {
    void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};
using Chain = std::unique_ptr<STACK_OF(X509), FreeChain>;

Chain read_chain(const std::string& file) {
    Chain chain(sk_X509_new_null());
    BIO* bio = BIO_new_file(file.c_str(), "r");
    while (X509* one = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr))
        sk_X509_push(chain.get(), one);
    BIO_free(bio);
    return chain;
}

std::vector<Why> whys(const TlsTrust& trust, STACK_OF(X509) * chain, Time now) {
    std::vector<Why> found;
    for (const auto& one : trust.verify(chain, now))
        found.push_back(one.why);
    return found;
}

class Verification : public testing::Test {
  protected:
    void SetUp() override {
        test::make_certificate(files_, 90, -1, "mail.example.org");
        chain_ = read_chain(files_.certificate);
    }
    test::CertificateFiles files_;
    Chain chain_;
};

TEST_F(Verification, SelfSignedIsNotTrustedUnlessItIsNamed) {
    const auto system = TlsTrust::load("");
    ASSERT_TRUE(system);
    EXPECT_THAT(whys(*system, chain_.get(), system_now()), testing::ElementsAre(Why::self_signed));
    const auto own = TlsTrust::load(files_.certificate);
    ASSERT_TRUE(own);
    EXPECT_THAT(whys(*own, chain_.get(), system_now()), IsEmpty());
}

TEST_F(Verification, DaysCountAsOfTheTimeThatIsGiven) {
    const auto own = TlsTrust::load(files_.certificate);
    ASSERT_TRUE(own);
    EXPECT_THAT(whys(*own, chain_.get(), system_now() + std::chrono::days(91)),
                testing::ElementsAre(Why::expired));
    EXPECT_THAT(whys(*own, chain_.get(), system_now() - std::chrono::days(2)),
                testing::ElementsAre(Why::not_yet_valid));
}

TEST_F(Verification, NothingSentIsNothingTrusted) {
    const auto system = TlsTrust::load("");
    ASSERT_TRUE(system);
    EXPECT_THAT(whys(*system, nullptr, system_now()), testing::ElementsAre(Why::other));
}

TEST_F(Verification, CertificatesAreDescribed) {
    const Certificate one = describe(sk_X509_value(chain_.get(), 0));
    EXPECT_EQ(one.subject, "CN=mail.example.org");
    EXPECT_EQ(one.issuer, one.subject);
    EXPECT_TRUE(one.self_signed);
    EXPECT_EQ(one.key_type, "EC");
    EXPECT_EQ(one.key_bits, 256);
    EXPECT_EQ(one.signature, "ecdsa-with-SHA256");
    EXPECT_THAT(one.names, IsEmpty());
    EXPECT_EQ(std::chrono::floor<std::chrono::days>(one.not_after - one.not_before).count(), 91);
}

TEST(TlsTrust, AnUnreadableFileIsTold) {
    const auto trust = TlsTrust::load("/nowhere/ca.pem");
    ASSERT_FALSE(trust);
    EXPECT_EQ(trust.error().kind, ErrorKind::invalid);
    EXPECT_THAT(trust.error().text, testing::HasSubstr("--ca-file /nowhere/ca.pem"));
}

TEST(TlsTrust, WhatCannotBeOfferedIsRefused) {
    const auto trust = TlsTrust::load("");
    ASSERT_TRUE(trust);
    EXPECT_TRUE(trust->make_ssl("mail.example.org", {}));
    EXPECT_TRUE(trust->make_ssl("192.0.2.1", {0, TLS1_2_VERSION, weak_ciphers::without_encryption, "pop3"}));
    EXPECT_TRUE(trust->make_ssl("mail.example.org", {TLS1_VERSION, TLS1_VERSION, "ALL:@SECLEVEL=0", ""}));
    EXPECT_FALSE(trust->make_ssl("mail.example.org", {0, 0, "NO-SUCH-CIPHER", ""}));
}

}  // namespace
}  // namespace pier::watch
