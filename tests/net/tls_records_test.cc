// After the handshake of TLS 1.3: the records that OpenSSL's clients send and those that no client should.
#include "net/tls_records.h"

#include <gtest/gtest.h>

#include "net/tls_peer.h"
#include "support/certificate.h"

namespace pier::net {
namespace {

using test::Clients;
using test::Pair;
using Step = TlsStream::Step;
using Opened = TlsRecords::Opened;

class TlsSuiteTest : public testing::TestWithParam<const char*> {
  protected:
    TlsSuiteTest() {
        pier::test::make_certificate(files_, 30);
        tls_ = std::move(*Tls::load({files_.certificate, files_.key}));
        SSL_CTX_set_ciphersuites(clients_.context(), GetParam());
    }
    void expect_talk(Pair& pair) {
        const std::string question(40'000, 'q'), answer(70'000, 'a');
        pair.client_says(question);
        pair.client_sends(10'000);
        std::string got;
        for (int piece = 0; piece < 6; ++piece)
            got += pair.server_reads();
        EXPECT_TRUE(got == question);
        pair.server_writes(answer);
        EXPECT_EQ(pair.server().flush(), Step::done);
        pair.client_receives();
        EXPECT_TRUE(pair.client_reads() == answer);
    }
    pier::test::CertificateFiles files_;
    std::unique_ptr<Tls> tls_;
    Clients clients_{TLS1_3_VERSION};
};

TEST_P(TlsSuiteTest, CarriesBothDirections) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    EXPECT_EQ(pair.server().text(), std::string("TLSv1.3/") + GetParam());
    expect_talk(pair);
}

TEST_P(TlsSuiteTest, EitherSideMayAskForNewKeys) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    for (const int kind : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
        pair.client_changes_keys(kind);
        expect_talk(pair);
        expect_talk(pair);
    }
    // The answer to such a wish leaves by itself too.
    pair.server().flush();
    pair.client_receives();
    pair.client_changes_keys(SSL_KEY_UPDATE_REQUESTED);
    pair.client_says("NOOP\r\n");
    pair.client_sends();
    EXPECT_EQ(pair.server_reads(), "NOOP\r\n");
    EXPECT_TRUE(pair.server().holds_output());
}

TEST_P(TlsSuiteTest, AClientThatChangesKeysWithoutEndIsEnded) {
    Pair pair(*tls_, clients_);
    ASSERT_TRUE(pair.handshake());
    pair.client_receives();
    for (int update = 0; update < 40; ++update) {
        pair.client_changes_keys(SSL_KEY_UPDATE_REQUESTED);
        pair.client_starts();
    }
    pair.client_sends();
    EXPECT_EQ(pair.server_reads(), "");
    EXPECT_EQ(pair.last, Step::failed);
    EXPECT_NE(pair.server().error("read").text.find("too many KeyUpdates"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Suites, TlsSuiteTest,
                         testing::Values("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"),
                         [](const auto& suite) { return std::string(suite.param); });

// RFC 8448 §3, "Simple 1-RTT Handshake": the published secrets, and the records made with them.
constexpr const char* client_secret = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
constexpr const char* server_secret = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
constexpr std::uint16_t aes_128_gcm_sha256 = 0x1301;

std::string from_hex(std::string_view hex) {
    std::string octets;
    for (std::size_t at = 0; at < hex.size(); at += 2)
        octets += static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16));
    return octets;
}

class TlsRecordsTest : public testing::Test {
  protected:
    TlsRecordsTest() {
        EXPECT_TRUE(ours_.set_client_secret(client_secret));
        EXPECT_TRUE(ours_.set_server_secret(server_secret));
        EXPECT_TRUE(ours_.begin(aes_128_gcm_sha256, 1));
        // The other side of it: what it seals, ours_ opens.
        EXPECT_TRUE(theirs_.set_client_secret(server_secret));
        EXPECT_TRUE(theirs_.set_server_secret(client_secret));
        EXPECT_TRUE(theirs_.begin(aes_128_gcm_sha256, 0));
    }
    Opened open(std::string_view record) {
        rest_ = record;
        std::size_t octets = 0;
        const auto opened = ours_.open(rest_, out_, octets);
        text_.assign(out_.data(), octets);
        return opened;
    }
    TlsRecords ours_, theirs_;
    std::array<char, 65536> out_{};
    std::string text_;
    std::string_view rest_;
};

TEST_F(TlsRecordsTest, RecordsOfRfc8448) {
    std::string fifty;
    for (char octet = 0; octet < 50; ++octet)
        fifty += octet;
    std::string sealed;
    ASSERT_TRUE(ours_.seal(fifty, sealed));
    EXPECT_EQ(sealed,
              from_hex("17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6"
                       "dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"));
    EXPECT_EQ(
        open(from_hex("1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395b"
                      "d54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4")),
        Opened::data);
    EXPECT_EQ(text_, fifty);
    EXPECT_TRUE(rest_.empty());
    EXPECT_EQ(open(from_hex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3")), Opened::end);
    std::string goodbye;
    ASSERT_TRUE(ours_.seal_alert(goodbye));
    EXPECT_EQ(goodbye, from_hex("1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"));
}

TEST_F(TlsRecordsTest, ARecordIsOpenedWhenAllOfItIsThereAndOnlyOnce) {
    std::string sealed;
    ASSERT_TRUE(theirs_.seal("STAT\r\n", sealed));
    for (std::size_t part = 0; part < sealed.size(); ++part) {
        EXPECT_EQ(open(std::string_view(sealed).substr(0, part)), Opened::incomplete);
        EXPECT_EQ(rest_.size(), part);
    }
    EXPECT_EQ(open(sealed), Opened::data);
    EXPECT_EQ(text_, "STAT\r\n");
    EXPECT_EQ(open(sealed), Opened::bad);  // a replay
}

TEST_F(TlsRecordsTest, EveryChangedOctetIsNoticed) {
    std::string sealed;
    ASSERT_TRUE(theirs_.seal("DELE 1\r\n", sealed));
    for (std::size_t at = 0; at < sealed.size(); ++at) {
        std::string changed = sealed;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        const auto opened = open(changed);
        // A length that has grown makes a record whose end has not come yet.
        EXPECT_TRUE(opened == Opened::bad || (opened == Opened::incomplete && (at == 3 || at == 4))) << at;
        EXPECT_EQ(text_, "");
    }
    EXPECT_EQ(open(sealed), Opened::data);
}

TEST_F(TlsRecordsTest, WhatIsNotEncryptedIsRefused) {
    for (const char* record : {"140303000101", "15030300020100", "16030300050018000100", "474554202f20"}) {
        EXPECT_EQ(open(from_hex(record)), Opened::bad) << record;
        EXPECT_EQ(std::string(ours_.reason()), "a record that is not encrypted");
    }
}

TEST_F(TlsRecordsTest, LengthsThatCannotBeAreRefusedBeforeTheRecordHasCome) {
    EXPECT_EQ(open(from_hex("1703034101")), Opened::bad);  // 2^14 + 257
    EXPECT_EQ(open(from_hex("1703034100")), Opened::incomplete);
    EXPECT_EQ(open(from_hex("1703030010")), Opened::bad);  // no room for a type
    EXPECT_EQ(open(from_hex("1703030011")), Opened::incomplete);
}

TEST_F(TlsRecordsTest, TextIsCutIntoRecordsOfFullLength) {
    const std::string text(2 * TlsRecords::text_octets_max + 1, 't');
    std::string sealed;
    ASSERT_TRUE(theirs_.seal(text, sealed));
    EXPECT_EQ(sealed.size(), text.size() + 3 * TlsRecords::extra_octets);
    std::string got;
    for (std::string_view rest = sealed; !rest.empty(); rest = rest_) {
        ASSERT_EQ(open(rest), Opened::data);
        got += text_;
    }
    EXPECT_TRUE(got == text);
}

TEST_F(TlsRecordsTest, WrongSecretsOrAnUnknownSuiteAreNotTakenOver) {
    TlsRecords records;
    EXPECT_FALSE(records.set_client_secret("abc"));
    EXPECT_FALSE(records.set_client_secret("zz"));
    EXPECT_FALSE(records.begin(aes_128_gcm_sha256, 0));
    EXPECT_TRUE(records.set_client_secret(client_secret));
    EXPECT_FALSE(records.begin(aes_128_gcm_sha256, 0));
    EXPECT_TRUE(records.set_server_secret(server_secret));
    EXPECT_FALSE(records.begin(0x1302, 0));  // its hash is longer
    EXPECT_FALSE(records.begin(0x1304, 0));
    EXPECT_TRUE(records.begin(aes_128_gcm_sha256, 0));
}

}  // namespace
}  // namespace pier::net
