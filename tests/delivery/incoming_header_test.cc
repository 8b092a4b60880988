#include "delivery/incoming_header.h"

#include <gtest/gtest.h>

namespace pier::delivery {
namespace {

// Cut into pieces of so many octets.
std::string kept(std::string_view message, std::size_t piece, IncomingHeader& header) {
    std::string out;
    for (; !message.empty(); message.remove_prefix(std::min(piece, message.size())))
        out += header.feed(message.substr(0, piece));
    return out + header.finish();
}

std::string kept(std::string_view message, const std::string& id = "mx.example.org") {
    IncomingHeader whole(id);
    const std::string out = kept(message, message.size() + 1, whole);
    for (std::size_t piece = 1; piece < std::min<std::size_t>(message.size(), 40); ++piece) {
        IncomingHeader header(id);
        EXPECT_EQ(kept(message, piece, header), out) << "in pieces of " << piece;
    }
    return out;
}

TEST(IncomingHeader, results_in_our_name_are_taken_out) {
    const std::string rest = "Subject: x\r\n\r\nAuthentication-Results: mx.example.org; a body\r\n";
    for (const char* ours :
         {"Authentication-Results: mx.example.org; spf=pass\r\n",
          "AUTHENTICATION-results:MX.Example.org;\r\n\tspf=pass\r\n dkim=pass\r\n",
          "Authentication-Results:\r\n (a (nested) \\) comment)\r\n mx.example.org 1; none\r\n",
          "Authentication-Results: \"mx.example.org\"; none\r\n",
          "Authentication-Results: \"mx.\\example.org\" 1; none\r\n",
          "Authentication-Results : mx.example.org\r\n",
          "Authentication-Results: mx.example.org(x); none\r\n"}) {
        EXPECT_EQ(kept(ours + rest), rest) << ours;
        EXPECT_EQ(kept("From: a\r\n" + (ours + rest)), "From: a\r\n" + rest) << ours;
        EXPECT_EQ(kept(std::string(ours) + ours), "") << ours;
        EXPECT_EQ(kept(ours + rest, ""), ours + rest) << ours;
    }
}

TEST(IncomingHeader, everything_else_stays_as_it_is) {
    for (const char* message :
         {"", "\r\n", "\r\nbody", "Subject: x", "Subject: x\r\n", "Subject: x\r\n y\r\n",
          "no field\r\nat all\r\n", "Authentication-Results: other.example; spf=pass\r\n\r\nx\r\n",
          "Authentication-Results: mx.example.org.evil; spf=pass\r\n\r\n",
          "X-Authentication-Results: mx.example.org; none\r\n\r\n", "Authentication-Results\r\n\r\nx",
          ": mx.example.org\r\n\r\n", "A: b\r\n\r\n\r\n\r\n"})
        EXPECT_EQ(kept(message), message);
}

TEST(IncomingHeader, a_field_that_is_too_long_is_not_held_back) {
    const std::size_t max = IncomingHeader::field_octets_max;
    for (const std::size_t octets : {max - 1, max, max + 1, max + 2, 3 * max}) {
        for (const std::size_t piece : {std::size_t{1000}, max, 4 * max}) {
            const std::string name = "X: ", end = "\r\nSubject: y\r\n\r\nbody";
            const std::string message = name + std::string(octets - name.size(), 'x') + end;
            IncomingHeader header("mx.example.org");
            EXPECT_EQ(kept(message, piece, header), message) << octets << " in pieces of " << piece;
            // Attack: whatever claims to be ours is gone, however long.
            const std::string ours = "Authentication-Results: ";
            IncomingHeader attacked("mx.example.org");
            EXPECT_EQ(kept(ours + std::string(octets - ours.size(), ' ') + "mx.example.org; spf=pass" + end,
                           piece, attacked),
                      end.substr(2))
                << octets << " in pieces of " << piece;
        }
    }
}

TEST(IncomingHeader, what_a_filter_of_ours_writes_comes_from_nobody_else) {
    const std::string message =
        "x-spam: No\r\nX-Spam-Status: No, score=-100\r\n all is well\r\nX-Spam-Flag: NO\r\n\r\n";
    IncomingHeader filtered("mx.example.org", true), plain("mx.example.org");
    EXPECT_EQ(kept(message, 7, filtered), "X-Spam-Flag: NO\r\n\r\n");
    EXPECT_EQ(kept(message, 7, plain), message);
}

TEST(IncomingHeader, where_it_was_before) {
    IncomingHeader header;
    (void)kept(
        "Delivered-To: Ada@Example.org\r\nDELIVERED-TO:\r\n\tbob@example.org \r\nX: y\r\n\r\n"
        "Delivered-To: cy@example.org\r\n",
        7, header);
    EXPECT_TRUE(header.was_delivered_to({"ada", "example.org"}));
    EXPECT_TRUE(header.was_delivered_to({"BOB", "example.org"}));
    EXPECT_FALSE(header.was_delivered_to({"cy", "example.org"}));
    EXPECT_FALSE(header.was_delivered_to({}));
}

TEST(IncomingHeader, a_hundred_places_are_remembered) {
    std::string message;
    for (int i = 0; i < 101; ++i)
        message += "Delivered-To: n" + std::to_string(i) + "@example.org\r\n";
    IncomingHeader header;
    EXPECT_EQ(kept(message, 1000, header), message);
    EXPECT_TRUE(header.was_delivered_to({"n98", "example.org"}));
    EXPECT_TRUE(header.was_delivered_to({"n99", "example.org"}));
    EXPECT_FALSE(header.was_delivered_to({"n100", "example.org"}));
}

}  // namespace
}  // namespace pier::delivery
