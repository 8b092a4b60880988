// The process that runs the commands of alert channels: the server itself may start no program once its
// sandbox is closed, and this process starts only those that were named before (backends/process.h).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/channel.h"
#include "base/result.h"

namespace pier::program {

struct AlertCommand {
    std::string channel;
    std::string file;  // an absolute path; it is run without a shell and without arguments
    std::chrono::seconds timeout{20};
};

class AlertCommands {
  public:
    using Environment = std::vector<std::pair<std::string, std::string>>;

    // While the caller is the only thread. `user`: whose rights they get; empty: the caller's. `invalid`: a
    // file that cannot be run.
    static Result<std::unique_ptr<AlertCommands>> make(std::vector<AlertCommand> commands,
                                                       const std::string& user);
    ~AlertCommands();
    AlertCommands(const AlertCommands&) = delete;
    AlertCommands& operator=(const AlertCommands&) = delete;

    // Makes a thread.
    void start();
    // Who waits is answered with an error; commands that run are killed, what they have started is not.
    void stop();

    // Runs the command of that channel with these variables, of which only PIER_… are taken, and `input` at
    // its standard input, and waits for its end: well, if that is exit status 0. One that takes longer than
    // its timeout is killed with all that it has started. Any thread, between start() and stop().
    Result<void> run(const std::string& channel, const Environment& environment, const std::string& input);

  private:
    AlertCommands(int fd, const backends::ChannelLimits& limits) : fd_(fd), limits_(limits) {}

    int fd_;  // until start()
    const backends::ChannelLimits limits_;
    std::unique_ptr<backends::Channel> process_;
};

}  // namespace pier::program
