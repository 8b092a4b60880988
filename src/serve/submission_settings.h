// What the configuration says of submission. Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "wire/header.h"

namespace pier::serve {

// Which of a message's senders must be the account's own.
enum class SenderCheck { off, envelope, both };

struct SubmissionSettings {
    std::chrono::seconds login_timeout{60};  // from the connection to the login, in all
    SenderCheck sender_check = SenderCheck::both;
    bool hide_client = false;  // Received does not say from where the message came
    bool scram = true;         // SCRAM is offered
    wire::HeaderLimits header;
    std::size_t from_addresses_max = 100;  // in From, and in Sender
};

struct SendLimits {  // of one account; 0: no limit
    std::uint64_t messages_per_hour_max = 500, messages_per_day_max = 2000;
    std::uint64_t recipients_per_hour_max = 1000, recipients_per_day_max = 5000;
    // Accounts that are counted at the same time; then those whose day is over go first, and then any.
    std::uint64_t counted_accounts_max = 100'000;
};

}  // namespace pier::serve
