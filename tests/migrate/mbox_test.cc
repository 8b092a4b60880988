#include "migrate/mbox.h"

#include <gtest/gtest.h>

#include "migrate/read_source.h"
#include "migrate/temporary_tree.h"

namespace pier::migrate {
namespace {

using Texts = std::vector<std::string>;
const std::string from = "From eve@example.com Sat Jan  3 01:05:34 1996\n";

class MboxTest : public testing::Test {
  protected:
    std::vector<ReadItem> read(const std::string& octets, MboxOptions options = {}) {
        tree.write("mbox", octets);
        auto source = open_mbox(tree / "mbox", std::move(options));
        if (!source) {
            error = source.error().text;
            return {};
        }
        auto items = read_all(**source);
        warnings = (*source)->warnings();
        return items;
    }
    Texts texts(const std::string& octets, MboxOptions options = {}) {
        Texts out;
        for (const ReadItem& item : read(octets, std::move(options)))
            out.push_back(item.error.empty() ? item.octets : item.error);
        return out;
    }

    TemporaryTree tree;
    Texts warnings;
    std::string error;
};

MboxOptions quoting(MboxOptions::Quoting how) {
    MboxOptions options;
    options.quoting = how;
    return options;
}

TEST_F(MboxTest, messages_without_their_from_lines) {
    EXPECT_EQ(texts(from + "Subject: a\n\nText a\n\n" + from + "Subject: b\n\nText b\n\n"),
              (Texts{"Subject: a\n\nText a\n", "Subject: b\n\nText b\n"}));
    const auto items = read(from + "Subject: a\n\nText\n");
    ASSERT_EQ(items.size(), 1U);
    EXPECT_EQ(to_rfc3339(items[0].item.internal_date), "1996-01-03T01:05:34Z");
    EXPECT_EQ(items[0].item.mailbox, "INBOX");
}

TEST_F(MboxTest, ends) {
    EXPECT_TRUE(texts("").empty());
    EXPECT_EQ(error, "");
    EXPECT_EQ(texts(from), Texts{""});
    EXPECT_EQ(texts(from + "Subject: a"), Texts{"Subject: a"});
    EXPECT_EQ(texts(from + "Subject: a\n\n"), Texts{"Subject: a\n\n"});  // the empty line ends the header
    EXPECT_EQ(texts(from + "Subject: a\n\n\n"), Texts{"Subject: a\n\n"});
    EXPECT_EQ(texts(from + "Subject: a\n\nText"), Texts{"Subject: a\n\nText"});
    EXPECT_EQ(texts(from + "Subject: a\n\nText\n\n\n\n" + from + "B: c\n"),
              (Texts{"Subject: a\n\nText\n\n\n", "B: c\n"}));
    EXPECT_EQ(texts("\n\n" + from + "Subject: a\n"), Texts{"Subject: a\n"});
}

TEST_F(MboxTest, crlf_line_ends) {
    EXPECT_EQ(texts("From eve Sat Jan  3 01:05:34 1996\r\nSubject: a\r\n\r\nText\r\n\r\nFrom eve Sat Jan  3 "
                    "01:05:34 1996\r\nB: c\r\n"),
              (Texts{"Subject: a\r\n\r\nText\r\n", "B: c\r\n"}));
}

TEST_F(MboxTest, what_is_no_from_line_stays_in_the_message) {
    const std::string body =
        "Subject: a\n\nText\n" + from + "is in a paragraph\n\nFrom here on it is text\n\nFrom: eve\n";
    EXPECT_EQ(texts(from + body + "\n" + from + "B: c\n"), (Texts{body, "B: c\n"}));
}

TEST_F(MboxTest, thunderbirds_from_lines) {
    EXPECT_EQ(texts("From - Sat Jan 03 01:05:34 1996\nA: b\n\nx\n\nFrom \nC: d\n\ny\n"),
              (Texts{"A: b\n\nx\n", "C: d\n\ny\n"}));
}

TEST_F(MboxTest, quoting) {
    const std::string file = from + "A: b\n\n>From x\n>>From y\n>> From\n>Fromage\nx >From y\n>From z";
    EXPECT_EQ(texts(file), Texts{"A: b\n\nFrom x\n>From y\n>> From\n>Fromage\nx >From y\nFrom z"});
    EXPECT_EQ(texts(file, quoting(MboxOptions::Quoting::o)),
              Texts{"A: b\n\nFrom x\n>>From y\n>> From\n>Fromage\nx >From y\nFrom z"});
    EXPECT_EQ(texts(file, quoting(MboxOptions::Quoting::none)), Texts{file.substr(from.size())});
}

TEST_F(MboxTest, content_length) {
    const std::string body = "Text\n\n" + from + "looks like a message\n";
    const std::string length = "Content-Length: " + std::to_string(body.size()) + "\n";
    const std::string file = from + "A: b\n" + length + "\n" + body + "\n" + from + "C: d\n\nx\n";
    EXPECT_EQ(texts(file, quoting(MboxOptions::Quoting::none)),
              (Texts{"A: b\n" + length + "\n" + body, "C: d\n\nx\n"}));
    EXPECT_EQ(texts(file).size(), 3U);  // other dialects do not go by it
    EXPECT_EQ(texts(from + "A: b\n" + length + "\n" + body, quoting(MboxOptions::Quoting::none)),
              Texts{"A: b\n" + length + "\n" + body});
    for (const char* wrong : {"3", "4", "7", "1000000", "18446744073709551615", "x", ""}) {
        const std::string head = "A: b\nContent-Length: " + std::string(wrong) + "\n\n";
        EXPECT_EQ(
            texts(from + head + "Text\nmore\n\n" + from + "C: d\n\nx\n", quoting(MboxOptions::Quoting::none)),
            (Texts{head + "Text\nmore\n", "C: d\n\nx\n"}))
            << wrong;
    }
}

TEST_F(MboxTest, flags) {
    using namespace store;
    const auto items = read(from + "Status: RO\nX-Status: AFTD\n\nx\n\n" + from +
                            "Status: O\nX-Status: \n\nStatus: RO\n\n" + from + "status:R\n\nx\n");
    ASSERT_EQ(items.size(), 3U);
    EXPECT_EQ(items[0].item.flags, flag::seen | flag::answered | flag::flagged | flag::draft | flag::deleted);
    EXPECT_EQ(items[1].item.flags, 0U);
    EXPECT_EQ(items[2].item.flags, flag::seen);
}

TEST_F(MboxTest, uidls) {
    const std::string file = from + "X-IMAPbase: 1275660208 0000000009 $Forwarded\nX-UID: 4\n\na\n\n" + from +
                             "X-UID: 9\nX-UIDL: \"abc!\n\nb\n\n" + from +
                             "X-UIDL: has a space\nX-UID: 10\n\nc\n\n" + from +
                             "Subject: none\n\nX-UIDL: body\n";
    auto items = read(file);
    ASSERT_EQ(items.size(), 4U);
    EXPECT_EQ(items[0].item.uidl, "000000044c0907b0");
    EXPECT_EQ(items[1].item.uidl, "\"abc!");
    EXPECT_EQ(items[2].item.uidl, "0000000a4c0907b0");
    EXPECT_EQ(items[3].item.uidl, "");
    EXPECT_EQ(warnings.size(), 1U);

    MboxOptions options;
    options.x_uidl = false;
    options.dovecot_format = *UidlFormat::parse("%v.%u");
    EXPECT_EQ(read(file, options)[1].item.uidl, "1275660208.9");
    EXPECT_EQ(read(from + "X-UID: 4\n\na\n").at(0).item.uidl, "");  // no UIDVALIDITY
}

TEST_F(MboxTest, folder_data_is_no_message) {
    EXPECT_EQ(texts(from +
                    "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1275660208 "
                    "0000000009\n\nThis text is part of the internal format.\n\n" +
                    from + "X-UID: 4\n\na\n"),
              Texts{"X-UID: 4\n\na\n"});
}

TEST_F(MboxTest, identity_is_the_content_without_what_servers_change) {
    const auto identity = [&](const std::string& file) { return read(file).at(0).item.identity; };
    const std::string plain = identity(from + "A: b\n\nText\n");
    EXPECT_EQ(identity(from + "Status: RO\nA: b\nX-UID: 4\nX-Keywords: a\n b\nContent-Length: 5\n\nText\n\n" +
                       from + "C: d\n"),
              plain);
    EXPECT_NE(identity(from + "A: c\n\nText\n"), plain);
    EXPECT_NE(identity(from + "A: b\n\nText\nStatus: RO\n"), plain);
    MboxOptions other;
    other.mailbox = "Old";
    EXPECT_NE(read(from + "A: b\n\nText\n", other).at(0).item.identity, plain);

    const auto twins = read(from + "A: b\n\nText\n\n" + from + "A: b\n\nText\n");
    EXPECT_EQ(twins[0].item.identity, plain);
    EXPECT_NE(twins[1].item.identity, plain);
}

TEST_F(MboxTest, long_lines_need_no_memory_of_their_own) {
    for (const std::size_t octets : {65535U, 65536U, 65537U, 200'000U}) {
        const std::string line(octets, '>');
        EXPECT_EQ(texts(from + "A: b\n\n" + line + "\n>From x\n\n" + from + "C: d\n\n" + line),
                  (Texts{"A: b\n\n" + line + "\nFrom x\n", "C: d\n\n" + line}))
            << octets;
    }
}

TEST_F(MboxTest, from_lines_at_block_ends) {
    for (std::size_t octets = 65536 - 80; octets <= 65536 + 4; ++octets) {
        const std::string body = "A: b\n\n" + std::string(octets - from.size() - 7, 'x') + "\n";
        ASSERT_EQ(texts(from + body + "\n" + from + "C: d\n"), (Texts{body, "C: d\n"})) << octets;
    }
}

TEST_F(MboxTest, not_an_mbox) {
    EXPECT_TRUE(texts("Subject: a\n\nText\n").empty());
    EXPECT_NE(error.find("is not an mbox file"), std::string::npos);
    EXPECT_EQ(open_mbox(tree / "nothing").error().kind, ErrorKind::not_found);
    EXPECT_FALSE(open_mbox(tree.root()));
}

TEST_F(MboxTest, a_file_that_shrinks_is_an_error_not_half_a_message) {
    tree.write("mbox", from + "A: b\n\nText\n");
    const auto source = open_mbox(tree / "mbox");
    auto next = (*source)->next();
    ASSERT_TRUE(next && *next);
    std::filesystem::resize_file(tree / "mbox", from.size() + 8);
    EXPECT_NE(read_item(std::move(next)).error.find("has become shorter"), std::string::npos);
}

}  // namespace
}  // namespace pier::migrate
