#include "main/backend_sink.h"

#include <algorithm>

#include <boost/algorithm/hex.hpp>
#include <boost/json/array.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include "base/random.h"
#include "main/quantity.h"

namespace pier::program {
namespace {

namespace json = boost::json;

constexpr std::size_t batch_messages_max = 64;
constexpr std::uint64_t batch_octets_max = 8ull << 20;
constexpr std::size_t token_letters = 16;

class MemorySpool : public store::Spool {
  public:
    explicit MemorySpool(std::uint64_t octets_max) : octets_max_(octets_max) {}

    Result<void> write(std::string_view octets) override {
        if (octets.size() > octets_max_ - text.size())
            return Error(ErrorKind::invalid,
                         fmt::format("the message is larger than {}; raise store.message_size_max to take it",
                                     format_octets(octets_max_)));
        text += octets;
        return {};
    }
    std::uint64_t octets() const override { return text.size(); }

    std::string text;

  private:
    const std::uint64_t octets_max_;
};

const std::string& text_of(const migrate::Message& message) {
    return static_cast<const MemorySpool&>(*message.spool).text;  // new_spool() made it
}

json::object describe(const migrate::Message& message) {
    std::string key;
    boost::algorithm::hex_lower(message.key.begin(), message.key.end(), std::back_inserter(key));
    const std::int64_t date_us = message.internal_date.time_since_epoch().count();
    return {{"mailbox", message.mailbox},
            {"flags", message.flags},
            {"date_us", date_us < 0 ? 0 : static_cast<std::uint64_t>(date_us)},
            {"uidl", message.uidl},
            {"key", key},
            {"octets", message.spool->octets()}};
}

Error to_error(const json::value& value) {
    const std::string_view kind_name = value.at("kind").as_string();
    ErrorKind kind = ErrorKind::io;
    for (const ErrorKind one :
         {ErrorKind::invalid, ErrorKind::not_found, ErrorKind::exists, ErrorKind::over_quota,
          ErrorKind::no_space, ErrorKind::busy, ErrorKind::io, ErrorKind::corrupt, ErrorKind::stopped}) {
        if (to_string(one) == kind_name) kind = one;
    }
    return {kind, std::string(value.at("text").as_string())};
}

// Leaves `results` as they are from where the answer is not what it should be.
void read_results(const json::value& answer, std::vector<Result<migrate::Accepted>>& results) {
    try {
        const json::array& list = answer.at("results").as_array();
        for (std::size_t i = 0; i < results.size(); ++i) {
            if (const json::value* error = list.at(i).as_object().if_contains("error"))
                results[i] = to_error(*error);
            else
                results[i] = migrate::Accepted{list.at(i).at("uidl_in_use").as_bool()};
        }
    } catch (const boost::system::system_error&) {
    }
}

}  // namespace

BackendSink::BackendSink(Backend& backend, std::string account, std::uint64_t message_octets_max)
    : backend_(backend),
      account_(std::move(account)),
      token_(random_text(token_letters)),
      message_octets_max_(message_octets_max),
      thread_([this] { work(); }) {}

BackendSink::~BackendSink() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
    static_cast<void>(
        backend_.call("mail.import_end", {{"import", token_}}));  // a server that is gone has forgotten it
}

Result<std::unique_ptr<store::Spool>> BackendSink::new_spool() {
    return std::unique_ptr<store::Spool>(std::make_unique<MemorySpool>(message_octets_max_));
}

void BackendSink::append(migrate::Message message, store::Done<migrate::Accepted> done) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back({std::move(message), std::move(done)});
    }
    changed_.notify_all();
}

void BackendSink::work() {
    for (;;) {
        std::vector<Waiting> batch;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            std::uint64_t octets = 0;
            std::size_t taken = 0;
            while (taken < waiting_.size() && taken < batch_messages_max) {
                octets += waiting_[taken].message.spool->octets();
                // The server takes at once what one message may have.
                if (taken > 0 && octets > std::min(batch_octets_max, message_octets_max_)) break;
                ++taken;
            }
            const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(taken);
            batch.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
            waiting_.erase(waiting_.begin(), end);
        }
        send(std::move(batch));
    }
}

void BackendSink::send(std::vector<Waiting> batch) {
    json::array messages;
    std::string body;
    for (const Waiting& waiting : batch) {
        messages.push_back(describe(waiting.message));
        body += text_of(waiting.message);
    }
    const auto answer = backend_.call(
        "mail.import", {{"account", account_}, {"import", token_}, {"messages", std::move(messages)}}, body);
    // A batch that failed whole ends the run: every other would fail too.
    std::vector<Result<migrate::Accepted>> results(
        batch.size(), Error(ErrorKind::stopped, answer ? "the server's answer is not understood; restart it"
                                                       : answer.error().text));
    if (answer) read_results(*answer, results);
    for (std::size_t i = 0; i < batch.size(); ++i)
        batch[i].done(std::move(results[i]));
}

}  // namespace pier::program
