// Envelope records: what is written is read again, and nothing else is taken for one.
#include "queue/entry.h"

#include <gtest/gtest.h>

namespace pier::queue {
namespace {

Entry full_entry() {
    Entry entry;
    entry.id = Id{0x1234'5678'9abc'def0};
    entry.envelope.sender = {"ada", "example.org"};
    entry.envelope.body_8bit = entry.envelope.utf8 = entry.envelope.require_tls = true;
    entry.envelope.ret = smtp::Return::headers;
    entry.envelope.id = "QQ+2B1";
    entry.account = "ada@example.org";
    entry.arrived = Time(std::chrono::microseconds(1'795'000'000'123'456));
    entry.octets = 5'000'000'000;
    entry.skipped_octets = 30;
    entry.held = true;
    for (const State state : {State::waiting, State::delivered, State::failed, State::bounced}) {
        Recipient& one = entry.recipients.emplace_back();
        one.to.address = {"b@b \"x", "[IPv6:2001:db8::1]"};
        one.to.notify = smtp::notify::success | smtp::notify::delay;
        one.to.original = "rfc822;bob@example.net";
        one.sender = {"srs0=x=y=example.org=ada", "pier.example"};
        one.state = state;
        one.attempts = 7;
        one.reply = {450, "4.2.0", "später"};
        one.server = "mx.example.net [192.0.2.9]";
        one.next = entry.arrived + std::chrono::hours(1);
        one.delay_told = one.notice_due = true;
    }
    Recipient& plain = entry.recipients.emplace_back();
    plain.to.address = {"carl", "example.net"};  // nothing tried yet, from <>
    return entry;
}

TEST(Entry, WhatIsWrittenIsRead) {
    const Entry entry = full_entry();
    const auto read = read_entry(write_entry(entry));
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(read->id, entry.id);
    EXPECT_EQ(read->envelope.sender, entry.envelope.sender);
    EXPECT_TRUE(read->envelope.body_8bit && read->envelope.utf8 && read->envelope.require_tls);
    EXPECT_EQ(read->envelope.ret, smtp::Return::headers);
    EXPECT_EQ(read->envelope.id, "QQ+2B1");
    EXPECT_EQ(read->account, entry.account);
    EXPECT_EQ(read->arrived, entry.arrived);
    EXPECT_EQ(read->octets, entry.octets);
    EXPECT_EQ(read->skipped_octets, 30u);
    EXPECT_TRUE(read->held);
    EXPECT_EQ(read->recipients, entry.recipients);
    EXPECT_TRUE(read->recipients.back().sender.empty());
}

TEST(Entry, ANewerVersionIsNamedAndDamageIsRefused) {
    EXPECT_NE(read_entry(R"({"v":2})").error().text.find("version 2"), std::string::npos);
    for (
        const char* bad :
        {"", "[]", "{}", R"({"v":1})", R"({"v":1,"id":"0000000000001"})",
         R"({"v":1,"id":"0000000000001","recipients":[{}],"texts":[]})",
         R"({"v":1,"id":"0000000000001","recipients":[{"to":"a@b","from":1}],"texts":["@"]})",
         R"({"v":1,"id":"0000000000001","sender":"ada","recipients":[],"texts":[]})",
         R"({"v":1,"id":"000000000000","recipients":[],"texts":[]})",
         R"({"v":1,"id":"0000000000001","recipients":[{"to":"a@b","from":0,"state":"gone"}],"texts":["@"]})"}) {
        const auto read = read_entry(bad);
        ASSERT_FALSE(read) << bad;
        EXPECT_EQ(read.error().kind, ErrorKind::corrupt);
    }
    EXPECT_TRUE(read_entry(R"({"v":1,"id":"0000000000001","recipients":[],"texts":[]})"));
}

TEST(Entry, ARecordStaysBelowTheStoresLimitWhateverServersSay) {
    Entry entry;
    entry.id = Id{1};
    for (int i = 0; i < 1000; ++i) {
        Recipient& one = entry.recipients.emplace_back();
        one.to.address = {std::string(200, 'a') + std::to_string(i), std::string(200, 'b') + ".example"};
        one.to.original = "rfc822;" + std::string(300, 'c');
    }
    EXPECT_GT(write_entry(entry).size(), new_entry_octets_max) << "append() refuses this one";
    for (Recipient& one : entry.recipients)
        one.to.original.clear();
    ASSERT_LE(write_entry(entry).size(), new_entry_octets_max);
    for (std::size_t i = 0; i < entry.recipients.size(); ++i) {
        entry.recipients[i].reply = {450, "4.2.0", std::to_string(i) + std::string(10'000, '\x01')};
        entry.recipients[i].server = std::to_string(i) + ".example";
    }
    const std::string written = write_entry(entry);
    EXPECT_LE(written.size(), entry_octets_max);
    EXPECT_TRUE(read_entry(written));
}

TEST(Entry, TextOfOthersIsCleaned) {
    EXPECT_EQ(clean_text("a\r\nb\xff\x7f"), "a??b??");
    EXPECT_EQ(clean_text("üü", 3), "ü");
    EXPECT_EQ(clean_text("abc", 3), "abc");
    EXPECT_EQ(clean_text("abcd", 3), "abc");
}

TEST(Entry, IdsAreWrittenAndRead) {
    for (const std::uint64_t id : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
        EXPECT_EQ(parse_id(to_text(Id{id})), Id{id});
        EXPECT_EQ(to_text(Id{id}).size(), 13u);
    }
    for (const char* bad :
         {"", "000000000000", "00000000000000", "000000000000u", "g000000000000", "000000000000A"})
        EXPECT_FALSE(parse_id(bad)) << bad;
}

TEST(Entry, PartsAreByDestinationSenderAndHundreds) {
    Entry entry;
    const auto add = [&](const std::string& domain, const std::string& sender, int count) {
        for (int i = 0; i < count; ++i) {
            Recipient& one = entry.recipients.emplace_back();
            one.to.address = {"x", domain};
            one.sender = {sender, "example.org"};
        }
    };
    add("a.example", "ada", 100);
    add("b.example", "ada", 1);
    add("a.example", "ada", 1);
    add("A.EXAMPLE", "bob", 1);
    const auto parts = parts_of(entry, "");
    ASSERT_EQ(parts.size(), 4u);
    EXPECT_EQ(parts[0].recipients.size(), 100u);
    EXPECT_EQ(parts[1].destination, "b.example");
    EXPECT_EQ(parts[2].recipients, std::vector<std::size_t>{101});
    EXPECT_EQ(parts[3].destination, "a.example");
    // Their state does not matter.
    entry.recipients[0].state = State::bounced;
    EXPECT_EQ(parts_of(entry, "").at(0).recipients.size(), 100u);
    const auto one = parts_of(entry, "relay.example");
    ASSERT_EQ(one.size(), 3u);
    EXPECT_EQ(one[0].destination, "relay.example");
    EXPECT_EQ(one[0].recipients.size(), 100u);
}

TEST(Entry, AMessageWithoutKnownRecipientsIsNeverFinished) {
    Entry entry;
    EXPECT_FALSE(entry.finished());
    entry.recipients.emplace_back().state = State::delivered;
    EXPECT_TRUE(entry.finished());
    entry.recipients.back().notice_due = true;
    EXPECT_FALSE(entry.finished());
    entry.recipients.emplace_back().state = State::failed;
    EXPECT_FALSE(entry.finished());
}

}  // namespace
}  // namespace pier::queue
