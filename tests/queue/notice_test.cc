// What senders are told, and in which form.
#include "queue/notice.h"

#include <gtest/gtest.h>

namespace pier::queue {
namespace {

constexpr Time noon{std::chrono::sys_days(std::chrono::year(2026) / 11 / 29) + std::chrono::hours(12)};
const std::string original = "Message-ID: <1@example.org>\r\nSubject: hello\r\n\r\nThe text.\r\n";

class NoticeTest : public testing::Test {
  protected:
    NoticeTest() {
        settings.hostname = "pier.example.org";
        entry.id = Id{77};
        entry.envelope.sender = {"ada", "example.org"};
        entry.arrived = noon - std::chrono::hours(2);
        entry.octets = original.size();
        Recipient& bob = entry.recipients.emplace_back();
        bob.to.address = {"bob", "example.net"};
        bob.sender = entry.envelope.sender;
        bob.state = State::failed;
        bob.reply = {550, "5.1.1", "no such user"};
        bob.server = "mx.example.net [192.0.2.1]";
        facts.recipients = {0};
        facts.now = noon;
        facts.given_up = noon + std::chrono::hours(100);
        facts.unique = "abc";
    }
    std::string written() { return write_notice(entry, facts, original, settings).octets; }
    bool has(const std::string& text) {
        const bool found = written().find(text) != std::string::npos;
        if (!found) ADD_FAILURE() << "without " << text << ":\n" << written();
        return found;
    }
    bool has_not(const std::string& text) { return written().find(text) == std::string::npos; }

