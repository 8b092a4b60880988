#include "migrate/maildir.h"

#include <gtest/gtest.h>

#include "migrate/read_source.h"
#include "migrate/temporary_tree.h"

namespace pier::migrate {
namespace {

class MaildirTest : public testing::Test {
  protected:
    void add(const std::string& name, const std::string& octets, std::int64_t seconds = 2'000'000'000) {
        tree.write(name, octets);
        tree.set_time(name, seconds);
    }

    std::vector<ReadItem> read(MaildirOptions options = {}) {
        auto source = open_maildir(tree.root(), std::move(options));
        EXPECT_TRUE(source) << source.error().text;
        auto items = read_all(**source);
        warnings = (*source)->warnings();
        return items;
    }

    TemporaryTree tree;
    std::vector<std::string> warnings;
};

std::vector<std::string> texts(const std::vector<ReadItem>& items) {
    std::vector<std::string> out;
    for (const ReadItem& item : items)
        out.push_back(item.error.empty() ? item.octets : item.error);
    return out;
}

using Texts = std::vector<std::string>;

TEST_F(MaildirTest, new_and_cur_in_the_order_of_delivery) {
    add("cur/300.c.host:2,S", "third");
    add("new/200.b.host", "second");
    add("cur/1000.d.host:2,", "fourth");
    add("cur/100.a.host", "first");
    add("tmp/50.x.host", "unfinished");
    add("cur/.hidden", "no message");
    const auto items = read();
    EXPECT_EQ(texts(items), (Texts{"first", "second", "third", "fourth"}));
    for (const ReadItem& item : items) {
        EXPECT_EQ(item.item.mailbox, "INBOX");
        EXPECT_EQ(item.item.uidl, "");
        EXPECT_EQ(item.item.octets, item.octets.size());
    }
    EXPECT_EQ(items[2].item.flags, store::flag::seen);
    EXPECT_EQ(items[0].item.internal_date, at_s(100));
    EXPECT_EQ((*open_maildir(tree.root()))->octets_total(), 22U);
}

TEST_F(MaildirTest, the_date_is_the_earlier_of_name_and_file) {
    add("cur/1000.a", "a", 2000);  // copied later without its times
    add("cur/1000.b", "b", 500);   // stored with an older date
    add("cur/name", "c", 700);     // no time in the name
    const auto items = read();
    ASSERT_EQ(items.size(), 3U);
    EXPECT_EQ(items[0].octets, "c");
    EXPECT_EQ(items[0].item.internal_date, at_s(700));
    EXPECT_EQ(items[1].item.internal_date, at_s(1000));
    EXPECT_EQ(items[2].item.internal_date, at_s(500));
}

TEST_F(MaildirTest, flags) {
    using namespace store;
    EXPECT_EQ(maildir_flags("1.a:2,FRSTDP"),
              flag::flagged | flag::answered | flag::seen | flag::deleted | flag::draft | flag::forwarded);
    EXPECT_EQ(maildir_flags("1.a:2,"), 0U);
    EXPECT_EQ(maildir_flags("1.a"), 0U);
    EXPECT_EQ(maildir_flags("1.a:1,S"), 0U);
    EXPECT_EQ(maildir_flags("1.S:2,abc"), 0U);  // Dovecot's keywords
}

TEST_F(MaildirTest, folders) {
    EXPECT_EQ(mailbox_of_folder(".Work.2026"), "Work/2026");
    EXPECT_EQ(mailbox_of_folder(".Entw&APw-rfe"), "Entw\u00fcrfe");
    EXPECT_EQ(mailbox_of_folder(".R&-D"), "R&D");
    EXPECT_EQ(mailbox_of_folder(".a&AC8-b"), "a_b");  // an encoded '/'
    EXPECT_EQ(mailbox_of_folder(".a&b"), "a&b");      // malformed: as it is
    EXPECT_EQ(mailbox_of_folder(".b\xc3\xbc"), "b\u00fc");
    EXPECT_EQ(mailbox_of_folder(".b\xff"), "b_");
    EXPECT_EQ(mailbox_of_folder(".x\x01y"), "x_y");
    EXPECT_EQ(decode_modified_utf7("&2D3eAA-"), "\U0001F600");
    EXPECT_FALSE(decode_modified_utf7("&2D0-"));  // half a surrogate pair
    EXPECT_FALSE(decode_modified_utf7("&A/A-"));
    EXPECT_FALSE(decode_modified_utf7("&APw"));

    add("cur/1.a", "inbox");
    add(".Work/cur/1.a", "work");
    add(".Work.2026/new/2.b", "work 2026");
    std::filesystem::create_directories(tree / ".Work.2026/cur");
    add(".notafolder/file", "x");
    add("courierimapkeywords/cur/3.c", "x");
    const auto items = read();
    ASSERT_EQ(texts(items), (Texts{"inbox", "work", "work 2026"}));
    EXPECT_EQ(items[1].item.mailbox, "Work");
    EXPECT_EQ(items[2].item.mailbox, "Work/2026");
    EXPECT_NE(items[0].item.identity, items[1].item.identity);

    MaildirOptions inbox_only;
    inbox_only.folders = false;
    EXPECT_EQ(texts(read(inbox_only)), Texts{"inbox"});
}

TEST_F(MaildirTest, identity_stays_when_flags_change_and_new_becomes_cur) {
    add("new/1.a,S=5", "hello");
    const std::string before = read().at(0).item.identity;
    std::filesystem::create_directories(tree / "cur");
    std::filesystem::rename(tree / "new/1.a,S=5", tree / "cur/1.a,S=5:2,RS");
    EXPECT_EQ(read().at(0).item.identity, before);
}

TEST_F(MaildirTest, dovecot_uidls_and_order) {
    add("cur/100.a:2,S", "a");
    add("cur/200.b:2,", "b");
    add("cur/300.c", "c");
    add("new/50.d", "d");
    tree.write("dovecot-uidlist",
               "3 V1275660208 N10\n9 :100.a:2,\n5 :200.b\n7 PUID3-99 O1 :300.c:2,T\n8 :gone\n");
    const auto items = read();
    ASSERT_EQ(texts(items),
              (Texts{"c", "b", "a", "d"}));  // the one with an order, then by UID, then the unlisted
    EXPECT_EQ(items[0].item.uidl, "UID3-99");
    EXPECT_EQ(items[1].item.uidl, "000000054c0907b0");
    EXPECT_EQ(items[2].item.uidl, "000000094c0907b0");
    EXPECT_EQ(items[3].item.uidl, "");

    MaildirOptions other;
    other.dovecot_format = *UidlFormat::parse("%v.%u");
    EXPECT_EQ(read(other)[1].item.uidl, "1275660208.5");
    other.dovecot_format = *UidlFormat::parse("%f");
    EXPECT_EQ(read(other)[1].item.uidl, "200.b");
    other.uidls = MaildirOptions::Uidls::none;
    for (const ReadItem& item : read(other))
        EXPECT_EQ(item.item.uidl, "");
}

// A list that Dovecot 2.3.19 has read, and the order and UIDLs that it has answered.
TEST_F(MaildirTest, dovecot_order_as_dovecot_lists_it) {
    for (const char* name :
         {"cur/170000001.M1P1.host:2,", "cur/170000002.M2P1.host:2,", "cur/170000003.M3P1.host:2,",
          "cur/1600000000.M9P1.host:2,S", "cur/150.b", "new/180.a"})
        add(name, "x");
    tree.write("dovecot-uidlist",
               "3 V1795298397 N11 Gcf45750c6614026b7310000083ecc375\n1 W23 PX1 O5 :170000001.M1P1.host\n2 "
               "W23 P :170000002.M2P1.host\n"
               "3 W23 O2 :170000003.M3P1.host\n4 W20 :1600000000.M9P1.host\n9 W0 :150.b\n10 W0 :180.a\n");
    Texts uidls;
    for (const ReadItem& item : read())
        uidls.push_back(item.item.uidl);
    EXPECT_EQ(uidls, (Texts{"000000036b02145d", "X1", "170000002.M2P1.host", "000000046b02145d",
                            "000000096b02145d", "0000000a6b02145d"}));
}

TEST_F(MaildirTest, dovecot_lists_of_folders) {
    std::filesystem::create_directories(tree / "cur");
    add(".Work/cur/1.a", "a");
    tree.write(".Work/dovecot-uidlist", "3 V16 N10 P%v-%u\n9 :1.a\n");
    EXPECT_EQ(read().at(0).item.uidl, "16-9");
}

TEST_F(MaildirTest, courier_uidls) {
    add("cur/100.a:2,S", "a");
    add("cur/200.b", "b");
    tree.write("courierpop3dsizelist", "/2 8 77\n100.a:2, 1 4:77\n");
    add(".Work/cur/100.a", "w");
    tree.write(".Work/courierpop3dsizelist", "/2 8 77\n100.a 1 4:77\n");
    auto items = read();
    ASSERT_EQ(texts(items), (Texts{"a", "b", "w"}));
    EXPECT_EQ(items[0].item.uidl, "UID4-77");
    EXPECT_EQ(items[1].item.uidl, "");
    EXPECT_EQ(items[2].item.uidl, "");  // Courier's POP3 server knows only the INBOX

    // Dovecot's list wins when both are there: it was made from Courier's, or is younger.
    tree.write("dovecot-uidlist", "3 V16 N10\n9 :100.a\n");
    EXPECT_EQ(read().at(0).item.uidl, "0000000900000010");
    MaildirOptions courier;
    courier.uidls = MaildirOptions::Uidls::courier;
    EXPECT_EQ(read(courier).at(0).item.uidl, "UID4-77");
}

TEST_F(MaildirTest, what_cannot_be_kept_is_warned_of) {
    add("cur/1.a", "a");
    add("cur/2.b", "b");
    tree.write("dovecot-uidlist", "3 V16 N10\nbroken\n9 P" + std::string(71, 'x') + " :1.a\n10 P" +
                                      std::string(70, 'y') + " :2.b\n");
    const auto items = read();
    EXPECT_EQ(items.at(0).item.uidl, "");
    EXPECT_EQ(items.at(1).item.uidl, std::string(70, 'y'));
    ASSERT_EQ(warnings.size(), 2U);
    EXPECT_NE(warnings[0].find("1 broken lines"), std::string::npos);
    EXPECT_NE(warnings[1].find("cannot be kept"), std::string::npos);

    tree.write("dovecot-uidlist", "7 what is this\n");
    EXPECT_EQ(texts(read()), (Texts{"a", "b"}));
    EXPECT_EQ(warnings.size(), 1U);
    tree.write("dovecot-uidlist", "3 V16 N10 P%m\n9 :1.a\n");
    EXPECT_EQ(read().at(0).item.uidl, "");
    EXPECT_EQ(warnings.size(), 1U);
}

TEST_F(MaildirTest, renamed_or_removed_between_listing_and_reading) {
    add("new/1.a", "a");
    add("cur/2.b:2,", "b");
    add("cur/3.c:2,", "c");
    const auto source = open_maildir(tree.root());
    ASSERT_TRUE(source);
    auto first = (*source)->next();  // lists the folder
    ASSERT_TRUE(first && *first);
    std::filesystem::rename(tree / "new/1.a", tree / "cur/1.a:2,S");
    std::filesystem::rename(tree / "cur/2.b:2,", tree / "cur/2.b:2,F");
    std::filesystem::remove(tree / "cur/3.c:2,");
    EXPECT_EQ(read_item(std::move(first)).octets, "a");
    const ReadItem second = read_item((*source)->next());
    EXPECT_EQ(second.octets, "b");
    EXPECT_EQ(second.item.flags, store::flag::flagged);
    EXPECT_NE(read_item((*source)->next()).error.find("removed meanwhile"), std::string::npos);
    EXPECT_FALSE((*source)->next()->has_value());
}

TEST_F(MaildirTest, what_is_no_file_is_told_and_passed_over) {
    add("cur/1.a", "a");
    std::filesystem::create_directories(tree / "cur/2.directory");
    ASSERT_EQ(::mkfifo((tree / "cur/3.fifo").c_str(), 0600), 0);
    add("cur/4.d", "d");
    const auto items = read();
    ASSERT_EQ(items.size(), 4U);
    EXPECT_EQ(items[0].octets, "a");
    EXPECT_NE(items[1].error, "");
    EXPECT_NE(items[2].error, "");
    EXPECT_EQ(items[3].octets, "d");
}

TEST_F(MaildirTest, not_a_maildir) {
    const auto nothing = open_maildir(tree / "nothing");
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error().kind, ErrorKind::not_found);
    EXPECT_FALSE(open_maildir(tree.root()));
    std::filesystem::create_directories(tree / "cur");
    EXPECT_TRUE(open_maildir(tree.root()));  // an empty one
    EXPECT_TRUE(read().empty());
}

}  // namespace
}  // namespace pier::migrate
