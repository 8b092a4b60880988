// Files that change under a running server: when they are taken up, and what is kept.
#include "main/tls_upkeep.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "support/certificate.h"

namespace pier::program {
namespace {

// A second may have begun since the certificate was made.
bool ends_in(const net::Tls& tls, int days) {
    return tls.days_left() == days || tls.days_left() == days - 1;
}

class TlsUpkeepTest : public testing::Test {
  protected:
    TlsUpkeepTest() {
        test::make_certificate(files_, 30);
        settings_.files = {files_.certificate, files_.key};
        tls_ = std::move(*net::Tls::load(settings_));
        upkeep_ = std::make_unique<TlsUpkeep>(*tls_, settings_);
    }
    test::CertificateFiles files_;
    net::TlsSettings settings_;
    std::unique_ptr<net::Tls> tls_;
    std::unique_ptr<TlsUpkeep> upkeep_;
};

TEST_F(TlsUpkeepTest, AChangeIsTakenUpWhenItHasSettled) {
    upkeep_->look();
    test::make_certificate(files_, 60);
    upkeep_->look();
    EXPECT_TRUE(ends_in(*tls_, 30)) << "somebody may still be writing";
    upkeep_->look();
    EXPECT_TRUE(ends_in(*tls_, 60));
    test::make_certificate(files_, 90);
    upkeep_->look();
    test::make_certificate(files_, 120);
    upkeep_->look();
    EXPECT_TRUE(ends_in(*tls_, 60));
    upkeep_->look();
    EXPECT_TRUE(ends_in(*tls_, 120));
}

TEST_F(TlsUpkeepTest, WhatIsBrokenOrGoneChangesNothingUntilItIsGood) {
    std::ofstream(files_.certificate) << "nonsense";
    for (int look = 0; look < 3; ++look)
        upkeep_->look();
    EXPECT_TRUE(ends_in(*tls_, 30));
    std::filesystem::remove(files_.certificate);
    for (int look = 0; look < 3; ++look)
        upkeep_->look();
    EXPECT_TRUE(ends_in(*tls_, 30));
    test::make_certificate(files_, -1);  // has ended
    for (int look = 0; look < 3; ++look)
        upkeep_->look();
    EXPECT_TRUE(ends_in(*tls_, 30));
    test::make_certificate(files_, 60);
    upkeep_->look();
    upkeep_->look();
    EXPECT_TRUE(ends_in(*tls_, 60));
}

TEST_F(TlsUpkeepTest, ACertificateThatComesTakesThePlaceOfTheSelfSignedOne) {
    net::TlsSettings settings;
    settings.files = {files_.folder + "/later.pem", files_.folder + "/later.pem"};
    settings.stand_in = {"mail.example.org"};
    const auto tls = std::move(*net::Tls::load(settings));
    TlsUpkeep upkeep(*tls, settings);
    EXPECT_TRUE(tls->stands_in());
    EXPECT_TRUE(ends_in(*tls, 30));
    {
        std::ofstream both(settings.files.certificate);
        both << std::ifstream(files_.certificate).rdbuf() << std::ifstream(files_.key).rdbuf();
    }
    upkeep.take_up_changes();
    EXPECT_FALSE(tls->stands_in());
}

TEST_F(TlsUpkeepTest, ACertificateThatEndsSoonIsAProblem) {
    EXPECT_TRUE(tls_->problems().empty());
    test::make_certificate(files_, 10);
    ASSERT_TRUE(upkeep_->take_up(settings_).has_value());
    ASSERT_EQ(tls_->problems().size(), 1u);
    EXPECT_NE(tls_->problems()[0].find("ends in "), std::string::npos) << tls_->problems()[0];
}

}  // namespace
}  // namespace pier::program
