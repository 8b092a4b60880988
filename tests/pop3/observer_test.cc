// Which commands a session tells of.
#include <gtest/gtest.h>

#include "pop3/session.h"

namespace pier::pop3 {
namespace {

struct Told final : wire::CommandObserver {
    void on_command(std::size_t command) override { text += std::string(command_names()[command]) + " "; }
    std::string text;
};

TEST(Pop3Observer, IsToldOfEachCommandOnce) {
    Told told;
    const Limits limits;
    Facts facts;
    facts.clear_login_allowed = true;
    Session session(limits, facts);
    session.set_observer(&told);
    while (!std::holds_alternative<NeedInput>(session.next())) {
    }
    session.on_bytes("capa\r\nSTAT\r\nBREW coffee\r\nUSER\r\nAUTH PLAIN\r\n*\r\n\r\nUSER ada\r\n");
    while (!std::holds_alternative<NeedInput>(session.next())) {
    }
    EXPECT_EQ(told.text, "CAPA STAT other USER AUTH other USER ");
    EXPECT_EQ(command_names().back(), "other");
}

}  // namespace
}  // namespace pier::pop3
