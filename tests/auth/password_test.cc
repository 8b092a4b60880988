// Password schemes against values that other programs computed (Python's hashlib and crypt), all of "pencil".
#include "auth/password.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/sasl_limits.h"

namespace pier::auth {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using testing::Not;

const char* const pencils[] = {
    "{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o=",
    "{SHA1}0vxRJJChUDZGC1SJQBQ51tpUB/o=",
    "{sha}0vxRJJChUDZGC1SJQBQ51tpUB/o=",
    "{SHA}d2fc512490a15036460b5489401439d6da5407fa",
    "{SHA.HEX}d2fc512490a15036460b5489401439d6da5407fa",
    "{SHA256}E4CWaPtDY4Zwb2fcsFLtWEoEuhaowCoX1m00ww/O2iE=",
    "{SHA256.hex}13809668fb436386706f67dcb052ed584a04ba16a8c02a17d66d34c30fceda21",
    "{SHA512}Gd8Bqrgo+NUINrp1cJcTrtInM1344YZDkYXAbJF6Kn03cat24wfPo7a4nvGmaC1mgd3xGISHDl3hPnk/uVXu6w==",
    "{LDAP-MD5}qPaDC855Copn/C6E4SCTug==",
    "{MD5}qPaDC855Copn/C6E4SCTug==",
    "{PLAIN-MD5}a8f6830bce790a8a67fc2e84e12093ba",
    "{PLAIN-MD5.b64}qPaDC855Copn/C6E4SCTug==",
    "{SSHA}QjHOlv1YMYQDGFdAOGRBJIZoHOgB/nNhbHQ=",
    "{SSHA.hex}4231ce96fd583184031857403864412486681ce801fe73616c74",
    "{SSHA.base64}QjHOlv1YMYQDGFdAOGRBJIZoHOgB/nNhbHQ=",
    "{SSHA256}Ae6S5gTOkNQgA0vMeLdMAVfz6MQPEjj7Ez3XOYGgXncB/nNhbHQ=",
    "{SSHA512}3mfNyrj8SgEZrCKC1xgyexBQ9pIuTcrDb9WbqCbzFEoNglejR0qc7adQtky+UVap5rtXHf9IYjDc2lbnAe2epgH+c2FsdA="
    "=",
    "{SMD5}2J7GYyRsryo1e9Qq8DIyJAH+c2FsdA==",
    "$1$abcdefgh$Gqo0dW5ZZwRMuhky6A93q0",
    "{MD5}$1$abcdefgh$Gqo0dW5ZZwRMuhky6A93q0",
    "{MD5-CRYPT}$1$abcdefgh$Gqo0dW5ZZwRMuhky6A93q0",
    "{SHA256-CRYPT}$5$abcdefgh$2fBC4A6a5zMUaFynrzCXz1gz3QtUtBsVxjmcncJUE67",
    "{SHA512-CRYPT}$6$abcdefgh$BPABm5D7ZFU2YVfMLyE5XRqe91qwdcZ6APg7kB/YBeADxUUqXXhg3mlHBbjpyHcrE9xl/"
    "9BuqqivCjN2qGEi30",
    "$6$rounds=2000$abcdefgh$aYX/chb5dPsNMVpzJcSERA8bpMVECjXwtxfq9AZOdd.73IpESlAOgWUXQRMJW809FIK8/"
    "vb47yefpNmB.4tO51",
    "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuu680Yiaj5hFUaJTH/rTAcbA2PQEGfiZu",
    "{CRYPT}$2a$05$abcdefghijklmnopqrstuu680Yiaj5hFUaJTH/rTAcbA2PQEGfiZu",
    "{DES-CRYPT}abJ32bJMdTsnY",
    "$y$j75$abcdefgh$uSEEM7Zvf2pAxpcCjT91NjHUs3paELMhdshGm3r7811",
    "{PBKDF2}$1$saltsalt$5000$7f98b9b5d679a6073de1611b419100e0ba11be06",
    "{SCRAM-SHA-1}4096,Af5zYWx0,m6xJJUyJrnecPnSCdd54j7C8Rw0=,2tSvhzIuo2dKAokBI3YD9idavS4=",
    "{SCRAM-SHA-256}4096,Af5zYWx0,yctcZSl+k7nk+d/DpbT9koQUPrgjA37rBbLxuvB16KY=,LC/"
    "i4mGkSx0/4N9m1AGq05i+am0uRC52zfrb8iKDltA=",
    "{PLAIN}pencil",
    "{CLEARTEXT}pencil",
    "{CLEAR.b64}cGVuY2ls",
    "{PLAIN.hex}70656e63696c",
};

TEST(PasswordSchemes, MatchThePasswordAndNoOther) {
    for (const char* text : pencils) {
        const auto stored = normal_password_scheme(text);
        ASSERT_TRUE(stored) << text << ": " << stored.error().text;
        EXPECT_TRUE(stored->starts_with('{')) << *stored;
        EXPECT_TRUE(password_matches(*stored, "pencil")) << text;
        for (const auto& wrong : {"pencim"s, "Pencil"s, "pencil "s, "penci"s, ""s, "pencil\0"s, "pencil\n"s})
            EXPECT_FALSE(password_matches(*stored, wrong)) << text << " with '" << wrong << "'";
        EXPECT_FALSE(is_current_password(*stored));
        const auto again = normal_password_scheme(*stored);
        ASSERT_TRUE(again);
        EXPECT_EQ(*again, *stored) << "the normal form is not its own normal form";
    }
}

TEST(PasswordSchemes, AreAllTriedHere) {
    for (const auto name : password_scheme_names()) {
        if (name == "ARGON2ID" || name == "ARGON2I") continue;  // below
        const auto has_it = [&](std::string_view text) {
            return text.starts_with("{" + std::string(name) + "}") ||
                   text.starts_with("{" + std::string(name) + ".");
        };
        EXPECT_TRUE(std::ranges::any_of(pencils, has_it)) << name;
    }
}

TEST(PasswordSchemes, GetTheirNameInFront) {
    EXPECT_EQ(*normal_password_scheme("$1$abcdefgh$Gqo0dW5ZZwRMuhky6A93q0"),
              "{CRYPT}$1$abcdefgh$Gqo0dW5ZZwRMuhky6A93q0");
    EXPECT_EQ(*normal_password_scheme("{ssha.Hex}4231ce96fd583184031857403864412486681ce801fe73616c74"),
              "{SSHA.HEX}4231ce96fd583184031857403864412486681ce801fe73616c74");
}

TEST(PasswordSchemes, RefuseWhatIsBrokenWithoutRepeatingIt) {
    for (const auto& text :
         {""s,
          "secretsecret"s,
          "{"s,
          "{}secretsecret"s,
          "{NTLM}secretsecret"s,
          "{SHA}"s,
          "{SHA}secretsecret"s,
          "{SHA.b32}secretsecret"s,
          "{SHA256}0vxRJJChUDZGC1SJQBQ51tpUB/o="s,
          "{SSHA}0vxRJJChUDZGC1SJQBQ51tpUB/o="s,
          "{PLAIN}"s,
          "{PLAIN.hex}secretsecret"s,
          "{PLAIN.hex}0070"s,
          "{CRYPT}secretsecret!"s,
          "{CRYPT}ab"s,
          "{CRYPT}*0secretsecret"s,
          "$9$secretsecret$secretsecret"s,
          "{PBKDF2}$1$secretsecret$5000$00"s,
          "{PBKDF2}$1$secretsecret$0$7f98b9b5d679a6073de1611b419100e0ba11be06"s,
          "{SCRAM-SHA-1}4096,Af5zYWx0,,"s,
          "{SCRAM-SHA-1}0,Af5zYWx0,m6xJJUyJrnecPnSCdd54j7C8Rw0=,2tSvhzIuo2dKAokBI3YD9idavS4="s,
          "{SCRAM-SHA-256}4096,Af5zYWx0,m6xJJUyJrnecPnSCdd54j7C8Rw0=,2tSvhzIuo2dKAokBI3YD9idavS4="s,
          "{ARGON2ID}secretsecret"s,
          "$argon2id$v=19$m=19456,t=2,p=1$"s,
          "{SHA}secret\0secret"s,
          "{SSHA}" + std::string(3000, 's')}) {
        const auto stored = normal_password_scheme(text);
        ASSERT_FALSE(stored) << text;
        EXPECT_EQ(stored.error().kind, ErrorKind::invalid);
        EXPECT_THAT(stored.error().text, Not(HasSubstr("secretsecret")));
        EXPECT_FALSE(password_matches(text, "pencil")) << text;
        EXPECT_FALSE(password_matches(text, "")) << text;
    }
}

// Attack: a hash that costs minutes or gigabytes at each login.
TEST(PasswordSchemes, RefuseCostsThatNobodyShouldPay) {
    const auto pbkdf2 = [](int rounds) {
        return "{PBKDF2}$1$salt$" + std::to_string(rounds) + "$7f98b9b5d679a6073de1611b419100e0ba11be06";
    };
    EXPECT_TRUE(normal_password_scheme(pbkdf2(999'999)));
    EXPECT_TRUE(normal_password_scheme(pbkdf2(1'000'000)));
    EXPECT_FALSE(normal_password_scheme(pbkdf2(1'000'001)));
    const auto sha512 = [](const std::string& rounds) {
        return "$6$rounds=" + rounds +
               "$abcdefgh$aYX/chb5dPsNMVpzJcSERA8bpMVECjXwtxfq9AZOdd.73IpESlAOgWUXQRMJW809FIK8/"
               "vb47yefpNmB.4tO51";
    };
    EXPECT_TRUE(normal_password_scheme(sha512("1000000")));
    EXPECT_FALSE(normal_password_scheme(sha512("1000001")));
    EXPECT_FALSE(normal_password_scheme(sha512("99999999999999999999999")));
    const auto bcrypt = [](const std::string& cost) {
        return "$2y$" + cost + "$abcdefghijklmnopqrstuu680Yiaj5hFUaJTH/rTAcbA2PQEGfiZu";
    };
    EXPECT_TRUE(normal_password_scheme(bcrypt("14")));
    EXPECT_TRUE(normal_password_scheme(bcrypt("15")));
    EXPECT_FALSE(normal_password_scheme(bcrypt("16")));
    const auto argon2 = [](const std::string& costs) {
        return "$argon2id$v=19$" + costs +
               ",p=1$PX5GpOEZcYDXpJPNeqxbhQ$OqYqbdWzBBmxAZ6kZcA/+cQKHXX3Ye1wB0g0iLwYpJ8";
    };
    EXPECT_TRUE(normal_password_scheme(argon2("m=1048576,t=20")));
    EXPECT_FALSE(normal_password_scheme(argon2("m=1048577,t=2")));
    EXPECT_FALSE(normal_password_scheme(argon2("m=65536,t=21")));
}

// The same attack by the rarer forms of crypt(3), whose costs stand in digits of their own.
TEST(PasswordSchemes, RefuseCostsInWhateverFormTheyAreWritten) {
    const auto crypt = [](const std::string& text) { return normal_password_scheme("{CRYPT}" + text); };
    const std::string rest = "$saltsalt$dli5bF6qpKXDUlNCjldD6KvtSgqF";
    EXPECT_TRUE(crypt("$sha1$1000000" + rest));
    EXPECT_FALSE(crypt("$sha1$1000001" + rest));
    EXPECT_TRUE(crypt("$md5,rounds=1000000" + rest));
    EXPECT_FALSE(crypt("$md5,rounds=1000001" + rest));
    // yescrypt and gost-yescrypt: N = 2^(digit + 1), r = digit + 1; "j9T" is 2^12 times 32 * 128 octets.
    for (const std::string form : {"$y$", "$gy$"}) {
        EXPECT_TRUE(crypt(form + "j9T" + rest));
        EXPECT_TRUE(crypt(form + "jFT" + rest)) << "1 GiB";
        EXPECT_FALSE(crypt(form + "jFU" + rest));
        EXPECT_FALSE(crypt(form + "jGT" + rest));
        EXPECT_FALSE(crypt(form + "jFT/." + rest)) << "more passes";
        EXPECT_FALSE(crypt(form + "j" + rest));
        EXPECT_FALSE(crypt(form));
    }
    // scrypt: N = 2^digit, then r and p in five digits each.
    EXPECT_TRUE(crypt("$7$CU..../....saltsalt$dli5bF6qpKXDUlNCjldD6KvtSgqF")) << "2^14 times 32 * 128";
    EXPECT_TRUE(crypt("$7$GU..../....saltsalt$dli5bF6qpKXDUlNCjldD6KvtSgqF")) << "1 GiB";
    EXPECT_FALSE(crypt("$7$HU..../....saltsalt$dli5bF6qpKXDUlNCjldD6KvtSgqF"));
    EXPECT_FALSE(crypt("$7$GU....0....saltsalt$dli5bF6qpKXDUlNCjldD6KvtSgqF"));
    EXPECT_FALSE(crypt("$7$.zzzzzzzzzzsaltsalt$dli5bF6qpKXDUlNCjldD6KvtSgqF"));
    // The DES of BSDI: 24 bits of iterations.
    EXPECT_TRUE(crypt("_J9..saltH0MXooNjL6."));
    EXPECT_FALSE(crypt("_zzzzsaltH0MXooNjL6."));
}

// Symptom: the account's record could not be read at the next start, and the server did not come up.
TEST(PasswordSchemes, RefuseOctetsThatARecordCannotHold) {
    const std::string key = "$1000$7f98b9b5d679a6073de1611b419100e0ba11be06";
    EXPECT_TRUE(normal_password_scheme("{PBKDF2}$1$s\xC3\xA4lt" + key));
    EXPECT_FALSE(normal_password_scheme("{PBKDF2}$1$s\xE4lt" + key));
}

TEST(StoredPasswords, AreArgon2idAndScramKeys) {
    const auto stored = store_password("pencil");
    ASSERT_TRUE(stored);
    EXPECT_TRUE(stored->password.starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"))
        << stored->password;
    EXPECT_TRUE(password_matches(stored->password, "pencil"));
    EXPECT_FALSE(password_matches(stored->password, "pencim"));
    EXPECT_TRUE(is_current_password(stored->password));
    EXPECT_EQ(*normal_password_scheme(stored->password.substr(10)), stored->password);
    for (const auto& [hash, keys] : {std::pair(wire::ScramHash::sha1, stored->scram_sha1),
                                     std::pair(wire::ScramHash::sha256, stored->scram_sha256)}) {
        EXPECT_EQ(keys.iterations, scram_iterations);
        EXPECT_EQ(keys.salt.size(), scram_salt_octets);
        const auto same = wire::derive_scram_keys(hash, "pencil", keys.salt, keys.iterations);
        EXPECT_EQ(keys.stored_key, same.stored_key);
        EXPECT_EQ(keys.server_key, same.server_key);
    }
}

TEST(StoredPasswords, DifferEachTime) {
    const auto one = store_password("pencil"), other = store_password("pencil");
    EXPECT_NE(one->password, other->password);
    EXPECT_NE(one->scram_sha1.salt, other->scram_sha1.salt);
    EXPECT_NE(one->scram_sha256.salt, one->scram_sha1.salt.substr(0, 16));
}

TEST(StoredPasswords, OfOtherCostsAreNotCurrent) {
    // Made with m=8192, t=1: an earlier or foreign Argon2id.
    EXPECT_FALSE(
        is_current_password("{ARGON2ID}$argon2id$v=19$m=8192,t=1,p=1$PX5GpOEZcYDXpJPNeqxbhQ$"
                            "OqYqbdWzBBmxAZ6kZcA/+cQKHXX3Ye1wB0g0iLwYpJ8"));
    for (const auto& text :
         {""s, "{ARGON2ID}"s, "{ARGON2ID}$argon2id$"s, "{ARGON2ID}" + std::string(500, 'x')})
        EXPECT_FALSE(is_current_password(text));
}

TEST(StoredPasswords, AreRefusedWhenNobodyCouldTypeThem) {
    for (const auto& password :
         {""s, "a\0b"s, "a\nb"s, "a\rb"s, std::string(wire::sasl_password_octets_max + 1, 'p')})
        EXPECT_EQ(store_password(password).error().kind, ErrorKind::invalid);
    EXPECT_TRUE(store_password(std::string(wire::sasl_password_octets_max, 'p')));
    EXPECT_TRUE(store_password(std::string(wire::sasl_password_octets_max - 1, 'p')));
}

TEST(StoredPasswords, MayHoldAnyOctets) {
    const auto stored = store_password("p\xE4ss w\xC3\xB6rd \x01");
    ASSERT_TRUE(stored);
    EXPECT_TRUE(password_matches(stored->password, "p\xE4ss w\xC3\xB6rd \x01"));
}

TEST(ReadablePasswords, AreOnlyThoseInClear) {
    EXPECT_EQ(readable_password("{PLAIN}pencil"), "pencil");
    EXPECT_EQ(readable_password("{CLEAR.B64}cGVuY2ls"), "pencil");
    EXPECT_EQ(readable_password("{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o="), std::nullopt);
    EXPECT_EQ(readable_password(""), std::nullopt);
}

TEST(ImportedScramKeys, AreFoundByTheirHash) {
    const std::string stored =
        "{SCRAM-SHA-1}4096,Af5zYWx0,m6xJJUyJrnecPnSCdd54j7C8Rw0=,2tSvhzIuo2dKAokBI3YD9idavS4=";
    const auto keys = scram_keys_of(stored, wire::ScramHash::sha1);
    ASSERT_TRUE(keys);
    const auto same = wire::derive_scram_keys(wire::ScramHash::sha1, "pencil", "\x01\xFEsalt", 4096);
    EXPECT_EQ(keys->stored_key, same.stored_key);
    EXPECT_EQ(keys->server_key, same.server_key);
    EXPECT_EQ(scram_keys_of(stored, wire::ScramHash::sha256), std::nullopt);
    EXPECT_EQ(scram_keys_of("{PLAIN}pencil", wire::ScramHash::sha1), std::nullopt);
}

TEST(Wiping, LeavesNothing) {
    std::string secret(100, 's');
    wipe(secret);
    EXPECT_EQ(secret, "");
}

}  // namespace
}  // namespace pier::auth
