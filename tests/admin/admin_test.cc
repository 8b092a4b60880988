// The management API: its wire form, its methods over a directory, and the client against a socket.
#include <filesystem>
#include <future>
#include <thread>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/app_password_methods.h"
#include "admin/client.h"
#include "admin/methods.h"
#include "admin/params.h"
#include "admin/protocol.h"
#include "admin/second_factor_methods.h"
#include "auth/memory_store.h"
#include "auth/totp.h"

namespace pier::admin {
namespace {

namespace json = boost::json;
using namespace std::string_literals;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t octets_max = 1000;

template <class T>
void expect_error(const Result<T>& result, ErrorKind kind, const char* text) {
    ASSERT_FALSE(result);
    EXPECT_EQ(to_string(result.error().kind), to_string(kind)) << result.error().text;
    EXPECT_THAT(result.error().text, HasSubstr(text));
}

// ---- the wire form ----

TEST(Requests, ComeBackAsTheyWere) {
    const auto read =
        parse_request(write_request({"account.add", {{"name", "a\nb"}, {"n", 7}}, 999}), octets_max);
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(read->method, "account.add");
    EXPECT_EQ(read->params.at("name").as_string(), "a\nb");
    EXPECT_EQ(read->octets, 999u);
    EXPECT_EQ(write_request({"status", {}, 0}), "{\"method\":\"status\",\"params\":{}}\n");
}

TEST(Requests, SayForWhomRootAsks) {
    EXPECT_EQ(parse_request(write_request({"status", {}, 0, "ada"}), octets_max)->for_user, "ada");
    EXPECT_FALSE(parse_request(R"({"method":"x","for":")" + std::string(for_user_octets_max + 1, 'a') + "\"}",
                               octets_max));
    Api api;
    Caller asked;
    api.add("who", [&](const Call& call) {
        asked = call.caller;
        return json::value(json::object{});
    });
    const std::string line = write_request({"who", {}, 0, "ada"});
    api.call(line, "", octets_max, {.user = 0, .process = 7});
    EXPECT_EQ(asked, (Caller{0, 7, "ada"}));
    api.call(line, "", octets_max, {.user = 1000, .process = 7});
    EXPECT_EQ(asked, (Caller{1000, 7, ""})) << "of anybody else his word is not taken";
    api.call(line, "", octets_max);
    EXPECT_EQ(asked, Caller());
}

TEST(Apis, PutSomethingAroundAMethod) {
    Api api;
    api.add("count", [](const Call&) { return json::value(1); });
    api.around("count", [](Method inner) -> Method {
        return [inner](const Call& call) -> Result<json::value> {
            return json::value(inner(call)->as_int64() + 1);
        };
    });
    EXPECT_EQ(api.call("count", {})->as_int64(), 2);
}

TEST(Requests, AreReadStrictly) {
    for (const auto& line : {""s,
                             "\n"s,
                             "{"s,
                             "[]"s,
                             "null"s,
                             "{}"s,
                             R"({"method":1})"s,
                             R"({"method":"x","params":[]})"s,
                             R"({"method":"x","octets":"1"})"s,
                             R"({"method":"x","octets":-1})"s,
                             R"({"method":"x","octets":1.0})"s,
                             R"({"method":"x","octets":1e3})"s,
                             R"({"method":"x","octets":18446744073709551616})"s,
                             R"({"method":"x","extra":1})"s,
                             R"({"method":"x","for":1})"s,
                             R"({"method":"x"} x)"s,
                             R"({"method":"x"}{})"s,
                             "{\"method\":\"\xFF\"}"s,
                             R"({"params":{}})"s,
                             std::string(100'000, '['),
                             "{\"method\":\"x\0\"}"s}) {
        const auto read = parse_request(line, octets_max);
        ASSERT_FALSE(read) << line.substr(0, 80);
        EXPECT_EQ(read.error().kind, ErrorKind::invalid);
    }
}

TEST(Requests, HaveLimits) {
    for (const int octets : {999, 1000})
        EXPECT_TRUE(parse_request(R"({"method":"x","octets":)" + std::to_string(octets) + "}", octets_max));
    expect_error(parse_request(R"({"method":"x","octets":1001})", octets_max), ErrorKind::invalid, "1000");
    const std::string start = R"({"method":"x","params":{"a":")", end = "\"}}\n";
    const auto line = [&](std::size_t octets) {
        return start + std::string(octets - start.size() - end.size(), 'a') + end;
    };
    EXPECT_TRUE(parse_request(line(request_line_octets_max - 1), octets_max));
    EXPECT_TRUE(parse_request(line(request_line_octets_max), octets_max));
    expect_error(parse_request(line(request_line_octets_max + 1), octets_max), ErrorKind::invalid,
                 "too long");
}

TEST(Answers, ComeBackAsTheyWere) {
    EXPECT_EQ(parse_answer(write_answer(json::value(json::object{{"a", 1}})))->at("a").as_int64(), 1);
    EXPECT_EQ(write_answer(json::value(nullptr)), "{\"ok\":null}\n");
    for (int kind = 0; kind <= static_cast<int>(ErrorKind::stopped); ++kind) {
        const Error error{static_cast<ErrorKind>(kind), "a\r\n\"text\""};
        const std::string line = write_answer(error);
        EXPECT_EQ(line.find_first_of("\r\n"), line.size() - 1) << "an answer is one line";
        const auto read = parse_answer(line);
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().kind, error.kind);
        EXPECT_EQ(read.error().text, error.text);
    }
    expect_error(parse_answer(R"({"error":{"kind":"of a newer server","text":"t"}})"), ErrorKind::io, "t");
    for (const char* line :
         {"", "{}", "[]", R"({"ok":1,"x":2})", R"({"error":1})", R"({"error":{"kind":"io"}})"})
        EXPECT_EQ(parse_answer(line).error().kind, ErrorKind::invalid) << line;
}

TEST(Params, NameWhatIsWrong) {
    const auto reason = [](const json::object& object) {
        Params params(object);
        params.text("text");
        params.maybe_number("number");
        params.maybe_flag("flag");
        params.texts("texts");
        const auto good = params.finish();
        return good ? ""s : good.error().text;
    };
    const json::object right{
        {"text", "t"}, {"number", 18446744073709551615u}, {"flag", true}, {"texts", {"a", "b"}}};
    EXPECT_EQ(reason(right), "");
    const auto with = [&](json::string_view name, json::value value) {
        json::object changed = right;
        changed[name] = std::move(value);
        return reason(changed);
    };
    EXPECT_THAT(with("text", 1), HasSubstr("\"text\" is not a text"));
    EXPECT_THAT(with("text", nullptr), HasSubstr("\"text\" is missing"));
    for (const json::value& number : {json::value(-1), json::value(1.5), json::value("1"), json::value(true)})
        EXPECT_THAT(with("number", number), HasSubstr("\"number\" is not a whole number"));
    EXPECT_EQ(with("number", nullptr), "");
    EXPECT_THAT(with("flag", 1), HasSubstr("\"flag\""));
    EXPECT_THAT(with("texts", "a"), HasSubstr("\"texts\""));
    EXPECT_THAT(with("texts", json::array{"a", 1}), HasSubstr("\"texts\""));
    EXPECT_EQ(with("texts", json::array{}), "");
    EXPECT_THAT(with("nmae", 1),
                HasSubstr("\"nmae\" is not known here; known are: text, number, flag, texts"));
}

TEST(ApiCalls, FindTheirMethod) {
    Api api;
    api.add("echo", [](const Call& call) -> Result<json::value> {
        return json::value(json::object{{"params", call.params}, {"octets", call.body.size()}});
    });
    EXPECT_EQ(api.call(R"({"method":"echo","params":{"a":1},"octets":3})", "abc", octets_max),
              "{\"ok\":{\"params\":{\"a\":1},\"octets\":3}}\n");
    expect_error(parse_answer(api.call(R"({"method":"echo","octets":3})", "ab", octets_max)),
                 ErrorKind::invalid, "3 octets were announced and 2 came");
    expect_error(parse_answer(api.call(R"({"method":"ehco"})", "", octets_max)), ErrorKind::invalid,
                 "does not know");
    expect_error(parse_answer(api.call("nonsense", "", octets_max)), ErrorKind::invalid, "not JSON");
    EXPECT_THAT(api.methods(), testing::ElementsAre("echo"));
}

// ---- the methods ----

class Methods : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(directory.load());
        add_directory_methods(api, directory, store);
        add_app_password_methods(api, directory);
        add_second_factor_methods(api, directory);
    }
    Result<json::value> call(const char* method, const json::object& params = {}) {
        return api.call(method, params);
    }
    json::object ok(const char* method, const json::object& params = {}) {
        const auto answer = call(method, params);
        EXPECT_TRUE(answer) << method << ": " << answer.error().text;
        return answer ? answer->as_object() : json::object{};
    }

    test::MemoryStore store;
    auth::Directory directory{store};
    Api api;
};

