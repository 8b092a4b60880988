// The file of session ticket keys that nodes share: its form, its rotation, who may read it.
#include "net/tls_ticket_keys.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/certificate.h"
#include "wire/base64.h"

namespace pier::net {
namespace {

class TicketKeys : public testing::Test {
  protected:
    TicketKeys() {
        pier::test::make_certificate(files_, 30);
        file_ = files_.folder + "/ticket.keys";
    }
    void write(const std::string& text, mode_t mode = 0600) {
        std::ofstream(file_) << text;
        ::chmod(file_.c_str(), mode);
    }
    std::string failure() {
        const auto keys = read_tls_ticket_keys(file_);
        return keys ? "" : keys.error().text;
    }

    pier::test::CertificateFiles files_;  // for its folder
    std::string file_;
};

const Time day = *parse_day("2026-11-29");

TEST_F(TicketKeys, WhatIsWrittenIsReadAgain) {
    const std::vector<TlsTicketKey> keys{make_tls_ticket_key(day), make_tls_ticket_key(Time{})};
    const auto again = parse_tls_ticket_keys(format_tls_ticket_keys(keys));
    ASSERT_TRUE(again.has_value()) << again.error().text;
    ASSERT_EQ(again->size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ((*again)[i].name, keys[i].name);
        EXPECT_EQ((*again)[i].mac, keys[i].mac);
        EXPECT_EQ((*again)[i].cipher, keys[i].cipher);
        EXPECT_EQ((*again)[i].made, keys[i].made);
    }
    EXPECT_NE(keys[0].cipher, keys[1].cipher);
}

TEST_F(TicketKeys, TheOctetsAreNameMacCipher) {
    std::string octets(80, 'n');
    octets.replace(16, 32, std::string(32, 'm'));
    octets.replace(48, 32, std::string(32, 'c'));
    const auto keys = parse_tls_ticket_keys("# a comment\r\n\n" + wire::base64_encode(octets) + "\r\n");
    ASSERT_TRUE(keys.has_value());
    EXPECT_EQ(keys->front().name[15], 'n');
    EXPECT_EQ(keys->front().mac[0], 'm');
    EXPECT_EQ(keys->front().mac[31], 'm');
    EXPECT_EQ(keys->front().cipher[0], 'c');
}

TEST_F(TicketKeys, WhatIsNoKeyIsRefusedByItsLineAndNotShown) {
    const std::string good = wire::base64_encode(std::string(80, 'k'));
    const auto refusal = [](const std::string& text) {
        const auto keys = parse_tls_ticket_keys(text);
        return keys ? std::string("taken") : keys.error().text;
    };
    EXPECT_EQ(refusal(""), "there is no key in it");
    EXPECT_EQ(refusal("# none\n"), "there is no key in it");
    EXPECT_EQ(refusal("#\n" + wire::base64_encode(std::string(79, 's'))),
              "line 2 is not the base64 of 80 octets");
    EXPECT_EQ(refusal(wire::base64_encode(std::string(81, 's'))), "line 1 is not the base64 of 80 octets");
    EXPECT_EQ(refusal("secret"), "line 1 is not the base64 of 80 octets");
    EXPECT_EQ(refusal(good + " yesterday"), "what stands behind the key in line 1 is not a day (2026-11-29)");
    EXPECT_EQ(refusal(good + "\n" + good), "the key of line 2 is there twice");
}

TEST_F(TicketKeys, ThereIsAMostOfKeys) {
    std::vector<TlsTicketKey> keys;
    for (std::size_t i = 0; i < tls_ticket_keys_max; ++i)
        keys.push_back(make_tls_ticket_key(day));
    EXPECT_TRUE(parse_tls_ticket_keys(format_tls_ticket_keys(keys)).has_value());
    keys.push_back(make_tls_ticket_key(day));
    EXPECT_FALSE(parse_tls_ticket_keys(format_tls_ticket_keys(keys)).has_value());
}

TEST_F(TicketKeys, RotationPutsANewKeyInFrontAndKeepsSomeOldOnes) {
    const auto first = rotate_tls_ticket_keys(file_, 2, day);
    ASSERT_TRUE(first.has_value()) << first.error().text;
    EXPECT_EQ(first->size(), 1u);
    const auto second = rotate_tls_ticket_keys(file_, 2, day);
    const auto third = rotate_tls_ticket_keys(file_, 2, day);
    const auto fourth = rotate_tls_ticket_keys(file_, 2, day);
    ASSERT_TRUE(fourth.has_value());
    ASSERT_EQ(fourth->size(), 3u);
    EXPECT_EQ((*fourth)[1].name, (*third)[0].name);
    EXPECT_EQ((*fourth)[2].name, (*second)[0].name);
    const auto read = read_tls_ticket_keys(file_);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ((*read)[0].name, (*fourth)[0].name);
    struct stat status {};
    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
    EXPECT_EQ(rotate_tls_ticket_keys(file_, 0, day)->size(), 1u);
}

TEST_F(TicketKeys, AFileThatOthersMayReadIsRefused) {
    const std::string text = format_tls_ticket_keys({make_tls_ticket_key(day)});
    for (const mode_t mode : {0640u, 0604u, 0620u, 0601u}) {
        write(text, mode);
        EXPECT_NE(failure().find("chmod 600"), std::string::npos) << mode;
    }
    write(text, 0600);
    EXPECT_EQ(failure(), "");
    write(text, 0400);
    EXPECT_EQ(failure(), "");
}

TEST_F(TicketKeys, ABrokenFileIsNotRotatedAway) {
    write("nonsense\n");
    EXPECT_FALSE(rotate_tls_ticket_keys(file_, 2, day).has_value());
    std::ostringstream there;
    there << std::ifstream(file_).rdbuf();
    EXPECT_EQ(there.str(), "nonsense\n");
}

}  // namespace
}  // namespace pier::net
