// Resumption: every client that comes back with a ticket gets on without a full handshake, whatever happened
// to the server in between, until the ticket's time is over.
#include "net/tls_tickets.h"

#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "net/tls_peer.h"
#include "support/certificate.h"

namespace pier::net {
namespace {

using std::chrono::hours;
using test::Clients;
using test::Pair;
using test::Session;

class TlsTicketsTest : public testing::TestWithParam<int> {
  protected:
    TlsTicketsTest() {
        pier::test::make_certificate(files_, 30);
        tls_ = load();
    }
    std::unique_ptr<Tls> load() {
        auto tls = Tls::load({files_.certificate, files_.key}, [this] { return now_; });
        return tls ? std::move(*tls) : nullptr;
    }

    // A connection; the ticket that the client has afterwards.
    Session connect(const Tls& tls, SSL_SESSION* session, bool expect_resumed) {
        Pair pair(tls, clients_, session);
        EXPECT_TRUE(pair.handshake());
        EXPECT_EQ(pair.resumed(), expect_resumed);
        EXPECT_EQ(pair.server().text().ends_with("+resumed"), expect_resumed);
        pair.server_writes("+OK ready\r\n");
        EXPECT_EQ(pair.server().flush(), TlsStream::Step::done);
        pair.client_receives();
        EXPECT_EQ(pair.client_reads(), "+OK ready\r\n");
        auto ticket = clients_.take_ticket();
        // OpenSSL's clients of TLS 1.2 keep a replaced ticket without saying so.
        return ticket ? std::move(ticket) : pair.client_session();
    }

