#include "serve/mail_sender.h"

#include <algorithm>
#include <string>

#include "wire/dots.h"
#include "wire/top.h"

namespace pier::serve {
namespace {

using What = SendOutcome::What;
using net::Connection;

// Below this one copy costs less than the two extra system calls of sendfile.
constexpr std::uint64_t sendfile_octets_min = 16 * 1024;

net::Task<Result<std::size_t>> read_body(Connection& connection, boost::asio::thread_pool& pool,
                                         store::Body& body, std::uint64_t offset, std::span<char> out) {
    auto n = body.read(offset, out, store::Wait::no_wait);
    if (n || n.error().kind != ErrorKind::busy) co_return n;
    co_return co_await net::on_pool(connection.loop(), pool,
                                    [&] { return body.read(offset, out, store::Wait::may_block); });
}

net::Task<Result<void>> verify_body(Connection& connection, boost::asio::thread_pool& pool,
                                    store::Body& body) {
    auto verified = body.verify(store::Wait::no_wait);
    if (verified || verified.error().kind != ErrorKind::busy) co_return verified;
    co_return co_await net::on_pool(connection.loop(), pool,
                                    [&] { return body.verify(store::Wait::may_block); });
}

net::Task<Result<void>> send_untouched(Connection& connection, const store::Body& body,
                                       std::string_view reply, std::string_view end) {
    const auto file = *body.file();
    if (auto r = co_await connection.write(reply, Connection::More::follows); !r) co_return r;
    if (auto r = co_await connection.send_file(file.fd, file.offset, body.octets()); !r) co_return r;
    co_return co_await connection.write(end);
}

net::Task<Result<void>> send_blocks(Connection& connection, boost::asio::thread_pool& pool, store::Body& body,
                                    std::optional<std::uint64_t> body_lines, std::string_view reply) {
    net::EventLoop::Block block(connection.loop());
    wire::DotStuffer stuffer;
    std::optional<wire::TopCutter> top;
    if (body_lines) top.emplace(*body_lines);
    std::string out(reply);
    const auto gather = [&out](std::string_view piece) { out += piece; };
    for (std::uint64_t offset = 0; offset < body.octets() && !(top && top->done());) {
        const auto n = co_await read_body(connection, pool, body, offset, block.span());
        if (!n) co_return n.error();
        if (*n == 0) co_return Error{ErrorKind::corrupt, "the stored message ends before its time"};
        std::string_view octets(block.span().data(), *n);
        offset += *n;
        if (top) octets = octets.substr(0, top->feed(octets));
        stuffer.feed(octets, gather);
        const bool last = offset >= body.octets() || (top && top->done());
        if (last) break;
        if (auto r = co_await connection.write(out, Connection::More::follows); !r) co_return r;
        out.clear();
    }
    stuffer.finish(gather);
    co_return co_await connection.write(out);
}

}  // namespace

net::Task<SendOutcome> send_mail(Connection& connection, boost::asio::thread_pool& pool, store::Body& body,
                                 std::optional<std::uint64_t> body_lines, std::string_view reply) {
    if (auto verified = co_await verify_body(connection, pool, body); !verified)
        co_return SendOutcome{What::refused, verified.error()};

    const bool untouched = !body_lines && !body.has_dot_lines() && !connection.tls() &&
                           body.file().has_value() && body.octets() >= sendfile_octets_min;
    Result<void> sent;
    if (untouched) {
        char tail[2] = {};
        const auto n = co_await read_body(connection, pool, body, body.octets() - 2, tail);
        if (!n) co_return SendOutcome{What::refused, n.error()};
        const bool complete = tail[0] == '\r' && tail[1] == '\n';
        sent = co_await send_untouched(connection, body, reply, complete ? ".\r\n" : "\r\n.\r\n");
    } else {
        sent = co_await send_blocks(connection, pool, body, body_lines, reply);
    }
    if (!sent) co_return SendOutcome{What::broken, sent.error()};
    co_return SendOutcome{What::sent, {}};
}

}  // namespace pier::serve
