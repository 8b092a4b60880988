#include "migrate/eml.h"

#include <gtest/gtest.h>

#include "migrate/read_source.h"
#include "migrate/temporary_tree.h"

namespace pier::migrate {
namespace {

TEST(Eml, one_file) {
    TemporaryTree tree;
    tree.write("message.txt", "Date: Sat, 21 Nov 2026 20:38:26 +0000\n\nHi\n");
    const auto source = open_eml(tree / "message.txt", {"Old"});
    ASSERT_TRUE(source) << source.error().text;
    EXPECT_EQ((*source)->octets_total(), 42U);
    const auto items = read_all(**source);
    ASSERT_EQ(items.size(), 1U);
    EXPECT_EQ(items[0].octets, "Date: Sat, 21 Nov 2026 20:38:26 +0000\n\nHi\n");
    EXPECT_EQ(items[0].item.mailbox, "Old");
    EXPECT_EQ(to_rfc3339(items[0].item.internal_date), "2026-11-21T20:38:26Z");
    EXPECT_EQ(items[0].item.flags, 0U);
}

TEST(Eml, a_directory_by_path) {
    TemporaryTree tree;
    tree.write("b.eml", "B: 1\n");
    tree.write("a/2.EML", "A: 2\n");
    tree.write("a/1.eml", "From eve Sat Jan  3 01:05:34 1996\nA: 1\n");
    tree.write("a/readme.txt", "not this");
    tree.set_time("b.eml", 1000);
    const auto items = read_all(**open_eml(tree.root()));
    ASSERT_EQ(items.size(), 3U);
    EXPECT_EQ(items[0].octets, "A: 1\n");
    EXPECT_EQ(items[1].octets, "A: 2\n");
    EXPECT_EQ(items[2].octets, "B: 1\n");
    EXPECT_EQ(items[2].item.internal_date, at_s(1000));
}

TEST(Eml, identity_is_the_content) {
    TemporaryTree tree;
    tree.write("a.eml", "same\n");
    tree.write("b.eml", "same\n");
    tree.write("c.eml", "other\n");
    const auto items = read_all(**open_eml(tree.root()));
    ASSERT_EQ(items.size(), 3U);
    EXPECT_NE(items[0].item.identity, items[1].item.identity);  // two copies are two messages
    EXPECT_NE(items[0].item.identity, items[2].item.identity);
    EXPECT_EQ(read_all(**open_eml(tree / "b.eml")).at(0).item.identity, items[0].item.identity);
}

TEST(Eml, nothing_there) {
    TemporaryTree tree;
    EXPECT_EQ(open_eml(tree / "nothing.eml").error().kind, ErrorKind::not_found);
    EXPECT_EQ(open_eml(tree.root()).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace pier::migrate
