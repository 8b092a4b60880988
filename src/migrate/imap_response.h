// What an IMAP server sends (RFC 3501 §7, §9), one response at a time: a line, and the literals inside it.
// Pure; one thread. Bounded: a line, a literal, all of a response, and how deep its lists are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/line_buffer.h"

namespace pier::migrate {

struct ImapValue {
    enum class Kind { atom, string, list, nil } kind = Kind::atom;
    std::string text;        // of an atom or a string
    bool too_large = false;  // a literal over the limit: `text` is empty, `octets` has its size
    std::uint64_t octets = 0;
    std::vector<ImapValue> items;  // of a list

    bool is_atom(std::string_view word) const;  // in any case
};

struct ImapResponse {
    // The first line as it came, up to its literal if it has one: status texts are no values.
    std::string line;
    std::vector<ImapValue> values;  // the words of it all; none if they are not well-formed
};

class ImapReader {
  public:
    struct Limits {
        std::size_t line_octets_max = 256 << 10;
        std::uint64_t literal_octets_max = 64ull << 20;
        std::uint64_t skipped_octets_max = 4ull << 30;  // of a literal that is too large
        std::size_t literals_max = 64;                  // of one response
        std::size_t depth_max = 16;
    };
    explicit ImapReader(Limits limits) : limits_(limits) {}

    void append(std::string_view octets) { in_.append(octets); }
    // Absent: more is needed. A failure is for good.
    Result<std::optional<ImapResponse>> next();
    bool empty() const { return in_.empty() && parts_.empty(); }

  private:
    struct Part {
        std::string text;  // of the line
        std::optional<ImapValue> literal;
    };
    Result<bool> read_part();
    bool read_literal();
    ImapResponse take();

    const Limits limits_;
    wire::LineBuffer in_;
    std::vector<Part> parts_;
    std::uint64_t literal_left_ = 0;
    std::uint64_t literal_octets_ = 0;
    bool in_literal_ = false;
};

}  // namespace pier::migrate
