// Mail and lists that nobody sane has written: the readers come to an end, and what they give is bounded by
// what they got.
#include <random>

#include <gtest/gtest.h>

#include "migrate/dates.h"
#include "migrate/maildir.h"
#include "migrate/mbox.h"
#include "migrate/read_source.h"
#include "migrate/temporary_tree.h"
#include "migrate/uid_lists.h"

namespace pier::migrate {
namespace {

constexpr unsigned seed = 20261121;

std::string random_text(std::mt19937& random, const std::vector<std::string>& words, std::size_t words_max) {
    std::string text;
    for (auto count = random() % (words_max + 1); count > 0; --count)
        text += words[random() % words.size()];
    return text;
}

TEST(Hostile, mbox) {
    const std::vector<std::string> words = {"From eve Sat Jan  3 01:05:34 1996\n",
                                            "From eve Sat Jan  3 01:05:34 1996\r\n",
                                            "From ",
                                            ">From ",
                                            "\n",
                                            "\n\n",
                                            "\r\n",
                                            "\r",
                                            "Status: RO\n",
                                            "X-UIDL: a\n",
                                            "X-UID: 7\n",
                                            "X-IMAPbase: 9 9\n",
                                            "Content-Length: 3\n",
                                            "Content-Length: 40\n",
                                            " folded\n",
                                            "text",
                                            "\xff",
                                            std::string(1, '\0'),
                                            std::string(70'000, 'x'),
                                            "From " + std::string(70'000, 'y') + " 1996\n"};
    std::mt19937 random(seed);
    TemporaryTree tree;
    using Quoting = MboxOptions::Quoting;
    for (int round = 0; round < 600; ++round) {
        const std::string file = words[0] + random_text(random, words, 24);
        tree.write("mbox", file);
        for (const Quoting quoting : {Quoting::rd, Quoting::o, Quoting::none}) {
            MboxOptions options;
            options.quoting = quoting;
            auto source = open_mbox(tree / "mbox", options);
            ASSERT_TRUE(source);
            std::size_t octets = 0;
            for (const ReadItem& read : read_all(**source)) {
                ASSERT_EQ(read.error, "") << "seed " << seed << " round " << round;
                ASSERT_LE(read.octets.size(), read.item.octets);
                ASSERT_TRUE(read.item.uidl.empty() || is_uidl(read.item.uidl));
                octets += read.item.octets;
            }
            ASSERT_LE(octets, file.size()) << "seed " << seed << " round " << round;
        }
    }
}

TEST(Hostile, lists_formats_dates_and_names) {
    const std::vector<std::string> words = {"3 V",
                                            "1 ",
                                            "/2 ",
                                            "/3 8 ",
                                            "N10",
                                            " P",
                                            " O",
                                            " G",
                                            ":",
                                            "\n",
                                            "\r\n",
                                            " ",
                                            "0",
                                            "42",
                                            "4294967296",
                                            "18446744073709551616",
                                            "-1",
                                            "a,S=1:2,S",
                                            "%",
                                            "08",
                                            "X",
                                            "u",
                                            "v",
                                            "f",
                                            "{uid",
                                            "}",
                                            "|",
                                            " hex(",
                                            ")",
                                            "Sat ",
                                            "Jan ",
                                            "3 ",
                                            "1996 ",
                                            "01:05:34 ",
                                            "+0100",
                                            "From ",
                                            "&",
                                            "-",
                                            "APw",
                                            "2D0",
                                            ",",
                                            "/",
                                            ".",
                                            "\xff",
                                            "\xc3\xbc",
                                            std::string(1, '\0'),
                                            std::string(300, '9')};
    std::mt19937 random(seed);
    for (int round = 0; round < 100'000; ++round) {
        const std::string text = random_text(random, words, 8);
        if (const auto list = parse_dovecot_list(text)) {
            ASSERT_LE(list->entries.size(), text.size());
        }
        if (const auto list = parse_courier_list(text)) {
            ASSERT_LE(list->uidls.size(), text.size());
        }
        if (const auto format = UidlFormat::parse(text)) {
            ASSERT_LT((*format)(42, 43, "name", "guid").size(), 1000U);
        }
        if (const auto date = find_date(text)) {
            ASSERT_GE(date->time_since_epoch().count(), 0);
        }
        parse_from_line(text);
        date_of_header(text);
        const std::string mailbox = mailbox_of_folder(text);
        ASSERT_EQ(mailbox.find_first_of(std::string("\r\n\0", 3)), std::string::npos);
    }
}

}  // namespace
}  // namespace pier::migrate
