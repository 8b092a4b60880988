// A transport that carries nothing: the test says what each server answers, and when the lanes go on.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "queue/transport.h"

namespace pier::queue::test {

inline Outcome outcome(Outcome::Kind kind, int code, std::string enhanced, std::string text) {
    Outcome out;
    out.kind = kind;
    out.reply = {code, std::move(enhanced), std::move(text)};
    out.server = "mx.example.org [192.0.2.1]";
    return out;
}
inline Outcome delivered() {
    return outcome(Outcome::Kind::delivered, 250, "2.0.0", "taken");
}
inline Outcome deferred() {
    return outcome(Outcome::Kind::deferred, 450, "4.2.0", "not now");
}
inline Outcome failed() {
    return outcome(Outcome::Kind::failed, 550, "5.1.1", "nobody here");
}
inline Outcome unreached() {
    Outcome out;
    out.reply = {451, "4.4.1", "no answer"};
    return out;
}

// What a job was, and whose octets it had.
struct Carried {
    std::string destination, id, sender, octets;
    std::vector<std::string> recipients;
};

// The world outside; outlives the transport.
class FakeNet {
  public:
    // One recipient's outcome; all are delivered without it.
    std::function<Outcome(const std::string& recipient)> answer;
    // Absent: the destination is reached.
    std::function<std::optional<Outcome>(const std::string& destination)> reach;
    std::vector<Carried> carried;
    std::size_t lanes = 0, lanes_most = 0;

    // Lets all lanes go on until there are none.
    void run() {
        while (const auto lane = pop())
            serve(lane->first, *lane->second);
    }
    // Opened and not served yet.
    std::vector<std::string> opened() {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> names;
        for (const auto& [name, lane] : lanes_)
            names.push_back(name);
        return names;
    }
    using Opened = std::pair<std::string, std::shared_ptr<Lane>>;
    std::optional<Opened> pop() {
        const std::lock_guard lock(mutex_);
        if (lanes_.empty()) return std::nullopt;
        Opened first = std::move(lanes_.front());
        lanes_.pop_front();
        return first;
    }
    void push(Opened lane) {
        const std::lock_guard lock(mutex_);
        lanes_.push_back(std::move(lane));
        lanes_most = std::max(lanes_most, lanes_.size());
    }

  private:
    void serve(const std::string& destination, Lane& lane) {
        if (const auto why = reach ? reach(destination) : std::nullopt) {
            lane.failed(*why);
            return lane.closed();
        }
        while (auto job = lane.next()) {
            Carried& one = carried.emplace_back();
            one.destination = destination;
            one.id = job->id;
            one.sender = job->envelope.sender.text();
            one.octets.resize(job->body->octets());
            const auto n = job->body->read(0, one.octets, store::Wait::may_block);
            if (!n || *n != one.octets.size()) one.octets = "(unreadable)";
            std::vector<Outcome> outcomes;
            for (const auto& recipient : job->envelope.recipients) {
                one.recipients.push_back(recipient.address.text());
                outcomes.push_back(answer ? answer(one.recipients.back()) : delivered());
            }
            lane.done(*job, std::move(outcomes));
        }
        lane.closed();
    }

    std::mutex mutex_;
    std::deque<Opened> lanes_;
};

class FakeTransport final : public Transport {
  public:
    explicit FakeTransport(std::shared_ptr<FakeNet> net) : net_(std::move(net)) {}
    ~FakeTransport() override {
        while (const auto lane = net_->pop())
            lane->second->closed();
    }
    void open(const std::string& destination, std::shared_ptr<Lane> lane) override {
        net_->push({destination, std::move(lane)});
    }

  private:
    const std::shared_ptr<FakeNet> net_;
};

}  // namespace pier::queue::test
