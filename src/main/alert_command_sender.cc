#include <fmt/format.h>

#include "main/alert_command_process.h"
#include "main/alert_sender.h"

namespace pier::program {
namespace {

class CommandSender final : public AlertSender {
  public:
    CommandSender(const AlertChannelConfig& config, const SenderFacts& facts, AlertCommands& commands)
        : name_(config.name), file_(config.command), facts_(facts), commands_(commands) {}

    Attempt send(const Shipment& shipment) const override {
        const auto ran = commands_.run(name_, watch::notice_environment(shipment.notice, facts_.server),
                                       watch::notice_json(shipment.notice, facts_.server, shipment.at));
        if (ran) return {};
        return {Attempt::End::later, fmt::format("{}: {}", file_, ran.error().text)};
    }

  private:
    const std::string name_, file_;
    const SenderFacts& facts_;
    AlertCommands& commands_;
};

}  // namespace

MadeSender make_command_sender(const AlertChannelConfig& config, const SenderFacts& facts,
                               AlertCommands& commands) {
    return std::unique_ptr<AlertSender>(std::make_unique<CommandSender>(config, facts, commands));
}

}  // namespace pier::program
