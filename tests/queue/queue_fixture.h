// A queue on a real store in a folder of the test's, with a clock that the test moves and a world outside
// that the test plays.
#pragma once

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "queue/fake_transport.h"
#include "queue/mail_queue.h"
#include "smtp/path.h"
#include "store/log/log_store.h"
#include "store/log/spool.h"
#include "store/temporary_folder.h"
#include "store/wait.h"

namespace pier::queue::test {

using namespace std::chrono_literals;

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text);
    return std::move(*result);
}
inline void must(const Result<void>& result) {
    if (!result) throw std::runtime_error(result.error().text);
}

inline constexpr Time noon{std::chrono::sys_days(std::chrono::year(2026) / 11 / 29) + 12h};

inline smtp::Address address(const std::string& text) {
    if (text.empty()) return {};
    return *smtp::parse_address(text);
}

struct Told {
    std::string to, octets;
};

class QueueTest : public testing::Test {
  protected:
    QueueTest() {
        settings.notice.hostname = "pier.example.org";
        net = std::make_shared<FakeNet>();
    }
    ~QueueTest() override { stop(); }

    void start() {
        store::LogStoreOptions options;
        options.folder = folder_->path();
        options.cleaner = false;
        options.disk = disk;
        options.clock = [this] { return now(); };
        store = must(store::open_log_store(std::move(options)));
        queue = std::make_unique<MailQueue>(
            *store, settings, [this] { return now(); }, [] { return 0.5; });
        must(queue->open());
        queue->start(with_transport ? std::make_unique<FakeTransport>(net) : nullptr,
                     {[](const smtp::Address& who) { return who.domain == "here.example"; },
                      [this](smtp::Envelope envelope, std::unique_ptr<store::Spool> spool,
                             store::Done<void> done) { tell(envelope, *spool, done); }});
    }
    void stop() {
        queue.reset();
        store.reset();
    }
    void new_folder() { folder_ = std::make_unique<pier::test::TemporaryFolder>(); }
    void restart() {
        stop();
        start();
    }

    // Appends and waits for the answer.
    Result<std::vector<Result<store::Appended>>> try_add(
        const std::string& sender, const std::vector<std::string>& recipients,
        const std::function<void(store::NewMessage&, NewOutgoing&)>& change = {}) {
        store::NewMessage message;
        message.spool = store->new_spool();
        must(message.spool->write("Subject: a letter\r\n\r\nHello.\r\n"));
        message.internal_date = now();
        NewOutgoing outgoing;
        outgoing.envelope.sender = address(sender);
        for (const std::string& one : recipients) {
            Outgoing& to = outgoing.recipients.emplace_back();
            to.recipient.address = address(one);
            to.sender = outgoing.envelope.sender;
        }
        if (change) change(message, outgoing);
        return store::wait<std::vector<Result<store::Appended>>>(
            [&](auto done) { queue->append(std::move(message), std::move(outgoing), std::move(done)); });
    }
    void add(const std::string& sender, const std::vector<std::string>& recipients,
             const std::function<void(store::NewMessage&, NewOutgoing&)>& change = {}) {
        must(try_add(sender, recipients, change));
        queue->wait_for_store();
    }

    // All that is due happens: lanes, notices, records.
    void run() {
        for (int i = 0; i < 5; ++i) {
            queue->tick();
            net->run();
            queue->wait_for_store();
        }
    }
    void pass(std::chrono::seconds time) {
        now_us_ += std::chrono::microseconds(time).count();
        run();
    }

    Time now() const { return Time(std::chrono::microseconds(now_us_.load())); }
    std::vector<Entry> entries() { return must(queue->list({})).entries; }
    Entry only() {
        auto all = entries();
        if (all.size() != 1) throw std::runtime_error(std::to_string(all.size()) + " messages, not one");
        return all.front();
    }
    std::uint64_t records() { return must(store->list(store::DirectoryKind::queue)).size(); }
    std::uint64_t stored() {
        const auto setting = must(store->get(store::DirectoryKind::setting, "queue"));
        return must(store->mailboxes(store::AccountId{setting.value().id})).at(0).messages;
    }

    QueueSettings settings;
    bool with_transport = true;
    std::shared_ptr<FakeNet> net;
    std::shared_ptr<store::log::Disk> disk;  // absent: the real one
    std::unique_ptr<store::LogStore> store;
    std::unique_ptr<MailQueue> queue;
    std::vector<Told> told;  // notices to senders here
    std::optional<Error> telling_fails;

  private:
    void tell(const smtp::Envelope& envelope, store::Spool& spool, const store::Done<void>& done) {
        if (telling_fails) return done(*telling_fails);
        told.push_back({envelope.recipients.at(0).address.text(),
                        std::string(static_cast<store::log::LogSpool&>(spool).memory())});
        done(Result<void>());
    }

    std::unique_ptr<pier::test::TemporaryFolder> folder_ = std::make_unique<pier::test::TemporaryFolder>();
    std::atomic<std::int64_t> now_us_ = noon.time_since_epoch().count();
};

}  // namespace pier::queue::test