    NoticeSettings settings;
    Entry entry;
    NoticeFacts facts;
};

TEST_F(NoticeTest, ABounceIsAsRfc3464Says) {
    const std::string expected =
        "From: \"Mail delivery\" <MAILER-DAEMON@pier.example.org>\r\n"
        "To: <ada@example.org>\r\n"
        "Subject: Your message could not be delivered\r\n"
        "Date: Sun, 29 Nov 2026 12:00:00 +0000\r\n"
        "Message-ID: <000000000002d.abc@pier.example.org>\r\n"
        "In-Reply-To: <1@example.org>\r\n"
        "References: <1@example.org>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        "\tboundary=\"=_pier_abc\"\r\n"
        "\r\n"
        "--=_pier_abc\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "\r\n"
        "This is the mail server pier.example.org. Your message could not be\r\n"
        "delivered to the recipients below, and it will not be tried again.\r\n"
        "\r\n"
        "  bob@example.net\r\n"
        "    There is no mailbox of that name. Look whether the address is written\r\n"
        "    correctly, or ask the recipient for the present one.\r\n"
        "    mx.example.net [192.0.2.1] has said: 550 5.1.1 no such user\r\n"
        "\r\n"
        "The message came here on Sun, 29 Nov 2026 10:00:00 +0000 and has the number\r\n"
        "000000000002d. It is attached.\r\n"
        "\r\n"
        "--=_pier_abc\r\n"
        "Content-Type: message/delivery-status\r\n"
        "\r\n"
        "Reporting-MTA: dns; pier.example.org\r\n"
        "Arrival-Date: Sun, 29 Nov 2026 10:00:00 +0000\r\n"
        "\r\n"
        "Final-Recipient: rfc822; bob@example.net\r\n"
        "Action: failed\r\n"
        "Status: 5.1.1\r\n"
        "Remote-MTA: dns; mx.example.net\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
        "Last-Attempt-Date: Sun, 29 Nov 2026 12:00:00 +0000\r\n"
        "\r\n"
        "--=_pier_abc\r\n"
        "Content-Type: message/rfc822\r\n"
        "\r\n" +
        original + "\r\n--=_pier_abc--\r\n";
    EXPECT_EQ(written(), expected);
    const Notice notice = write_notice(entry, facts, original, settings);
    EXPECT_TRUE(notice.envelope.sender.empty());
    ASSERT_EQ(notice.envelope.recipients.size(), 1u);
    EXPECT_EQ(notice.envelope.recipients[0].address, entry.envelope.sender);
    EXPECT_EQ(notice.envelope.recipients[0].notify, smtp::notify::never);
    EXPECT_FALSE(notice.envelope.body_8bit || notice.envelope.utf8);
}

TEST_F(NoticeTest, RetAndSizeSayHowMuchComesBack) {
    EXPECT_TRUE(has("The text."));
    entry.envelope.ret = smtp::Return::full;
    entry.octets = settings.original_octets_max;
    EXPECT_TRUE(has("The text."));
    entry.octets = settings.original_octets_max + 1;
    EXPECT_TRUE(has_not("The text.") && has("text/rfc822-headers") && has("Subject: hello\r\n"));
    EXPECT_TRUE(has("Its header is attached."));
    entry.octets = 10;
    entry.envelope.ret = smtp::Return::headers;
    EXPECT_TRUE(has_not("The text.") && has("text/rfc822-headers"));
    entry.envelope.ret = smtp::Return::full;
    facts.kind = NoticeKind::delayed;
    EXPECT_TRUE(has_not("The text.")) << "only a bounce brings all of it";
}

TEST_F(NoticeTest, WhatTheSenderHasNamedComesBack) {
    entry.envelope.id = "QQ+2B1";
    entry.recipients[0].to.original = "rfc822;bob+2Bx@example.net";
    EXPECT_TRUE(has("Original-Envelope-Id: QQ+1\r\n"));
    EXPECT_TRUE(has("Original-Recipient: rfc822; bob+x@example.net\r\nFinal-Recipient:"));
}

TEST_F(NoticeTest, ADelayTellsUntilWhenItIsTried) {
    facts.kind = NoticeKind::delayed;
    entry.recipients[0].reply = {451, "4.4.1", "no answer"};
    entry.recipients[0].server.clear();
    EXPECT_TRUE(has("Subject: Your message is delayed\r\n"));
    EXPECT_TRUE(has("Action: delayed\r\nStatus: 4.4.1\r\n"));
    EXPECT_TRUE(has("Will-Retry-Until: Thu, 3 Dec 2026 16:00:00 +0000\r\n"));
    EXPECT_TRUE(has("The cause: 451 4.4.1 no answer"));
    EXPECT_TRUE(has_not("Remote-MTA") && has_not("Diagnostic-Code"));
}

TEST_F(NoticeTest, WhatWasPassedOnIsRelayed) {
    facts.kind = NoticeKind::relayed;
    EXPECT_TRUE(has("Action: relayed\r\nStatus: 2.0.0\r\n"));
    EXPECT_TRUE(has("Taken by mx.example.net [192.0.2.1]."));
}

TEST_F(NoticeTest, WhatIsInAMailboxHereIsDelivered) {
    facts.kind = NoticeKind::delivered;
    entry.recipients[0].state = State::delivered;
    entry.recipients[0].reply = {};
    entry.recipients[0].server.clear();
    EXPECT_TRUE(has("Subject: Your message was delivered\r\n"));
    EXPECT_TRUE(has("Action: delivered\r\nStatus: 2.0.0\r\n"));
    EXPECT_TRUE(has_not("Remote-MTA") && has_not("Diagnostic-Code") && has_not("The text."));
}

TEST_F(NoticeTest, SeveralRecipientsStandInOne) {
    for (int i = 0; i < 30; ++i) {
        entry.recipients.push_back(entry.recipients[0]);
        entry.recipients.back().to.address.local = "x" + std::to_string(i);
        facts.recipients.push_back(entry.recipients.size() - 1);
    }
    EXPECT_TRUE(has("... and 11 more recipients"));
    EXPECT_TRUE(has("Final-Recipient: rfc822; x29@example.net\r\n"));
}

TEST_F(NoticeTest, InternationalMailIsAsRfc6533Says) {
    entry.envelope.utf8 = true;
    entry.envelope.sender = {"jürgen", "example.org"};
    entry.recipients[0].to.address = {"bjørn", "example.net"};
    entry.recipients[0].reply.text = "finnes ikke å";
    EXPECT_TRUE(has("message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"));
    EXPECT_TRUE(has("Content-Type: message/global\r\n"));
    EXPECT_TRUE(has("Final-Recipient: utf-8; bjørn@example.net\r\n"));
    EXPECT_TRUE(has("To: <jürgen@example.org>\r\n"));
    const Notice notice = write_notice(entry, facts, original, settings);
    EXPECT_TRUE(notice.envelope.utf8 && notice.envelope.body_8bit);
    entry.envelope.ret = smtp::Return::headers;
    EXPECT_TRUE(has("Content-Type: message/global-headers\r\n"));
}

// Attack: what another server says writes fields, or parts, of its own.
TEST_F(NoticeTest, WhatServersSayStaysInItsLine) {
    entry.recipients[0].reply.text = "x\r\nAction: delivered\r\n\r\n--=_pier_abc--\xc3\xbc";
    entry.recipients[0].server = "mx\r\nBcc: eve@example.net [1]";
    const std::string text = written();
    EXPECT_EQ(text.find("\nAction: delivered"), std::string::npos);
    EXPECT_EQ(text.find("\nBcc"), std::string::npos);
    EXPECT_EQ(text.find("\n--=_pier_abc--\xc3"), std::string::npos);
    EXPECT_TRUE(has("Diagnostic-Code: smtp; 550 5.1.1 x?\?Action: delivered?\?\?\?--=_pier_abc--?\?\r\n"));
}

TEST_F(NoticeTest, TheBoundaryIsNotInTheOriginal) {
    const std::string tricky = "Subject: x\r\n\r\n--=_pier_abc--\r\n--=_pier_abc_\r\n";
    const std::string text = write_notice(entry, facts, tricky, settings).octets;
    EXPECT_NE(text.find("boundary=\"=_pier_abc__\""), std::string::npos);
}

TEST_F(NoticeTest, HeadersOfAnyFormAreCutWhereTheyEnd) {
    entry.envelope.ret = smtp::Return::headers;
    const auto header = [&](const std::string& message) {
        const std::string text = write_notice(entry, facts, message, settings).octets;
        const auto from = text.find("text/rfc822-headers\r\n\r\n") + 23;
        return text.substr(from, text.find("\r\n--=_pier_abc--", from) - from);
    };
    EXPECT_EQ(header("A: b\r\n\r\nc"), "A: b\r\n");
    EXPECT_EQ(header("A: b\r\nC: d\r\nE: half"), "A: b\r\nC: d\r\n");
    EXPECT_EQ(header("\r\nno header"), "\r\n");
    EXPECT_EQ(header(""), "\r\n");
}

TEST(Notify, SaysWhoIsTold) {
    using smtp::notify::delay, smtp::notify::failure, smtp::notify::never, smtp::notify::success;
    const auto wants = [](std::uint8_t notify, NoticeKind kind) {
        return wants_notice({{}, notify, ""}, kind);
    };
    EXPECT_TRUE(wants(0, NoticeKind::failed) && wants(0, NoticeKind::delayed));
    EXPECT_FALSE(wants(0, NoticeKind::relayed));
    EXPECT_TRUE(wants(success, NoticeKind::relayed));
    EXPECT_FALSE(wants(success, NoticeKind::failed) || wants(success, NoticeKind::delayed));
    EXPECT_TRUE(wants(failure, NoticeKind::failed) && wants(delay, NoticeKind::delayed));
    EXPECT_FALSE(wants(failure, NoticeKind::delayed));
    for (const auto kind : {NoticeKind::failed, NoticeKind::delayed, NoticeKind::relayed})
        EXPECT_FALSE(wants(never, kind));
}

TEST(Xtext, IsDecoded) {
    EXPECT_EQ(decode_xtext("a+2Bb+3D"), "a+b=");
    EXPECT_EQ(decode_xtext("a+"), "a+");
    EXPECT_EQ(decode_xtext("a+2"), "a+2");
    EXPECT_EQ(decode_xtext("a+2b"), "a+2b") << "upper case only (RFC 3461 §4)";
    EXPECT_EQ(decode_xtext(""), "");
}

TEST(Explain, EveryCauseHasASentence) {
    for (int code : {0, 421, 450, 451, 452, 500, 550, 551, 552, 553, 554})
        for (const char* enhanced : {"", "5.1.1", "5.1.10", "4.4.7", "5.7.1", "5.6.7", "4.9.9", "5.", "5"})
            EXPECT_TRUE(explain({code, enhanced, ""}).ends_with(".")) << code << enhanced;
    EXPECT_NE(explain({556, "5.1.10", ""}), explain({550, "5.1.1", ""}));
}

}  // namespace
}  // namespace pier::queue