    pier::test::CertificateFiles files_;
    Time now_ = system_now();
    std::unique_ptr<Tls> tls_;
    Clients clients_{GetParam()};
};

TEST_P(TlsTicketsTest, AClientThatComesBackIsResumed) {
    const auto ticket = connect(*tls_, nullptr, false);
    ASSERT_TRUE(ticket);
    connect(*tls_, ticket.get(), true);
}

TEST_P(TlsTicketsTest, EachTls13ConnectionGetsOneTicketToUseOnce) {
    auto ticket = connect(*tls_, nullptr, false);
    EXPECT_EQ(clients_.tickets, 1);
    for (int visit = 2; visit <= 4; ++visit) {
        ticket = connect(*tls_, ticket.get(), true);
        EXPECT_EQ(clients_.tickets, GetParam() == TLS1_3_VERSION ? visit : 1);
    }
}

TEST_P(TlsTicketsTest, TicketsAreGoodAfterAReload) {
    const auto ticket = connect(*tls_, nullptr, false);
    pier::test::make_certificate(files_, 60);
    ASSERT_TRUE(tls_->reload({files_.certificate, files_.key}).has_value());
    connect(*tls_, ticket.get(), true);
}

TEST_P(TlsTicketsTest, ATicketOfAnEarlierKeyIsGoodAndReplaced) {
    const auto first = connect(*tls_, nullptr, false);
    now_ += TlsTickets::lifetime;
    const auto second = connect(*tls_, first.get(), true);
    ASSERT_TRUE(second);
    now_ += TlsTickets::lifetime;
    connect(*tls_, first.get(), false);  // its key is gone
    connect(*tls_, second.get(), true);
}

TEST_P(TlsTicketsTest, NoTicketOutlivesTwoTurns) {
    const auto ticket = connect(*tls_, nullptr, false);
    now_ += 2 * TlsTickets::lifetime;
    connect(*tls_, ticket.get(), false);
}

TEST_P(TlsTicketsTest, AClockThatIsSetBackChangesNothing) {
    const auto ticket = connect(*tls_, nullptr, false);
    now_ -= hours(48);
    connect(*tls_, ticket.get(), true);
}

TEST_P(TlsTicketsTest, ATicketOfAnotherServerGivesAFullHandshake) {
    const auto ticket = connect(*tls_, nullptr, false);
    const auto other = load();
    ASSERT_TRUE(other);
    connect(*other, ticket.get(), false);
}

TEST_P(TlsTicketsTest, ATicketSaysToTheClientHowLongItIsGood) {
    const auto ticket = connect(*tls_, nullptr, false);
    EXPECT_EQ(SSL_SESSION_get_ticket_lifetime_hint(ticket.get()),
              static_cast<unsigned long>(std::chrono::seconds(TlsTickets::lifetime).count()));
}

TEST_P(TlsTicketsTest, AllThreadsKnowAllTicketsWhileTheCertificateIsReloaded) {
    constexpr int threads = 4, visits = 20;
    std::atomic<int> resumed = 0;
    std::vector<std::thread> loops;
    for (int thread = 0; thread < threads; ++thread) {
        loops.emplace_back([&] {
            Clients clients(GetParam());
            Session ticket;
            for (int visit = 0; visit < visits; ++visit) {
                Pair pair(*tls_, clients, ticket.get());
                EXPECT_TRUE(pair.handshake());
                EXPECT_EQ(pair.server().flush(), TlsStream::Step::done);
                pair.client_receives();
                pair.client_reads();
                resumed += pair.resumed();
                if (auto next = clients.take_ticket()) ticket = std::move(next);
            }
        });
    }
    for (int reload = 0; reload < 5; ++reload)
        EXPECT_TRUE(tls_->reload({files_.certificate, files_.key}).has_value());
    for (auto& loop : loops)
        loop.join();
    EXPECT_EQ(resumed, threads * (visits - 1));

    const auto ticket = connect(*tls_, nullptr, false);
    std::thread([&] { connect(*tls_, ticket.get(), true); }).join();
}

TEST_P(TlsTicketsTest, AResumedSessionHasForwardSecrecy) {
    const auto ticket = connect(*tls_, nullptr, false);
    Pair pair(*tls_, clients_, ticket.get());
    ASSERT_TRUE(pair.handshake());
    EXPECT_TRUE(pair.resumed());
    // RFC 8446 §2.2: with (EC)DHE beside the ticket, whoever gets the ticket's key later reads nothing.
    // TLS 1.2 cannot.
    if (GetParam() == TLS1_3_VERSION) {
        EXPECT_TRUE(pair.client_used_a_key_exchange());
    }
}

TEST_P(TlsTicketsTest, NodesWithOneFileOfKeysResumeEachOthersSessions) {
    const std::string file = files_.folder + "/ticket.keys";
    ASSERT_TRUE(rotate_tls_ticket_keys(file, 2, now_).has_value());
    TlsSettings settings{{files_.certificate, files_.key}};
    settings.ticket_keys = file;
    const auto here = std::move(*Tls::load(settings)), there = std::move(*Tls::load(settings));
    auto ticket = connect(*here, nullptr, false);
    ticket = connect(*there, ticket.get(), true);

    // One node has the new key already, the other not yet: what it knows still opens.
    ASSERT_TRUE(rotate_tls_ticket_keys(file, 2, now_).has_value());
    ASSERT_TRUE(there->reload(settings).has_value());
    ticket = connect(*there, ticket.get(), true);
    connect(*here, ticket.get(), false);
    ASSERT_TRUE(here->reload(settings).has_value());
    ticket = connect(*here, ticket.get(), true);

    // After enough turns the key is gone.
    ASSERT_TRUE(rotate_tls_ticket_keys(file, 0, now_).has_value());
    ASSERT_TRUE(here->reload(settings).has_value());
    connect(*here, ticket.get(), false);
}

TEST_P(TlsTicketsTest, AFileOfKeysThatIsWrongChangesNothing) {
    const std::string file = files_.folder + "/ticket.keys";
    ASSERT_TRUE(rotate_tls_ticket_keys(file, 2, now_).has_value());
    TlsSettings settings{{files_.certificate, files_.key}};
    settings.ticket_keys = file;
    const auto tls = std::move(*Tls::load(settings));
    const auto ticket = connect(*tls, nullptr, false);
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    EXPECT_FALSE(tls->reload(settings).has_value());
    EXPECT_FALSE(Tls::load(settings).has_value());
    connect(*tls, ticket.get(), true);
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsTicketsTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                             return version.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

}  // namespace
}  // namespace pier::net
