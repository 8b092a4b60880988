// The SASL exchanges against the RFCs' examples, and against clients that mean harm.
#include "wire/sasl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/base64.h"
#include "wire/sasl_limits.h"
#include "wire/scram.h"

namespace pier::wire {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

std::string challenge(const SaslStep& step) {
    const auto* held = std::get_if<SaslChallenge>(&step);
    return held ? held->text : "not a challenge";
}

std::string failure(const SaslStep& step) {
    const auto* held = std::get_if<SaslFailed>(&step);
    return held ? held->text : "";
}

std::unique_ptr<SaslExchange> begin(std::string_view mechanism, SaslChannel channel = SaslChannel::unbound) {
    return SaslExchange::begin(mechanism, channel);
}

SaslStep plain(std::string_view response) {
    return begin("PLAIN")->start(response);
}

TEST(Mechanisms, AreFoundInAnyCaseAndListedStrongestFirst) {
    EXPECT_THAT(sasl_mechanisms(SaslChannel::unbound),
                testing::ElementsAre("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"));
    EXPECT_THAT(sasl_mechanisms(SaslChannel::bindable),
                testing::ElementsAre("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1",
                                     "PLAIN", "LOGIN"));
    for (const auto channel : {SaslChannel::unbound, SaslChannel::bindable})
        for (const auto name : sasl_mechanisms(channel))
            EXPECT_NE(begin(name, channel), nullptr) << name;
    EXPECT_NE(begin("scram-sha-1"), nullptr);
    for (const auto name : {"", "PLAI", "PLAINX", "CRAM-MD5", "SCRAM-SHA-256-PLUS", "PLAIN "})
        EXPECT_EQ(begin(name), nullptr) << name;
    EXPECT_TRUE(sasl_sends_password("plain"));
    EXPECT_TRUE(sasl_sends_password("LOGIN"));
    EXPECT_FALSE(sasl_sends_password("SCRAM-SHA-256"));
}

TEST(Plain, GivesUserPasswordAndAuthzid) {
    const auto step = plain("bo\0ada\0secret"s);
    const auto& check = std::get<SaslCheckPassword>(step);
    EXPECT_EQ(check.authzid, "bo");
    EXPECT_EQ(check.user, "ada");
    EXPECT_EQ(check.password, "secret");
}

TEST(Plain, AsksWithAnEmptyChallengeWhenNothingCameWithTheCommand) {
    auto exchange = begin("PLAIN");
    EXPECT_EQ(challenge(exchange->start(std::nullopt)), "");
    EXPECT_EQ(std::get<SaslCheckPassword>(exchange->on_response("\0ada\0secret"s)).user, "ada");
}

TEST(Plain, RefusesWhatIsMalformed) {
    for (const auto& text :
         {""s, "ada"s, "ada\0secret"s, "\0\0secret"s, "\0ada\0"s, "\0ada\0sec\0ret"s, "\0\0\0"s,
          "\0a\xC3\0x"s, "\xFF\0ada\0x"s, "\0\xED\xA0\x80\0x"s, "\0\xC0\x80\0x"s})
        EXPECT_NE(failure(plain(text)), "") << base64_encode(text);
}

TEST(Plain, LimitsUserAndPassword) {
    for (const std::size_t octets : {sasl_user_octets_max - 1, sasl_user_octets_max})
        EXPECT_TRUE(
            std::holds_alternative<SaslCheckPassword>(plain("\0"s + std::string(octets, 'u') + "\0p"s)));
    EXPECT_THAT(failure(plain("\0"s + std::string(sasl_user_octets_max + 1, 'u') + "\0p"s)),
                HasSubstr("too long"));
    for (const std::size_t octets : {sasl_password_octets_max - 1, sasl_password_octets_max})
        EXPECT_TRUE(std::holds_alternative<SaslCheckPassword>(plain("\0u\0"s + std::string(octets, 'p'))));
    EXPECT_THAT(failure(plain("\0u\0"s + std::string(sasl_password_octets_max + 1, 'p'))),
                HasSubstr("too long"));
    EXPECT_TRUE(
        std::holds_alternative<SaslCheckPassword>(plain(std::string(sasl_user_octets_max, 'z') + "\0u\0p"s)));
    EXPECT_NE(failure(plain(std::string(sasl_user_octets_max + 1, 'z') + "\0u\0p"s)), "");
}

TEST(Plain, KeepsThePasswordsOctets) {
    const auto step = plain("\0ada\0p\xE4ss w\xC3\xB6rd "s);
    EXPECT_EQ(std::get<SaslCheckPassword>(step).password, "p\xE4ss w\xC3\xB6rd ");
}

TEST(Plain, IsOverAfterOneResponse) {
    auto exchange = begin("PLAIN");
    exchange->start("bad");
    EXPECT_NE(failure(exchange->on_response("\0ada\0secret"s)), "");
}

TEST(Login, AsksForBoth) {
    auto exchange = begin("LOGIN");
    EXPECT_EQ(challenge(exchange->start(std::nullopt)), "Username:");
    EXPECT_EQ(challenge(exchange->on_response("ada")), "Password:");
    const auto step = exchange->on_response("secret");
    const auto& check = std::get<SaslCheckPassword>(step);
    EXPECT_EQ(check.user, "ada");
    EXPECT_EQ(check.password, "secret");
    EXPECT_EQ(check.authzid, "");
    EXPECT_NE(failure(exchange->on_response("again")), "");
}

TEST(Login, TakesTheUserAsInitialResponse) {
    auto exchange = begin("LOGIN");
    EXPECT_EQ(challenge(exchange->start("ada")), "Password:");
    EXPECT_EQ(std::get<SaslCheckPassword>(exchange->on_response("p")).user, "ada");
}

TEST(Login, RefusesBadNamesAndPasswords) {
    for (const auto& name : {""s, "a\0b"s, "\xFF"s, std::string(sasl_user_octets_max + 1, 'u')}) {
        auto exchange = begin("LOGIN");
        exchange->start(std::nullopt);
        EXPECT_NE(failure(exchange->on_response(name)), "");
        EXPECT_NE(failure(exchange->on_response("p")), "") << "a failed exchange went on";
    }
    for (const auto& password : {""s, "a\0b"s, std::string(sasl_password_octets_max + 1, 'u')}) {
        auto exchange = begin("LOGIN");
        exchange->start("ada");
        EXPECT_NE(failure(exchange->on_response(password)), "");
    }
}

struct ScramExample {
    const char* rfc;
    const char* mechanism;
    ScramHash hash;
    const char *salt, *server_nonce, *first, *server_first, *final, *server_final;
};

// RFC 5802 §5 and RFC 7677 §3, user "user", password "pencil".
const ScramExample examples[] = {
    {"RFC 5802", "SCRAM-SHA-1", ScramHash::sha1, "QSXCR+Q6sek8bf92", "3rfcNHYJY1ZVvWVs7j",
     "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
     "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {"RFC 7677", "SCRAM-SHA-256", ScramHash::sha256,
     "W22ZaJ0SNY7soEsUEjb6gQ==", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+"
     "Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
};

// As a client makes it, from the password alone.
std::string client_proof(ScramHash hash, const ScramKeys& keys, std::string_view password,
                         std::string_view auth_message) {
    // ClientKey comes from the salted password, which keys do not hold: made here from PBKDF2's own
    // definition.
    std::string u = hmac(hash, password, keys.salt + "\0\0\0\1"s), salted = u;
    for (std::uint32_t i = 1; i < keys.iterations; ++i) {
        u = hmac(hash, password, u);
        for (std::size_t j = 0; j < u.size(); ++j)
            salted[j] = static_cast<char>(salted[j] ^ u[j]);
    }
    std::string proof = hmac(hash, salted, "Client Key");
    const std::string signature = hmac(hash, keys.stored_key, auth_message);
    for (std::size_t j = 0; j < proof.size(); ++j)
        proof[j] = static_cast<char>(proof[j] ^ signature[j]);
    return base64_encode(proof);
}

class Scram : public testing::TestWithParam<ScramExample> {
  protected:
    ScramKeys keys() const {
        return derive_scram_keys(GetParam().hash, "pencil", *base64_decode(GetParam().salt, 64), 4096);
    }
    // An exchange that waits for the client's final message.
    std::unique_ptr<SaslExchange> at_final(std::string_view first) const {
        auto exchange = begin(GetParam().mechanism);
        EXPECT_TRUE(std::holds_alternative<SaslNeedKeys>(exchange->start(first)));
        exchange->on_keys(keys(), GetParam().server_nonce, {});
        return exchange;
    }
    SaslStep first(std::string_view message) const { return begin(GetParam().mechanism)->start(message); }
};

TEST_P(Scram, FollowsTheRfcsExample) {
    const auto& rfc = GetParam();
    auto exchange = begin(rfc.mechanism);
    EXPECT_EQ(challenge(exchange->start(std::nullopt)), "");
    const auto need = exchange->on_response(rfc.first);
    EXPECT_EQ(std::get<SaslNeedKeys>(need).user, "user");
    EXPECT_EQ(std::get<SaslNeedKeys>(need).hash, rfc.hash);
    EXPECT_EQ(challenge(exchange->on_keys(keys(), rfc.server_nonce, {})), rfc.server_first);
    EXPECT_EQ(challenge(exchange->on_response(rfc.final)), rfc.server_final);
    const auto end = exchange->on_response("");
    EXPECT_EQ(std::get<SaslProven>(end).user, "user");
    EXPECT_EQ(std::get<SaslProven>(end).authzid, "");
    EXPECT_NE(failure(exchange->on_response("")), "") << "proven twice";
}

TEST_P(Scram, RefusesAProofThatDiffersInAnyBit) {
    const std::string final = GetParam().final;
    const std::size_t proof_at = final.find(",p=") + 3;
    const std::string proof = *base64_decode(final.substr(proof_at), 64);
    for (std::size_t bit = 0; bit < proof.size() * 8; ++bit) {
        std::string wrong = proof;
        wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << (bit % 8)));
        auto exchange = at_final(GetParam().first);
        EXPECT_EQ(failure(exchange->on_response(final.substr(0, proof_at) + base64_encode(wrong))),
                  "Authentication failed");
        EXPECT_NE(failure(exchange->on_response(final)), "") << "a second try in the same exchange";
    }
    for (const std::string& other : {proof.substr(1), proof + "x", ""s, std::string(4000, 'x')}) {
        auto exchange = at_final(GetParam().first);
        EXPECT_NE(failure(exchange->on_response(final.substr(0, proof_at) + base64_encode(other))), "");
    }
}

