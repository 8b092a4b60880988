#include "backends/message.h"

#include <gtest/gtest.h>

#include "backends/source_service.h"

namespace pier::backends {
namespace {

Message sample() {
    return {77, "check", {{"name", "ada"}, {"password", std::string_view("s\0crèt", 7)}, {"name", "second"}}};
}

TEST(Message, ComesBackAsItWasSent) {
    const auto text = encode(sample());
    ASSERT_TRUE(text);
    const auto back = decode(*text);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->id, 77U);
    EXPECT_EQ(back->word, "check");
    EXPECT_EQ(back->fields.all(), sample().fields.all());
    EXPECT_EQ(back->fields.get("name"), "ada");
    EXPECT_EQ(back->fields.get("password"), std::string_view("s\0crèt", 7));
    EXPECT_FALSE(back->fields.has("protocol"));
    EXPECT_EQ(back->fields.get("protocol"), "");
}

TEST(Message, EveryCutAndEveryAdditionIsRefused) {
    const std::string text = *encode(sample());
    for (std::size_t octets = 0; octets < text.size(); ++octets)
        EXPECT_FALSE(decode(std::string_view(text).substr(0, octets))) << octets;
    EXPECT_FALSE(decode(text + "x"));
}

TEST(Message, TheLargestOneIsTakenAndNoLargerOne) {
    const auto of = [](std::size_t octets) {
        // id, word's length, fields, name's length, value's length; the word and the name are empty
        const std::size_t frame = 8 + 2 + 2 + 2 + 4;
        return encode({1, "", {{"", std::string(octets - frame, 'x')}}});
    };
    EXPECT_TRUE(of(message_octets_max - 1));
    const auto largest = of(message_octets_max);
    ASSERT_TRUE(largest);
    EXPECT_TRUE(decode(*largest));
    EXPECT_FALSE(of(message_octets_max + 1));
}

TEST(Message, TheMostFieldsAreTakenAndNoMore) {
    for (const std::size_t count : {message_fields_max - 1, message_fields_max, message_fields_max + 1}) {
        Message message{1, "w", {}};
        for (std::size_t i = 0; i < count; ++i)
            message.fields.add("f", "v");
        EXPECT_EQ(bool(encode(message)), count <= message_fields_max) << count;
    }
}

// ---- what a Source says, as a message ----

Answer through(const Answer& answer) {
    return answer_of(message_of(answer));
}

TEST(SourceMessages, EveryAnswerComesThrough) {
    EXPECT_TRUE(std::holds_alternative<UnknownUser>(through(UnknownUser{})));
    EXPECT_TRUE(std::holds_alternative<WrongPassword>(through(WrongPassword{})));
    EXPECT_EQ(std::get<NotAllowed>(through(NotAllowed{"expired"})).reason, "expired");
    EXPECT_EQ(std::get<Outage>(through(Outage{"no route"})).text, "no route");

    const User plain = std::get<Found>(through(Found{})).user;
    EXPECT_EQ(plain.name, "");
    EXPECT_FALSE(plain.quota_octets);
    EXPECT_FALSE(plain.allow);

    User all{.name = "ada", .quota_octets = 5, .allow = Networks{*Network::parse("192.0.2.0/24")}};
    const User back = std::get<Found>(through(Found{all})).user;
    EXPECT_EQ(back.name, "ada");
    EXPECT_EQ(back.quota_octets, 5U);
    EXPECT_EQ(back.allow, all.allow);
    all.allow->clear();  // from everywhere, which is not the same as nothing said
    EXPECT_TRUE(std::get<Found>(through(Found{all})).user.allow);
}

TEST(SourceMessages, WhatCannotBeUnderstoodIsAnOutage) {
    EXPECT_TRUE(std::holds_alternative<Outage>(answer_of({1, "maybe", {}})));
    EXPECT_TRUE(std::holds_alternative<Outage>(answer_of({1, "found", {{"quota", "much"}}})));
    EXPECT_TRUE(
        std::holds_alternative<Outage>(answer_of({1, "found", {{"networks", ""}, {"allow", "everywhere"}}})));
}

}  // namespace
}  // namespace pier::backends
