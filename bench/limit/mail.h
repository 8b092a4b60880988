// The mail of the limit server: one file that holds each message exactly as RETR sends it (reply line,
// stuffed octets, terminator), and ready-made replies to STAT, LIST and UIDL. Any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace limit {

// A place in the file.
struct Span {
    std::uint64_t begin = 0, octets = 0;
};

struct Message {
    Span reply;
    std::uint64_t octets = 0;  // without stuffing, as LIST says
    std::uint64_t uid = 0;
};

// What a session sees of a maildrop: never changed once it is made.
struct Listing {
    std::vector<Message> messages;
    std::string stat, list, uidl;  // whole replies
};

class Maildrop {
  public:
    std::shared_ptr<const Listing> listing();
    void add(const Message& message);
    void remove(const std::vector<std::uint64_t>& sorted_uids);

  private:
    std::mutex mutex_;
    std::vector<Message> messages_;
    std::uint64_t last_uid_ = 0;
    std::shared_ptr<const Listing> listing_;  // null: something has changed since it was made
};

class Mail {
  public:
    explicit Mail(const std::string& path);
    ~Mail();
    Mail(const Mail&) = delete;
    Mail& operator=(const Mail&) = delete;

    Maildrop& maildrop(std::string_view user);

    // Writes what DATA was followed by, terminator included. `durable` is called by the syncing thread when
    // the message is on disk and in the maildrop; one fdatasync is for all that wait when it begins.
    void deliver(Maildrop& to, std::string_view data, std::uint64_t octets, std::function<void()> durable);

    int descriptor() const { return descriptor_; }
    // Good for what listings name.
    const char* mapped(const Span& span) const { return mapped_ + span.begin; }

  private:
    struct Delivery {
        Maildrop* to = nullptr;
        Message message;
        std::function<void()> durable;
    };
    void sync();

    int descriptor_;
    const char* mapped_;
    std::uint64_t end_ = 0;
    std::map<std::string, Maildrop, std::less<>> maildrops_;

    std::mutex mutex_;
    std::condition_variable arrived_;
    std::vector<Delivery> written_;
    bool stopping_ = false;
    std::thread syncer_;
};

}  // namespace limit
