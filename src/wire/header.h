// The header of a message (RFC 5322 §2.2), as it goes by: which fields there are, and what some of them say.
// Streams; pure; one object per message, one thread. It holds the wanted fields and nothing else, and gives
// up where a limit is passed: a header without end costs no memory and no time.
//
//   HeaderReader reader(limits, {"From", "Date"});
//   reader.feed(octets) …, until over(); finish() at the end of the message
//   if (reader.problem() == HeaderReader::Problem::none) … reader.fields()
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pier::wire {

struct HeaderLimits {
    std::size_t header_octets_max = 1 << 20;
    std::size_t fields_max = 1000;
    std::size_t kept_octets_max = 65536;  // of all wanted fields together
};

struct HeaderField {
    std::string name;  // as the caller wants it, whatever the message's case
    std::string body;  // unfolded (RFC 5322 §2.2.3), without white space around it
    bool operator==(const HeaderField&) const = default;
};

class HeaderReader {
  public:
    enum class Problem {
        none,
        too_large,        // more octets than header_octets_max
        too_many_fields,  // more than fields_max
        kept_too_large,   // a wanted field is too long
        no_field,         // a line that is neither a field nor a field's continuation
    };

    // `wanted`: names of fields that are kept; the texts they point to outlive the reader.
    HeaderReader(const HeaderLimits& limits, std::vector<std::string_view> wanted)
        : limits_(limits), wanted_(std::move(wanted)) {}

    // Octets of the message, its lines ending in CRLF. Nothing is looked at behind the header, nor behind a
    // problem.
    void feed(std::string_view octets);
    void finish();  // the message is over; a header without an empty line behind it is whole too

    bool over() const { return over_; }
    Problem problem() const { return problem_; }
    const std::vector<HeaderField>& fields() const { return fields_; }  // in the message's order
    std::size_t count(std::string_view name) const;                     // of the wanted ones
    const HeaderField* find(std::string_view name) const;               // the first; null: none
    bool has_8bit() const { return has_8bit_; }  // some octet of it is not ASCII (RFC 6532)

  private:
    void take(std::string_view piece);  // of one line, without its line end
    void take_name(std::string_view& piece);
    void end_line();
    void stop(Problem why);

    const HeaderLimits limits_;
    const std::vector<std::string_view> wanted_;
    std::vector<HeaderField> fields_;

    // The line under way.
    enum class Place { start, name, body } place_ = Place::start;
    std::string name_;   // of the field that begins, as far as it can be a wanted one
    bool kept_ = false;  // the field under way is fields_.back()
    bool cr_ = false;    // the last octet was a CR
    bool any_ = false;   // a field has begun: the next line may continue it
    bool over_ = false, has_8bit_ = false;
    Problem problem_ = Problem::none;
    std::size_t octets_ = 0, count_ = 0, kept_octets_ = 0;
};

}  // namespace pier::wire
