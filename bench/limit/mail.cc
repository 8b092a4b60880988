#include "limit/mail.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace limit {
namespace {

constexpr std::string_view reply_line = "+OK\r\n";
constexpr std::size_t mapped_octets = std::size_t(1) << 40;  // addresses only: the file grows into them

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

std::shared_ptr<const Listing> Maildrop::listing() {
    const std::lock_guard lock(mutex_);
    if (listing_) return listing_;
    auto made = std::make_shared<Listing>();
    made->messages = messages_;
    made->list = made->uidl = reply_line;
    std::uint64_t number = 0, octets = 0;
    for (const Message& message : messages_) {
        octets += message.octets;
        ++number;
        fmt::format_to(std::back_inserter(made->list), "{} {}\r\n", number, message.octets);
        fmt::format_to(std::back_inserter(made->uidl), "{} {:032x}\r\n", number, message.uid);
    }
    made->list += ".\r\n";
    made->uidl += ".\r\n";
    made->stat = fmt::format("+OK {} {}\r\n", number, octets);
    listing_ = std::move(made);
    return listing_;
}

void Maildrop::add(const Message& message) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(message);
    messages_.back().uid = ++last_uid_;
    listing_.reset();
}

void Maildrop::remove(const std::vector<std::uint64_t>& sorted_uids) {
    const std::lock_guard lock(mutex_);
    std::erase_if(messages_, [&](const Message& message) {
        return std::binary_search(sorted_uids.begin(), sorted_uids.end(), message.uid);
    });
    listing_.reset();
}

Mail::Mail(const std::string& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) fail(path.c_str());
    void* place = ::mmap(nullptr, mapped_octets, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor_, 0);
    if (place == MAP_FAILED) fail("mmap");
    mapped_ = static_cast<const char*>(place);
    syncer_ = std::thread([this] { sync(); });
}

Mail::~Mail() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    arrived_.notify_one();
    syncer_.join();
    ::munmap(const_cast<char*>(mapped_), mapped_octets);
    ::close(descriptor_);
}

Maildrop& Mail::maildrop(std::string_view user) {
    const std::lock_guard lock(mutex_);
    const auto found = maildrops_.find(user);
    return found != maildrops_.end() ? found->second : maildrops_[std::string(user)];
}

void Mail::deliver(Maildrop& to, std::string_view data, std::uint64_t octets, std::function<void()> durable) {
    Message message{{0, reply_line.size() + data.size()}, octets, 0};
    {
        const std::lock_guard lock(mutex_);
        message.reply.begin = end_;
        end_ += message.reply.octets;
    }
    const iovec parts[] = {{const_cast<char*>(reply_line.data()), reply_line.size()},
                           {const_cast<char*>(data.data()), data.size()}};
    const ssize_t written = ::pwritev(descriptor_, parts, 2, static_cast<off_t>(message.reply.begin));
    if (written != static_cast<ssize_t>(message.reply.octets)) fail("pwritev");
    {
        const std::lock_guard lock(mutex_);
        written_.push_back({&to, message, std::move(durable)});
    }
    arrived_.notify_one();
}

void Mail::sync() {
    std::vector<Delivery> group;
    while (true) {
        {
            std::unique_lock lock(mutex_);
            arrived_.wait(lock, [this] { return stopping_ || !written_.empty(); });
            if (stopping_) return;
            group.swap(written_);
        }
        if (::fdatasync(descriptor_) != 0) fail("fdatasync");
        for (Delivery& delivery : group) {
            delivery.to->add(delivery.message);
            delivery.durable();
        }
        group.clear();
    }
}

}  // namespace limit
