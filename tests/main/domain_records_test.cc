#include "main/domain_records.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "main/dkim_key.h"

namespace pier::program {
namespace {

using testing::HasSubstr;
using State = RecordCheck::State;

DomainFacts example() {
    return {.domain = "example.org",
            .host = "mx.example.org",
            .addresses = {"192.0.2.1", "2001:db8::1"},
            .dkim = {{"pier", "rsa", std::string(392, 'A')}},
            .key_digests = {std::string(64, 'a')},
            .services = {{"_submissions", 465}, {"_pop3s", 995}, {"_pop3", 0}},
            .postmaster = "postmaster@example.org"};
}

TEST(DomainRecords, everything_that_dns_has_to_say) {
    const std::string zone = zone_file(domain_records(example()));
    const std::string a(64, 'a'), key = "v=DKIM1; k=rsa; p=" + std::string(392, 'A');
    EXPECT_EQ(zone,
              "; where mail for the domain goes\n"
              "example.org. 3600 IN MX 10 mx.example.org.\n\n"
              "; the server's address\n"
              "mx.example.org. 3600 IN A 192.0.2.1\n"
              "mx.example.org. 3600 IN AAAA 2001:db8::1\n\n"
              "; SPF: who may send for the domain\n"
              "example.org. 3600 IN TXT \"v=spf1 mx -all\"\n\n"
              "; SPF: the server's own name, in bounces\n"
              "mx.example.org. 3600 IN TXT \"v=spf1 a -all\"\n\n"
              "; DKIM: the key of signatures\n"
              "pier._domainkey.example.org. 3600 IN TXT \"" +
                  key.substr(0, 255) + "\" \"" + key.substr(255) +
                  "\"\n\n"
                  "; DMARC: what becomes of mail that is not from here\n"
                  "_dmarc.example.org. 3600 IN TXT \"v=DMARC1; p=quarantine; "
                  "rua=mailto:postmaster@example.org\"\n\n"
                  "; MTA-STS: mail comes over TLS\n"
                  "_mta-sts.example.org. 3600 IN TXT \"v=STSv1; id=" +
                  mta_sts_id(mta_sts_policy(example())) +
                  "\"\n\n"
                  "; MTA-STS: where its policy is\n"
                  "mta-sts.example.org. 3600 IN CNAME mx.example.org.\n\n"
                  "; TLSRPT: who is told when TLS fails\n"
                  "_smtp._tls.example.org. 3600 IN TXT \"v=TLSRPTv1; "
                  "rua=mailto:postmaster@example.org\"\n\n"
                  "; DANE: the key of the certificate; only in a signed zone\n"
                  "_25._tcp.mx.example.org. 3600 IN TLSA 3 1 1 " +
                  a +
                  "\n\n"
                  "; mail programs find the server\n"
                  "_submissions._tcp.example.org. 3600 IN SRV 0 1 465 mx.example.org.\n"
                  "_pop3s._tcp.example.org. 3600 IN SRV 0 1 995 mx.example.org.\n"
                  "_pop3._tcp.example.org. 3600 IN SRV 0 0 0 .\n\n"
                  "; mail programs ask there for their settings\n"
                  "autoconfig.example.org. 3600 IN CNAME mx.example.org.\n");
}

TEST(DomainRecords, a_text_is_cut_into_strings_of_255) {
    for (const std::size_t octets : {std::size_t{0}, std::size_t{1}, std::size_t{254}, std::size_t{255}})
        EXPECT_EQ(quoted_text(std::string(octets, 'x')), '"' + std::string(octets, 'x') + '"');
    EXPECT_EQ(quoted_text(std::string(256, 'x')), '"' + std::string(255, 'x') + "\" \"x\"");
    EXPECT_EQ(quoted_text(std::string(510, 'x')),
              '"' + std::string(255, 'x') + "\" \"" + std::string(255, 'x') + '"');
    EXPECT_EQ(quoted_text("a\"b\\c"), "\"a\\\"b\\\\c\"");
}

TEST(DomainRecords, a_policy_has_its_id) {
    const std::string policy = mta_sts_policy(example());
    EXPECT_EQ(policy, "version: STSv1\r\nmode: testing\r\nmx: mx.example.org\r\nmax_age: 604800\r\n");
    EXPECT_EQ(mta_sts_id(policy).size(), 16u);
    EXPECT_NE(mta_sts_id(policy), mta_sts_id(policy + " "));
}

DnsRecord record(const std::string& type, const std::string& value) {
    return {"example.org", type, value, "", false};
}

TEST(DomainRecords, what_dns_says_is_compared) {
    const std::vector<std::string> nothing;
    struct {
        const char* type;
        const char* wanted;
        std::vector<std::string> found;
        State state;
    } const cases[] = {
        {"MX", "10 mx.example.org.", {"10 mx.example.org."}, State::ok},
        {"MX", "10 mx.example.org.", {"5 other.example.", "20 MX.example.org."}, State::ok},
        {"MX", "10 mx.example.org.", {"10 other.example."}, State::differs},
        {"MX", "10 mx.example.org.", {"0 ."}, State::differs},
        {"MX", "10 mx.example.org.", nothing, State::missing},
        {"A", "192.0.2.1", {"192.0.2.2", "192.0.2.1"}, State::ok},
        {"A", "192.0.2.1", {"192.0.2.2"}, State::differs},
        {"TLSA", "3 1 1 abcd", {"3 1 1 ABCD"}, State::ok},
        {"TLSA", "3 1 1 abcd", {"3 1 1 abce"}, State::differs},
        {"SRV", "0 0 0 .", {"0 0 0 ."}, State::ok},
        {"SRV", "0 1 995 mx.example.org.", {"0 1 996 mx.example.org."}, State::differs},
        {"TXT", "v=spf1 mx -all", {"some-verification=x", "v=spf1 ip4:192.0.2.1 mx ~all"}, State::ok},
        {"TXT", "v=spf1 mx -all", {"v=spf1 -all"}, State::differs},
        {"TXT", "v=spf1 mx -all", {"some-verification=x"}, State::missing},
        {"TXT", "v=DMARC1; p=quarantine; rua=mailto:a@b", {"v=DMARC1; p=none"}, State::ok},
        {"TXT", "v=DMARC1; p=quarantine", {"v=spf1 mx"}, State::missing},
        {"TXT", "v=STSv1; id=1", {"v=STSv1; id=2;"}, State::ok},
        {"TXT", "v=DKIM1; k=rsa; p=AAAA", {"v=DKIM1;p=AA AA"}, State::ok},
        {"TXT", "v=DKIM1; k=rsa; p=AAAA", {"v=DKIM1; k=rsa; p=AAAB"}, State::differs},
        {"TXT", "v=DKIM1; k=ed25519; p=AAAA", {"v=DKIM1; p=AAAA"}, State::differs},
        {"TXT", "v=DKIM1; k=rsa; p=AAAA", {"p=AAAB"}, State::differs},
        {"CNAME", "mx.example.org.", {"mx.example.org."}, State::ok},
        {"CNAME", "mx.example.org.", {"192.0.2.1"}, State::differs},
    };
    for (const auto& one : cases) {
        const auto checked = check_record(record(one.type, one.wanted), one.found);
        EXPECT_EQ(checked.state, one.state) << one.type << " " << one.wanted;
        EXPECT_EQ(checked.found.empty(), one.state != State::differs) << checked.found;
    }
}

class DkimKeys : public testing::Test {
  protected:
    void SetUp() override {
        folder = (std::filesystem::temp_directory_path() / "pier-dkim-XXXXXX").string();
        ASSERT_NE(::mkdtemp(folder.data()), nullptr);
        std::filesystem::create_directory(folder + "/index");
    }
    void TearDown() override { std::filesystem::remove_all(folder); }
    static unsigned mode(const std::string& path) {
        struct stat status {};
        return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
    }
    std::string folder;
};

TEST_F(DkimKeys, are_made_once_and_read_by_their_group) {
    const auto key = make_dkim_key(folder, "example.org", "pier", DkimKeyType::rsa);
    ASSERT_TRUE(key) << key.error().text;
    EXPECT_EQ(key->key_type, "rsa");
    EXPECT_EQ(key->public_key.size(), 392u) << "2,048 bits";
    EXPECT_EQ(key->public_key.substr(0, 8), "MIIBIjAN");
    EXPECT_EQ(mode(folder + "/dkim/example.org.pier.key"), 0640u);
    EXPECT_EQ(mode(folder + "/dkim"), 0750u);
    EXPECT_EQ(mode(folder), 0710u);
    EXPECT_EQ(mode(folder + "/index"), 0700u) << "the group passes through and sees nothing else";
    const auto again = make_dkim_key(folder, "example.org", "pier", DkimKeyType::rsa);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::exists);
    EXPECT_THAT(again.error().text, HasSubstr("another --selector"));
}

TEST_F(DkimKeys, are_found_again) {
    EXPECT_EQ(dkim_keys(folder, "example.org")->size(), 0u);
    const auto rsa = make_dkim_key(folder, "example.org", "pier", DkimKeyType::rsa);
    const auto ed = make_dkim_key(folder, "example.org", "a", DkimKeyType::ed25519);
    ASSERT_TRUE(rsa && ed);
    EXPECT_EQ(ed->public_key.size(), 44u);
    ASSERT_TRUE(make_dkim_key(folder, "mail.example.org", "pier", DkimKeyType::ed25519));
    ASSERT_TRUE(make_dkim_key(folder, "example.org.net", "pier", DkimKeyType::ed25519));
    const auto keys = dkim_keys(folder, "example.org");
    ASSERT_TRUE(keys);
    ASSERT_EQ(keys->size(), 2u);
    EXPECT_EQ(keys->at(0).public_key, ed->public_key);
    EXPECT_EQ(keys->at(0).key_type, "ed25519");
    EXPECT_EQ(keys->at(1).public_key, rsa->public_key);
    EXPECT_EQ(keys->at(1).selector, "pier");
}

// Attack: a selector becomes part of a file's name.
TEST_F(DkimKeys, selectors_are_labels) {
    for (const char* good : {"a", "pier", "s2026-11", "A1"})
        EXPECT_TRUE(is_selector(good)) << good;
    for (const char* bad : {"", "../x", "a.b", "-a", "a-", "a/b", "a b", "\xC3\xBC"})
        EXPECT_FALSE(is_selector(bad)) << bad;
    EXPECT_TRUE(is_selector(std::string(63, 'a')));
    EXPECT_FALSE(is_selector(std::string(64, 'a')));
    EXPECT_FALSE(make_dkim_key(folder, "example.org", "../x", DkimKeyType::ed25519));
}

}  // namespace
}  // namespace pier::program
