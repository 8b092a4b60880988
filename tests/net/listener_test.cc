#include "net/listener.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace pier::net {
namespace {

const Endpoint any_loopback{boost::asio::ip::make_address("127.0.0.1"), 0, ""};

TEST(ListenSocketsTest, OneSocketPerLoopOnTheSamePort) {
    auto sockets = ListenSockets::bind(any_loopback, 3);
    ASSERT_TRUE(sockets.has_value()) << sockets.error().text;
    EXPECT_EQ(sockets->fds().size(), 3u);
    EXPECT_NE(sockets->local().port, 0);
}

TEST(ListenSocketsTest, ATakenPortIsRefusedAndTheTextSaysHowToFindTheHolder) {
    auto first = ListenSockets::bind(any_loopback, 2);
    ASSERT_TRUE(first.has_value());
    auto second = ListenSockets::bind(first->local(), 2);
    ASSERT_TRUE(second.has_error());
    EXPECT_NE(second.error().text.find("ss -ltnp"), std::string::npos) << second.error().text;
}

TEST(ListenSocketsTest, AUnixSocketLeftBehindIsReplacedAndALiveOneIsNot) {
    char folder[] = "/tmp/pier-test-XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    const Endpoint where{{}, 0, std::string(folder) + "/lmtp"};
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        where.unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
        const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
        ASSERT_EQ(::bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        ::close(dead);
    }
    {
        auto sockets = ListenSockets::bind(where, 2, 0600);
        ASSERT_TRUE(sockets.has_value()) << sockets.error().text;
        struct stat status {};
        ASSERT_EQ(::stat(where.unix_path.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600u);
        auto second = ListenSockets::bind(where, 1);
        ASSERT_TRUE(second.has_error());
        EXPECT_EQ(second.error().kind, ErrorKind::busy);
    }
    EXPECT_FALSE(std::filesystem::exists(where.unix_path));
    std::filesystem::remove_all(folder);
}

TEST(ListenSocketsTest, APathThatIsTooLongIsRefused) {
    auto sockets = ListenSockets::bind({{}, 0, "/tmp/" + std::string(200, 'x')}, 1);
    ASSERT_TRUE(sockets.has_error());
    EXPECT_EQ(sockets.error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace pier::net
