// Connections over socket pairs: what is written arrives, waits end when they should, TLS carries everything.
#include "net/connection.h"

#include <chrono>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/certificate.h"

namespace pier::net {
namespace {

// A loop on this thread with one connection; the other end is a plain blocking socket for the test's own
// thread.
class ConnectionTest : public testing::Test {
  protected:
    ConnectionTest() {
        int pair[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        ::fcntl(pair[0], F_SETFL, O_NONBLOCK);
        server_fd_ = pair[0];
        client_ = pair[1];
    }
    ~ConnectionTest() override {
        if (client_ >= 0) ::close(client_);
    }

    // Runs `session` on a connection to its end, while `client` runs on a thread of its own.
    template <class Session, class Client>
    void run(Session session, Client client) {
        std::thread peer(client);
        const auto whole = [&]() -> Task<void> {
            {
                Connection connection(loop_, server_fd_, Endpoint{{}, 0, "test"}, Endpoint{{}, 0, "test"});
                co_await session(connection);
            }
            loop_.stop();
        };
        spawn(loop_, whole());
        loop_.run();
        peer.join();
    }

    std::string receive_all() {
        std::string all;
        char buffer[65536];
        while (true) {
            const ssize_t n = ::read(client_, buffer, sizeof buffer);
            if (n <= 0) return all;
            all.append(buffer, static_cast<std::size_t>(n));
        }
    }

    EventLoop loop_;
    int server_fd_ = -1, client_ = -1;
};

TEST_F(ConnectionTest, ReadsWhatComesAndThenTheEnd) {
    std::string got;
    bool ended = false;
    run(
        [&](Connection& connection) -> Task<void> {
            while (true) {
                auto octets = co_await connection.read();
                EXPECT_TRUE(octets.has_value());
                if (!octets || octets->empty()) break;
                got += *octets;
            }
            ended = true;
        },
        [&] {
            EXPECT_EQ(::write(client_, "USER ada\r\n", 10), 10);
            ::shutdown(client_, SHUT_WR);
        });
    EXPECT_EQ(got, "USER ada\r\n");
    EXPECT_TRUE(ended);
}

TEST_F(ConnectionTest, ALargeWriteWaitsForASlowReader) {
    const std::string large(8 << 20, 'x');
    std::string got;
    run(
        [&](Connection& connection) -> Task<void> {
            auto written = co_await connection.write(large);
            EXPECT_TRUE(written.has_value());
            EXPECT_EQ(connection.octets_out(), large.size());
        },
        [&] { got = receive_all(); });
    EXPECT_EQ(got, large);
}

TEST_F(ConnectionTest, SendsPartOfAFile) {
    char name[] = "/tmp/pier-test-file-XXXXXX";
    const int file = ::mkstemp(name);
    ASSERT_GE(file, 0);
    ::unlink(name);
    std::string content;
    for (int i = 0; i < 200'000; ++i)
        content += static_cast<char>('a' + i % 26);
    ASSERT_EQ(::write(file, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    std::string got;
    run(
        [&](Connection& connection) -> Task<void> {
            EXPECT_TRUE((co_await connection.send_file(file, 1000, 150'000)).has_value());
            // Asked for more than the file has: a failure and not an endless loop.
            auto beyond = co_await connection.send_file(file, content.size() - 5, 10);
            EXPECT_TRUE(beyond.has_error());
            EXPECT_EQ(beyond.error().kind, ErrorKind::corrupt);
        },
        [&] { got = receive_all(); });
    EXPECT_EQ(got, content.substr(1000, 150'000) + content.substr(content.size() - 5));
    ::close(file);
}

TEST_F(ConnectionTest, AReadEndsAtTheDeadline) {
    run(
        [&](Connection& connection) -> Task<void> {
            connection.set_deadline(std::chrono::seconds(0));
            auto octets = co_await connection.read();
            EXPECT_TRUE(octets.has_error());
            EXPECT_EQ(octets.error().kind, ErrorKind::busy);
        },
        [] {});
}

TEST_F(ConnectionTest, AWriteToAPeerThatNeverReadsEndsAtTheDeadline) {
    const std::string large(8 << 20, 'x');
    run(
        [&](Connection& connection) -> Task<void> {
            connection.set_idle_timeout(std::chrono::seconds(1));
            auto written = co_await connection.write(large);
            EXPECT_TRUE(written.has_error());
            EXPECT_EQ(written.error().kind, ErrorKind::busy);
        },
        [] {});
}

TEST_F(ConnectionTest, AShutdownEndsReadsButLetsWritesFinish) {
    std::string got;
    run(
        [&](Connection& connection) -> Task<void> {
            connection.wake(Connection::Woken::shutdown);
            auto octets = co_await connection.read();
            EXPECT_TRUE(octets.has_error());
            EXPECT_EQ(octets.error().kind, ErrorKind::stopped);
            EXPECT_TRUE((co_await connection.write("-ERR stopping\r\n")).has_value());
        },
        [&] { got = receive_all(); });
    EXPECT_EQ(got, "-ERR stopping\r\n");
}

TEST_F(ConnectionTest, AWriteToAClosedPeerFails) {
    ::close(client_);
    client_ = -1;
    run(
        [&](Connection& connection) -> Task<void> {
            auto written = co_await connection.write("hello");
            EXPECT_TRUE(written.has_error());
            EXPECT_EQ(written.error().kind, ErrorKind::io);
        },
        [] {});
}

class TlsTest : public ConnectionTest {
  protected:
    void SetUp() override {
        test::make_certificate(files_, 30);
        auto tls = Tls::load({files_.certificate, files_.key});
        ASSERT_TRUE(tls.has_value()) << tls.error().text;
        tls_ = std::move(*tls);
        client_context_ = SSL_CTX_new(TLS_client_method());
    }
    void TearDown() override { SSL_CTX_free(client_context_); }

    // The client's handshake on client_; null if it fails.
    SSL* connect() {
        SSL* ssl = SSL_new(client_context_);
        SSL_set_fd(ssl, client_);
        if (SSL_connect(ssl) == 1) return ssl;
        SSL_free(ssl);
        return nullptr;
    }

    test::CertificateFiles files_;
    std::unique_ptr<Tls> tls_;
    SSL_CTX* client_context_ = nullptr;
};

TEST_F(TlsTest, CarriesBothDirections) {
    const std::string large(3'000'000, 'y');
    std::string got;
    run(
        [&](Connection& connection) -> Task<void> {
            auto done = co_await connection.start_tls(*tls_, "pop3");
            EXPECT_TRUE(done.has_value());
            EXPECT_EQ(connection.tls_text().substr(0, 7), "TLSv1.3");
            auto octets = co_await connection.read();
            EXPECT_TRUE(octets.has_value());
            EXPECT_EQ(*octets, "CAPA\r\n");
            EXPECT_TRUE((co_await connection.write(large)).has_value());
            co_await connection.close(Connection::Unread::unlikely);
        },
        [&] {
            SSL* ssl = connect();
            ASSERT_NE(ssl, nullptr);
            EXPECT_EQ(SSL_write(ssl, "CAPA\r\n", 6), 6);
            char buffer[16384];
            int n = 0;
            while ((n = SSL_read(ssl, buffer, sizeof buffer)) > 0)
                got.append(buffer, static_cast<std::size_t>(n));
            SSL_free(ssl);
        });
    EXPECT_EQ(got, large);
}

TEST_F(TlsTest, APlaintextClientIsRefusedAndNothingIsEchoed) {
    run(
        [&](Connection& connection) -> Task<void> {
            auto done = co_await connection.start_tls(*tls_, "pop3");
            EXPECT_TRUE(done.has_error());
        },
        [&] {
            EXPECT_EQ(::write(client_, "GET / HTTP/1.0\r\n\r\n", 18), 18);
            const std::string answer = receive_all();
            EXPECT_EQ(answer.find("GET"), std::string::npos);
        });
}

TEST_F(TlsTest, OldVersionsAreRefused) {
    SSL_CTX_set_security_level(client_context_, 0);
    SSL_CTX_set_min_proto_version(client_context_, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(client_context_, TLS1_1_VERSION);
    run(
        [&](Connection& connection) -> Task<void> {
            EXPECT_TRUE((co_await connection.start_tls(*tls_, "pop3")).has_error());
        },
        [&] { EXPECT_EQ(connect(), nullptr); });
}

TEST_F(TlsTest, RenegotiationIsRefusedAndTheClientIsTold) {
    SSL_CTX_set_max_proto_version(client_context_, TLS1_2_VERSION);
    run(
        [&](Connection& connection) -> Task<void> {
            EXPECT_TRUE((co_await connection.start_tls(*tls_, "pop3")).has_value());
            EXPECT_TRUE((co_await connection.write("+OK\r\n")).has_value());
            (void)co_await connection.read();  // nothing of ours is written any more
        },
        [&] {
            const timeval limit{.tv_sec = 20, .tv_usec = 0};
            ::setsockopt(client_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
            SSL* ssl = connect();
            ASSERT_NE(ssl, nullptr);
            char buffer[16];
            EXPECT_EQ(SSL_read(ssl, buffer, sizeof buffer), 5);
            EXPECT_EQ(SSL_renegotiate(ssl), 1);
            ERR_clear_error();
            EXPECT_NE(SSL_do_handshake(ssl), 1);
            EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), SSL_R_NO_RENEGOTIATION);
            SSL_free(ssl);
        });
}

TEST_F(TlsTest, AWrongAlpnIsRefusedAndTheRightOneTaken) {
    static constexpr unsigned char imap[] = "\x04imap";
    SSL_CTX_set_alpn_protos(client_context_, imap, sizeof imap - 1);
    run(
        [&](Connection& connection) -> Task<void> {
            EXPECT_TRUE((co_await connection.start_tls(*tls_, "pop3")).has_error());
        },
        [&] { EXPECT_EQ(connect(), nullptr); });
}

TEST_F(TlsTest, AClientThatNamesPop3IsServed) {
    static constexpr unsigned char pop3[] = "\x04imap\x04pop3";
    SSL_CTX_set_alpn_protos(client_context_, pop3, sizeof pop3 - 1);
    run(
        [&](Connection& connection) -> Task<void> {
            EXPECT_TRUE((co_await connection.start_tls(*tls_, "pop3")).has_value());
        },
        [&] {
            SSL* ssl = connect();
            ASSERT_NE(ssl, nullptr);
            const unsigned char* name = nullptr;
            unsigned int length = 0;
            SSL_get0_alpn_selected(ssl, &name, &length);
            EXPECT_EQ(std::string(reinterpret_cast<const char*>(name), length), "pop3");
            SSL_free(ssl);
        });
}

TEST_F(TlsTest, ABrokenCertificateIsRefusedAndTheOldOneKept) {
    EXPECT_GE(tls_->days_left(), 29);
    test::make_certificate(files_, -1);  // expired
    auto reloaded = tls_->reload({files_.certificate, files_.key});
    ASSERT_TRUE(reloaded.has_error());
    EXPECT_NE(reloaded.error().text.find("expired"), std::string::npos);
    EXPECT_GE(tls_->days_left(), 29);

    test::make_certificate(files_, 60, 2);  // begins in two days
    reloaded = tls_->reload({files_.certificate, files_.key});
    ASSERT_TRUE(reloaded.has_error());
    EXPECT_NE(reloaded.error().text.find("not yet valid"), std::string::npos);
    EXPECT_LE(tls_->days_left(), 30);

    EXPECT_TRUE(Tls::load({files_.folder + "/none.pem", files_.key}).has_error());
    test::make_certificate(files_, 60);
    EXPECT_TRUE(tls_->reload({files_.certificate, files_.key}).has_value());
    EXPECT_GE(tls_->days_left(), 59);
}

TEST(EndpointTest, Texts) {
    EXPECT_EQ((Endpoint{boost::asio::ip::make_address("127.0.0.1"), 110, ""}).text(), "127.0.0.1:110");
    EXPECT_EQ((Endpoint{boost::asio::ip::make_address("::1"), 995, ""}).text(), "[::1]:995");
    EXPECT_EQ((Endpoint{{}, 0, "/run/pier/lmtp"}).text(), "unix:/run/pier/lmtp");
    EXPECT_EQ(network_of({boost::asio::ip::make_address("2001:db8:1:2:3:4:5:6"), 1, ""}),
              "2001:db8:1:2::/64");
    EXPECT_EQ(network_of({boost::asio::ip::make_address("::ffff:192.0.2.7"), 1, ""}), "192.0.2.7");
}

}  // namespace
}  // namespace pier::net
