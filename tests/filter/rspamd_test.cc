#include "filter/rspamd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pier::filter {
namespace {

using testing::HasSubstr;
using testing::Not;

Question question() {
    Question out;
    out.ip = "192.0.2.7";
    out.helo = "client.example";
    out.hostname = "mx.example.org";
    out.sender = {"eve", "example.com"};
    out.recipients = {{"ada", "example.org"}, {"b o", "example.org"}};
    return out;
}

TEST(RspamdRequest, tells_where_the_message_comes_from) {
    EXPECT_EQ(request_head(question(), 1234, "127.0.0.1:11333"),
              "POST /checkv2 HTTP/1.1\r\nHost: 127.0.0.1:11333\r\nConnection: close\r\n"
              "Content-Length: 1234\r\nIP: 192.0.2.7\r\nHelo: client.example\r\nMTA-Name: mx.example.org\r\n"
              "MTA-Tag: pier\r\nFrom: <eve@example.com>\r\nRcpt: <ada@example.org>\r\n"
              "Rcpt: <\"b o\"@example.org>\r\nMilter: Yes\r\n\r\n");
    Question other = question();
    other.user = "ada";
    other.id = "q1";
    other.tls_version = "TLSv1.3";
    other.tls_cipher = "TLS_AES_128_GCM_SHA256";
    other.sender = {};
    const std::string head = request_head(other, 0, "localhost");
    EXPECT_THAT(head, HasSubstr("Queue-Id: q1\r\nUser: ada\r\nTLS-Version: TLSv1.3\r\nTLS-Cipher: "
                                "TLS_AES_128_GCM_SHA256\r\nFrom: <>\r\n"));
}

// Attack: a name that a client gives is a line of its own in the request.
TEST(RspamdRequest, no_name_ends_a_line) {
    Question bad = question();
    bad.helo = "x\r\nUser: admin";
    bad.sender.local = "a\r\n\r\nb";
    const std::string head = request_head(bad, 1, "localhost");
    EXPECT_THAT(head, HasSubstr("Helo: x??User: admin\r\n"));
    EXPECT_EQ(head.find("\r\n\r\n"), head.size() - 4);
}

TEST(RspamdRequest, names_a_thousand_recipients) {
    for (const std::size_t count : {999, 1000, 1001}) {
        Question many = question();
        many.recipients.assign(count, {"ada", "example.org"});
        const std::string head = request_head(many, 1, "localhost");
        std::size_t told = 0;
        for (std::size_t at = head.find("\r\nRcpt: "); at != head.npos; at = head.find("\r\nRcpt: ", at + 1))
            ++told;
        EXPECT_EQ(told, std::min<std::size_t>(count, 1000));
    }
}

std::string action(const std::string& word) {
    const auto verdict = parse_verdict(R"({"action":")" + word + R"(","score":7.126,"required_score":15})");
    if (!verdict) return verdict.error().text;
    switch (verdict->action) {
        case Action::accept:
            return "accept";
        case Action::mark:
            return "mark";
        case Action::defer:
            return "defer";
        case Action::reject:
            return "reject";
    }
    return "?";
}

TEST(RspamdVerdict, actions) {
    EXPECT_EQ(action("no action"), "accept");
    EXPECT_EQ(action("add header"), "mark");
    EXPECT_EQ(action("rewrite subject"), "mark");
    EXPECT_EQ(action("greylist"), "defer");
    EXPECT_EQ(action("soft reject"), "defer");
    EXPECT_EQ(action("reject"), "reject");
    EXPECT_EQ(action("something new"), "accept");
    EXPECT_THAT(action(""), HasSubstr("no action"));
}

TEST(RspamdVerdict, refusals) {
    const auto told = [](const char* json) {
        const smtp::Reply reply = refusal(*parse_verdict(json));
        return std::to_string(reply.code) + " " + reply.enhanced + " " + reply.text;
    };
    EXPECT_EQ(told(R"({"action":"reject","messages":{"smtp_message":"Gtube\r\npattern"}})"),
              "554 5.7.1 Gtube??pattern");
    EXPECT_THAT(told(R"({"action":"reject"})"), HasSubstr("554 5.7.1 the message looks like spam"));
    EXPECT_EQ(told(R"({"action":"soft reject","messages":{"smtp_message":"Try again later"}})"),
              "451 4.7.1 Try again later");
    EXPECT_THAT(told(R"({"action":"greylist","messages":[]})"),
                HasSubstr("451 4.7.1 the message is not taken now"));
}

std::string fields(const std::string& json) {
    const auto verdict = parse_verdict(json);
    return verdict ? verdict->fields : "error: " + verdict.error().text;
}

TEST(RspamdVerdict, fields_to_be_added) {
    EXPECT_EQ(
        fields(
            R"({"action":"no action","dkim-signature":"v=1; a=rsa-sha256;\r\n\tb=x","milter":{"add_headers":{
                  "Authentication-Results":{"value":"mx; spf=pass\n  dkim=none","order":1},
                  "X-A":"one","X-B":["two",{"value":"three"}],"X-C":7,"X-D":{}}}})"),
        "DKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=x\r\n"
        "Authentication-Results: mx; spf=pass\r\n  dkim=none\r\n"
        "X-A: one\r\nX-B: two\r\nX-B: three\r\nX-C: \r\nX-D: \r\n");
    EXPECT_EQ(fields(R"({"action":"add header","score":7.126,"required_score":15})"),
              "X-Spam: Yes\r\nX-Spam-Status: Yes, score=7.13 required=15.00\r\n");
    EXPECT_EQ(
        fields(R"({"action":"add header","milter":{"add_headers":{"x-spam":"Yes","X-Spam-Status":"Yes"}}})"),
        "x-spam: Yes\r\nX-Spam-Status: Yes\r\n");
    EXPECT_EQ(fields(R"({"action":"no action","milter":7})"), "");
    EXPECT_EQ(fields(R"({"action":"no action","dkim-signature":["a","b"]})"),
              "DKIM-Signature: a\r\nDKIM-Signature: b\r\n");
}

