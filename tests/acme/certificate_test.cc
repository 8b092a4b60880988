// Requests for certificates, what is taken for an answer to one, and when it is renewed.
#include "acme/certificate.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "acme/renewal.h"
#include "net/self_signed.h"

namespace pier::acme {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Certificate, TheRequestNamesAllDomainsAndIsSigned) {
    const auto key = Key::make();
    const auto der = make_request(*key, {"mail.example.org", "pop.example.org"});
    ASSERT_TRUE(der.has_value());
    const auto* octets = reinterpret_cast<const unsigned char*>(der->data());
    X509_REQ* request = d2i_X509_REQ(nullptr, &octets, static_cast<long>(der->size()));
    ASSERT_NE(request, nullptr);
    EXPECT_EQ(X509_REQ_verify(request, key->get()), 1);
    STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request);
    auto* names =
        static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr));
    ASSERT_NE(names, nullptr);
    EXPECT_EQ(sk_GENERAL_NAME_num(names), 2);
    GENERAL_NAMES_free(names);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
}

TEST(Certificate, OnlyWhatWasAskedForIsTaken) {
    const auto pair = net::make_self_signed({"mail.example.org", "pop.example.org"}, 30);
    const auto key = Key::from_pem(pair->key);
    const Time now = system_now();
    const auto refusal = [&](const Key& with, const std::vector<std::string>& domains, Time at) {
        const auto checked = check_chain(pair->certificate, with, domains, at);
        return checked ? std::string() : checked.error().text;
    };
    EXPECT_EQ(refusal(*key, {"mail.example.org", "pop.example.org"}, now), "");
    EXPECT_EQ(refusal(*key, {"mail.example.org"}, now), "");
    EXPECT_NE(refusal(*key, {"mail.example.org", "imap.example.org"}, now).find("not for all of the names"),
              std::string::npos);
    EXPECT_NE(refusal(*Key::make(), {"mail.example.org"}, now).find("another key"), std::string::npos);
    EXPECT_NE(refusal(*key, {"mail.example.org"}, now + hours(31 * 24)).find("clock"), std::string::npos);
    EXPECT_NE(refusal(*key, {"mail.example.org"}, now - hours(24)).find("clock"), std::string::npos);
    EXPECT_FALSE(check_chain("nonsense", *key, {"mail.example.org"}, now).has_value());
    EXPECT_TRUE(is_for(pair->certificate, {"pop.example.org"}));
    EXPECT_FALSE(is_for("", {"pop.example.org"}));
}

TEST(Certificate, RenewalIsAtTwoThirdsAndUpToATwentiethEarlier) {
    const Time begin = *parse_day("2026-01-01");
    const Life life{begin, begin + hours(90 * 24)};
    EXPECT_EQ(life.renewal(0), begin + hours(60 * 24));
    EXPECT_EQ(life.renewal(1), begin + hours(60 * 24) - minutes(9 * 12 * 60));
    EXPECT_LT(life.renewal(0.5), life.renewal(0.4));
}

TEST(Certificate, TheChallengesCertificateHasTheDigestInACriticalExtension) {
    const std::string digest = sha256("token.thumbprint");
    const auto pair = net::make_self_signed({"mail.example.org"}, 7, digest);
    ASSERT_TRUE(pair.has_value());
    BIO* memory = BIO_new_mem_buf(pair->certificate.data(), static_cast<int>(pair->certificate.size()));
    X509* certificate = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
    ASN1_OBJECT* name = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    const int at = X509_get_ext_by_OBJ(certificate, name, -1);
    ASSERT_GE(at, 0);
    X509_EXTENSION* extension = X509_get_ext(certificate, at);
    EXPECT_EQ(X509_EXTENSION_get_critical(extension), 1);
    const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(extension);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                          static_cast<std::size_t>(ASN1_STRING_length(value))),
              "\x04\x20" + digest);
    ASN1_OBJECT_free(name);
    X509_free(certificate);
    BIO_free(memory);
    EXPECT_FALSE(net::make_self_signed({"mail.example.org"}, 7, "short").has_value());
}

TEST(Renewal, SilenceIsTriedAgainSoonAndARefusalWithPatience) {
    EXPECT_EQ(Renewal::pause_after(1, false, {}), seconds(5));
    EXPECT_EQ(Renewal::pause_after(2, false, {}), seconds(10));
    EXPECT_EQ(Renewal::pause_after(1, true, {}), minutes(15));
    EXPECT_EQ(Renewal::pause_after(3, true, {}), minutes(60));
    EXPECT_EQ(Renewal::pause_after(1000, false, {}), hours(6));
    EXPECT_EQ(Renewal::pause_after(1000, true, {}), hours(6));
    EXPECT_EQ(Renewal::pause_after(1, true, hours(20)), hours(20)) << "Retry-After is obeyed";
    EXPECT_EQ(Renewal::pause_after(1, true, seconds(1)), minutes(15));
}

}  // namespace
}  // namespace pier::acme
