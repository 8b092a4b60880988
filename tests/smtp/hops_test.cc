#include "smtp/hops.h"

#include <gtest/gtest.h>

namespace pier::smtp {
namespace {

TEST(HopCounter, CountsReceivedFieldsWhereverTheMessageIsCut) {
    const std::string message =
        "Received: from a\r\n by b\r\nRECEIVED:\r\nReceived : no\r\nSubject: Received:\r\n Received: "
        "folded\r\n"
        "X-Received: c\r\nreceived:d\r\n\r\nReceived: in the body\r\n";
    for (std::size_t cut = 0; cut <= message.size(); ++cut) {
        HopCounter counter;
        counter.feed(std::string_view(message).substr(0, cut));
        counter.feed(std::string_view(message).substr(cut));
        EXPECT_EQ(counter.hops(), 3u) << "cut at " << cut;
    }
    HopCounter octet_by_octet;
    for (const char c : message)
        octet_by_octet.feed({&c, 1});
    EXPECT_EQ(octet_by_octet.hops(), 3u);
}

TEST(HopCounter, AMessageMayBeAllBody) {
    HopCounter counter;
    counter.feed("\r\nReceived: a\r\n");
    EXPECT_EQ(counter.hops(), 0u);
}

}  // namespace
}  // namespace pier::smtp
