// Which messages a POP3 session has marked with DELE (RFC 1939 §5). Owned by a Conversation; one thread.
// Takes memory, one bit a message, only once something is marked: most sessions mark nothing, or everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pier::pop3 {

class Deletions {
  public:
    bool contains(std::size_t index) const { return index < marks_.size() && marks_[index]; }

    // `index` is not marked yet, `messages` is how many the maildrop holds, `octets` the size of this one.
    void add(std::size_t index, std::size_t messages, std::uint64_t octets) {
        if (marks_.empty()) marks_.resize(messages);
        marks_[index] = true;
        ++count_;
        octets_ += octets;
    }

    void clear() { *this = {}; }

    std::size_t count() const { return count_; }
    std::uint64_t octets() const { return octets_; }

    // In ascending order.
    std::vector<std::size_t> indexes() const {
        std::vector<std::size_t> marked;
        marked.reserve(count_);
        for (std::size_t i = 0; i < marks_.size(); ++i) {
            if (marks_[i]) marked.push_back(i);
        }
        return marked;
    }

  private:
    std::vector<bool> marks_;
    std::size_t count_ = 0;
    std::uint64_t octets_ = 0;
};

}  // namespace pier::pop3
