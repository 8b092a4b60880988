#include "main/config.h"

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/config_file.h"
#include "main/config_text.h"
#include "main/suggestion.h"

namespace pier::program {
namespace {

// The problems as `pier check` prints them, without the file's name.
std::vector<std::string> problems(const Loaded& loaded) {
    std::vector<std::string> lines;
    for (const Problem& problem : loaded.problems)
        lines.push_back(fmt::format("{}:{} {}: {}", problem.place.line, problem.place.column,
                                    problem.severity == Severity::error ? "error" : "warning", problem.text));
    return lines;
}

Loaded parse(std::string_view text) {
    return parse_config(text, "/etc/pier/pier.toml");
}

// A listener on loopback, which brings no warning of its own.
constexpr std::string_view quiet = "[[listener]]\naddress = \"127.0.0.1\"\n";

std::vector<std::string> problems_of(std::string_view text) {
    return problems(parse(fmt::format("{}\n{}", text, quiet)));
}

std::string json(const Config& config) {
    return boost::json::serialize(config_to_json(config));
}

TEST(Config, EverythingIsOptional) {
    const Loaded loaded = parse(quiet);
    EXPECT_EQ(problems(loaded), std::vector<std::string>());
    EXPECT_EQ(loaded.config.server.data_folder, "/var/lib/pier");
    EXPECT_EQ(loaded.config.store.message_octets_max, 64u << 20);
    EXPECT_EQ(loaded.config.lmtp.limits.message_octets_max, 64u << 20);
    EXPECT_FALSE(loaded.config.server.hostname.empty());
}

TEST(Config, ListenersForSubmission) {
    const Loaded loaded = parse(
        "[tls]\ncertificate = \"/x\"\n[submission]\nsender_check = \"envelope\"\nmessages_per_hour_max = 7\n"
        "[[listener]]\nprotocol = \"submission\"\n[[listener]]\nprotocol = \"submissions\"\n");
    EXPECT_EQ(problems(loaded), std::vector<std::string>());
    ASSERT_EQ(loaded.config.listeners.size(), 2u);
    EXPECT_EQ(loaded.config.listeners[0].port, 587);
    EXPECT_EQ(loaded.config.listeners[0].tls, TlsUse::starttls);
    EXPECT_EQ(loaded.config.listeners[1].port, 465);
    EXPECT_EQ(loaded.config.listeners[1].tls, TlsUse::implicit);
    EXPECT_EQ(loaded.config.submission.settings.sender_check, serve::SenderCheck::envelope);
    EXPECT_EQ(loaded.config.submission.rate.messages_per_hour_max, 7u);
    EXPECT_EQ(loaded.config.submission.limits.message_octets_max, 64u << 20);
    const auto wrong = problems(
        parse("[tls]\ncertificate = \"/x\"\n[[listener]]\nprotocol = \"submissions\"\ntls = \"starttls\"\n"));
    ASSERT_EQ(wrong.size(), 1u);
    EXPECT_THAT(wrong[0],
                testing::StartsWith("5:1 error: submissions is submission with TLS from the first octet"));
}

TEST(Config, UsualListenersWithAndWithoutCertificate) {
    const Loaded bare = parse("");
    ASSERT_EQ(bare.config.listeners.size(), 2u);
    EXPECT_EQ(bare.config.listeners[0].tls, TlsUse::none);
    EXPECT_EQ(bare.config.listeners[1].path, "/run/pier/lmtp.sock");
    EXPECT_TRUE(bare.usable());
    ASSERT_EQ(bare.problems.size(), 1u);
    EXPECT_EQ(bare.problems[0].place.text(), "/etc/pier/pier.toml");
    EXPECT_NE(bare.problems[0].text.find("nobody can log in"), std::string::npos);

    const Loaded tls = parse("[tls]\ncertificate = \"c.pem\"\n");
    EXPECT_EQ(problems(tls), std::vector<std::string>());
    ASSERT_EQ(tls.config.listeners.size(), 3u);
    EXPECT_EQ(tls.config.listeners[0].name, "pop3-110");
    EXPECT_EQ(tls.config.listeners[0].tls, TlsUse::starttls);
    EXPECT_EQ(tls.config.listeners[1].name, "pop3s-995");
    EXPECT_EQ(tls.config.listeners[1].tls, TlsUse::implicit);
    EXPECT_EQ(tls.config.listeners[2].name, "lmtp-socket");
}

TEST(Config, ValuesOfEveryKind) {
    const Loaded loaded = parse(R"(
[server]
hostname = "mail.example.org"
threads = 3
shutdown_grace = 5
[log]
level = "debug"
format = "json"
[store]
message_size_max = "1 GiB"
segment_size_max = 1073741824
purge_after = "1d12h"
cleaner = false
[tls]
certificate = "tls/cert.pem"
key = "/etc/ssl/key.pem"
[[listener]]
protocol = "pop3s"
address = "::1"
[[listener]]
name = "in"
protocol = "lmtp"
path = "lmtp"
[pop3]
exclusive = true
greeting = "Grüße"
)");
    EXPECT_EQ(problems(loaded), std::vector<std::string>());
    const Config& config = loaded.config;
    EXPECT_EQ(config.server.hostname, "mail.example.org");
    EXPECT_EQ(config.server.threads, 3u);
    EXPECT_EQ(config.server.shutdown_grace, seconds(5));
    EXPECT_EQ(config.log.level, log::Level::debug);
    EXPECT_EQ(config.log.format, log::Format::json);
    EXPECT_EQ(config.store.message_octets_max, 1ull << 30);
    EXPECT_EQ(config.lmtp.limits.message_octets_max, 1ull << 30);
    EXPECT_EQ(config.store.purge_after, seconds(129'600));
    EXPECT_FALSE(config.store.cleaner);
    EXPECT_EQ(config.tls.certificate, "/etc/pier/tls/cert.pem");
    EXPECT_EQ(config.tls.key, "/etc/ssl/key.pem");
    ASSERT_EQ(config.listeners.size(), 2u);
    EXPECT_EQ(config.listeners[0].port, 995);
    EXPECT_EQ(config.listeners[1].name, "in");
    EXPECT_EQ(config.listeners[1].path, "/etc/pier/lmtp");
    EXPECT_TRUE(config.pop3.exclusive);
    EXPECT_EQ(config.pop3.greeting, "Grüße");
}

TEST(Config, AllErrorsAtOnceEachWithItsPlace) {
    const Loaded loaded = parse(R"([server]
hostnam = "x"
threads = "4"
shutdown_grace = "soon"

[stor]
x = 1

[store]
message_size_max = "1 KiB"
purge_afer = "7d"
cleaner = "yes"

[log]
level = "chatty"
file = 3

[[listener]]
protocol = "imap"
port = 65536
address = "localhost"
)");
    EXPECT_EQ(
        problems(loaded),
        (std::vector<std::string>{
            "2:1 error: unknown key \"hostnam\" in [server]; did you mean \"hostname\"?",
            "3:11 error: server.threads is a whole number without quotes; it must be from 0 to 1024",
            "4:18 error: server.shutdown_grace is wrong: \"soon\" is not a duration; write a number and a "
            "unit "
            "(s, m, h, d, w), as in \"10m\"; it must be from 0s to 1h",
            "6:2 error: unknown section [stor]; did you mean \"store\"?",
            "10:20 error: store.message_size_max is 1 KiB, but it must be from 64 KiB to 64 GiB",
            "11:1 error: unknown key \"purge_afer\" in [store]; did you mean \"purge_after\"?",
            "12:11 error: store.cleaner is true or false, without quotes",
            "15:9 error: log.level can't be \"chatty\"; known are debug, info, warning and error",
            "16:8 error: log.file is a text: write it in quotes, as in file = \"...\"",
            "19:12 error: listener.protocol can't be \"imap\"; known are pop3, pop3s, lmtp, smtp, "
            "submission, submissions, acme, acme-http and metrics",
            "20:8 error: listener.port is 65536, but it must be from 0 to 65535",
            "21:1 error: listener.address is \"localhost\", which is not an IP address; write one of this "
            "machine's addresses, or \"*\" for all of them",
        }));
    EXPECT_FALSE(loaded.usable());
}

// Attack: a terminal obeys what `pier check` repeats of a file.
TEST(Config, ControlCharactersAreToldAsTomlWritesThem) {
    EXPECT_THAT(problems_of("[\"lo\\u001b[2Jg\"]\n[log]\n\"a\\nb\" = 1\nlevel = \"\\u007f\"\n"),
                testing::ElementsAre(testing::HasSubstr("unknown section [lo\\u001B[2Jg]"),
                                     testing::HasSubstr("unknown key \"a\\u000Ab\" in [log]"),
                                     testing::HasSubstr("log.level can't be \"\\u007F\"")));
}

// The TOML parser's own table of white space has no answer for these; found by fuzzing.
TEST(Config, LettersBehindBlanksAreMistakesAndNoWhiteSpace) {
    for (const char* letter : {"\u00e4", "\u0427", "\u0499", "\u2065", "\uFEE7"}) {
        EXPECT_THAT(problems_of(fmt::format("[log]\nlevel {} = \"info\"\n", letter)),
                    testing::ElementsAre(testing::HasSubstr("this is not TOML")))
            << letter;
    }
}

TEST(Config, SeveralSyntaxErrorsAreToldTogetherWithTheOthers) {
    EXPECT_EQ(
        problems_of(
            "[server\nthreads = 1\n[store]\ncleaner = = true\npurge_afer = \"7d\"\n[log]\nlevel = 'info\n"),
        (std::vector<std::string>{
            "1:8 error: this is not TOML: Error while parsing table header: expected ']', saw '\\n'",
            "4:11 error: this is not TOML: Error while parsing value: could not determine value type",
            "5:1 error: unknown key \"purge_afer\" in [store]; did you mean \"purge_after\"?",
            "7:14 error: this is not TOML: Error while parsing literal string: control characters other than "
            "TAB "
            "(U+0009) are explicitly prohibited",
        }));
}

TEST(Config, AFileOfNonsenseEnds) {
    for (const std::string& text :
         {std::string("[[["), std::string(100'000, '['), "a = " + std::string(100'000, '['),
          std::string(1000, '\n') + "=", std::string("\0\1\2", 3), std::string("a = \"\"\""),
          std::string("\xff\xfe")}) {
        const Loaded loaded = parse(text);
        EXPECT_FALSE(loaded.usable());
        EXPECT_LE(loaded.problems.size(), 30u);
    }
}

TEST(Config, RangesAtLimitAndBeyond) {
    for (const Section& section : sections()) {
        for (const Field& field : section.fields) {
            if (field.kind != Kind::count && field.kind != Kind::octets && field.kind != Kind::duration)
                continue;
            SCOPED_TRACE(fmt::format("{}.{}", section.name, field.key));
            const auto errors = [&](std::int64_t number) {
                const std::string head = section.repeated() ? fmt::format("[[{}]]", section.name)
                                                            : fmt::format("[{}]", section.name);
                const Loaded loaded = parse(fmt::format("{}\n{} = {}\n", head, field.key, number));
                // A back end of another kind than the one that has the key is a mistake of another sort.
                return std::count_if(loaded.problems.begin(), loaded.problems.end(), [](const Problem& p) {
                    return p.severity == Severity::error &&
                           p.text.find("has no meaning for the kind") == std::string::npos;
                });
            };
            const auto min = static_cast<std::int64_t>(field.min), max = static_cast<std::int64_t>(field.max);
            EXPECT_EQ(errors(min), 0);
            EXPECT_EQ(errors(min + 1), 0);
            EXPECT_EQ(errors(max - 1), 0);
            EXPECT_EQ(errors(max), 0);
            EXPECT_EQ(errors(min - 1), 1);
            EXPECT_EQ(errors(max + 1), 1);
        }
    }
}

TEST(Config, TextsAtTheirLimit) {
    EXPECT_EQ(problems_of(fmt::format("[pop3]\ngreeting = \"{}\"", std::string(400, 'x'))),
              std::vector<std::string>());
    EXPECT_EQ(problems_of(fmt::format("[pop3]\ngreeting = \"{}\"", std::string(401, 'x'))),
              std::vector<std::string>{
                  "2:12 error: pop3.greeting has 401 octets, but at most 400 are possible; shorten it"});
    // Attack: a greeting with a line end would be two lines of the protocol.
    EXPECT_EQ(problems_of("[pop3]\ngreeting = \"hello\\r\\n+OK\"").size(), 1u);
    // sockaddr_un takes 107 octets and a NUL.
    EXPECT_EQ(problems_of(fmt::format("[admin]\nsocket = \"/{}\"", std::string(106, 'x'))),
              std::vector<std::string>());
    EXPECT_EQ(problems_of(fmt::format("[admin]\nsocket = \"/{}\"", std::string(107, 'x'))).size(), 1u);
}

TEST(Config, ListsOfNetworks) {
    const Loaded loaded = parse(
        "[guard]\nshared_networks = [\"192.0.2.0/24\", \"::1\"]\n[[listener]]\nallow = [\"10.0.0.0/8\"]\n"
        "deny = [\"10.1.0.0/16\"]\naddress = \"127.0.0.1\"\n");
    EXPECT_EQ(problems(loaded), std::vector<std::string>());
    EXPECT_EQ(texts_of(loaded.config.guard.settings.shared),
              (std::vector<std::string>{"192.0.2.0/24", "::1"}));
    const AccessList& access = loaded.config.listeners[0].access;
    EXPECT_TRUE(access.admits(boost::asio::ip::make_address("10.2.0.1")));
    EXPECT_FALSE(access.admits(boost::asio::ip::make_address("10.1.0.1")));
    EXPECT_EQ(json(parse(show_config(loaded.config)).config), json(loaded.config));
    EXPECT_EQ(problems_of("[guard]\nshared_networks = []"), std::vector<std::string>());
    EXPECT_EQ(problems_of("[guard]\nshared_networks = \"::1\"").size(), 1u);
    EXPECT_EQ(problems_of("[guard]\nshared_networks = [7]").size(), 1u);
    EXPECT_EQ(
        problems_of("[guard]\nshared_networks = [\"192.0.2.1/24\"]"),
        std::vector<std::string>{
            "2:19 error: guard.shared_networks is wrong: \"192.0.2.1/24\" is not a network: the address has "
            "bits outside the prefix; write 192.0.2.0/24 or 192.0.2.1"});
}

TEST(Config, BracketsThatAreOneTooFewOrTooMany) {
    EXPECT_EQ(problems(parse("[listener]\nport = 1\n")).at(0),
              "1:1 error: there may be several of these: write [[listener]] with two brackets");
    EXPECT_EQ(problems_of("[[store]]\ncleaner = true\n"),
              std::vector<std::string>{"1:3 error: store is a section: write [store] on a line of its own"});
    EXPECT_EQ(problems_of("store = 1\n"),
              std::vector<std::string>{"1:1 error: store is a section: write [store] on a line of its own"});
}

TEST(Config, CertificatesForOtherNames) {
    const Loaded loaded = parse(
        "[tls]\ncertificate = \"a.pem\"\npolicy = \"modern\"\n"
        "[[certificate]]\nfile = \"b.pem\"\nkey = \"b.key\"\n[[certificate]]\nfile = "
        "\"c.pem\"\n[[certificate]]\n");
    EXPECT_EQ(problems(loaded),
              std::vector<std::string>{
                  "9:1 warning: this [[certificate]] names no file, so there is none; name one with file"});
    const net::TlsSettings settings = tls_settings(loaded.config);
    EXPECT_EQ(settings.policy, net::TlsPolicy::modern);
    EXPECT_EQ(settings.files.certificate, "/etc/pier/a.pem");
    ASSERT_EQ(settings.others.size(), 2u);
    EXPECT_EQ(settings.others[0].key, "/etc/pier/b.key");
    EXPECT_EQ(settings.others[1].key, "/etc/pier/c.pem");
    EXPECT_EQ(parse(show_config(loaded.config)).config.certificates.size(), 3u);
}

TEST(Config, RulesBetweenValues) {
    const auto one = [](std::string_view text) {
        const auto lines = problems(parse(text));
        EXPECT_EQ(lines.size(), 1u) << text;
        return lines.empty() ? std::string() : lines[0];
    };
    EXPECT_EQ(one("[[listener]]\nprotocol = \"pop3s\"\naddress = \"127.0.0.1\"\n"),
              "1:1 error: listener \"pop3s-995\" needs a certificate; name it with certificate in [tls]");
    EXPECT_EQ(
        one("[[certificate]]\nfile = \"b.pem\"\n[[listener]]\naddress = \"::1\"\n"),
        "2:1 error: there is no certificate in [tls], which those in [[certificate]] stand beside; name one "
        "there");
    EXPECT_EQ(
        one("[[listener]]\npath = \"/run/x\"\nport = 110\n"),
        "3:1 error: listener.port has no meaning beside listener.path (a Unix socket); take one of them out");
    EXPECT_EQ(one("[[listener]]\nprotocol = \"lmtp\"\npath = \"/run/pier/pier.sock\"\n"),
              "3:1 error: /run/pier/pier.sock is the management socket too ([admin] socket); give the "
              "listener another "
              "path");
    EXPECT_NE(one("[tls]\ncertificate = \"c\"\n[[listener]]\nprotocol = \"pop3s\"\ntls = \"none\"\naddress = "
                  "\"::1\"\n")
                  .find("5:1 error: pop3s is POP3 with TLS from the first octet"),
              std::string::npos);
    EXPECT_NE(one("[tls]\ncertificate = \"c\"\n[[listener]]\nprotocol = \"lmtp\"\ntls = "
                  "\"starttls\"\naddress = \"::1\"\n")
                  .find("5:1 error: LMTP has no STARTTLS"),
              std::string::npos);
    EXPECT_EQ(
        one("[[listener]]\nprotocol = \"lmtp\"\npath = \"/run/x\"\nclear_login = \"never\"\n"),
        "4:1 error: nobody logs in over LMTP, so listener.clear_login has no meaning there; take it out");
    EXPECT_NE(one("[[listener]]\nprotocol = \"lmtp\"\n")
                  .find("1:1 warning: listener \"lmtp-24\" takes mail from everybody"),
              std::string::npos);
    EXPECT_NE(one("[[listener]]\nclear_login = \"always\"\n")
                  .find("2:1 warning: listener \"pop3-110\" takes passwords in "
                        "the clear"),
              std::string::npos);
    EXPECT_NE(one("[tls]\nkey = \"k\"\n[[listener]]\naddress = \"::1\"\n")
                  .find("2:1 error: tls.key has no meaning"),
              std::string::npos);
    EXPECT_NE(one("[server]\ndata_folder = \"\"\n[[listener]]\naddress = \"::1\"\n")
                  .find("2:1 error: server.data_folder"),
              std::string::npos);
    EXPECT_NE(one("[pop3]\nidle_timeout = 599\n[[listener]]\naddress = \"::1\"\n")
                  .find("2:1 warning: pop3.idle_timeout"),
              std::string::npos);
    EXPECT_EQ(problems_of("[pop3]\nidle_timeout = 600"), std::vector<std::string>());
}

TEST(Config, ListenersThatAreInEachOthersWay) {
    EXPECT_EQ(problems(parse("[[listener]]\naddress = \"127.0.0.1\"\nport = 1\n[[listener]]\naddress = "
                             "\"127.0.0.1\"\nport = 1\n")),
              std::vector<std::string>{
                  "6:1 error: listener \"pop3-1\" listens where listener \"pop3-1\" "
                  "(/etc/pier/pier.toml:1:1) does already; change one of them or take it out"});
    EXPECT_EQ(
        problems(parse("[[listener]]\nname = \"a\"\naddress = \"::1\"\n[[listener]]\nname = \"a\"\naddress = "
                       "\"127.0.0.1\"\n")),
        std::vector<std::string>{"5:1 error: two listeners have the name \"a\"; give each its own name"});
    // Any free port twice, and the same port on two addresses, are fine.
    EXPECT_EQ(
        problems(parse(
            "[[listener]]\nname = \"a\"\naddress = \"::1\"\nport = 0\n[[listener]]\nname = \"b\"\naddress = "
            "\"::1\"\nport = 0\n")),
        std::vector<std::string>());
    const auto wild = problems(parse("[[listener]]\naddress = \"127.0.0.1\"\n[[listener]]\nname = \"b\"\n"));
    EXPECT_EQ(std::count_if(wild.begin(), wild.end(),
                            [](const std::string& line) { return line.find("error") != std::string::npos; }),
              1);
}

TEST(Config, SampleGivesTheDefaults) {
    const Loaded defaults = default_config();
    const std::string sample = sample_config();
    const Loaded as_it_is = parse(sample);
    EXPECT_TRUE(as_it_is.usable());
    EXPECT_EQ(json(as_it_is.config), json(defaults.config));

    const std::string live = std::regex_replace(sample, std::regex("(^|\n)#([a-z_]+ = |\\[\\[)"), "$1$2");
    const Loaded loaded = parse(live);
    EXPECT_TRUE(loaded.usable());
    ASSERT_EQ(loaded.config.listeners.size(), 1u);
    for (const Section& section : sections()) {
        for (const Field& field : section.fields)
            EXPECT_TRUE(loaded.places.contains(
                fmt::format("{}{}.{}", section.name, section.repeated() ? "[0]" : "", field.key)))
                << section.name << "." << field.key;
    }
    Config expected = defaults.config;
    expected.listeners.resize(1);
    expected.certificates.resize(1);
    expected.backends.resize(1);
    expected.watch.targets.resize(1);
    expected.watch.canaries.resize(1);
    expected.alerts.channels.resize(1);
    finish(expected);
    EXPECT_EQ(json(loaded.config), json(expected));
}

TEST(Config, BackEnds) {
    const std::string listener = "[[listener]]\naddress = \"127.0.0.1\"\n";
    const auto seen = [&](const std::string& text) { return problems(parse(listener + text)); };
    const std::string file = "[[backend]]\nname = \"a\"\nfile = \"users\"\n";
    EXPECT_EQ(seen(file), std::vector<std::string>());
    EXPECT_EQ(seen(file + "[[backend]]\nkind = \"pam\"\nservice = \"mail\"\nuid_min = 500\n"),
              std::vector<std::string>());
    EXPECT_FALSE(parse("[[backend]]\nkind = \"pam\"\nfile = \"users\"\n").usable()) << "pam has no file";
    EXPECT_FALSE(parse(file + "service = \"mail\"\n").usable()) << "a file has no service";
    EXPECT_FALSE(parse(file + file).usable()) << "two of one name";
    EXPECT_FALSE(parse("[[backend]]\nname = \"a b\"\nfile = \"users\"\n").usable());
    EXPECT_FALSE(parse("[[backend]]\nkind = \"pam\"\nservice = \"../x\"\n").usable());
    EXPECT_FALSE(parse(file + "default_scheme = \"ROT13\"\n").usable());
    EXPECT_EQ(seen("[[backend]]\nname = \"a\"\n").size(), 1u) << "no file: a warning";
    std::string many;
    for (int i = 0; i < 17; ++i) {
        EXPECT_TRUE(i == 0 || parse(many).usable()) << i;
        many += fmt::format("[[backend]]\nname = \"b{}\"\nfile = \"users\"\n", i);
    }
    EXPECT_FALSE(parse(many).usable());

    EXPECT_TRUE(offers_scram(parse("").config));
    EXPECT_FALSE(offers_scram(parse(file).config));
    EXPECT_TRUE(offers_scram(parse(file + "[auth]\nscram = \"on\"\n").config));
    EXPECT_EQ(seen(file + "[auth]\nscram = \"on\"\n").size(), 1u);
    EXPECT_FALSE(offers_scram(parse("[auth]\nscram = \"off\"\n").config));

    const Loaded loaded = parse(listener + file + "[[backend]]\nkind = \"pam\"\n");
    EXPECT_EQ(json(parse(show_config(loaded.config)).config), json(loaded.config));
    EXPECT_EQ(loaded.config.backends[1].name, "pam");
}

TEST(Config, WhatIsShownIsReadBack) {
    const Loaded loaded = parse(
        "[server]\nhostname = 'a\"b\\c'\n[store]\npurge_after = 12345\n[[listener]]\naddress = \"::1\"\nport "
        "= 7\n[[listener]]\n"
        "protocol = \"lmtp\"\npath = \"/run/x\"\n");
    EXPECT_EQ(problems(loaded), std::vector<std::string>());
    const Loaded again = parse(show_config(loaded.config));
    EXPECT_EQ(problems(again), std::vector<std::string>());
    EXPECT_EQ(again.config.server.hostname, "a\"b\\c");
    EXPECT_EQ(again.config.listeners[0].port, 7);
    EXPECT_EQ(again.config.listeners[1].path, "/run/x");
    EXPECT_EQ(again.config.store.purge_after, seconds(12345));
}

TEST(Config, EveryFieldHasAHelpSentenceAndKeysDiffer) {
    std::set<std::string> seen;
    for (const Section& section : sections()) {
        EXPECT_TRUE(section.help.ends_with('.')) << section.name;
        for (const Field& field : section.fields) {
            EXPECT_TRUE(field.help.ends_with('.')) << field.key;
            EXPECT_TRUE(seen.insert(fmt::format("{}.{}", section.name, field.key)).second) << field.key;
        }
    }
}

TEST(Config, AFileThatIsNotThere) {
    const Loaded loaded = load_config("/nonexistent/pier.toml");
    ASSERT_FALSE(loaded.usable());
    EXPECT_EQ(loaded.problems[0].place.text(), "/nonexistent/pier.toml");
    EXPECT_NE(loaded.problems[0].text.find("No such file"), std::string::npos);
    EXPECT_NE(loaded.problems[0].text.find("pier config sample"), std::string::npos);
}

TEST(Suggestion, NearestWord) {
    EXPECT_EQ(edit_distance("", ""), 0u);
    EXPECT_EQ(edit_distance("abc", ""), 3u);
    EXPECT_EQ(edit_distance("purge_afer", "purge_after"), 1u);
    EXPECT_EQ(edit_distance("prot", "port"), 1u);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
    const std::vector<std::string_view> known{"port", "path", "protocol", "idle_timeout"};
    EXPECT_EQ(nearest("prot", known), "port");
    EXPECT_EQ(nearest("protokol", known), "protocol");
    EXPECT_EQ(nearest("timeout", known), "idle_timeout");
    EXPECT_EQ(nearest("zzzz", known), "");
    EXPECT_EQ(nearest("", known), "");
    EXPECT_EQ(nearest(std::string(1 << 20, 'p'), known), "");
    EXPECT_EQ(suggestion("zzzz", known), "; known are port, path, protocol and idle_timeout");
}

}  // namespace
}  // namespace pier::program
