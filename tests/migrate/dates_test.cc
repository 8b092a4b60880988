#include "migrate/dates.h"

#include <gtest/gtest.h>

namespace pier::migrate {
namespace {

std::string date(std::string_view text) {
    const auto found = find_date(text);
    return found ? to_rfc3339(*found) : "none";
}

TEST(FindDate, rfc_5322) {
    EXPECT_EQ(date("Sat, 21 Nov 2026 20:38:26 +0000"), "2026-11-21T20:38:26Z");
    EXPECT_EQ(date("21 Nov 2026 20:38:26 +0130 (a comment)"), "2026-11-21T19:08:26Z");
    EXPECT_EQ(date("1 Jan 2026 00:30 -0800"), "2026-01-01T08:30:00Z");
    EXPECT_EQ(date("Thu, 1 Jan 98 12:00:00 EST"), "1998-01-01T17:00:00Z");
    EXPECT_EQ(date("1 jan 26 9:05:00 GMT"), "2026-01-01T09:05:00Z");
    EXPECT_EQ(date("29 Feb 2024 23:59:60 +0000"), "2024-03-01T00:00:00Z");
}

TEST(FindDate, asctime) {
    EXPECT_EQ(date("Sat Jan  3 01:05:34 1996"), "1996-01-03T01:05:34Z");
    EXPECT_EQ(date("Sat Jan  3 01:05:34 1996 +0100"), "1996-01-03T00:05:34Z");
    EXPECT_EQ(date("Sat Jan  3 01:05:34 +0100 1996"), "1996-01-03T00:05:34Z");
    EXPECT_EQ(date("Sat Jan  3 01:05 1996"), "1996-01-03T01:05:00Z");
    EXPECT_EQ(date("Sat Jan  3 01:05:34 MET DST 1996"), "1996-01-03T01:05:34Z");
    EXPECT_EQ(date("Sat Jan  3 01:05:34 PST 1996"), "1996-01-03T09:05:34Z");
}

TEST(FindDate, no_date) {
    for (const char* text :
         {"", "yesterday", "12:00", "Jan 3 1996", "Sat Jan 32 01:05:34 1996", "30 Feb 2026 12:00:00 +0000",
          "3 Jan 1996 24:00:00 +0000", "3 Jan 1996 12:60:00 +0000", "3 Jan 1969 12:00:00 +0000",
          "3 Foo 1996 12:00:00 +0000", "x Jan 1996 12:00:00 +0000", "3 Jan 1996 12:0:00",
          "3 Jan 1996 12:00:61", "Sat Jan 3 01:05:34", "1 Jan 1970 00:30:00 +0100",
          "3 Jan 19966 12:00:00 +0000"}) {
        EXPECT_EQ(date(text), "none") << text;
    }
}

TEST(FromLine, recognized) {
    EXPECT_EQ(to_rfc3339(*parse_from_line("From eve@example.com Sat Jan  3 01:05:34 1996")->date),
              "1996-01-03T01:05:34Z");
    EXPECT_EQ(to_rfc3339(*parse_from_line("From - Sat Jan 03 01:05:34 1996")->date), "1996-01-03T01:05:34Z");
    EXPECT_EQ(
        to_rfc3339(*parse_from_line("From \"a b\"@example.com Sat Jan 03 01:05:34 1996 remote from x")->date),
        "1996-01-03T01:05:34Z");
    EXPECT_EQ(to_rfc3339(*parse_from_line("From ???@??? 3 Jan 1996 01:05:34 +0000")->date),
              "1996-01-03T01:05:34Z");
    EXPECT_TRUE(parse_from_line("From "));
    EXPECT_FALSE(parse_from_line("From ")->date);
    EXPECT_TRUE(parse_from_line("From -"));
}

TEST(FromLine, not_recognized) {
    for (const char* line :
         {"", "From", "From: eve@example.com", ">From eve@example.com Sat Jan  3 01:05:34 1996",
          "from eve@example.com Sat Jan  3 01:05:34 1996", "From here on it is text.",
          "From 12:00 to 13:00"}) {
        EXPECT_FALSE(parse_from_line(line)) << line;
    }
}

TEST(DateOfHeader, received_before_date) {
    const std::string head =
        "Return-Path: <>\r\nReceived: from a; by b\r\n\tid 1;\r\n\tSat, 21 Nov 2026 20:38:26 +0000\r\n"
        "Received: from c; Fri, 20 Nov 2026 20:38:26 +0000\r\nDate: Thu, 19 Nov 2026 20:38:26 "
        "+0000\r\n\r\nDate: body\r\n";
    EXPECT_EQ(to_rfc3339(*date_of_header(head)), "2026-11-21T20:38:26Z");
    EXPECT_EQ(
        to_rfc3339(*date_of_header("Received: from a; nonsense\nDate: Thu, 19 Nov 2026 20:38:26 +0000\n\n")),
        "2026-11-19T20:38:26Z");
    EXPECT_EQ(to_rfc3339(*date_of_header("DATE:Thu, 19 Nov 2026\n 20:38:26 +0000")), "2026-11-19T20:38:26Z");
    EXPECT_FALSE(date_of_header("Subject: x\n\nDate: Thu, 19 Nov 2026 20:38:26 +0000\n"));
    EXPECT_FALSE(date_of_header("X-Date: Thu, 19 Nov 2026 20:38:26 +0000\n"));
    EXPECT_FALSE(date_of_header(""));
}

}  // namespace
}  // namespace pier::migrate
