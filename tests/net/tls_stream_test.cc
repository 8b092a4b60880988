// One TLS connection: what it says in how many packets, and that it loses nothing however the octets come.
#include "net/tls_stream.h"

#include <gtest/gtest.h>
#include <openssl/x509.h>

#include "net/tls_peer.h"
#include "support/certificate.h"

namespace pier::net {
namespace {

using test::Clients;
using test::Pair;
using Step = TlsStream::Step;

class TlsStreamTest : public testing::TestWithParam<int> {
  protected:
    TlsStreamTest() {
        pier::test::make_certificate(files_, 30);
        tls_ = std::move(*Tls::load({files_.certificate, files_.key}));
    }
    pier::test::CertificateFiles files_;
    std::unique_ptr<Tls> tls_;
    Clients clients_{GetParam()};
};

TEST_P(TlsStreamTest, TheTicketLeavesWithTheGreetingAndTheGoodbyeWithTheLastReply) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    pair.server_writes("+OK ready\r\n");
    EXPECT_EQ(pair.client_receives(), 0);
    EXPECT_TRUE(pair.server().holds_output());
    EXPECT_EQ(pair.server().flush(), Step::done);
    EXPECT_EQ(pair.client_receives(), 1);
    EXPECT_EQ(pair.client_reads(), "+OK ready\r\n");
    EXPECT_EQ(clients_.tickets, 1);

    pair.client_says("QUIT\r\n");
    pair.client_sends();
    EXPECT_EQ(pair.server_reads(), "QUIT\r\n");
    pair.server_writes("+OK bye\r\n");
    pair.server().say_goodbye();
    EXPECT_EQ(pair.server().flush(), Step::done);
    EXPECT_FALSE(pair.server().holds_output());
    EXPECT_EQ(pair.client_receives(), 1);
    EXPECT_EQ(pair.client_reads(), "+OK bye\r\n");
    EXPECT_TRUE(pair.client_saw_close_notify());
}

TEST_P(TlsStreamTest, ALongPieceTakesWhatWasHeldBackAlong) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    pair.server_writes("+OK\r\n");
    const std::string body(16384, 'b');
    pair.server_writes(body);
    EXPECT_FALSE(pair.server().holds_output());
    EXPECT_EQ(pair.client_receives(), 1);
    EXPECT_TRUE(pair.client_reads() == "+OK\r\n" + body);
}

TEST_P(TlsStreamTest, CommandsThatComeWithTheEndOfTheHandshakeAreRead) {
    Pair pair(*tls_, clients_);
    // The client's last flight and its first command in one packet.
    for (int turn = 0; turn < 3; ++turn) {
        pair.client_receives();
        pair.client_starts();
        if (pair.client_finished()) pair.client_says("CAPA\r\n");
        pair.client_sends();
        if (pair.server().handshake(pair.lent) == Step::done) break;
    }
    if (GetParam() == TLS1_3_VERSION) {
        EXPECT_TRUE(pair.server().has_input());
        EXPECT_EQ(pair.server_reads(), "CAPA\r\n");
        EXPECT_FALSE(pair.server().has_input());
    }
}

std::string exported_by_client(SSL* client) {
    std::string octets(32, '\0');
    EXPECT_EQ(SSL_export_keying_material(client, reinterpret_cast<unsigned char*>(octets.data()),
                                         octets.size(), "EXPORTER-Channel-Binding", 24, nullptr, 0, 1),
              1);
    return octets;
}

std::string sha256_of_peers_certificate(SSL* client) {
    std::string octets(32, '\0');
    unsigned int count = 0;
    X509* certificate = SSL_get1_peer_certificate(client);
    EXPECT_EQ(X509_digest(certificate, EVP_sha256(), reinterpret_cast<unsigned char*>(octets.data()), &count),
              1);
    X509_free(certificate);
    return octets;
}