TEST_P(Scram, RefusesAReplayUnderAnotherNonce) {
    auto exchange = begin(GetParam().mechanism);
    exchange->start(GetParam().first);
    exchange->on_keys(keys(), "another", {});
    EXPECT_THAT(failure(exchange->on_response(GetParam().final)), HasSubstr("nonce"));
}

TEST_P(Scram, RefusesAChannelBindingThatIsNotTheHeader) {
    auto exchange = at_final("y" + std::string(GetParam().first).substr(1));
    EXPECT_THAT(failure(exchange->on_response(GetParam().final)), HasSubstr("channel binding"));
}

TEST_P(Scram, RefusesMalformedFirstMessages) {
    for (const auto& text : {""s,
                             "n"s,
                             "n,"s,
                             "n,,"s,
                             ",,n=u,r=x"s,
                             "n,,n=u"s,
                             "n,,n=u,"s,
                             "n,,n=u,r="s,
                             "n,,n=,r=x"s,
                             "n,,r=x,n=u"s,
                             "x,,n=u,r=x"s,
                             "n=u,r=x"s,
                             "n,b=v,n=u,r=x"s,
                             "n,a=,n=u,r=x"s,
                             "n,,m=z,n=u,r=x"s,
                             "n,,n=u,r=x,m=z"s,
                             "n,,n=u,r=x,"s,
                             "n,,n=u,r=x,9=1"s,
                             "n,,n=u=,r=x"s,
                             "n,,n=u=2c,r=x"s,
                             "n,,n=u=2,r=x"s,
                             "n,a=b=3,n=u,r=x"s,
                             "n,,n=u,r=a b"s,
                             "n,,n=u,r=\x7F"s,
                             "n,,n=u,r=\xC3\xBC"s,
                             "n,,n=\xC3,r=x"s,
                             "n,,n=a\0b,r=x"s})
        EXPECT_NE(failure(first(text)), "") << text;
    EXPECT_THAT(failure(first("p=tls-unique,,n=u,r=x")), HasSubstr("channel binding"));
    EXPECT_NE(failure(first(std::string_view{})), "");
}

