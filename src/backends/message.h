// What the server and a worker process say to each other: one datagram for each message, over a pair of Unix
// sockets of the kind SOCK_SEQPACKET, so that a process which dies cannot leave half a message behind.
//
//   u64 id | u16 octets, word | u16 fields | for each: u16 octets, name | u32 octets, value (little-endian)
//
// A request's word is its operation ("check", "find"); a reply has its id, and as word how it ended ("found",
// "outage"). Which fields there are is between those who ask and the service that answers: a new operation
// needs no new format. Id 0 is no request's: see worker.h. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pier::backends {

inline constexpr std::size_t message_octets_max = 128 << 10;
inline constexpr std::size_t message_fields_max = 200;

// Names and values; values may be secrets and are wiped when they go.
class Fields {
  public:
    Fields() = default;
    Fields(std::initializer_list<std::pair<std::string_view, std::string_view>> fields);
    ~Fields();
    Fields(Fields&&) noexcept = default;
    Fields& operator=(Fields&& other) noexcept;
    Fields(const Fields&) = delete;
    Fields& operator=(const Fields&) = delete;

    void add(std::string_view name, std::string_view value);
    // The first of that name; "" if there is none.
    std::string_view get(std::string_view name) const;
    bool has(std::string_view name) const;
    const std::vector<std::pair<std::string, std::string>>& all() const { return fields_; }

  private:
    std::vector<std::pair<std::string, std::string>> fields_;
};

struct Message {
    std::uint64_t id = 0;
    std::string word{};
    Fields fields{};
};

// `invalid` for one that is too large. The caller wipes the text.
Result<std::string> encode(const Message& message);

// `corrupt` for anything that encode() has not made.
Result<Message> decode(std::string_view octets);

}  // namespace pier::backends
