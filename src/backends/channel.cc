#include "backends/channel.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/password.h"
#include "base/log.h"

namespace pier::backends {
namespace {

using std::chrono::steady_clock;

// A request that is made while the reader waits is looked at after this time at the latest.
constexpr int look_ms = 500;

Error outage(std::string text) {
    return {ErrorKind::busy, std::move(text)};
}

}  // namespace

Channel::Channel(std::string name, int fd, const ChannelLimits& limits)
    : name_(std::move(name)), fd_(fd), limits_(limits), reader_([this] { read(); }) {}

Channel::~Channel() {
    stop();
    ::close(fd_);
}

void Channel::stop() {
    ::shutdown(fd_, SHUT_RDWR);  // the reader, and the worker, see the end
    if (reader_.joinable()) reader_.join();
}

void Channel::ask(Message request, Done done) {
    std::unique_lock lock(mutex_);
    ++state_.requests;
    const bool full = pending_.size() >= limits_.waiting_max;
    if (ended_ || full) {
        ++state_.outages;
        lock.unlock();
        return done(outage(full ? "too many requests wait for its answer" : "its process has ended"));
    }
    const std::uint64_t id = ++last_id_;
    request.id = id;
    auto text = encode(request);
    if (!text) {
        ++state_.outages;
        lock.unlock();
        return done(text.error());
    }
    pending_.emplace(id, Pending{steady_clock::now() + limits_.timeout, std::move(done)});
    // Under the lock, so that the answer cannot be there before the question is known to wait.
    const ssize_t sent = ::send(fd_, text->data(), text->size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    const int error_number = errno;
    auth::wipe(*text);
    if (sent >= 0) return;
    Done refused = std::move(pending_.at(id).done);
    pending_.erase(id);
    ++state_.outages;
    lock.unlock();
    refused(outage(fmt::format("its process takes no requests: {}", std::strerror(error_number))));
}

Channel::State Channel::state() const {
    std::lock_guard lock(mutex_);
    State state = state_;
    state.waiting = pending_.size();
    return state;
}

int Channel::milliseconds_to_wait() const {
    std::lock_guard lock(mutex_);
    if (pending_.empty()) return look_ms;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(pending_.begin()->second.until - steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, look_ms));
}

void Channel::read() {
    std::string buffer(message_octets_max, '\0');
    do {
        end_overdue();
    } while (receive(buffer));
    {
        std::lock_guard lock(mutex_);
        ended_ = true;
        state_.worker = "ended";
        state_.pid = 0;
    }
    end_all("its process has ended");
}

bool Channel::receive(std::string& buffer) {
    pollfd one{fd_, POLLIN, 0};
    if (::poll(&one, 1, milliseconds_to_wait()) <= 0) return true;
    const ssize_t octets = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (octets == 0) return false;
    if (octets < 0) return errno == EINTR || errno == EAGAIN;
    auto message = decode({buffer.data(), static_cast<std::size_t>(octets)});
    sodium_memzero(buffer.data(), static_cast<std::size_t>(octets));
    if (message)
        take(std::move(*message));
    else
        log::error("backend.message.broken", {{"backend", name_}, {"reason", message.error().text}});
    return true;
}

void Channel::take(Message message) {
    if (message.id == 0) return note_worker(message);
    std::unique_lock lock(mutex_);
    const auto at = pending_.find(message.id);
    if (at == pending_.end()) return;  // it came too late
    Done done = std::move(at->second.done);
    pending_.erase(at);
    lock.unlock();
    done(std::move(message));
}

void Channel::note_worker(const Message& message) {
    if (message.word == "ready") {
        std::int64_t pid = 0;
        const std::string_view text = message.fields.get("pid");
        std::from_chars(text.data(), text.data() + text.size(), pid);
        std::lock_guard lock(mutex_);
        state_.worker = "ready";
        state_.pid = pid;
    } else if (message.word == "gone") {
        {
            std::lock_guard lock(mutex_);
            state_.worker = "gone";
            state_.pid = 0;
            ++state_.restarts;
        }
        log::error("backend.worker.gone",
                   {{"backend", name_},
                    {"how", message.fields.get("how")},
                    {"hint", "it is made anew; who waited for it is told to come back"}});
        end_all("its process has died");
    }
}

void Channel::end_overdue() {
    for (;;) {
        std::unique_lock lock(mutex_);
        const auto first = pending_.begin();
        if (first == pending_.end() || first->second.until > steady_clock::now()) return;
        Done done = std::move(first->second.done);
        pending_.erase(first);
        ++state_.outages;
        lock.unlock();
        done(outage(fmt::format("it has not answered within {} s", limits_.timeout.count())));
    }
}

void Channel::end_all(const char* why) {
    std::map<std::uint64_t, Pending> ended;
    {
        std::lock_guard lock(mutex_);
        ended.swap(pending_);
        state_.outages += ended.size();
    }
    for (auto& [id, pending] : ended)
        pending.done(outage(why));
}

}  // namespace pier::backends