TEST_F(Methods, AnAccountsLife) {
    ok("domain.add", {{"name", "example.org"}});
    auto account =
        ok("account.add", {{"name", "Ada@example.org"}, {"password", "pencil"}, {"quota_octets", 5000}});
    EXPECT_EQ(account["name"], "ada@example.org");
    EXPECT_EQ(account["password"], "ARGON2ID");
    EXPECT_EQ(account["scram"], true);
    EXPECT_EQ(account["quota_octets"], 5000);
    EXPECT_EQ(account["exclusive"], false);
    EXPECT_EQ(account["messages"], 3);
    EXPECT_EQ(account["octets"], 333);
    EXPECT_THAT(std::string(account["created"].as_string()), HasSubstr("T"));

    account = ok("account.change", {{"name", "ada@example.org"}, {"exclusive", true}, {"quota_octets", 0}});
    EXPECT_EQ(account["exclusive"], true);
    EXPECT_EQ(account["quota_octets"], 0);
    account = ok("account.disable", {{"name", "ada@example.org"}, {"text", "bill unpaid"}});
    EXPECT_EQ(account["disabled"], true);
    EXPECT_EQ(account["disabled_text"], "bill unpaid");
    account = ok("account.enable", {{"name", "ada@example.org"}});
    EXPECT_EQ(account["disabled"], false);
    EXPECT_EQ(account["disabled_text"], "");
    account = ok("account.passwd",
                 {{"name", "ada@example.org"}, {"password_scheme", "{SHA}0vxRJJChUDZGC1SJQBQ51tpUB/o="}});
    EXPECT_EQ(account["password"], "SHA");
    EXPECT_EQ(account["scram"], false);
    EXPECT_THAT(json::serialize(account), Not(HasSubstr("0vxRJJ"))) << "a hash leaves the server";
    account = ok("account.passwd", {{"name", "ada@example.org"}, {"password_scheme", ""}});
    EXPECT_EQ(account["password"], "");
    account = ok("account.passwd", {{"name", "ada@example.org"}, {"password", "crayon"}});
    EXPECT_TRUE(auth::password_matches(directory.find("ada@example.org")->password, "crayon"));

    account = ok("account.show", {{"name", "ADA@example.org"}});
    EXPECT_EQ(account["mailboxes"].at(0).at("name"), "INBOX");
    ok("account.add", {{"name", "bob"}});
    const auto list = ok("account.list");
    EXPECT_EQ(list.at("accounts").as_array().size(), 2u);
    EXPECT_EQ(list.at("accounts").at(1).at("name"), "bob");
    EXPECT_EQ(ok("account.remove", {{"name", "bob"}}), json::object{});
    EXPECT_EQ(ok("account.list").at("accounts").as_array().size(), 1u);
}

