// One way by which notices leave: a try of one notice, by kind. What is tried again, and when, is for
// alert_line.h to say. Secrets and authorities are read when a sender is made, before the sandbox closes.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "main/alert_channels.h"
#include "watch/notice.h"

namespace pier::program {

class AlertCommands;

struct Shipment {
    watch::Notice notice;
    Time at{};
    std::string id;  // the same in each try, so that who gets it twice can know; letters, digits, '-', '_'
};

struct Attempt {
    enum class End {
        taken,
        in_part,  // some recipients were refused: no other try, for those who have it would get it twice
        later,    // another try may go well
        never,    // this notice is refused, and would be again
    };
    End end = End::taken;
    std::string error{};  // why, of all but `taken`; without secrets
};

// What senders know of where they are; outlives them.
struct SenderFacts {
    std::string server;
    std::chrono::seconds resolve_after{};
    int stop_fd = -1;  // readable, as `stopping` is true: what is under way ends soon
    std::atomic<bool> stopping = false;
    AlertChannels::SendMail send_mail{};
};

class AlertSender {
  public:
    virtual ~AlertSender() = default;
    // Blocks, for the channel's timeout at most. Any thread, also several at once.
    virtual Attempt send(const Shipment& shipment) const = 0;
};

// `invalid` or as reading says: a file or a text of the configuration that cannot be used.
using MadeSender = Result<std::unique_ptr<AlertSender>>;
MadeSender make_web_sender(const AlertChannelConfig& config, const SenderFacts& facts);
MadeSender make_mail_sender(const AlertChannelConfig& config, const SenderFacts& facts);
// `commands` has this channel's, and outlives the sender.
MadeSender make_command_sender(const AlertChannelConfig& config, const SenderFacts& facts,
                               AlertCommands& commands);
MadeSender make_journal_sender();

}  // namespace pier::program
