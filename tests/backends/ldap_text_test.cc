#include "backends/ldap_text.h"

#include <gtest/gtest.h>

namespace pier::backends {
namespace {

using namespace std::string_literals;

TEST(LdapText, a_filter_value_cannot_end_its_place) {
    EXPECT_EQ(escape_filter_value("ada"), "ada");
    EXPECT_EQ(escape_filter_value("*"), "\\2A");
    EXPECT_EQ(escape_filter_value(")(uid=*"), "\\29\\28uid=\\2A");
    EXPECT_EQ(escape_filter_value("a\\2a"), "a\\5C2a");
    EXPECT_EQ(escape_filter_value("a\0b"s), "a\\00b");
    EXPECT_EQ(escape_filter_value("Lu\xC4\x8Di\xC4\x87"), "Lu\\C4\\8Di\\C4\\87");  // RFC 4515 §4
    EXPECT_EQ(escape_filter_value("&|!=~<>"), "&|!=~<>");
}

TEST(LdapText, a_dn_value_cannot_end_its_place) {
    EXPECT_EQ(escape_dn_value("ada"), "ada");
    EXPECT_EQ(escape_dn_value("James \"Jim\" Smith, III"), "James \\\"Jim\\\" Smith\\, III");  // RFC 4514 §4
    EXPECT_EQ(escape_dn_value("before\rafter"), "before\\0Dafter");
    EXPECT_EQ(escape_dn_value("x,ou=admins"), "x\\,ou\\=admins");
    EXPECT_EQ(escape_dn_value("a+cn=b;c<d>e#f\\"), "a\\+cn\\=b\\;c\\<d\\>e\\#f\\\\");
    EXPECT_EQ(escape_dn_value(" a b "), "\\ a b\\ ");
    EXPECT_EQ(escape_dn_value(" "), "\\ ");
    EXPECT_EQ(escape_dn_value("\0"s), "\\00");
    EXPECT_EQ(escape_dn_value("Lu\xC4\x8Di\xC4\x87"), "Lu\\C4\\8Di\\C4\\87");
}

}  // namespace
}  // namespace pier::backends
