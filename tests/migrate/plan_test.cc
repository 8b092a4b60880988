#include "migrate/plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "migrate/digest.h"
#include "migrate/fetch_window.h"
#include "migrate/fingerprints.h"
#include "migrate/pop3_source.h"

namespace pier::migrate {
namespace {

using store::flag::flagged, store::flag::seen;

Item item(const std::string& uidl, store::Flags flags = 0) {
    Item one;
    one.uidl = uidl;
    one.origin = "message " + uidl;
    one.identity = identity_of_uidl("INBOX", uidl);
    one.flags = flags;
    return one;
}

Present present(store::Uid uid, const std::string& uidl, bool imported = true, store::Flags flags = 0) {
    Present one;
    one.uid = uid;
    one.uidl = uidl;
    one.flags = flags;
    if (imported) one.key = import_key(identity_of_uidl("INBOX", uidl));
    return one;
}

MailboxPlan plan_of(const std::vector<Item>& there, const std::vector<Present>& here,
                    const std::vector<std::string>& imported = {}) {
    std::vector<const Item*> items;
    for (const Item& one : there)
        items.push_back(&one);
    std::set<store::ImportKey> keys;
    for (const std::string& uidl : imported)
        keys.insert(import_key(identity_of_uidl("INBOX", uidl)));
    return compare("INBOX", items, here, keys);
}

std::string signs(const MailboxPlan& plan) {
    std::string text;
    for (const Line& line : plan.lines)
        text += fmt::format("{}{} ", static_cast<char>(line.sign), line.name);
    return text;
}

TEST(Plan, ShowsWhatIsMissingAndGoneInOrder) {
    const MailboxPlan plan =
        plan_of({item("a"), item("b"), item("c"), item("d")},
                {present(1, "a"), present(2, "x"), present(3, "c"), present(4, "y")}, {"d"});
    EXPECT_EQ(signs(plan), "=a +b -x =c xd -y ");
    EXPECT_TRUE(plan.differs());
    EXPECT_EQ(plan.out_of_place, 0u);
}

TEST(Plan, NothingDiffers) {
    const MailboxPlan plan = plan_of({item("a"), item("b")}, {present(1, "a"), present(2, "b")}, {"a", "b"});
    EXPECT_EQ(signs(plan), "=a =b ");
    EXPECT_FALSE(plan.differs());
    EXPECT_FALSE(plan_of({item("a")}, {}, {"a"}).differs()) << "deleted here: it stays away";
    EXPECT_FALSE(plan_of({}, {}).differs());
}

TEST(Plan, MailThatCameInHereIsLeftAlone) {
    const MailboxPlan plan = plan_of({item("a")}, {present(1, "a"), present(2, "new", false)});
    EXPECT_EQ(signs(plan), "=a ");
    EXPECT_EQ(plan.own, 1u);
    EXPECT_FALSE(plan.differs());
}

TEST(Plan, AMessageOfAnotherImportIsKnownByItsUidl) {
    EXPECT_EQ(signs(plan_of({item("a")}, {present(1, "a", false)})), "=a ");
}

TEST(Plan, FlagsOfTheSourceComeHereAndOthersStay) {
    constexpr store::Flags keyword = 1 << 20;
    const MailboxPlan plan =
        plan_of({item("a", seen), item("b", seen)},
                {present(1, "a", true, flagged | keyword), present(2, "b", true, seen | keyword)});
    EXPECT_EQ(signs(plan), "~a =b ");
    EXPECT_EQ(plan.lines[0].flags, seen | keyword);
    EXPECT_EQ(plan.lines[0].uid, 1u);
    EXPECT_EQ(plan.lines[0].text, "flags there: seen; here: flagged");

    Item without = item("a");
    without.flags_known = false;
    EXPECT_FALSE(plan_of({without}, {present(1, "a", true, flagged)}).differs());
}

TEST(Plan, AnotherUidlIsTold) {
    Present here = present(1, "a");
    here.uidl = "of-its-own";
    const MailboxPlan plan = plan_of({item("a")}, {here});
    EXPECT_EQ(signs(plan), "~a ");
    EXPECT_EQ(plan.lines[0].text, "it has the UIDL of-its-own here");
    EXPECT_FALSE(plan.lines[0].flags);
}

TEST(Plan, OrderAndSizeAreToldButNoDifference) {
    Item sized = item("a");
    sized.octets = 5;
    sized.octets_exact = true;
    const MailboxPlan plan = plan_of({item("b"), sized}, {present(1, "a"), present(2, "b")});
    EXPECT_EQ(plan.out_of_place, 1u);
    EXPECT_EQ(plan.other_size, 1u);
    EXPECT_FALSE(plan.differs());
}

TEST(Plan, AMessageHereIsTakenOnce) {
    Item second = item("a");
    second.identity += "\n1";
    EXPECT_EQ(signs(plan_of({item("a"), second}, {present(1, "a")})), "=a +a ");
}

// ---- UIDLs of strange servers ----

TEST(Uidls, OnlyWhatFitsIsKept) {
    Uidls uidls;
    EXPECT_EQ(uidls.keep("a").uidl, "a");
    const auto again = uidls.keep("a");
    EXPECT_EQ(again.uidl, "");
    EXPECT_NE(again.identity, "a");
    EXPECT_NE(again.warning, "");
    EXPECT_EQ(uidls.keep(std::string(70, 'x')).warning, "");
    EXPECT_EQ(uidls.keep(std::string(71, 'x')).uidl, "");
    const auto odd = uidls.keep("\x1b[2J");
    EXPECT_EQ(odd.uidl, "");
    EXPECT_EQ(odd.warning.find('\x1b'), std::string::npos);
}

// ---- what is asked for at once ----

TEST(FetchWindow, AsksForSeveralWithinItsLimits) {
    FetchWindow window({3, 100});
    window.expect({{0, 40, 0}, {2, 40, 0}, {3, 40, 0}, {4, 1, 0}, {9, 1, 1}});
    EXPECT_EQ(window.ask(0, true), (std::vector<std::size_t>{0, 2}));
    window.answered();
    EXPECT_EQ(window.ask(2, true), (std::vector<std::size_t>{3, 4}));
    window.answered();
    EXPECT_EQ(window.ask(3, true), std::vector<std::size_t>{}) << "9 is in another mailbox";
    window.answered();
    window.answered();
    EXPECT_EQ(window.ask(9, true), std::vector<std::size_t>{9});
    window.answered();
    EXPECT_EQ(window.ask(5, true), std::vector<std::size_t>{5}) << "not expected";
}

TEST(FetchWindow, AMessageOverTheLimitIsAskedForAlone) {
    FetchWindow window({3, 100});
    window.expect({{0, 1000, 0}, {1, 1, 0}});
    EXPECT_EQ(window.ask(0, true), std::vector<std::size_t>{0});
    window.answered();
    EXPECT_EQ(window.ask(1, true), std::vector<std::size_t>{1});
}

TEST(FetchWindow, OneByOne) {
    FetchWindow window({3, 100});
    window.expect({{0, 1, 0}, {1, 1, 0}});
    EXPECT_EQ(window.ask(0, false), std::vector<std::size_t>{0});
    window.answered();
    EXPECT_EQ(window.ask(1, false), std::vector<std::size_t>{1});
}

TEST(FetchWindow, WhatIsPassedOverIsNotAskedFor) {
    FetchWindow window({1, 100});
    window.expect({{0, 1, 0}, {1, 1, 0}, {2, 1, 0}});
    EXPECT_EQ(window.ask(1, true), std::vector<std::size_t>{1});
    window.answered();
    EXPECT_EQ(window.ask(2, true), std::vector<std::size_t>{2});
}

// ---- which message is which ----

TEST(Fingerprints, SizeAndHeaderThenTheHeaderAlone) {
    const std::string a = head_hash("A: 1\r\n\r\n"), b = head_hash("B: 1\r\n");
    EXPECT_EQ(a, head_hash("A: 1\r\n"));
    using Places = std::vector<std::optional<std::size_t>>;
    EXPECT_EQ(match({{10, a}, {20, a}, {10, b}}, {{10, b}, {20, a}, {10, a}}), (Places{2, 1, 0}));
    EXPECT_EQ(match({{11, a}, {10, a}}, {{10, a}, {12, a}}), (Places{1, 0})) << "counted in two ways";
    EXPECT_EQ(match({{10, a}, {10, a}}, {{10, a}, {10, a}}), (Places{0, 1})) << "in their order";
    EXPECT_EQ(match({{10, a}, {10, ""}}, {{10, b}, {10, ""}}), (Places{std::nullopt, std::nullopt}));
}

}  // namespace
}  // namespace pier::migrate
