// Where mail is imported from: a maildir, an mbox or .eml files, read one message after the other. Blocks;
// one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "store/store.h"

namespace pier::migrate {

// Gets a message's octets, block by block; its failure ends the reading.
using Take = std::function<Result<void>(std::string_view block)>;

struct Item {
    std::string origin;  // for a person: the file, and where in it
    std::string
        identity;         // the same in every run over the same source, and different for every message of it
    std::string mailbox;  // "INBOX", "Work/2026"
    Time internal_date{};
    bool date_in_header = false;  // the header's date comes first (date_of_header), then internal_date
    store::Flags flags = 0;
    bool flags_known = true;    // false: POP3 has none, and those that the message has here are right
    std::string uidl;           // as the previous server gave it; empty: none. Fit for the store
    std::uint64_t octets = 0;   // in the source, for the progress
    bool octets_exact = false;  // they are those with CRLF line ends
    std::function<Result<void>(const Take&)>
        read;  // the octets as they are there, any line ends; while the source lives
};

class Source {
  public:
    virtual ~Source() = default;

    // The next message, in the order in which the previous server listed them; absent at the end. A failure
    // is about one message or folder; the text names it, and the next call goes on behind it.
    virtual Result<std::optional<Item>> next() = 0;

    virtual std::uint64_t octets_total() const = 0;  // of all items, about

    // Which items will be read, in that order: their numbers as next() gave them, from 0. A source that asks
    // a server then asks for several at once.
    virtual void will_read(const std::vector<std::size_t>& items) { static_cast<void>(items); }

    // What could not be kept, for a person; at most warnings_max of them.
    const std::vector<std::string>& warnings() const { return warnings_; }

  protected:
    static constexpr std::size_t warnings_max = 100;
    void warn(std::string text) {
        if (warnings_.size() < warnings_max) warnings_.push_back(std::move(text));
    }

  private:
    std::vector<std::string> warnings_;
};

// RFC 1939 §7: 1 to 70 octets, 0x21 to 0x7E.
bool is_uidl(std::string_view text);

}  // namespace pier::migrate
