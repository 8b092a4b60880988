// OCSP: which responses are sent along with a certificate, to whom, and until when.
#include "net/ocsp.h"

#include <fstream>

#include <gtest/gtest.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "net/ocsp_authority.h"
#include "net/tls_peer.h"

namespace pier::net::test {
namespace {

using std::chrono::hours;

class Ocsp : public testing::TestWithParam<int> {
  protected:
    Ocsp() {
        authority_.write_files(files_);
        settings_.files = {files_.certificate, files_.key, files_.folder + "/ocsp.der"};
    }
    Result<OcspResponse> check(const std::string& der, Time now = system_now()) {
        return check_ocsp(der, authority_.leaf(), authority_.issuer(), now);
    }
    std::string refusal(const std::string& der) {
        const auto checked = check(der);
        return checked ? "taken" : checked.error().text;
    }
    void put(const std::string& der) { std::ofstream(settings_.files.ocsp, std::ios::binary) << der; }
    // What a client that asks for it is given; empty: nothing.
    std::string stapled(const Tls& tls, bool asks = true) {
        Pair pair(tls, clients_);
        if (asks) SSL_set_tlsext_status_type(pair.client(), TLSEXT_STATUSTYPE_ocsp);
        EXPECT_TRUE(pair.handshake());
        const unsigned char* octets = nullptr;
        const long count = SSL_get_tlsext_status_ocsp_resp(pair.client(), &octets);
        return count <= 0
                   ? std::string()
                   : std::string(reinterpret_cast<const char*>(octets), static_cast<std::size_t>(count));
    }

