#include "load/message.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <random>

#include <boost/math/special_functions/erf.hpp>
#include <fmt/format.h>

namespace load {
namespace {

constexpr std::string_view check_field = "X-Load-Check: ";
constexpr std::size_t header_octets_max = 65'536;
constexpr std::size_t line_text_octets = 76;
constexpr std::size_t pool_lines = 4096;
constexpr std::size_t prose_octets_max = 4000;  // the rest of a message is base64

std::string prose_line(std::mt19937_64& random) {
    static constexpr std::string_view words[] = {"harbour", "tide", "the",    "of",      "a",
                                                 "lantern", "we",   "sent",   "letter",  "since",
                                                 "before",  "rope", "anchor", "morning", "and"};
    std::string line;
    const std::size_t length = 20 + random() % (line_text_octets - 32);
    while (line.size() < length) {
        line += words[random() % std::size(words)];
        line += random() % 10 == 0 ? ". " : " ";
    }
    return line;
}

std::string base64_line(std::mt19937_64& random) {
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string line(line_text_octets, ' ');
    for (char& octet : line)
        octet = letters[random() % letters.size()];
    return line;
}

double log_normal_mean(const std::vector<double>& normal_quantiles, double median, double sigma,
                       double largest) {
    double sum = 0;
    for (const double quantile : normal_quantiles)
        sum += std::min(largest, median * std::exp(sigma * quantile));
    return sum / static_cast<double>(normal_quantiles.size());
}

// "octets=0000001234 xxh3=0123456789abcdef", as make() writes it.
bool parse_number(std::string_view& text, std::string_view name, int base, std::uint64_t& value) {
    const auto at = text.find(name);
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + name.size());
    return std::from_chars(text.data(), text.data() + text.size(), value, base).ec == std::errc();
}

}  // namespace

MessageMaker::MessageMaker(std::uint64_t seed) : seed_(seed) {
    std::mt19937_64 random(seed);
    for (std::size_t i = 0; i < pool_lines; ++i) {
        words_.begins.push_back(words_.text.size());
        words_.text += prose_line(random) + "\r\n";
        dotted_.begins.push_back(dotted_.text.size());
        dotted_.text += (i % 4 == 0 ? "." : "") + prose_line(random) + "\r\n";
        base64_.begins.push_back(base64_.text.size());
        base64_.text += base64_line(random) + "\r\n";
    }
    words_.begins.push_back(words_.text.size());
    dotted_.begins.push_back(dotted_.text.size());
    base64_.begins.push_back(base64_.text.size());
}

// Whole lines of the pool, and one that fills up to exactly `octets`; 0 or at least 2 of them.
void MessageMaker::append_lines(std::string& to, const Lines& lines, std::size_t from, std::size_t octets) {
    for (std::size_t i = from % pool_lines; octets > 0; i = (i + 1) % pool_lines) {
        const std::size_t line = lines.begins[i + 1] - lines.begins[i];
        if (line + 2 > octets) break;
        to.append(lines.text, lines.begins[i], line);
        octets -= line;
    }
    if (octets > 0) to.append(octets - 2, 'x').append("\r\n");
}

std::string_view MessageMaker::make(std::uint64_t number, std::uint64_t octets, std::string_view recipient) {
    message_ = fmt::format(
        "From: Load <load@bench.example>\r\nTo: <{}>\r\nSubject: number {:010} of seed {}\r\n"
        "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{}.{}.{}>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain\r\n{}octets={:010} xxh3=",
        recipient, number, seed_, number, seed_, recipient, check_field, 0);
    const std::size_t checksum_at = message_.size();
    const std::size_t octets_at = checksum_at - std::strlen("0000000000 xxh3=");
    message_.append(16, '0').append("\r\n\r\n");
    const std::size_t body_at = message_.size();
    const std::size_t body_octets = std::max<std::uint64_t>(octets, body_at + 2) - body_at;
    message_.reserve(body_at + body_octets);

    std::uint64_t mixed = number * 0x9e3779b97f4a7c15u + seed_;
    mixed ^= mixed >> 29;
    std::size_t prose = std::min(body_octets, prose_octets_max);
    if (body_octets - prose == 1) prose -= 2;
    // Few messages in real mail have lines that begin with a dot.
    append_lines(message_, number % 25 == 0 ? dotted_ : words_, mixed, prose);
    append_lines(message_, base64_, mixed >> 16, body_octets - prose);

    const auto checksum = XXH3_64bits(message_.data() + body_at, body_octets);
    fmt::format_to(message_.data() + octets_at, "{:010}", body_octets);
    fmt::format_to(message_.data() + checksum_at, "{:016x}", checksum);
    return message_;
}

std::vector<std::uint64_t> realistic_sizes_octets(std::uint64_t count, std::uint64_t seed) {
    constexpr double median = 10'000, mean = 75'000, largest = 20'000'000;
    std::vector<double> quantiles;
    for (std::uint64_t i = 0; i < count; ++i) {
        const double p = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
        quantiles.push_back(std::sqrt(2.0) * boost::math::erf_inv(2 * p - 1));
    }
    // With endless messages sigma would be sqrt(2 ln 7.5) = 2.007; few of them lack the far tail and need
    // more.
    double low = 0, high = 10;
    for (int step = 0; step < 60; ++step) {
        const double middle = (low + high) / 2;
        (log_normal_mean(quantiles, median, middle, largest) < mean ? low : high) = middle;
    }
    std::vector<std::uint64_t> sizes;
    for (const double quantile : quantiles) {
        const double size = std::min(largest, median * std::exp(low * quantile));
        sizes.push_back(std::max(message_octets_min, static_cast<std::uint64_t>(size)));
    }
    std::shuffle(sizes.begin(), sizes.end(), std::mt19937_64(seed));
    return sizes;
}