TEST_F(Methods, AppPasswords) {
    ok("account.add", {{"name", "ada"}});
    const auto made = ok("account.app_password.add", {{"account", "ada"},
                                                      {"name", "phone"},
                                                      {"protocols", {"pop3"}},
                                                      {"networks", {"192.0.2.0/24"}},
                                                      {"until", "2999-12-31"}});
    EXPECT_EQ(made.at("until"), "3000-01-01T00:00:00Z");
    const std::string password(made.at("password").as_string());
    EXPECT_EQ(directory.find("ada")->app_passwords.at(0).hash, auth::app_password_hash(password));
    const auto listed = ok("account.app_password.list", {{"account", "ada"}});
    EXPECT_EQ(listed.at("app_passwords").at(0).at("name"), "phone");
    EXPECT_EQ(listed.at("app_passwords").at(0).at("used"), "");
    EXPECT_THAT(json::serialize(listed), Not(HasSubstr(password)));
    EXPECT_THAT(json::serialize(ok("account.show", {{"name", "ada"}})), Not(HasSubstr(password)));

    for (const auto bad : {"2027-13-01", "2027-02-29", "2027-1-1", "tomorrow", "+027-01-01", "2027/01/01"})
        expect_error(call("account.app_password.add", {{"account", "ada"}, {"name", "x"}, {"until", bad}}),
                     ErrorKind::invalid, "2027-01-31");
    expect_error(
        call("account.app_password.add", {{"account", "ada"}, {"name", "x"}, {"until", "2020-01-01"}}),
        ErrorKind::invalid, "over already");
    expect_error(call("account.app_password.list", {{"account", "eve"}}), ErrorKind::not_found, "eve");

    ok("account.change", {{"name", "ada"}, {"app_passwords_only", true}});
    EXPECT_TRUE(directory.find("ada")->app_passwords_only);
    ok("account.app_password.revoke", {{"account", "ada"}, {"name", "phone"}});
    expect_error(call("account.app_password.revoke", {{"account", "ada"}, {"name", "phone"}}),
                 ErrorKind::not_found, "phone");
}

