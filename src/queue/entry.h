// What is known of a queued message beside its octets: the envelope, and how far each recipient has come.
// Kept in the store as JSON with a version in "v" (docs/queue.md lists every member). Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "smtp/envelope.h"
#include "smtp/session.h"

namespace pier::queue {

inline constexpr int entry_version = 1;
// A record of the store holds 1 MiB. What comes in must leave room for what the other servers will say.
inline constexpr std::size_t new_entry_octets_max = 640 << 10;
inline constexpr std::size_t entry_octets_max = 1 << 20;
inline constexpr std::size_t reply_octets_max = 400;  // of a reply's text, as it is kept

// A message of the queue, for as long as it is there, and in the log. Written as 13 letters and digits.
enum class Id : std::uint64_t {};
std::string to_text(Id id);
std::optional<Id> parse_id(std::string_view text);

enum class State : std::uint8_t {
    waiting,    // to be tried (again)
    delivered,  // another server has it; without an attempt: a mailbox of this one
    failed,     // for good; its sender is yet to be told
    bounced,    // for good; the sender has been told, if there was anybody to tell
};
std::string_view to_string(State state);

struct Recipient {
    smtp::Envelope::Recipient to;
    smtp::Address sender;  // who the other server is told that it comes from
    State state = State::waiting;
    std::uint32_t attempts = 0;
    smtp::Reply reply;        // the last; code 0: none yet
    std::string server;       // who has given it; empty: nobody was reached
    Time next{};              // when it is tried again, while it waits
    bool delay_told = false;  // the sender knows that it waits (once)
    bool notice_due = false;  // the sender is to be told of its state
    bool operator==(const Recipient& other) const;
    bool finished() const { return (state == State::delivered || state == State::bounced) && !notice_due; }
};

struct Entry {
    Id id{};
    smtp::Envelope envelope;  // without recipients: those are below
    std::vector<Recipient> recipients;
    std::string account;  // who has submitted it; empty: forwarded, or made here
    Time arrived{};
    std::uint64_t octets = 0;          // of the message as it is sent on
    std::uint64_t skipped_octets = 0;  // of the stored message's beginning, which are not sent on
    bool held = false;
    // Nothing is to be done any more: message and record may go. Never of a message whose recipients are not
    // known.
    bool finished() const;
};

// At most entry_octets_max: if it were more, what the other servers have said is cut.
std::string write_entry(const Entry& entry);
// `corrupt` for anything that write_entry did not write; a newer version is named.
Result<Entry> read_entry(std::string_view value);

// Valid UTF-8 without control characters, at most reply_octets_max: what another server says may be anything.
std::string clean_text(std::string_view text, std::size_t octets_max = reply_octets_max);

// ---- jobs ----

inline constexpr std::size_t job_recipients_max = 100;  // RFC 5321 §4.5.3.1.8: every server takes so many

// Where an address is delivered: its domain in lower case.
std::string destination_of(const smtp::Address& address);

// The recipients that one job is for: of one destination, from one sender, at most job_recipients_max. They
// follow from the recipients alone, not from their state, so a part stays the same as long as the message is
// there.
struct Part {
    std::string destination;
    std::vector<std::size_t> recipients;  // indexes
};
// `one_destination`: everything goes there (a smarthost); empty: by domain.
std::vector<Part> parts_of(const Entry& entry, std::string_view one_destination);

}  // namespace pier::queue
