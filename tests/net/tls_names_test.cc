// Several certificates: which one a client gets (RFC 6066 §3), and what becomes of them in a reload.
#include <array>

#include <gtest/gtest.h>
#include <openssl/x509.h>

#include "net/tls_peer.h"
#include "support/certificate.h"

namespace pier::net::test {
namespace {

class TlsNames : public testing::TestWithParam<int> {
  protected:
    void SetUp() override {
        pier::test::make_certificate(localhost_, 30);
        pier::test::make_certificate(example_, 20, -400, "mail.example.org");
        pier::test::make_certificate(wild_, 10, -400, "*.example.net");
        settings_ = {.files = {localhost_.certificate, localhost_.key},
                     .others = {{example_.certificate, example_.key}, {wild_.certificate, wild_.key}}};
        tls_ = std::move(*Tls::load(settings_));
    }

    // The name in the certificate that a client gets who asks for `wanted`; empty if there is no TLS.
    std::string certificate_for(const char* wanted) {
        Pair pair(*tls_, clients_);
        return certificate_for(wanted, pair);
    }
    static std::string certificate_for(const char* wanted, Pair& pair) {
        if (wanted != nullptr) SSL_set_tlsext_host_name(pair.client(), wanted);
        if (!pair.handshake()) return {};
        std::array<char, 256> name{};
        X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(pair.client())),
                                  NID_commonName, name.data(), name.size());
        return name.data();
    }

    pier::test::CertificateFiles localhost_, example_, wild_;
    TlsSettings settings_;
    std::unique_ptr<Tls> tls_;
    Clients clients_{GetParam()};
};

TEST_P(TlsNames, TheNameThatAClientAsksForChooses) {
    EXPECT_EQ(certificate_for(nullptr), "localhost");
    EXPECT_EQ(certificate_for("localhost"), "localhost");
    EXPECT_EQ(certificate_for("mail.example.org"), "mail.example.org");
    EXPECT_EQ(certificate_for("MAIL.Example.ORG"), "mail.example.org");
    EXPECT_EQ(certificate_for("pop.example.net"), "*.example.net");
    EXPECT_EQ(certificate_for("a.b.example.net"), "localhost") << "a star stands for one label";
    EXPECT_EQ(certificate_for("elsewhere.example"), "localhost");
}

TEST_P(TlsNames, WhatIsSaidBehindTheChoiceArrives) {
    Pair pair(*tls_, clients_);
    ASSERT_EQ(certificate_for("mail.example.org", pair), "mail.example.org");
    pair.server_writes("+OK ready\r\n");
    pair.server().flush();
    pair.client_receives();
    EXPECT_EQ(pair.client_reads(), "+OK ready\r\n");
    const auto bound = [&](const TlsStream& server) {
        return server.channel_binding("tls-server-end-point");
    };
    Pair other(*tls_, clients_);
    ASSERT_EQ(certificate_for("localhost", other), "localhost");
    EXPECT_NE(bound(pair.server()), bound(other.server())) << "the channel's name is that of the chosen one";
}

TEST_P(TlsNames, ATicketIsGoodForTheChosenOne) {
    {
        Pair pair(*tls_, clients_);
        ASSERT_EQ(certificate_for("mail.example.org", pair), "mail.example.org");
        pair.server().flush();
        pair.client_receives();
        pair.client_reads();
    }
    const Session ticket = clients_.take_ticket();
    ASSERT_NE(ticket, nullptr);
    Pair again(*tls_, clients_, ticket.get());
    EXPECT_EQ(certificate_for("mail.example.org", again), "mail.example.org");
    EXPECT_TRUE(again.resumed());
}

TEST_P(TlsNames, OneThatIsBrokenLeavesAllAsTheyWere) {
    EXPECT_LE(tls_->days_left(), 10) << "of the first that ends";
    pier::test::make_certificate(example_, -1);
    const auto reloaded = tls_->reload(settings_);
    ASSERT_TRUE(reloaded.has_error());
    EXPECT_NE(reloaded.error().text.find(example_.certificate), std::string::npos);
    EXPECT_EQ(certificate_for("mail.example.org"), "mail.example.org");
    pier::test::make_certificate(example_, 20, -400, "new.example.org");
    EXPECT_TRUE(tls_->reload(settings_).has_value());
    EXPECT_EQ(certificate_for("mail.example.org"), "localhost");
    EXPECT_EQ(certificate_for("new.example.org"), "new.example.org");
}

TEST_P(TlsNames, AConnectionThatHasBegunChoosesAmongThoseOfItsTime) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(tls_->reload({localhost_.certificate, localhost_.key}).has_value());
    EXPECT_EQ(certificate_for("mail.example.org", pair), "mail.example.org");
    EXPECT_EQ(certificate_for("mail.example.org"), "localhost");
}

// Attack: the server asks for another key share, and the second ClientHello (RFC 8446 §4.1.2) names another
// server than the first.
TEST_P(TlsNames, ANameThatChangesWithinTheHandshakeHurtsNobody) {
    if (GetParam() != TLS1_3_VERSION) GTEST_SKIP() << "TLS 1.2 has one ClientHello";
    static const char* second_name = nullptr;
    const auto on_message = [](int sent, int, int type, const void* octets, std::size_t count, SSL* ssl,
                               void*) {
        const bool server_hello = sent == 0 && type == SSL3_RT_HANDSHAKE && count > 0 &&
                                  *static_cast<const unsigned char*>(octets) == SSL3_MT_SERVER_HELLO;
        if (server_hello) SSL_set_tlsext_host_name(ssl, second_name);
    };
    for (const auto& [first, second, expected] : std::initializer_list<std::array<const char*, 3>>{
             {"mail.example.org", "elsewhere.example", "mail.example.org"},
             {"mail.example.org", "pop.example.net", "*.example.net"},
             {"mail.example.org", "localhost", "localhost"},
             {"localhost", "mail.example.org", "mail.example.org"}}) {
        second_name = second;
        Pair pair(*tls_, clients_);
        SSL_set1_groups_list(pair.client(), "P-521:X25519");  // the server has no P-521
        SSL_set_msg_callback(pair.client(), on_message);
        EXPECT_EQ(certificate_for(first, pair), expected) << first << ", then " << second;
    }
}

TEST_P(TlsNames, ModernIsTls13Alone) {
    settings_.policy = TlsPolicy::modern;
    ASSERT_TRUE(tls_->reload(settings_).has_value());
    const bool taken = GetParam() == TLS1_3_VERSION;
    EXPECT_EQ(certificate_for("mail.example.org"), taken ? "mail.example.org" : "");
    EXPECT_EQ(certificate_for(nullptr), taken ? "localhost" : "");
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsNames, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                             return version.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

}  // namespace
}  // namespace pier::net::test
