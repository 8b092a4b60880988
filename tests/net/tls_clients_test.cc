// Certificates of clients: whose they are, and that a bad one is none, also in resumed sessions.
#include "net/tls_clients.h"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "net/tls_peer.h"
#include "support/certificate.h"

namespace pier::net {
namespace {

using pier::test::CertificateFiles;
using pier::test::make_certificate;
using test::Clients;
using test::Pair;
using testing::ElementsAre;

class TlsClientsTest : public testing::TestWithParam<int> {
  protected:
    TlsClientsTest() {
        make_certificate(server_, 30);
        // Certificates that sign themselves: the file of authorities may hold them too.
        make_certificate(ada_, 30, -400, "ada");
        make_certificate(stranger_, 30, -400, "stranger");
        ca_ = ada_.folder + "/authorities.pem";
        trust(ada_);
        tls_ = std::move(*Tls::load(settings()));
    }

    TlsSettings settings() const {
        return {.files = {server_.certificate, server_.key}, .clients = {ca_, ClientName::common_name}};
    }

    void trust(const CertificateFiles& files) {
        std::ostringstream text;
        text << std::ifstream(files.certificate).rdbuf();
        std::ofstream(ca_) << text.str();
    }

    void show(const CertificateFiles& files) {
        SSL_CTX_use_certificate_file(clients_.context(), files.certificate.c_str(), SSL_FILETYPE_PEM);
        SSL_CTX_use_PrivateKey_file(clients_.context(), files.key.c_str(), SSL_FILETYPE_PEM);
    }

    // A ticket of a connection that has come this far.
    test::Session ticket_of(Pair& pair) {
        pair.server().flush();
        pair.client_receives();
        pair.client_reads();
        return clients_.take_ticket();
    }

    CertificateFiles server_, ada_, stranger_;
    std::string ca_;
    std::unique_ptr<Tls> tls_;
    Clients clients_{GetParam()};
};

TEST_P(TlsClientsTest, WhoShowsNoneIsNobody) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    EXPECT_EQ(pair.server().client(), nullptr);
}

TEST_P(TlsClientsTest, WhoShowsOneIsKnownAlsoWhenHeComesAgain) {
    show(ada_);
    Pair first(*tls_, clients_);
    ASSERT_TRUE(first.handshake());
    ASSERT_NE(first.server().client(), nullptr);
    EXPECT_THAT(first.server().client()->names, ElementsAre("ada"));
    EXPECT_EQ(first.server().client()->problem, "");
    const auto ticket = ticket_of(first);
    ASSERT_NE(ticket, nullptr);
    Pair second(*tls_, clients_, ticket.get());
    ASSERT_TRUE(second.handshake());
    ASSERT_TRUE(second.resumed());
    ASSERT_NE(second.server().client(), nullptr);
    EXPECT_THAT(second.server().client()->names, ElementsAre("ada"));
}

TEST_P(TlsClientsTest, AStrangerIsNobodyAlsoWhenHeComesAgain) {
    show(stranger_);
    Pair first(*tls_, clients_);
    ASSERT_TRUE(first.handshake()) << "a bad certificate counts as none";
    ASSERT_NE(first.server().client(), nullptr);
    EXPECT_TRUE(first.server().client()->names.empty());
    EXPECT_NE(first.server().client()->problem, "");
    const auto ticket = ticket_of(first);
    ASSERT_NE(ticket, nullptr);
    Pair second(*tls_, clients_, ticket.get());
    ASSERT_TRUE(second.handshake());
    ASSERT_TRUE(second.resumed());
    ASSERT_NE(second.server().client(), nullptr);
    EXPECT_TRUE(second.server().client()->names.empty());
    EXPECT_NE(second.server().client()->problem, "");
}

TEST_P(TlsClientsTest, AnExpiredOneIsNone) {
    CertificateFiles old;
    make_certificate(old, -1, -400, "ada");
    trust(old);
    ASSERT_TRUE(tls_->reload(settings()));
    show(old);
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    EXPECT_TRUE(pair.server().client()->names.empty());
    EXPECT_EQ(pair.server().client()->problem, "certificate has expired");
}

TEST_P(TlsClientsTest, TicketsEndWithTheAuthorities) {
    show(ada_);
    Pair first(*tls_, clients_);
    ASSERT_TRUE(first.handshake());
    const auto ticket = ticket_of(first);
    ASSERT_TRUE(tls_->reload(settings()));
    {
        Pair same(*tls_, clients_, ticket.get());
        ASSERT_TRUE(same.handshake());
        EXPECT_TRUE(same.resumed()) << "the same authorities";
    }
    trust(stranger_);
    ASSERT_TRUE(tls_->reload(settings()));
    Pair second(*tls_, clients_, ticket.get());
    ASSERT_TRUE(second.handshake());
    EXPECT_FALSE(second.resumed());
    ASSERT_NE(second.server().client(), nullptr);
    EXPECT_TRUE(second.server().client()->names.empty());
}

TEST_P(TlsClientsTest, TicketsFromBeforeAnybodyWasAskedAreNotTaken) {
    TlsSettings nobody = settings();
    nobody.clients.ca_file.clear();
    ASSERT_TRUE(tls_->reload(nobody));
    show(ada_);
    Pair first(*tls_, clients_);
    ASSERT_TRUE(first.handshake());
    EXPECT_EQ(first.server().client(), nullptr) << "nobody asked";
    const auto ticket = ticket_of(first);
    ASSERT_TRUE(tls_->reload(settings()));
    Pair second(*tls_, clients_, ticket.get());
    ASSERT_TRUE(second.handshake());
    EXPECT_FALSE(second.resumed());
    EXPECT_THAT(second.server().client()->names, ElementsAre("ada"));
}

TEST_P(TlsClientsTest, AFileWithoutAuthoritiesIsRefusedAndNothingChanges) {
    for (const char* text : {"", "no certificate\n"}) {
        std::ofstream(ca_) << text;
        const auto reloaded = tls_->reload(settings());
        ASSERT_FALSE(reloaded);
        EXPECT_EQ(reloaded.error().kind, ErrorKind::invalid);
    }
    show(ada_);
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    EXPECT_THAT(pair.server().client()->names, ElementsAre("ada"));
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsClientsTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                             return version.param == TLS1_2_VERSION ? "tls12" : "tls13";
                         });

}  // namespace
}  // namespace pier::net
