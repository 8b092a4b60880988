#include "migrate/uid_lists.h"

#include <gtest/gtest.h>

namespace pier::migrate {
namespace {

std::string format(std::string_view text) {
    const auto parsed = UidlFormat::parse(text);
    return parsed ? (*parsed)(0x2a, 1275660208, "123.M1.host,S=1", "abcdef") : "error";
}

TEST(UidlFormat, variables_and_modifiers) {
    EXPECT_EQ(format("%08Xu%08Xv"), "0000002a4c0907b0");  // Dovecot's default: UID first, lower-case hex
    EXPECT_EQ(UidlFormat::dovecot_default()(1, 0x43ef424e, "", ""), "0000000143ef424e");
    EXPECT_EQ(format("%v.%u"), "1275660208.42");
    EXPECT_EQ(format("%v-%u"), "1275660208-42");
    EXPECT_EQ(format("UID%u-%v"), "UID42-1275660208");
    EXPECT_EQ(format("%f"), "123.M1.host,S=1");
    EXPECT_EQ(format("%Uf"), "123.M1.HOST,S=1");
    EXPECT_EQ(format("%g"), "abcdef");
    EXPECT_EQ(format("%Xu"), "2a");
    EXPECT_EQ(format("%XUu"), "2A");
    EXPECT_EQ(format("100%%%u"), "100%42");
    EXPECT_EQ(format("%{uid | hex(8)}%{uidvalidity | hex(8)}"), "0000002a4c0907b0");  // Dovecot 2.4's default
    EXPECT_EQ(format("%{uidvalidity}.%{uid}"), "1275660208.42");
    EXPECT_EQ(format("%{filename | upper}"), "123.M1.HOST,S=1");
    EXPECT_EQ(format("%{guid}"), "abcdef");
}

// What Dovecot 2.3.19 has answered to UIDL for its first message (UID 1) with each pop3_uidl_format.
TEST(UidlFormat, as_dovecot_prints_them) {
    const std::pair<const char*, const char*> table[] = {
        {"%v.%u", "1795298341.1"},
        {"%Xv%Xu", "6b0214251"},
        {"%08Xv%08Xu", "6b02142500000001"},
        {"%08Xu%08Xv", "000000016b021425"},
        {"%f", "170000001.M1P1.host"},
        {"%g", "170000001.M1P1.host"},
        {"%Uf", "170000001.M1P1.HOST"},
        {"%LUf", "170000001.M1P1.HOST"},
        {"%ULf", "170000001.m1p1.host"},
        {"%8f", "17000000"},
        {"%08f", "170000001.M1P1.host"},
        {"UID%u-%v", "UID1-1795298341"},
        {"%12u", "1"},
        {"%012u", "000000000001"},
        {"%3v", "179"},
        {"%03v", "1795298341"},
        {"%XUv", "6B021425"},
        {"%UXv", "6b021425"},
        {"%08XUv", "6B021425"},
        {"%XXv", "0"},
        {"%8Xv", "6b021425"},
        {"%4Xv", "6b02"},
        {"%04Xv", "6b021425"},
        {"%%%u", "%1"},
        {"%Xf", "0"},
        {"%08XvX%u", "6b021425X1"},
    };
    for (const auto& [text, uidl] : table) {
        const auto parsed = UidlFormat::parse(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ((*parsed)(1, 1795298341, "170000001.M1P1.host", "170000001.M1P1.host"), uidl) << text;
    }
}

TEST(UidlFormat, refused) {
    for (const char* text :
         {"%X8u", "%71u", "%99999999999999999999u", "%2.4u", "", "same", "%", "%0", "%8", "%m", "%q", "%{uid",
          "%{nothing}", "%{uid | nothing}", "%{uid | hex(x)}", "%{uid | hex(71)}", "%%"}) {
        const auto parsed = UidlFormat::parse(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().kind, ErrorKind::invalid);
    }
    EXPECT_TRUE(UidlFormat::parse("%m").error().text.find("MD5") != std::string::npos);
}

TEST(DovecotList, version_3) {
    const auto list = parse_dovecot_list(
        "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
        "25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n"
        "25017 W2481 :1276533073.M242911P3632.kurkku:2,F\n"
        "25018 PUID7-1275660208 O3 Gfeed :1276533074.x\n"
        "25019 P :1276533075.y\n"
        "nonsense\n"
        "0 :1276533076.z\n"
        "25020 W1 :\n");
    ASSERT_TRUE(list) << list.error().text;
    EXPECT_EQ(list->uid_validity, 1275660208U);
    EXPECT_EQ(list->entries.size(), 4U);
    EXPECT_EQ(list->broken_lines, 3U);
    EXPECT_EQ(list->entries.at("1276528487.M364837P9451.kurkku,S=1355,W=1394").uid, 25006U);
    EXPECT_FALSE(list->entries.at("1276533073.M242911P3632.kurkku").uidl);
    const auto& moved = list->entries.at("1276533074.x");
    EXPECT_EQ(moved.uidl, "UID7-1275660208");
    EXPECT_EQ(moved.order, 3U);
    EXPECT_EQ(moved.guid, "feed");
    EXPECT_EQ(list->entries.at("1276533075.y").uidl, "1276533075.y");  // an empty P: the file name
    EXPECT_EQ(list->entries.at("1276533075.y").guid, "1276533075.y");
    EXPECT_EQ(list->uidl_format, "");
}

TEST(DovecotList, version_1_and_a_mailbox_with_its_own_format) {
    const auto one = parse_dovecot_list("1 1275660208 3\n1 123.a\r\n2 124.b:2,S\n");
    ASSERT_TRUE(one) << one.error().text;
    EXPECT_EQ(one->uid_validity, 1275660208U);
    EXPECT_EQ(one->entries.at("124.b").uid, 2U);
    EXPECT_EQ(parse_dovecot_list("3 V1 N2 P%v.%u\n")->uidl_format, "%v.%u");
}

TEST(DovecotList, later_lines_replace_earlier_ones) {
    EXPECT_EQ(parse_dovecot_list("3 V1 N9\n1 :a\n8 :a:2,S\n")->entries.at("a").uid, 8U);
}

TEST(DovecotList, unknown_headers) {
    for (const char* text :
         {"", "\n", "2 V1 N1\n", "3 N1\n", "3 Vx\n", "1 x 2\n", "<html>\n", "3 V4294967296\n"}) {
        ASSERT_FALSE(parse_dovecot_list(text)) << text;
    }
}

TEST(CourierList, all_versions) {
    const auto two = parse_courier_list(
        "/2 8 1275660208\n123.a,S=10:2,S 10 5:1275660208\n124.b 11 6:0\n125.c+d 12 0:0\nbroken\n126.e x "
        "7:1\n");
    ASSERT_TRUE(two) << two.error().text;
    EXPECT_EQ(two->uidls.at("123.a,S=10"), "UID5-1275660208");
    EXPECT_EQ(two->uidls.at("124.b"), "UID6");
    EXPECT_EQ(two->uidls.at("125.c+d"), "125.c+2Bd");
    EXPECT_EQ(two->broken_lines, 2U);

    EXPECT_EQ(parse_courier_list("/3 8 9\n123.a 10 5:77:1\n")->uidls.at("123.a"), "UID5-77");
    EXPECT_EQ(parse_courier_list("/1 8\n123.a 10 5\n")->uidls.at("123.a"), "UID5");
    EXPECT_EQ(parse_courier_list("123.a'b 10\n")->uidls.at("123.a'b"), "123.a+27b");
    EXPECT_EQ(parse_courier_list("")->uidls.size(), 0U);
    EXPECT_FALSE(parse_courier_list("/4 8 9\n"));
}

// A list that Courier 1.0.16 has written, and what it has answered to UIDL.
TEST(CourierList, as_courier_prints_them) {
    const auto list = parse_courier_list(
        "/3 12 77\n170000001.M1P1.host:2,S 23 9:77:0\n1600000000.M9P1.host:2,S 20 "
        "4:77:0\n1650000000.it's+odd:2, 1 0:0:0\n");
    ASSERT_TRUE(list);
    EXPECT_EQ(list->uidls.at("170000001.M1P1.host"), "UID9-77");
    EXPECT_EQ(list->uidls.at("1600000000.M9P1.host"), "UID4-77");
    EXPECT_EQ(list->uidls.at("1650000000.it's+odd"), "1650000000.it+27s+2Bodd");
}

TEST(UniqueName, ends_at_the_colon) {
    EXPECT_EQ(unique_name("123.a,S=1:2,S"), "123.a,S=1");
    EXPECT_EQ(unique_name("123.a"), "123.a");
}

}  // namespace
}  // namespace pier::migrate