TEST_P(Scram, RefusesMalformedFinalMessages) {
    const std::string nonce =
        std::string(GetParam().final).substr(7, std::string(GetParam().final).find(",p=") - 7);
    ASSERT_TRUE(nonce.starts_with("r="));
    for (const std::string& text :
         {""s, "c=biws"s, "c=biws," + nonce, "c=biws," + nonce + ",p=", "c=biws," + nonce + ",p=!!!!",
          "c=biws,p=AAAA"s, "c=!," + nonce + ",p=AAAA", nonce + ",c=biws,p=AAAA",
          "c=biws," + nonce + ",m=1,p=AAAA", ",p="s, ",p=AAAA"s, "c=biws," + nonce + ",,p=AAAA",
          std::string(100000, ',')})
        EXPECT_NE(failure(at_final(GetParam().first)->on_response(text)), "") << text.substr(0, 80);
}

TEST_P(Scram, DecodesNamesAndPassesOverExtensions) {
    auto exchange = begin(GetParam().mechanism);
    const auto step = exchange->start("y,a=ad=2Cmin,n=a=3Db=2Cc=3D2C\xC3\xBC,r=x,t=ext");
    EXPECT_EQ(std::get<SaslNeedKeys>(step).user, "a=b,c=2C\xC3\xBC");
}

