// The management methods of the queue.
//
//   queue.list      [sender, recipient, destination, state, held, messages_max]
//                                       -> {"messages":[…],"matching","waiting"}
//   queue.show      id                  -> one message with each of its recipients
//   queue.retry     id                  -> {}: it is tried now
//   queue.flush                         -> {"messages"}: all are
//   queue.hold      id                  -> {}
//   queue.release   id                  -> {}
//   queue.drop      id, [bounce]        -> {}
#pragma once

#include <functional>

#include "admin/api.h"
#include "queue/mail_queue.h"

namespace pier::program {

// Whether it sends: a command that works on the store itself can hold and drop, but not try.
enum class Sends { yes, no };

// Gives the queue, or says why there is none. Called at each method, from any thread.
using FindQueue = std::function<Result<queue::MailQueue*>()>;

void add_queue_methods(admin::Api& api, FindQueue find, Sends sends);

// For `pier status`.
boost::json::object describe(const queue::MailQueue::Counts& counts);

}  // namespace pier::program