TEST_F(Methods, SecondFactors) {
    ok("account.add", {{"name", "ada"}});
    EXPECT_EQ(ok("account.show", {{"name", "ada"}}).at("second_factor"), false);
    const auto started = ok("account.second_factor.start", {{"account", "Ada"}});
    const std::string secret = directory.find("ada")->second_factor->secret;
    EXPECT_EQ(started.at("secret").as_string(), auth::totp_secret_text(secret));
    EXPECT_EQ(started.at("uri").as_string(), auth::totp_uri("ada", secret));
    expect_error(call("account.second_factor.confirm", {{"account", "ada"}, {"code", "none"}}),
                 ErrorKind::invalid, "half minute");
    ok("account.second_factor.confirm",
       {{"account", "ada"}, {"code", auth::totp_code(secret, auth::totp_step(system_now()))}});
    const auto shown = ok("account.show", {{"name", "ada"}});
    EXPECT_EQ(shown.at("second_factor"), true);
    EXPECT_THAT(json::serialize(shown), Not(HasSubstr(auth::totp_secret_text(secret))));
    expect_error(call("account.second_factor.start", {{"account", "ada"}}), ErrorKind::exists, "remove");
    ok("account.second_factor.remove", {{"account", "ada"}});
    expect_error(call("account.second_factor.remove", {{"account", "ada"}}), ErrorKind::not_found, "ada");
}