void append_stuffed(std::string& to, std::string_view message) {
    std::size_t done = 0;
    for (std::size_t dot = message.find('.'); dot != std::string_view::npos;
         dot = message.find('.', dot + 1)) {
        if (dot != 0 && message[dot - 1] != '\n') continue;
        to.append(message, done, dot - done).push_back('.');
        done = dot;
    }
    to.append(message, done).append(".\r\n");
}

MessageReader::MessageReader() : hash_(XXH3_createState()) {
    begin();
}
MessageReader::~MessageReader() {
    XXH3_freeState(hash_);
}

void MessageReader::begin() {
    at_ = At::line_begin;
    done_ = false;
    octets_ = body_octets_ = 0;
    header_.clear();
    in_header_ = true;
    stated_.reset();
    XXH3_64bits_reset(hash_);
}

// Only the octets at a line's beginning and end are looked at one by one. A dot that begins a line is the
// only thing that matters, and dots are rare: memchr finds them many times faster than a loop over all
// octets.
std::size_t MessageReader::take(std::string_view bytes) {
    std::size_t i = 0;
    while (i < bytes.size() && !done_) {
        const char octet = bytes[i];
        switch (at_) {
            case At::dot:
                ++i;
                if (octet == '\r') {
                    at_ = At::dot_cr;
                } else {
                    // RFC 1939 §3: the first dot is stripped, whatever follows.
                    add({&octet, 1});
                    at_ = At::within_line;
                }
                break;
            case At::dot_cr:
                ++i;
                if (octet == '\n') {
                    done_ = true;
                } else {
                    add("\r");
                    add({&octet, 1});
                    at_ = octet == '\r' ? At::cr : At::within_line;
                }
                break;
            case At::line_begin:
                if (octet == '.') {
                    at_ = At::dot;
                    ++i;
                    break;
                }
                [[fallthrough]];
            case At::cr:
                if (at_ == At::cr && octet == '\n') {
                    add("\n");
                    at_ = At::line_begin;
                    ++i;
                    break;
                }
                [[fallthrough]];
            case At::within_line: {
                // All up to a dot that follows CR LF in these bytes, or to their end.
                std::size_t end = bytes.find('.', i);
                while (end != std::string_view::npos) {
                    if (end >= i + 2 && bytes[end - 1] == '\n' && bytes[end - 2] == '\r') break;
                    end = bytes.find('.', end + 1);
                }
                if (end == std::string_view::npos) end = bytes.size();
                add(bytes.substr(i, end - i));
                const bool after_cr = end - i == 1 ? false : bytes[end - 2] == '\r';
                at_ = bytes[end - 1] == '\r'               ? At::cr
                      : bytes[end - 1] == '\n' && after_cr ? At::line_begin
                                                           : At::within_line;
                i = end;
                break;
            }
        }
    }
    return i;
}

void MessageReader::add(std::string_view text) {
    octets_ += text.size();
    if (!in_header_) {
        body_octets_ += text.size();
        XXH3_64bits_update(hash_, text.data(), text.size());
        return;
    }
    const std::size_t searched = header_.size() < 3 ? 0 : header_.size() - 3;
    header_.append(text);
    const std::size_t end = header_.find("\r\n\r\n", searched);
    if (end == std::string::npos && header_.size() < header_octets_max) return;
    const std::size_t body_at = end == std::string::npos ? header_.size() : end + 4;
    const std::string body = header_.substr(body_at);
    header_.resize(body_at);
    end_header();
    body_octets_ = body.size();
    XXH3_64bits_update(hash_, body.data(), body.size());
}

void MessageReader::end_header() {
    in_header_ = false;
    const auto at = header_.find(check_field);
    Stated stated;
    if (at != std::string::npos && (at == 0 || header_[at - 1] == '\n')) {
        std::string_view text = std::string_view(header_).substr(at, header_.find('\r', at) - at);
        const bool octets = parse_number(text, "octets=", 10, stated.octets);
        if (octets && parse_number(text, "xxh3=", 16, stated.checksum)) stated_ = stated;
    }
    if (!stated_) XXH3_64bits_update(hash_, header_.data(), header_.size());
}

MessageReader::Found MessageReader::found() const {
    Found found;
    found.octets = octets_;
    if (in_header_) {
        found.checksum = XXH3_64bits(header_.data(), header_.size());
        return found;
    }
    found.checksum = XXH3_64bits_digest(hash_);
    found.stated = stated_.has_value();
    if (found.stated && body_octets_ != stated_->octets) {
        found.wrong =
            fmt::format("its header states a body of {} octets, but {} came", stated_->octets, body_octets_);
    } else if (found.stated && found.checksum != stated_->checksum) {
        found.wrong = fmt::format("its header states a body with checksum {:016x}, but what came has {:016x}",
                                  stated_->checksum, found.checksum);
    }
    return found;
}

}  // namespace load
