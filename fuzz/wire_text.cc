// Message text on the wire: line ends, dot-stuffing, the top of a message, command lines and base64. Each
// stream is compared with the plainest form of the same rule, applied to the whole text, and must give the
// same wherever the text is cut. Input: one octet for the size of the pieces (0: whole), one for a limit of
// lines or octets, then the text.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/require.h"
#include "wire/base64.h"
#include "wire/crlf.h"
#include "wire/dots.h"
#include "wire/line_buffer.h"
#include "wire/top.h"

namespace {

using namespace pier;
using fuzz::require;

// Calls take(piece) for the pieces of `text`; it tells how many octets it used, and fewer than all end it.
template <class Take>
std::size_t in_pieces(std::string_view text, std::size_t octets, Take take) {
    std::size_t used = 0;
    while (used < text.size()) {
        const std::string_view piece = text.substr(used, octets);
        const std::size_t taken = take(piece);
        require(taken <= piece.size(), "no more is used than was given");
        used += taken;
        if (taken < piece.size()) break;
    }
    return used;
}

// Every LF that no CR stands before gets one.
std::string with_crlf(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\n' && !out.ends_with('\r')) out += '\r';
        out += c;
    }
    return out;
}

std::string check_crlf(std::string_view text, std::size_t octets) {
    wire::CrlfNormalizer normalizer;
    std::string message;
    in_pieces(text, octets, [&](std::string_view piece) {
        normalizer.feed(piece, message);
        return piece.size();
    });
    normalizer.finish(message);
    std::string expected = with_crlf(text);
    if (!expected.empty() && !expected.ends_with('\n')) expected += "\r\n";
    require(message == expected, "a bare LF becomes CRLF, and nothing else is changed");
    return message;
}

std::string stuffed(std::string_view message, std::size_t octets) {
    wire::DotStuffer stuffer;
    std::string out;
    const auto emit = [&out](std::string_view piece) { out += piece; };
    in_pieces(message, octets, [&](std::string_view piece) {
        stuffer.feed(piece, emit);
        return piece.size();
    });
    stuffer.finish(emit);
    return out;
}

// What is sent ends once, at its end, for a client that knows only CRLF and for one that takes LF for a line
// end.
void check_stuffing(std::string_view text, std::size_t octets) {
    const std::string wire = stuffed(text, octets);
    require(wire == stuffed(text, SIZE_MAX), "where a message is cut does not matter");
    require(wire == ".\r\n" || wire.ends_with("\r\n.\r\n"), "a dialogue's text ends with a dot");
    const std::string_view inside = std::string_view(wire).substr(0, wire.size() - 3);
    for (std::size_t at = 0; at < inside.size(); ++at) {
        if (inside[at] != '.' || (at > 0 && inside[at - 1] != '\n')) continue;
        require(at + 1 < inside.size() && inside[at + 1] == '.',
                "no line of the message is taken for the end");
        ++at;
    }
}

void check_round_trip(const std::string& message, std::size_t octets) {
    const std::string wire = stuffed(message, octets) + "QUIT\r\n";
    wire::DotUnstuffer unstuffer;
    std::string back;
    const std::size_t used =
        in_pieces(wire, octets, [&](std::string_view piece) { return unstuffer.feed(piece, back); });
    require(unstuffer.done() && used == wire.size() - 6, "the end is found, and what is behind it left");
    require(back == message, "a message arrives as it was sent");
}

// SMTP smuggling: only CRLF . CRLF ends the data, wherever it is cut.
void check_unstuffing(std::string_view text, std::size_t octets) {
    const std::size_t found = text.find("\r\n.\r\n");
    const bool at_once = text.starts_with(".\r\n"), ends = at_once || found != std::string_view::npos;
    const std::size_t end = at_once ? 3 : ends ? found + 5 : text.size();
    wire::DotUnstuffer unstuffer;
    std::string message;
    const std::size_t used =
        in_pieces(text, octets, [&](std::string_view piece) { return unstuffer.feed(piece, message); });
    require(unstuffer.done() == ends && used == end, "only CRLF . CRLF ends the data");
    std::uint64_t line = 0, longest = 0;
    for (std::size_t i = 0; i < message.size(); ++i) {
        require(message[i] != '\n' || (i > 0 && message[i - 1] == '\r'), "no bare LF in a message");
        longest = std::max(longest, ++line);
        if (message[i] == '\n') line = 0;
    }
    require(unstuffer.longest_line_octets() == longest, "the longest line is counted");
}

