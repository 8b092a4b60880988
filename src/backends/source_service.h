// A Source (source.h) as the requests "check" and "find" of a worker, and the same seen from the server: how
// logins and answers stand in messages. Pure; any thread.
#pragma once

#include "backends/source.h"
#include "backends/worker.h"

namespace pier::backends {

// The services of the worker's threads. When `make` is an error every request is an outage with its text.
MakeService source_service(const Result<MakeSource>& make);

Message check_request(const Login& login);
Message find_request(std::string_view name);

// What a reply says; an Outage too if it cannot be understood.
Answer answer_of(const Message& reply);
Message message_of(const Answer& answer);

}  // namespace pier::backends
