// Clients that take without giving: they hold bounded memory, and nobody waits for them.
#include <chrono>
#include <thread>

#include <gtest/gtest.h>
#include <malloc.h>

#include "serve/served.h"

namespace pier::test {
namespace {

std::string message_of(std::size_t octets, const std::string& line) {
    std::string text = "Subject: test\r\n\r\n";
    while (text.size() < octets)
        text += line;
    text.resize(octets);
    return text;
}

void log_in(Client& client) {
    EXPECT_EQ(client.line().substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("USER ada").substr(0, 3), "+OK");
    EXPECT_EQ(client.ask("PASS secret").substr(0, 3), "+OK");
}

// What the heap holds now, in this process: the server's share is all that changes here.
std::size_t heap_octets() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

// What the network does not take at once has to come from somewhere: from the file, or from one block.
TEST(Fairness, ASlowReaderGetsEveryOctet) {
    for (const bool tls : {false, true}) {
        Served served;
        std::string expected;
        const std::string lines[] = {"The quick brown fox.\r\n", ".leading dot\r\n"};
        for (const std::size_t octets :
             {60'000u, 65'000u, 65'279u, 65'280u, 65'281u, 66'000u, 16'300u, 16'384u})
            served.deliver(message_of(octets, lines[octets % 2]));
        Client client(tls ? served.pop3s_port : served.pop3_port);
        client.shrink_receive_buffer(30'000);
        if (tls) {
            ASSERT_TRUE(client.start_tls());
        }
        log_in(client);
        std::string commands;
        for (int round = 0; round < 2; ++round)
            for (int i = 1; i <= 8; ++i)
                commands += "RETR " + std::to_string(i) + "\r\n";
        client.send(commands);
        const auto stored = served.stored();
        for (int i = 0; i < 16; ++i) {
            const std::string& message = stored[static_cast<std::size_t>(i) % 8];
            ASSERT_EQ(client.line(), "+OK " + std::to_string(message.size()) + " octets") << i;
            std::string text = "\r\n" + client.until_dot(), plain;
            for (std::size_t at = 0; at < text.size(); ++at) {
                plain += text[at];
                if (text[at] == '\n' && at + 1 < text.size() && text[at + 1] == '.') ++at;
            }
            plain.erase(0, 2);
            const std::string whole = message.ends_with("\r\n") ? message : message + "\r\n";
            ASSERT_TRUE(plain == whole) << "message " << i % 8 + 1 << (tls ? " over TLS" : "");
        }
        EXPECT_EQ(client.ask("QUIT").substr(0, 3), "+OK");
    }
}

// Each asks for 10,000 messages and reads none of them; then each asks for the listing without end.
TEST(Fairness, ClientsThatPipelineAndDoNotReadHoldBoundedMemory) {
    for (const bool tls : {false, true}) {
        Served served;
        served.deliver(message_of(100'000, "The quick brown fox.\r\n"));
        served.deliver(message_of(10'000, ".dots everywhere.\r\n"));
        std::string commands;
        for (int i = 0; i < 5'000; ++i)
            commands += i % 2 == 0 ? "RETR 1\r\nLIST\r\n" : "RETR 2\r\nUIDL\r\n";
        const std::size_t before = heap_octets();
        constexpr int count = 16;
        std::vector<std::unique_ptr<Client>> clients;
        std::vector<std::thread> senders;
        for (int i = 0; i < count; ++i) {
            clients.push_back(std::make_unique<Client>(tls ? served.pop3s_port : served.pop3_port));
            clients.back()->shrink_receive_buffer();
            if (tls) {
                ASSERT_TRUE(clients.back()->start_tls());
            }
            log_in(*clients.back());
            // Ends when the server takes no more: by the connection's end below.
            senders.emplace_back([&client = *clients.back(), &commands] { client.send(commands); });
        }
        for (int i = 0; i < 20; ++i) {
            Client other(served.pop3_port);
            log_in(other);
            EXPECT_EQ(other.ask("STAT").substr(0, 5), "+OK 2");
            EXPECT_EQ(other.ask("QUIT").substr(0, 3), "+OK");
        }
        const std::size_t now = heap_octets();
        const std::size_t grown = now > before ? now - before : 0;
        // Input buffer and output of a session, a block, TLS's own; and what the test itself holds.
        EXPECT_LT(grown / count, 256u * 1024) << (tls ? "with TLS" : "without TLS");
        for (auto& client : clients)
            client->abandon();
        for (auto& sender : senders)
            sender.join();
    }
}

}  // namespace
}  // namespace pier::test
