#include "serve/lmtp_driver.h"

#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "serve/feed.h"

namespace pier::serve {
namespace {

using net::Connection;
using net::Task;

constexpr int actions_in_a_row_max = 64;  // then others on the loop have their turn

class Driver {
  public:
    Driver(Connection& connection, LmtpService& service, const std::string& listener)
        : connection_(connection),
          service_(service),
          listener_(listener),
          session_(service.settings.limits, smtp::Facts{smtp::Kind::lmtp, service.settings.hostname}) {}

    Task<void> run() {
        connection_.set_idle_timeout(service_.settings.idle_timeout);
        for (int in_a_row = 0;; ++in_a_row) {
            smtp::Action action = session_.next();
            if (std::holds_alternative<smtp::Close>(action)) break;
            // Here and not in perform(): a session waits here most of its life, and holds one frame less.
            if (std::holds_alternative<smtp::NeedInput>(action)) {
                in_a_row = 0;
                end_ = feed(session_, co_await connection_.read());
                continue;
            }
            if (in_a_row >= actions_in_a_row_max) {
                in_a_row = 0;
                co_await net::yield(connection_.loop());
            }
            if (!co_await perform(action)) break;
        }
        spool_.reset();
        const auto& counts = session_.counts();
        log::info("lmtp.end", {{"peer", connection_.peer().text()},
                               {"listener", listener_},
                               {"end", end_},
                               {"commands", counts.commands},
                               {"messages", counts.messages},
                               {"octets_in", connection_.octets_in()}});
        co_await connection_.close(end_ == "quit" ? Connection::Unread::unlikely
                                                  : Connection::Unread::likely);
    }

  private:
    // False: the connection is of no more use.
    Task<bool> perform(smtp::Action& action) {
        if (auto* write = std::get_if<smtp::Write>(&action)) {
            if (auto r = co_await connection_.write(write->text); !r) {
                end_ = end_of(r.error());
                session_.on_eof();
                co_return false;
            }
        } else if (auto* recipient = std::get_if<smtp::Recipient>(&action)) {
            on_recipient(recipient->address);
        } else if (auto* begin = std::get_if<smtp::BeginMessage>(&action)) {
            on_begin(std::move(*begin));
        } else if (auto* chunk = std::get_if<smtp::Chunk>(&action)) {
            session_.on_chunk(co_await keep(std::move(chunk->octets)));
        } else if (std::holds_alternative<smtp::EndMessage>(action)) {
            session_.on_end(co_await deliver());
        } else if (std::holds_alternative<smtp::AbandonMessage>(action)) {
            spool_.reset();
            connection_.set_worth_finishing(false);
        }
        co_return true;
    }

    void on_recipient(const smtp::Address& address) {
        auto resolved = service_.delivery.resolve(address);
        if (!resolved.reply.positive())
            log::info("lmtp.recipient.refused", {{"recipient", address.text()},
                                                 {"peer", connection_.peer().text()},
                                                 {"code", resolved.reply.code},
                                                 {"reason", resolved.reply.text}});
        session_.on_recipient(std::move(resolved.reply));
    }

    void on_begin(smtp::BeginMessage begin) {
        envelope_ = {};
        envelope_.helo = std::move(begin.helo);
        const auto& peer = connection_.peer();
        envelope_.peer = peer.is_unix() ? "unix" : fmt::format("[{}]", peer.address.to_string());
        envelope_.with = begin.utf8 ? "UTF8LMTP" : "LMTP";
        envelope_.sender = std::move(begin.sender);
        if (begin.recipients.size() == 1) envelope_.recipient = begin.recipients.front().text();
        recipients_.clear();
        // Resolved again, so that nothing is kept for recipients of transactions that never come to their
        // data.
        for (const auto& recipient : begin.recipients)
            recipients_.push_back(service_.delivery.resolve(recipient).accounts);
        spool_ = service_.store.new_spool();
        connection_.set_worth_finishing(true);
        session_.on_begin(std::nullopt);
    }

    Task<std::optional<smtp::Reply>> keep(std::string octets) {
        Result<void> written;
        if (spool_->octets() + octets.size() <= service_.settings.spool_memory_octets) {
            written = spool_->write(octets);
        } else {
            written = co_await net::on_pool(connection_.loop(), service_.disk_pool,
                                            [&] { return spool_->write(octets); });
        }
        if (written) co_return std::nullopt;
        co_return service_.delivery.spool_refusal(written.error());
    }

    Task<std::vector<smtp::Reply>> deliver() {
        const std::uint64_t octets = spool_->octets();
        auto replies = co_await net::completion<std::vector<smtp::Reply>>(connection_.loop(), [&](auto done) {
            service_.delivery.deliver(envelope_, std::move(recipients_), std::move(spool_), std::move(done));
        });
        connection_.set_worth_finishing(false);
        std::uint64_t delivered = 0;
        for (const auto& reply : replies) {
            if (reply.positive()) {
                ++delivered;
            } else {
                log::warning("lmtp.refused", {{"sender", envelope_.sender.text()},
                                              {"peer", connection_.peer().text()},
                                              {"code", reply.code},
                                              {"reason", reply.text}});
            }
        }
        log::info("lmtp.message", {{"sender", envelope_.sender.text()},
                                   {"peer", connection_.peer().text()},
                                   {"recipients", replies.size()},
                                   {"delivered", delivered},
                                   {"octets", octets}});
        ++service_.messages;
        service_.recipients += delivered;
        service_.octets += octets;
        co_return replies;
    }

    Connection& connection_;
    LmtpService& service_;
    const std::string& listener_;
    smtp::Session session_;
    std::vector<delivery::Accounts> recipients_;
    delivery::Envelope envelope_;
    std::unique_ptr<store::Spool> spool_;
    std::string_view end_ = "quit";
};

}  // namespace

Task<void> serve_lmtp(Connection& connection, LmtpService& service, const std::string& listener) {
    Driver driver(connection, service, listener);
    co_await driver.run();
}

}  // namespace pier::serve
