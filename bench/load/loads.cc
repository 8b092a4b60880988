#include "load/loads.h"

#include <memory>

#include <fmt/format.h>

#include "load/lmtp_client.h"
#include "load/message.h"
#include "load/pop3_client.h"
#include "load/stop.h"

namespace load {
namespace {

Task<> one_session(Pop3Client& client) {
    co_await client.open();
    co_await client.login();
    co_await client.stat();
    const bool must_be_empty = client.run.options.load == Load::poll;
    if (must_be_empty && client.messages() != 0) {
        throw Stop(fmt::format("poll is of empty maildrops, but {} holds {} messages; use session",
                               client.run.user(client.slot).name, client.messages()));
    }
    co_await client.uidl();
    client.check_uidl();
    co_await client.quit();
}

// session, poll. An operation is a session, from connect until the server has closed.
Task<> sessions(Run& run, std::size_t slot) {
    Pop3Client client(run, slot);
    // The first one is not counted: it makes the TLS session that later ones resume, and the client's SCRAM
    // keys.
    co_await one_session(client);
    co_await run.ready();
    while (run.more(slot)) {
        const auto began = SteadyClock::now();
        co_await one_session(client);
        run.count(began, 0);
    }
}

Task<> open_maildrop(Pop3Client& client) {
    co_await client.open();
    co_await client.login();
    co_await client.stat();
    co_await client.list();
    if (client.messages() == 0) {
        throw Stop(fmt::format("the maildrop of {} is empty; fill it with: pier_load deliver",
                               client.run.user(client.slot).name));
    }
}

// retr. An operation is a RETR, from the sending of its batch to the terminator.
Task<> retrieve(Run& run, std::size_t slot) {
    Pop3Client client(run, slot);
    co_await open_maildrop(client);
    co_await run.ready();
    std::string commands;
    std::uint64_t last = 0;
    while (true) {
        const std::uint64_t before = last;
        std::uint64_t batch = 0;
        commands.clear();
        while (batch < run.options.pipeline && run.more(slot)) {
            last = last % client.messages() + 1;
            ++batch;
            fmt::format_to(std::back_inserter(commands), "RETR {}\r\n", last);
        }
        if (batch == 0) break;
        const auto began = SteadyClock::now();
        co_await client.send(commands);
        for (std::uint64_t i = 0; i < batch; ++i) {
            const std::uint64_t octets = co_await client.read_message((before + i) % client.messages() + 1);
            run.count(began, octets);
        }
    }
    co_await client.quit();
}

// drain. An operation is RETR and DELE of a message; the time includes QUIT, which is where the server
// removes.
Task<> drain(Run& run, std::size_t slot) {
    Pop3Client client(run, slot);
    co_await open_maildrop(client);
    co_await run.ready();
    std::string commands;
    for (std::uint64_t first = 1; first <= client.messages();) {
        const std::uint64_t end = std::min(first + run.options.pipeline, client.messages() + 1);
        const bool one_by_one = run.options.pipeline == 1;
        commands.clear();
        for (std::uint64_t number = first; number < end; ++number) {
            fmt::format_to(std::back_inserter(commands), "RETR {}\r\n", number);
            if (!one_by_one) fmt::format_to(std::back_inserter(commands), "DELE {}\r\n", number);
        }
        const auto began = SteadyClock::now();
        co_await client.send(commands);
        for (std::uint64_t number = first; number < end; ++number) {
            const std::uint64_t octets = co_await client.read_message(number);
            commands = fmt::format("DELE {}\r\n", number);
            if (one_by_one) co_await client.send(commands);
            co_await client.read_ok("DELE");
            run.count(began, octets);
        }
        first = end;
    }
    co_await client.quit();
    run.extend_to(client.quit_answered_at);
}

// deliver. An operation is a message, from MAIL to the answer to its end.
Task<> deliver(Run& run, std::size_t slot) {
    LmtpClient client(run, slot);
    co_await client.open();
    MessageMaker maker(run.options.seed);
    std::vector<std::uint64_t> sizes{run.options.message_octets};
    if (run.options.message_octets == 0)
        sizes = realistic_sizes_octets(*run.options.count, run.options.seed + slot);
    co_await run.ready();
    const std::string recipient = run.user(slot).name;
    for (std::uint64_t number = 0; run.more(slot); ++number) {
        const std::uint64_t octets = sizes[number % sizes.size()];
        const std::string_view message = maker.make(slot * 1'000'000'000 + number, octets, recipient);
        const auto began = SteadyClock::now();
        co_await client.deliver(recipient, message);
        run.count(began, message.size());
    }
    co_await client.quit();
}

// idle. Logs in and waits until all have, and as long as they are held; an operation is the NOOP that shows
// that the connection has been kept.
Task<> idle(Run& run, std::size_t slot) {
    Pop3Client client(run, slot);
    co_await run.enter();
    co_await client.open();
    co_await client.login();
    client.rest();
    run.leave();
    co_await run.all_there();
    co_await run.ready();
    co_await run.enter();
    const auto began = SteadyClock::now();
    co_await client.noop();
    run.count(began, 0);
    co_await client.quit();
    run.leave();
}

// bigbox. An operation is from PASS to the end of UIDL, with nothing before it that would open the maildrop.
Task<> open_big(Run& run, std::size_t slot) {
    Pop3Client client(run, slot);
    co_await run.ready();
    while (run.more(slot)) {
        co_await client.open();
        co_await client.begin_login();
        const auto began = SteadyClock::now();
        co_await client.end_login();
        co_await client.uidl();
        run.count(began, 0);
        co_await client.stat();
        client.check_uidl();
        co_await client.quit();
    }
}

}  // namespace

Task<> connection(Run& run, std::size_t slot) {
    switch (run.options.load) {
        case Load::session:
        case Load::poll:
            return sessions(run, slot);
        case Load::retr:
            return retrieve(run, slot);
        case Load::drain:
            return drain(run, slot);
        case Load::deliver:
            return deliver(run, slot);
        case Load::idle:
            return idle(run, slot);
        case Load::bigbox:
            return open_big(run, slot);
    }
    throw Stop("no such load");
}

}  // namespace load
