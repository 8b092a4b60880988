// The header of a message on its way in: what it claims in our name is taken out, and to whom it was
// delivered before is remembered. Streams, in bounded memory; pure; one object per message, one thread.
//
//   for each chunk: spool->write(header.feed(chunk)); at the end: spool->write(header.finish())
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/envelope.h"

namespace pier::delivery {

class IncomingHeader {
  public:
    // Attack: Authentication-Results fields that claim to be ours, which clients believe, are taken out:
    // RFC 8601 §5. Ours are those of `authserv_id`; empty: of nobody, as where the sender is trusted.
    // With `is_filtered` the fields X-Spam and X-Spam-Status too, which a filter of ours then writes.
    explicit IncomingHeader(std::string authserv_id = {}, bool is_filtered = false)
        : authserv_id_(std::move(authserv_id)), is_filtered_(is_filtered) {}

    // Octets of the message, its lines ending in CRLF; gives back what is to be kept of them and of those
    // that were held back before.
    std::string feed(std::string_view octets);
    std::string finish();

    // Whether a Delivered-To field (RFC 9228) names the address: then the message has come back.
    bool was_delivered_to(const smtp::Address& address) const;

    static constexpr std::size_t field_octets_max = 65'536;  // that are held back; longer ones pass unseen,
                                                             // but for Authentication-Results
    static constexpr std::size_t delivered_to_max = 100;     // fields that are remembered

  private:
    enum class Rest { undecided, kept, dropped };  // of the present field

    void take_field(std::string_view field, std::string& out);
    bool claims_our_name(std::string_view value) const;
    bool is_ours_alone(std::string_view name) const;

    std::string authserv_id_;
    bool is_filtered_ = false;
    std::string field_;  // the present one, as far as it has come
    Rest rest_ = Rest::undecided;
    bool over_ = false;
    std::vector<std::string> delivered_to_;
};

}  // namespace pier::delivery