    OcspAuthority authority_;
    pier::test::CertificateFiles files_;
    TlsSettings settings_;
    Clients clients_{GetParam()};
};

TEST_P(Ocsp, AGoodResponseIsSentToWhoAsks) {
    const std::string der = authority_.response({});
    put(der);
    const auto tls = std::move(*Tls::load(settings_));
    EXPECT_EQ(stapled(*tls), der);
    EXPECT_EQ(stapled(*tls, false), "");
    EXPECT_TRUE(tls->problems().empty());
}

TEST_P(Ocsp, WhatIsBehindTheHandshakeArrivesAsWithoutIt) {
    put(authority_.response({}));
    const auto tls = std::move(*Tls::load(settings_));
    Pair pair(*tls, clients_);
    SSL_set_tlsext_status_type(pair.client(), TLSEXT_STATUSTYPE_ocsp);
    ASSERT_TRUE(pair.handshake());
    pair.server_writes("+OK ready\r\n");
    pair.server().flush();
    pair.client_receives();
    EXPECT_EQ(pair.client_reads(), "+OK ready\r\n");
}

TEST_P(Ocsp, WhenItsTimeIsOverItIsNotSentAndSaidSo) {
    put(authority_.response({.until = hours(2)}));
    Time now = system_now();
    const auto tls = std::move(*Tls::load(settings_, [&now] { return now; }));
    EXPECT_NE(stapled(*tls), "");
    now += hours(3);
    EXPECT_EQ(stapled(*tls), "");
    ASSERT_EQ(tls->problems().size(), 1u);
    EXPECT_NE(tls->problems()[0].find("its time is over since"), std::string::npos) << tls->problems()[0];
}

TEST_P(Ocsp, ABadOneIsNotSentAndTheOneBeforeIsKept) {
    const std::string good = authority_.response({});
    put(good);
    const auto tls = std::move(*Tls::load(settings_));
    put("nonsense");
    EXPECT_TRUE(tls->reload(settings_).has_value()) << "the certificate is good all the same";
    EXPECT_EQ(stapled(*tls), good);
    ASSERT_EQ(tls->problems().size(), 1u);
    EXPECT_NE(tls->problems()[0].find("it is no OCSP response"), std::string::npos);
    const std::string fresh = authority_.response({.from = -hours(1)});
    put(fresh);
    EXPECT_TRUE(tls->reload(settings_).has_value());
    EXPECT_EQ(stapled(*tls), fresh);
    EXPECT_TRUE(tls->problems().empty());
}

TEST_P(Ocsp, FetchedOnesAreFoundByTheCertificatesFingerprint) {
    const std::string der = authority_.response({});
    settings_.files.ocsp.clear();
    settings_.ocsp_folder = files_.folder;
    const auto tls = std::move(*Tls::load(settings_));
    EXPECT_EQ(stapled(*tls), "");
    EXPECT_TRUE(tls->problems().empty());
    std::ofstream(files_.folder + "/" + certificate_fingerprint(authority_.leaf()) + ".der", std::ios::binary)
        << der;
    EXPECT_TRUE(tls->reload(settings_).has_value());
    EXPECT_EQ(stapled(*tls), der);
}

INSTANTIATE_TEST_SUITE_P(Versions, Ocsp, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                             return version.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

using OcspOnce = Ocsp;

TEST_P(OcspOnce, OnlyWhatTheIssuerSaysOfThisCertificateNowIsTaken) {
    const std::string good = authority_.response({});
    const auto taken = check(good);
    ASSERT_TRUE(taken.has_value()) << taken.error().text;
    EXPECT_EQ(taken->until - taken->from, hours(49));
    EXPECT_EQ(taken->half(), taken->from + std::chrono::minutes(49 * 30));
    EXPECT_EQ(refusal(good.substr(1)), "it is no OCSP response (DER)");
    EXPECT_EQ(refusal(good + "x"), "it is no OCSP response (DER)");
    EXPECT_EQ(refusal(std::string(ocsp_octets_max + 1, 'x')), "it is no OCSP response (DER)");
    EXPECT_EQ(refusal(""), "it is no OCSP response (DER)");
    std::string forged = good;
    forged.back() = static_cast<char>(forged.back() ^ 1);
    EXPECT_NE(refusal(forged).find("not signed by"), std::string::npos) << refusal(forged);
    OcspAuthority other;
    EXPECT_EQ(refusal(other.response({})), "it is about another certificate");
    EXPECT_NE(refusal(authority_.response({.status = V_OCSP_CERTSTATUS_REVOKED})).find("REVOKED"),
              std::string::npos);
    EXPECT_EQ(refusal(authority_.response({.status = V_OCSP_CERTSTATUS_UNKNOWN})),
              "the authority does not know the certificate");
    EXPECT_NE(
        refusal(authority_.response({.from = -hours(9), .until = -hours(1)})).find("its time is over since"),
        std::string::npos);
    EXPECT_NE(refusal(authority_.response({.from = hours(1)})).find("has not begun"), std::string::npos);
    EXPECT_EQ(refusal(authority_.response({.has_end = false})), "it has no end (nextUpdate)");
}

TEST_P(OcspOnce, EveryOctetIsUnderTheSignature) {
    const std::string good = authority_.response({});
    int taken = 0;
    for (std::size_t at = 0; at < good.size(); ++at) {
        std::string forged = good;
        forged[at] = static_cast<char>(forged[at] ^ 0x20);
        // What is not signed (an algorithm's parameters, certificates that come along) may change; never what
        // is said.
        if (const auto checked = check(forged)) {
            ++taken;
            EXPECT_EQ(checked->until - checked->from, hours(49)) << at;
        }
    }
    EXPECT_LT(taken, 40);
}

TEST_P(OcspOnce, TheRequestIsForTheCertificate) {
    const auto request = ocsp_request(authority_.leaf(), authority_.issuer());
    ASSERT_TRUE(request.has_value());
    const auto* octets = reinterpret_cast<const unsigned char*>(request->data());
    OCSP_REQUEST* parsed = d2i_OCSP_REQUEST(nullptr, &octets, static_cast<long>(request->size()));
    ASSERT_NE(parsed, nullptr);
    ASSERT_EQ(OCSP_request_onereq_count(parsed), 1);
    OCSP_CERTID* wanted = OCSP_cert_to_id(nullptr, authority_.leaf(), authority_.issuer());
    EXPECT_EQ(OCSP_id_cmp(OCSP_onereq_get0_id(OCSP_request_onereq_get0(parsed, 0)), wanted), 0);
    OCSP_CERTID_free(wanted);
    OCSP_REQUEST_free(parsed);
}

TEST_P(OcspOnce, TheRespondersAddressIsReadFromTheCertificate) {
    EXPECT_EQ(ocsp_responder(authority_.leaf()), "http://127.0.0.1:1/ocsp");
    EXPECT_EQ(ocsp_responder(authority_.issuer()), "");
}

INSTANTIATE_TEST_SUITE_P(Once, OcspOnce, testing::Values(TLS1_3_VERSION));

}  // namespace
}  // namespace pier::net::test
