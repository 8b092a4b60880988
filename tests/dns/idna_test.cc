#include "dns/idna.h"

#include <gtest/gtest.h>

namespace pier::dns {
namespace {

TEST(Idna, domains_as_dns_knows_them) {
    EXPECT_EQ(to_ascii("Example.org"), "example.org");
    EXPECT_EQ(to_ascii("gr\xC3\xBCn.example"), "xn--grn-ioa.example");
    EXPECT_EQ(to_ascii("fu\xC3\x9F.example"), "xn--fu-hia.example");
    EXPECT_EQ(to_ascii("\xE4\xBE\x8B\xE3\x81\x88.jp"), "xn--r8jz45g.jp");
}

TEST(Idna, what_is_no_name) {
    for (const char* bad : {"", ".", "a b", "a\xff.example", "\xC3\xBC..example", "[192.0.2.1]"})
        EXPECT_FALSE(to_ascii(bad)) << bad;
    EXPECT_FALSE(to_ascii(std::string("gr\xC3\xBCn\0.example", 14)));
}

}  // namespace
}  // namespace pier::dns
