// Who is told which commands a session runs, so that they can be counted and timed where there is a clock.
// The sessions stay pure: they call, and never wait for an answer.
#pragma once

#include <cstddef>

namespace pier::wire {

class CommandObserver {
  public:
    // A command line has come and is about to be run, whether it will be refused or not. `command` is its
    // place among the session's command_names(), of which the last stands for all that are unknown. Responses
    // within AUTH and the octets of a message are no commands.
    virtual void on_command(std::size_t command) = 0;

  protected:
    ~CommandObserver() = default;
};

}  // namespace pier::wire