TEST_P(Scram, HandsTheAuthzidOn) {
    const std::string bare = "n=user,r=client", header = "n,a=boss,";
    auto exchange = begin(GetParam().mechanism);
    exchange->start(header + bare);
    const auto k = keys();
    const std::string server_first = challenge(exchange->on_keys(k, "server", {}));
    const std::string without_proof = "c=" + base64_encode(header) + ",r=clientserver,t=ext";
    const std::string proof =
        client_proof(GetParam().hash, k, "pencil", bare + "," + server_first + "," + without_proof);
    EXPECT_TRUE(challenge(exchange->on_response(without_proof + ",p=" + proof)).starts_with("v="));
    const auto end = exchange->on_response("");
    EXPECT_EQ(std::get<SaslProven>(end).authzid, "boss");
}

TEST_P(Scram, IsBoundToTheChannel) {
    const std::string mechanism = GetParam().mechanism + "-PLUS"s, bare = "n=user,r=client";
    const auto run = [&](const std::string& header, const std::string& ours, const std::string& clients) {
        auto exchange = begin(mechanism, SaslChannel::bindable);
        const auto need = exchange->start(header + bare);
        EXPECT_EQ(std::get<SaslNeedKeys>(need).channel_binding, header.substr(2, header.find(',') - 2));
        const auto sent = exchange->on_keys(keys(), "server", ours);
        if (std::holds_alternative<SaslFailed>(sent)) return sent;
        const std::string server_first = challenge(sent);
        const std::string without_proof = "c=" + base64_encode(header + clients) + ",r=clientserver";
        auto step = exchange->on_response(
            without_proof + ",p=" +
            client_proof(GetParam().hash, keys(), "pencil", bare + "," + server_first + "," + without_proof));
        return std::holds_alternative<SaslChallenge>(step) ? exchange->on_response("") : step;
    };
    const std::string ours = "\0\xFF channel"s;
    for (const auto header : {"p=tls-exporter,,", "p=tls-server-end-point,,", "p=tls-exporter,a=user,"})
        EXPECT_TRUE(std::holds_alternative<SaslProven>(run(header, ours, ours))) << header;
    for (const auto& other : {""s, "\0\xFF channe"s, "\0\xFF channel "s, "another"s})
        EXPECT_THAT(failure(run("p=tls-exporter,,", ours, other)), HasSubstr("channel binding differs"));
    EXPECT_THAT(failure(run("p=tls-exporter,,", "", "")), HasSubstr("no tls-exporter"));
}