TEST_F(Methods, ProtocolsOfAnAccount) {
    ok("account.add", {{"name", "ada"}});
    EXPECT_EQ(ok("account.show", {{"name", "ada"}}).at("protocols"), json::array{"all"});
    ok("account.change", {{"name", "ada"}, {"protocols", json::array{"pop3"}}});
    EXPECT_EQ(ok("account.show", {{"name", "ada"}}).at("protocols"), json::array{"pop3"});
    ok("account.change", {{"name", "ada"}, {"protocols", json::array{}}});
    EXPECT_EQ(directory.find("ada")->protocols, auth::Protocols(std::in_place));
    ok("account.change", {{"name", "ada"}, {"exclusive", true}});
    EXPECT_EQ(directory.find("ada")->protocols, auth::Protocols(std::in_place)) << "what is absent stays";
    ok("account.change", {{"name", "ada"}, {"protocols", json::array{"all"}}});
    EXPECT_EQ(directory.find("ada")->protocols, std::nullopt);
    expect_error(call("account.change", {{"name", "ada"}, {"protocols", json::array{"gopher"}}}),
                 ErrorKind::invalid, "gopher");
}

TEST_F(Methods, AliasesAndDomains) {
    EXPECT_EQ(ok("domain.add", {{"name", "example.org"}}).at("name"), "example.org");
    ok("account.add", {{"name", "ada"}});
    const auto alias = ok("alias.add", {{"address", "all@example.org"}, {"targets", {"ada"}}});
    EXPECT_EQ(alias.at("targets"), (json::array{"ada"}));
    EXPECT_EQ(ok("alias.list").at("aliases").at(0).at("address"), "all@example.org");
    EXPECT_EQ(ok("domain.list").at("domains").at(0).at("name"), "example.org");
    expect_error(call("domain.remove", {{"name", "example.org"}}), ErrorKind::invalid, "all@example.org");
    ok("alias.remove", {{"address", "all@example.org"}});
    ok("domain.remove", {{"name", "example.org"}});
    EXPECT_EQ(ok("alias.list").at("aliases"), json::array());
    EXPECT_EQ(ok("domain.list").at("domains"), json::array());
}

TEST_F(Methods, RefuseAndDoNothing) {
    expect_error(call("account.show", {{"name", "eve"}}), ErrorKind::not_found, "pier account list");
    expect_error(call("account.passwd", {{"name", "eve"}}), ErrorKind::invalid, "password");
    expect_error(call("account.passwd", {{"name", "eve"}, {"password", "x"}}), ErrorKind::not_found, "eve");
    expect_error(call("account.add", {{"name", "eve"}, {"pasword", "x"}}), ErrorKind::invalid, "\"pasword\"");
    EXPECT_EQ(directory.find("eve"), nullptr);
    expect_error(call("account.add", {{"name", "eve"}, {"quota_octets", -1}}), ErrorKind::invalid,
                 "quota_octets");
    EXPECT_EQ(directory.find("eve"), nullptr);
    for (const std::string_view method : api.methods()) {
        const auto answer = api.call(method, {{"surprise", 1}});
        ASSERT_FALSE(answer) << method;
        EXPECT_EQ(answer.error().kind, ErrorKind::invalid) << method;
    }
}

// ---- the client ----