// Attack: what a message has brought into rspamd's answer would end the header, or begin another field.
TEST(RspamdVerdict, no_value_ends_the_header) {
    EXPECT_EQ(
        fields(R"({"action":"no action","milter":{"add_headers":{"X-A":"a\r\n\r\nEvil: b\n\nc\u0000d\n"}}})"),
        "X-A: a\r\n\tEvil: b\r\n\tcd\r\n");
    EXPECT_EQ(
        fields(R"({"action":"no action","milter":{"add_headers":{"X A":"a","X:":"b","":"c","\n":"d"}}})"),
        "");
}

TEST(RspamdVerdict, fields_have_a_limit) {
    std::string many = R"({"action":"no action","milter":{"add_headers":{"X-A":[)";
    for (int i = 0; i < 100; ++i)
        many += '"' + std::string(1000, 'x') + "\",";
    many += R"("end"]}}})";
    const std::string kept = fields(many);
    EXPECT_LE(kept.size(), fields_octets_max);
    EXPECT_GT(kept.size(), fields_octets_max - 1100);
    EXPECT_TRUE(kept.ends_with("X-A: end\r\n"));
    for (const std::size_t octets : {std::size_t{16383}, std::size_t{16384}, std::size_t{16385}})
        EXPECT_EQ(fields(R"({"action":"no action","milter":{"add_headers":{"X-A":")" +
                         std::string(octets, 'x') + "\"}}}")
                      .empty(),
                  octets > 16384)
            << octets;
}

TEST(RspamdVerdict, nonsense_is_no_verdict) {
    for (const char* text :
         {"", "x", "[]", "{}", R"({"action":7})", R"({"error":"cannot parse","action":"no action"})"})
        EXPECT_FALSE(parse_verdict(text)) << text;
    EXPECT_THAT(parse_verdict(R"({"error":"a\nb"})").error().text, HasSubstr("it says: a?b"));
}

// ---- HTTP ----

std::string http(std::string_view octets, bool at_end = false) {
    const auto reply = parse_http(octets, at_end);
    if (!reply) return "error: " + reply.error().text;
    if (!*reply) return "more";
    return std::to_string((*reply)->status) + " " + std::string((*reply)->body);
}

TEST(RspamdHttp, a_reply_is_whole_at_its_length) {
    const std::string whole = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:  5\r\n\r\nhello";
    for (std::size_t octets = 0; octets < whole.size(); ++octets) {
        EXPECT_EQ(http(whole.substr(0, octets)), "more") << octets;
        EXPECT_THAT(http(whole.substr(0, octets), true), HasSubstr("error: ")) << octets;
    }
    EXPECT_EQ(http(whole), "200 hello");
    EXPECT_EQ(http(whole + "more"), "200 hello");
    EXPECT_EQ(http("HTTP/1.0 404 Not found\r\n\r\nx"), "more");
    EXPECT_EQ(http("HTTP/1.0 404 Not found\r\n\r\nx", true), "404 x");
}

TEST(RspamdHttp, what_is_no_reply) {
    EXPECT_THAT(http("SSH-2.0-OpenSSH\r\n\r\n"), HasSubstr("no HTTP"));
    EXPECT_THAT(http("HTTP/1.1\r\n\r\n"), HasSubstr("no HTTP"));
    EXPECT_THAT(http("HTTP/1.1 2x0 OK\r\n\r\n"), HasSubstr("no status"));
    EXPECT_THAT(http("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), HasSubstr("no number"));
    EXPECT_THAT(http("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HasSubstr("chunks"));
    EXPECT_THAT(http("HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n"), HasSubstr("too long"));
    EXPECT_EQ(http("HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n"), "more");
    EXPECT_EQ(http(std::string(65536, 'x')), "more");
    EXPECT_THAT(http(std::string(65537, 'x')), HasSubstr("no end of its head"));
}

}  // namespace
}  // namespace pier::filter