TEST_P(Scram, RefusesWhatDoesNotGoWithTheChannel) {
    const std::string mechanism = GetParam().mechanism, plus = mechanism + "-PLUS",
                      bare = ",,n=user,r=client";
    using enum SaslChannel;
    const auto first = [&](const std::string& name, SaslChannel channel, const std::string& flag) {
        return begin(name, channel)->start(flag + bare);
    };
    EXPECT_EQ(begin(plus, unbound), nullptr);
    EXPECT_THAT(failure(first(plus, bindable, "n")), HasSubstr("needs channel binding"));
    EXPECT_THAT(failure(first(plus, bindable, "y")), HasSubstr("needs channel binding"));
    EXPECT_THAT(failure(first(plus, bindable, "p=tls-unique")), HasSubstr("tls-exporter or"));
    EXPECT_THAT(failure(first(mechanism, bindable, "p=tls-exporter")), HasSubstr("-PLUS"));
    EXPECT_THAT(failure(first(mechanism, unbound, "p=tls-exporter")), HasSubstr("-PLUS"));
    // A client that can, and was shown a list without -PLUS: somebody has changed it on its way.
    EXPECT_THAT(failure(first(mechanism, bindable, "y")), HasSubstr("was told that it is not"));
    EXPECT_TRUE(std::holds_alternative<SaslNeedKeys>(first(mechanism, unbound, "y")));
    EXPECT_TRUE(std::holds_alternative<SaslNeedKeys>(first(mechanism, bindable, "n")));
    for (const auto bad : {"p=", "p", "p=tls exporter", "p=tls_exporter", "P=tls-exporter", "x", ""})
        EXPECT_THAT(failure(first(plus, bindable, bad)), HasSubstr("malformed")) << bad;
}

TEST_P(Scram, WantsAnEmptyAnswerToItsSignature) {
    auto exchange = at_final(GetParam().first);
    exchange->on_response(GetParam().final);
    EXPECT_NE(failure(exchange->on_response("x")), "");
    EXPECT_NE(failure(exchange->on_response("")), "");
}

TEST_P(Scram, RefusesResponsesWhileKeysAreLookedUp) {
    auto exchange = begin(GetParam().mechanism);
    exchange->start(GetParam().first);
    EXPECT_NE(failure(exchange->on_response(GetParam().final)), "");
}

TEST_P(Scram, LimitsNamesAndNonces) {
    const auto with = [&](std::size_t user, std::size_t nonce) {
        return first("n,,n=" + std::string(user, 'u') + ",r=" + std::string(nonce, 'r'));
    };
    for (const std::size_t octets : {sasl_user_octets_max - 1, sasl_user_octets_max})
        EXPECT_TRUE(std::holds_alternative<SaslNeedKeys>(with(octets, 8)));
    EXPECT_NE(failure(with(sasl_user_octets_max + 1, 8)), "");
    for (const std::size_t octets : {sasl_nonce_octets_max - 1, sasl_nonce_octets_max})
        EXPECT_TRUE(std::holds_alternative<SaslNeedKeys>(with(8, octets)));
    EXPECT_NE(failure(with(8, sasl_nonce_octets_max + 1)), "");

    const std::string start = "n,,n=u,r=x,t=";
    for (const std::size_t octets : {sasl_message_octets_max - 1, sasl_message_octets_max})
        EXPECT_TRUE(
            std::holds_alternative<SaslNeedKeys>(first(start + std::string(octets - start.size(), 'x'))));
    EXPECT_NE(failure(first(start + std::string(sasl_message_octets_max + 1 - start.size(), 'x'))), "");
}

TEST_P(Scram, NeverProvesAnythingWithKeysOfTheWrongLength) {
    auto exchange = begin(GetParam().mechanism);
    exchange->start(GetParam().first);
    exchange->on_keys(ScramKeys{.salt = *base64_decode(GetParam().salt, 64),
                                .iterations = 4096,
                                .stored_key = {},
                                .server_key = {}},
                      GetParam().server_nonce, {});
    EXPECT_EQ(failure(exchange->on_response(GetParam().final)), "Authentication failed");
}

INSTANTIATE_TEST_SUITE_P(Examples, Scram, testing::ValuesIn(examples), [](const auto& param) {
    return param.param.hash == ScramHash::sha1 ? "Sha1" : "Sha256";
});

}  // namespace
}  // namespace pier::wire
