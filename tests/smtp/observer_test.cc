// Which commands a session tells of.
#include <gtest/gtest.h>

#include "smtp/session.h"

namespace pier::smtp {
namespace {

struct Told final : wire::CommandObserver {
    void on_command(std::size_t command) override { text += std::string(command_names()[command]) + " "; }
    std::string text;
};

TEST(SmtpObserver, IsToldOfEachCommandOnceAndNotOfAMessage) {
    Told told;
    const Limits limits;
    Facts facts;
    facts.kind = Kind::smtp;
    facts.hostname = "pier.example";
    Session session(limits, facts);
    session.set_observer(&told);
    while (true) {
        const Action action = session.next();
        if (std::holds_alternative<NeedInput>(action)) break;
    }
    session.on_bytes(
        "ehlo a.example\r\nLHLO a.example\r\nMAIL FROM:<>\r\nBREW\r\nRCPT TO:<ada@pier.example>\r\nDATA\r\n"
        "NOOP\r\n.\r\nQUIT\r\n");
    while (true) {
        const Action action = session.next();
        if (std::holds_alternative<Recipient>(action)) session.on_recipient({250, "2.1.5", "ok"});
        if (std::holds_alternative<BeginMessage>(action)) session.on_begin(std::nullopt);
        if (std::holds_alternative<Chunk>(action)) session.on_chunk(std::nullopt);
        if (std::holds_alternative<EndMessage>(action)) session.on_end({{250, "2.0.0", "ok"}});
        if (std::holds_alternative<NeedInput>(action) || std::holds_alternative<Close>(action)) break;
    }
    EXPECT_EQ(told.text, "EHLO other MAIL other RCPT DATA QUIT ");
}

}  // namespace
}  // namespace pier::smtp
