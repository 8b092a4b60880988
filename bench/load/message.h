// The messages of the deliver load, and how a message is checked when it comes back. A header field states
// octets and XXH3-64 checksum of the body, so any server can be checked, also one that puts header fields in
// front (Return-Path, Received).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <xxhash.h>

namespace load {

// The smallest message: its header and a line.
inline constexpr std::uint64_t message_octets_min = 512;
inline constexpr std::uint64_t message_octets_max = 99'999'999;

// Makes messages; the same seed and number give the same message.
class MessageMaker {
  public:
    explicit MessageMaker(std::uint64_t seed);

    // A message of exactly `octets` (message_octets_min to message_octets_max), all lines ended by CRLF.
    // The view is good until the next call.
    std::string_view make(std::uint64_t number, std::uint64_t octets, std::string_view recipient);

  private:
    struct Lines {
        std::string text;
        std::vector<std::size_t> begins;  // of each line, and the end
    };
    static void append_lines(std::string& to, const Lines& lines, std::size_t from, std::size_t octets);

    std::uint64_t seed_;
    Lines words_;   // prose
    Lines dotted_;  // prose; some lines begin with a dot
    Lines base64_;  // what attachments look like
    std::string message_;
};

// `count` sizes in random order whose median is 10 KB and whose mean is 75 KB: equally spaced quantiles of
// a log-normal distribution, so that ten messages have the mean that ten thousand have.
std::vector<std::uint64_t> realistic_sizes_octets(std::uint64_t count, std::uint64_t seed);

// Appends `message` as it travels behind DATA: dots stuffed, terminator added (RFC 5321 §4.5.2).
void append_stuffed(std::string& to, std::string_view message);

// Reads a multi-line response (RFC 1939 §3) in pieces of any size and checks the message in it.
class MessageReader {
  public:
    MessageReader();
    ~MessageReader();
    MessageReader(const MessageReader&) = delete;
    MessageReader& operator=(const MessageReader&) = delete;

    // Before each message.
    void begin();

    // How much of `bytes` belongs to this message; less than all of it only when it is done().
    std::size_t take(std::string_view bytes);

    bool done() const { return done_; }

    struct Found {
        std::uint64_t octets = 0;    // without stuffing and terminator
        std::uint64_t checksum = 0;  // of the body if its header states one, else of the whole message
        bool stated = false;         // the header stated octets and checksum of the body …
        std::string wrong;           // … and this is how they differ; empty if they agree
    };
    Found found() const;

  private:
    void add(std::string_view text);
    void end_header();

    enum class At { line_begin, within_line, cr, dot, dot_cr };
    At at_ = At::line_begin;
    bool done_ = false;
    std::uint64_t octets_ = 0;
    std::string header_;
    bool in_header_ = true;
    struct Stated {
        std::uint64_t octets = 0, checksum = 0;
    };
    std::optional<Stated> stated_;
    std::uint64_t body_octets_ = 0;
    XXH3_state_t* hash_;
};

}  // namespace load