// A server for one connection, which does what the test says with it.
class Socket {
  public:
    explicit Socket(std::function<void(int)> serve) {
        std::filesystem::remove(path);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path.begin(), path.end(), address.sun_path);
        listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(listener_, 5), 0);
        thread_ = std::jthread([this, serve = std::move(serve)] {
            const int connection = accept(listener_, nullptr, nullptr);
            serve(connection);
            close(connection);
        });
    }
    ~Socket() {
        thread_.join();
        close(listener_);
        std::filesystem::remove(path);
    }
    static std::string read_line(int fd) {
        std::string line;
        for (char c = 0; read(fd, &c, 1) == 1 && c != '\n';)
            line += c;
        return line;
    }
    static void write_all(int fd, std::string_view text) {
        while (!text.empty()) {
            const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    const std::string path = testing::TempDir() + "pier-admin-test-" + std::to_string(getpid()) + ".sock";

  private:
    int listener_ = -1;
    std::jthread thread_;
};

TEST(Clients, CallOneMethodAfterAnother) {
    Api api;
    api.add("echo",
            [](const Call& call) -> Result<json::value> { return json::value(std::string(call.body)); });
    const std::string big(3'000'000, 'x');
    Socket server([&](int fd) {
        for (int i = 0; i < 3; ++i) {
            const std::string line = Socket::read_line(fd);
            std::string body(parse_request(line, big.size())->octets, '\0');
            for (std::size_t at = 0; at < body.size();)
                at += static_cast<std::size_t>(read(fd, &body[at], body.size() - at));
            Socket::write_all(fd, api.call(line, body, big.size()));
        }
    });
    auto client = Client::connect(server.path);
    ASSERT_TRUE(client);
    EXPECT_EQ(client->call("echo", {}, "abc")->as_string(), "abc");
    EXPECT_EQ(client->call("echo", {}, big)->as_string(), big);
    expect_error(client->call("nothing", {}), ErrorKind::invalid, "does not know");
}

TEST(Clients, ReadAnAnswerThatComesInPiecesOrTogetherWithTheNext) {
    Socket server([](int fd) {
        Socket::read_line(fd);
        for (const char c : "{\"ok\":1}\n{\"ok\":2}\n"s)
            Socket::write_all(fd, {&c, 1});
        Socket::read_line(fd);
    });
    auto client = Client::connect(server.path);
    EXPECT_EQ(*client->call("x", {}), 1);
    EXPECT_EQ(*client->call("x", {}), 2);
}

TEST(Clients, TellARefusalThatComesBeforeTheBodyIsSent) {
    Socket server([](int fd) {
        Socket::read_line(fd);
        Socket::write_all(fd, write_answer(Error{ErrorKind::invalid, "too much"}));
    });
    auto client = Client::connect(server.path);
    expect_error(client->call("x", {}, std::string(10'000'000, 'x')), ErrorKind::invalid, "too much");
}

TEST(Clients, TellWhatIsWrongWithTheServer) {
    {
        Socket server([](int fd) { Socket::read_line(fd); });
        auto client = Client::connect(server.path);
        expect_error(client->call("x", {}), ErrorKind::io, "without an answer");
    }
    {
        Socket server([](int fd) {
            Socket::read_line(fd);
            Socket::write_all(fd, "half");
        });
        auto client = Client::connect(server.path);
        expect_error(client->call("x", {}), ErrorKind::io, "without an answer");
    }
    {
        Socket server([](int fd) {
            Socket::read_line(fd);
            Socket::write_all(fd, "HTTP/1.1 400 Bad Request\r\n");
        });
        auto client = Client::connect(server.path);
        expect_error(client->call("x", {}), ErrorKind::invalid, "not JSON");
    }
    {
        std::promise<void> over;
        Socket server([&](int) { over.get_future().wait(); });
        auto client = Client::connect(server.path, std::chrono::milliseconds(10));
        expect_error(client->call("x", {}), ErrorKind::io, "no answer in time");
        over.set_value();
    }
}

TEST(Clients, TellWhenNoServerRuns) {
    const std::string path = testing::TempDir() + "pier-no-such-socket";
    expect_error(Client::connect(path), ErrorKind::not_found, "no server runs");
    {
        Socket server([](int) {});
        (void)Client::connect(server.path);
    }
    expect_error(Client::connect(""), ErrorKind::invalid, "path");
    EXPECT_EQ(Client::connect("/" + std::string(105, 'x')).error().kind, ErrorKind::not_found);
    EXPECT_EQ(Client::connect("/" + std::string(106, 'x')).error().kind, ErrorKind::not_found);
    expect_error(Client::connect("/" + std::string(107, 'x')), ErrorKind::invalid, "108 characters");
}

TEST(Clients, RefuseToSendAnEndlessLine) {
    Socket server([](int fd) { EXPECT_EQ(Socket::read_line(fd), ""); });
    auto client = Client::connect(server.path);
    expect_error(client->call("x", {{"a", std::string(request_line_octets_max, 'a')}}), ErrorKind::invalid,
                 "longer");
}

}  // namespace
}  // namespace pier::admin
