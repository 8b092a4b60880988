#include "serve/mail_sender.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "wire/dots.h"
#include "wire/top.h"

namespace pier::serve {
namespace {

using What = SendOutcome::What;
using net::Connection;
using SteadyTime = std::chrono::steady_clock::time_point;

// Up to here one copy costs less than the two further system calls of sendfile.
constexpr std::uint64_t copied_octets_max = 32 * 1024;

// The line that ends a message, and the line end that the message itself may lack.
constexpr std::string_view end_line = ".\r\n", end_of_incomplete = "\r\n.\r\n";

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

std::string_view end_for(const store::Body& body) {
    return body.complete() ? end_line : end_of_incomplete;
}

// What is left of a message from `offset` on, without a copy in this process, and its end.
net::Task<Result<void>> send_from_file(Connection& connection, store::FileRange file, std::uint64_t octets,
                                       std::uint64_t offset, std::string_view end) {
    if (auto r = co_await connection.send_file(file.fd, file.offset + offset, octets - offset); !r)
        co_return r;
    co_return co_await connection.write(end);
}

// As one TLS record. The pieces must fit into a block.
net::Task<Result<void>> send_copied(Connection& connection, std::string_view reply, std::string_view payload,
                                    std::string_view end) {
    net::EventLoop::Block block(connection.loop());
    const auto buffer = block.span();
    std::size_t used = 0;
    for (const std::string_view piece : {reply, payload, end})
        used += piece.copy(buffer.data() + used, buffer.size() - used);
    co_return co_await connection.write({buffer.data(), used});
}

// A message that fits into the buffer of the loop: one access to the disk and one to the network. What the
// network does not take at once is sent from the file, so that a slow reader holds no memory. Absent: not
// done, for want of a buffer or because the octets have to come from the disk first.
net::Task<std::optional<Result<void>>> send_at_once(Connection& connection, store::Body& body,
                                                    std::string_view reply, SteadyTime& ready) {
    const auto payload = body.load(connection.loop().read_buffer(), store::Wait::no_wait);
    if (!payload || !body.file()) co_return std::nullopt;
    ready = std::chrono::steady_clock::now();
    const std::string_view end = end_for(body);
    if (connection.tls()) co_return co_await send_copied(connection, reply, *payload, end);
    const std::array pieces{reply, *payload, end};
    const auto sent = connection.write_now(pieces);
    if (!sent) co_return Result<void>(sent.error());
    const std::uint64_t before_end = reply.size() + body.octets();
    if (*sent < reply.size()) {
        if (auto r = co_await connection.write(reply.substr(*sent)); !r) co_return r;
    }
    if (*sent < before_end) {
        const std::uint64_t offset = std::max<std::uint64_t>(*sent, reply.size()) - reply.size();
        co_return co_await send_from_file(connection, *body.file(), body.octets(), offset, end);
    }
    co_return co_await connection.write(end.substr(static_cast<std::size_t>(*sent - before_end)));
}

// Where sendfile(2) cannot be used and yet no octet has to be touched: with TLS. One piece is one record.
net::Task<Result<void>> send_blocks(Connection& connection, boost::asio::thread_pool& pool, store::Body& body,
                                    std::string_view reply, std::string_view end) {
    std::string_view front = reply;
    for (std::uint64_t offset = 0; offset < body.octets();) {
        // The loop's own buffer: what is not written at once is read again, so that a slow reader holds
        // nothing.
        const auto buffer = connection.loop().read_buffer();
        const std::size_t used = front.copy(buffer.data(), buffer.size());
        const auto n = body.read(offset, buffer.subspan(used), store::Wait::no_wait);
        if (!n && n.error().kind == ErrorKind::busy) {
            net::EventLoop::Block block(connection.loop());  // only to have them read from the disk
            const auto fetched = co_await read_body(connection, pool, body, offset, block.span());
            if (!fetched) co_return fetched.error();
            continue;
        }
        if (!n) co_return n.error();
        if (*n == 0) co_return Error{ErrorKind::corrupt, "the stored message ends before its time"};
        const auto written = connection.write_some({buffer.data(), used + *n});
        if (!written) co_return written.error();
        const std::size_t of_front = std::min(*written, front.size());
        front.remove_prefix(of_front);
        offset += *written - of_front;
        if (*written < used + *n) {
            if (auto r = co_await connection.room(); !r) co_return r;
        }
    }
    co_return co_await connection.write(std::string(front) + std::string(end));
}

// What the socket takes of the pieces at once, and the rest from a copy: what they point into may be gone by
// then.
net::Task<Result<void>> write_pieces(Connection& connection, std::span<const std::string_view> pieces) {
    std::uint64_t sent = 0;
    if (pieces.size() <= Connection::pieces_max) {
        const auto taken = connection.write_now(pieces);
        if (!taken) co_return taken.error();
        sent = *taken;
    }
    std::string rest;
    for (std::string_view piece : pieces) {
        const auto skip = std::min<std::uint64_t>(sent, piece.size());
        sent -= skip;
        rest += piece.substr(static_cast<std::size_t>(skip));
    }
    co_return co_await connection.write(rest, Connection::More::none);
}

// A whole message with dots in front of some lines, without TLS: in large pieces, and not copied where it
// need not be.
net::Task<Result<void>> send_stuffed(Connection& connection, boost::asio::thread_pool& pool,
                                     store::Body& body, std::string_view reply) {
    wire::DotStuffer stuffer;
    std::vector<std::string_view> pieces{reply};
    const auto add = [&pieces](std::string_view piece) { pieces.push_back(piece); };
    for (std::uint64_t offset = 0; offset < body.octets();) {
        std::optional<net::EventLoop::Block> block;  // when the loop's own buffer cannot be kept
        std::span<char> buffer = connection.loop().read_buffer();
        auto n = body.read(offset, buffer, store::Wait::no_wait);
        if (!n && n.error().kind == ErrorKind::busy) {
            buffer = block.emplace(connection.loop()).span();
            n = co_await read_body(connection, pool, body, offset, buffer);
        }
        if (!n) co_return n.error();
        if (*n == 0) co_return Error{ErrorKind::corrupt, "the stored message ends before its time"};
        offset += *n;
        stuffer.feed({buffer.data(), *n}, add);
        if (offset >= body.octets()) stuffer.finish(add);
        if (auto r = co_await write_pieces(connection, pieces); !r) co_return r;
        pieces.clear();
    }
    co_return Result<void>();
}

net::Task<Result<void>> send_edited(Connection& connection, boost::asio::thread_pool& pool, store::Body& body,
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
    const bool edited = body_lines || body.has_dot_lines();
    const std::uint64_t at_once_octets_max =
        connection.tls() ? net::EventLoop::Block::octets - reply.size() - end_of_incomplete.size()
                         : copied_octets_max;
    SteadyTime ready{};
    if (!edited && body.octets() <= at_once_octets_max) {
        const auto sent = co_await send_at_once(connection, body, reply, ready);
        if (sent)
            co_return *sent ? SendOutcome{What::sent, {}, ready} : SendOutcome{What::broken, sent->error()};
    }
    if (auto verified = co_await verify_body(connection, pool, body); !verified)
        co_return SendOutcome{What::refused, verified.error()};

    ready = std::chrono::steady_clock::now();
    Result<void> sent;
    if (!body_lines && body.has_dot_lines() && !connection.tls()) {
        sent = co_await send_stuffed(connection, pool, body, reply);
    } else if (edited) {
        sent = co_await send_edited(connection, pool, body, body_lines, reply);
    } else {
        const auto end = end_for(body);
        if (connection.tls() || !body.file()) {
            sent = co_await send_blocks(connection, pool, body, reply, end);
        } else {
            sent = co_await connection.write(reply, Connection::More::follows);
            if (sent) sent = co_await send_from_file(connection, *body.file(), body.octets(), 0, end);
        }
    }
    if (!sent) co_return SendOutcome{What::broken, sent.error()};
    co_return SendOutcome{What::sent, {}, ready};
}

}  // namespace pier::serve
