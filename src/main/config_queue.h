// What the file says in [queue], and what the queue is made from.
#pragma once

#include "dns/resolver.h"
#include "main/config.h"
#include "main/config_file.h"
#include "queue/mail_queue.h"
#include "queue/transport_settings.h"

namespace pier::program {

// One of sections().
Section queue_section();

// Adds what is wrong across its values to loaded.problems.
void check_queue(Loaded& loaded);

queue::QueueSettings queue_settings(const Config& config);
// Without the listeners of this server.
queue::TransportSettings transport_settings(const Config& config);
dns::ResolverSettings resolver_settings(const Config& config);

}  // namespace pier::program
