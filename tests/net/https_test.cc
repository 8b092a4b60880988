#include "net/https.h"

#include <atomic>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "net/web_server.h"
#include "support/certificate.h"

namespace pier::net {
namespace {

using test::WebServer;

class Https : public testing::Test {
  protected:
    Https() { test::make_certificate(files_, 30); }

    Result<HttpsReply> get(const std::string& url) {
        HttpsRequest request;
        request.url = url;
        request.ca_file = files_.certificate;
        request.octets_max = 100;
        return https_call(request);
    }

    test::CertificateFiles files_;
};

TEST_F(Https, SendsARequestAndReadsTheReply) {
    WebServer server(&files_,
                     "HTTP/1.1 201 Created\r\nReplay-Nonce: abc\r\nLocation: /order/1\r\nContent-Length: "
                     "5\r\n\r\nhello");
    HttpsRequest request;
    request.method = "POST";
    request.url = server.url("/new?x=%20y");
    request.fields = {{"Content-Type", "text/plain"}};
    request.body = "two words";
    request.ca_file = files_.certificate;
    const auto reply = https_call(request);
    ASSERT_TRUE(reply) << reply.error().text;
    EXPECT_EQ(reply->status, 201u);
    EXPECT_EQ(reply->field("replay-nonce"), "abc");
    EXPECT_EQ(reply->field("Location"), "/order/1");
    EXPECT_EQ(reply->field("Nothing"), "");
    EXPECT_EQ(reply->body, "hello");
    const std::string host = server.url("", "localhost").substr(8);
    EXPECT_EQ(server.request(), "POST /new?x=%20y HTTP/1.1\r\nHost: " + host +
                                    "\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: "
                                    "9\r\n\r\ntwo words");
    EXPECT_EQ(server.server_name(), "localhost");
}

TEST_F(Https, ReadsAHeaderWithoutABody) {
    WebServer server(&files_, "HTTP/1.1 200 OK\r\nReplay-Nonce: n\r\nContent-Length: 700\r\n\r\n");
    HttpsRequest request;
    request.method = "HEAD";
    request.url = server.url();
    request.ca_file = files_.certificate;
    const auto reply = https_call(request);
    ASSERT_TRUE(reply) << reply.error().text;
    EXPECT_EQ(reply->field("Replay-Nonce"), "n");
    EXPECT_EQ(reply->body, "");
}

TEST_F(Https, AnswersThatAreNoSuccessAreRepliesAndNoneIsFollowed) {
    WebServer server(&files_,
                     "HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n");
    const auto reply = get(server.url());
    ASSERT_TRUE(reply) << reply.error().text;
    EXPECT_EQ(reply->status, 302u);
}

TEST_F(Https, ReadsABodyInChunksAndOneThatEndsWithTheConnection) {
    WebServer chunked(&files_,
                      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n");
    const auto pieces = get(chunked.url());
    ASSERT_TRUE(pieces) << pieces.error().text;
    EXPECT_EQ(pieces->body, "abcd");
    WebServer closing(&files_, "HTTP/1.1 200 OK\r\n\r\nto the end");
    const auto whole = get(closing.url());
    ASSERT_TRUE(whole) << whole.error().text;
    EXPECT_EQ(whole->body, "to the end");
}

TEST_F(Https, RefusesABodyThatWasCutOff) {
    WebServer open(&files_, "HTTP/1.1 200 OK\r\n\r\nto the e", WebServer::End::cut_off);
    EXPECT_EQ(get(open.url()).error().kind, ErrorKind::io);
    WebServer counted(&files_, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nto the e");
    EXPECT_EQ(get(counted.url()).error().kind, ErrorKind::io);
}

TEST_F(Https, TakesABodyOfTheLimitAndNoneLonger) {
    const auto reply_of = [](std::size_t octets) {
        return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(octets) + "\r\n\r\n" +
               std::string(octets, 'x');
    };
    WebServer most(&files_, reply_of(100));
    const auto taken = get(most.url());
    ASSERT_TRUE(taken) << taken.error().text;
    EXPECT_EQ(taken->body.size(), 100u);
    WebServer more(&files_, reply_of(101));
    EXPECT_EQ(get(more.url()).error().kind, ErrorKind::io);
    WebServer endless(&files_, "HTTP/1.1 200 OK\r\n\r\n" + std::string(101, 'x'));
    EXPECT_EQ(get(endless.url()).error().kind, ErrorKind::io);
}

TEST_F(Https, RefusesACertificateOfAnotherHost) {
    test::CertificateFiles other;
    test::make_certificate(other, 30, -400, "other.example");
    WebServer server(&other, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    HttpsRequest request;
    request.url = server.url();
    request.ca_file = other.certificate;
    const auto reply = https_call(request);
    ASSERT_FALSE(reply);
    EXPECT_NE(reply.error().text.find("hostname mismatch"), std::string::npos) << reply.error().text;
    EXPECT_EQ(server.request(), "");
}

TEST_F(Https, RefusesACertificateOfAnUnknownAuthority) {
    WebServer server(&files_, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    HttpsRequest request;
    request.url = server.url();
    const auto reply = https_call(request);
    ASSERT_FALSE(reply);
    EXPECT_NE(reply.error().text.find("certificate is not believed"), std::string::npos)
        << reply.error().text;
    EXPECT_EQ(server.request(), "");
}

TEST_F(Https, GivesUpAtTheEndOfItsTime) {
    WebServer server(&files_, "", WebServer::End::never);
    HttpsRequest request;
    request.url = server.url();
    request.ca_file = files_.certificate;
    request.time_max = std::chrono::milliseconds(300);
    const auto reply = https_call(request);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind, ErrorKind::io);
}

TEST_F(Https, SpeaksWithoutTlsToThisMachineOnly) {
    WebServer server(nullptr, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    const auto reply = get(server.url("/", "127.0.0.1"));
    ASSERT_TRUE(reply) << reply.error().text;
    EXPECT_EQ(reply->body, "ok");
    EXPECT_EQ(get("http://192.0.2.1/").error().kind, ErrorKind::invalid);
}

TEST_F(Https, SaysWhatCannotBeAsked) {
    for (const char* url : {"", "localhost", "ftp://localhost/", "https:///", "https://user@localhost/",
                            "https://local host/", "https://localhost/\r\nX: y"})
        EXPECT_EQ(get(url).error().kind, ErrorKind::invalid) << url;
    HttpsRequest request;
    request.url = "https://localhost:1/";
    request.fields = {{"Name", "a\r\nOther: b"}};
    EXPECT_EQ(https_call(request).error().kind, ErrorKind::invalid);
    request.fields = {{"Na me", "a"}};
    EXPECT_EQ(https_call(request).error().kind, ErrorKind::invalid);
    request.fields.clear();
    request.method = "GET /";
    EXPECT_EQ(https_call(request).error().kind, ErrorKind::invalid);
    request.method = "GET";
    request.ca_file = "/nowhere/ca.pem";
    EXPECT_EQ(https_call(request).error().kind, ErrorKind::invalid);
}

TEST_F(Https, IsGivenAddressesAndAuthorities) {
    test::CertificateFiles files;
    test::make_certificate(files, 30, -400, "no-such-host.invalid");
    WebServer server(&files, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                    SSL_CTX_free);
    ASSERT_EQ(SSL_CTX_load_verify_file(context.get(), files.certificate.c_str()), 1);
    HttpsRequest request;
    request.url = server.url("/", "no-such-host.invalid");
    request.addresses = {boost::asio::ip::make_address("127.0.0.1")};
    request.authorities = SSL_CTX_get_cert_store(context.get());
    const auto reply = https_call(request);
    ASSERT_TRUE(reply) << reply.error().text;
    EXPECT_EQ(server.server_name(), "no-such-host.invalid");
}

TEST_F(Https, EndsSoonWhenItIsTold) {
    WebServer server(&files_, "", WebServer::End::never);
    const std::atomic<bool> ended = true;
    HttpsRequest request;
    request.url = server.url();
    request.ca_file = files_.certificate;
    request.time_max = std::chrono::minutes(10);
    request.ended = &ended;
    EXPECT_EQ(https_call(request).error().kind, ErrorKind::io);
}

}  // namespace
}  // namespace pier::net