TEST_P(TlsStreamTest, BothEndsNameTheChannelAlike) {
    const bool exporter = GetParam() == TLS1_3_VERSION;
    std::string last;
    for (const char* suite :
         {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
        SSL_CTX_set_ciphersuites(clients_.context(), suite);
        Pair pair(*tls_, clients_);
        ASSERT_TRUE(pair.handshake());
        EXPECT_EQ(pair.server().has_exporter(), exporter);
        const std::string name = pair.server().channel_binding("tls-exporter");
        EXPECT_EQ(name, exporter ? exported_by_client(pair.client()) : "") << suite;
        if (exporter) {
            EXPECT_NE(name, last) << "every channel has a name of its own";
        }
        last = name;
        EXPECT_EQ(pair.server().channel_binding("tls-server-end-point"),
                  sha256_of_peers_certificate(pair.client()));
        EXPECT_EQ(pair.server().channel_binding("tls-unique"), "");
    }
}

TEST_P(TlsStreamTest, AResumedChannelHasANameOfItsOwn) {
    Pair first(*tls_, clients_);
    ASSERT_TRUE(first.handshake());
    first.server().flush();
    first.client_receives();
    first.client_reads();
    const auto ticket = clients_.take_ticket();
    Pair second(*tls_, clients_, ticket.get());
    ASSERT_TRUE(second.handshake());
    ASSERT_TRUE(second.resumed());
    const auto name = second.server().channel_binding("tls-exporter");
    EXPECT_EQ(name, GetParam() == TLS1_3_VERSION ? exported_by_client(second.client()) : "");
    if (!name.empty()) {
        EXPECT_NE(name, first.server().channel_binding("tls-exporter"));
    }
    EXPECT_EQ(second.server().channel_binding("tls-server-end-point"),
              first.server().channel_binding("tls-server-end-point"));
}

TEST_P(TlsStreamTest, OctetsMayComeOneByOne) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    pair.client_says("USER ada\r\nPASS x\r\n");
    pair.client_says("STAT\r\n");
    pair.client_sends(1);
    std::string got;
    for (int octet = 0; octet < 200; ++octet)
        got += pair.server_reads();
    EXPECT_EQ(got, "USER ada\r\nPASS x\r\nSTAT\r\n");
}

TEST_P(TlsStreamTest, ALargeRecordInPiecesIsReadWhole) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    const std::string large(3 * 16384 + 17, 'x');
    pair.client_says(large);
    pair.client_sends(10000);
    std::string got;
    for (int piece = 0; piece < 8; ++piece)
        got += pair.server_reads();
    EXPECT_TRUE(got == large);
    EXPECT_EQ(pair.last, Step::wants_input);
}

TEST_P(TlsStreamTest, WhatComesBeforeTheEndIsReadAndThenTheEnd) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    pair.client_says("QUIT\r\n");
    pair.client_closes();
    pair.client_sends();
    EXPECT_EQ(pair.server_reads(), "QUIT\r\n");
    EXPECT_EQ(pair.last, Step::end);
}

TEST_P(TlsStreamTest, AChangedOctetIsAFailureAndNothingOfItsRecordIsRead) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    pair.client_says("DELE 1\r\n");
    pair.client_sends(65536, Pair::Spoil::last_octet);
    EXPECT_EQ(pair.server_reads(), "");
    EXPECT_EQ(pair.last, Step::failed);
    EXPECT_NE(pair.server().error("read from the peer").text.find("cannot read from the peer"),
              std::string::npos);
    // The alert says so to the client.
    EXPECT_EQ(pair.server().flush(), Step::done);
    EXPECT_EQ(pair.client_receives(), 1);
}

TEST_P(TlsStreamTest, APeerThatTakesNothingLeavesTheOutputToBeSentLater) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    pair.client_receives();
    const std::string piece(16384, 'p');
    std::size_t sent = 0, taken = 0;
    Step step = Step::done;
    while (step == Step::done) {
        step = pair.server().write(piece, taken);
        sent += taken;
    }
    ASSERT_EQ(step, Step::wants_room);
    std::string got;
    while (step != Step::done) {
        ASSERT_GT(pair.client_receives(), 0);
        got += pair.client_reads();
        step = pair.server().write(piece, taken);
    }
    sent += taken;
    EXPECT_EQ(pair.server().flush(), Step::done);
    pair.client_receives();
    got += pair.client_reads();
    EXPECT_EQ(got.size(), sent);
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsStreamTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                             return version.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

}  // namespace
}  // namespace pier::net