void check_top(std::string_view text, std::size_t octets, std::uint64_t lines) {
    std::size_t expected = 0;
    bool in_header = true, done = false;
    for (std::uint64_t left = lines; !done && expected < text.size();) {
        const std::size_t lf = text.find('\n', expected);
        const std::string_view line =
            text.substr(expected, lf == std::string_view::npos ? lf : lf - expected);
        expected += line.size() + (lf != std::string_view::npos);
        if (lf == std::string_view::npos) break;
        if (in_header)
            in_header = !line.empty() && line != "\r";
        else
            --left;
        done = !in_header && left == 0;
    }
    wire::TopCutter cutter(lines);
    const std::size_t used =
        in_pieces(text, octets, [&](std::string_view piece) { return cutter.feed(piece); });
    require(used == expected && cutter.done() == done, "the header, the empty line, and so many lines");
}

struct Line {
    std::string text;
    bool bare_lf = false, too_long = false;
    bool operator==(const Line&) const = default;
};

void check_lines(std::string_view text, std::size_t octets, std::size_t octets_max) {
    std::vector<Line> expected;
    std::string_view rest = text;
    for (std::size_t lf = rest.find('\n'); lf != std::string_view::npos; lf = rest.find('\n')) {
        const bool bare = lf == 0 || rest[lf - 1] != '\r';
        if (lf + 1 > octets_max)
            expected.push_back({"", false, true});
        else
            expected.push_back({std::string(rest.substr(0, bare ? lf : lf - 1)), bare, false});
        rest.remove_prefix(lf + 1);
    }
    const bool rest_too_long = rest.size() >= octets_max;
    if (rest_too_long) expected.push_back({"", false, true});

    wire::LineBuffer buffer;
    std::vector<Line> lines;
    in_pieces(text, octets, [&](std::string_view piece) {
        buffer.append(piece);
        while (const auto line = buffer.next_line(octets_max)) {
            lines.push_back({std::string(line->text), line->bare_lf, line->too_long});
            if (line->text.starts_with('P')) buffer.wipe_last_line();
        }
        require(buffer.raw().size() < octets_max, "no more is held than a line");
        return piece.size();
    });
    require(lines == expected, "lines are cut at LF, and none is longer than the limit");
    require(buffer.raw() == (rest_too_long ? std::string_view() : rest), "the half line at the end is kept");
    require(buffer.empty() == (rest.empty() && !rest_too_long), "empty means that nothing is under way");
    if (!buffer.raw().empty()) buffer.consume(buffer.raw().size() / 2);
    buffer.clear();
    require(buffer.empty(), "cleared is empty");
}

void check_base64(std::string_view text) {
    const std::string encoded = wire::base64_encode(text);
    require(wire::base64_decode(encoded, text.size()) == text, "base64 gives the octets back");
    if (!text.empty()) require(!wire::base64_decode(encoded, text.size() - 1), "no more than the limit");
    if (const auto octets = wire::base64_decode(text, text.size()))
        require(wire::base64_encode(*octets) == text, "no two texts mean the same octets");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::size_t octets = data[0] ? data[0] : SIZE_MAX;
    const std::string_view text = fuzz::text_of(data + 2, size - 2);
    const std::string message = check_crlf(text, octets);
    require(check_crlf(message, octets) == message, "what has CRLF is left alone");
    check_stuffing(text, octets);
    check_round_trip(message, octets);
    check_unstuffing(text, octets);
    check_top(text, octets, data[1]);
    check_lines(text, octets, std::size_t{data[1]} + 1);
    check_base64(text);
    return 0;
}
