#include "main/alert_channels.h"

#include <algorithm>
#include <future>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/random.h"
#include "main/alert_command_process.h"
#include "main/alert_line.h"
#include "main/alert_sender.h"

namespace pier::program {
namespace {

constexpr std::size_t id_characters = 16;

class Channels final : public AlertChannels {
  public:
    explicit Channels(const Settings& settings)
        : limits_{settings.retry_after, settings.tries_max, settings.waiting_max} {
        facts_.server = settings.server;
        facts_.resolve_after = settings.resolve_after;
        facts_.stop_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    ~Channels() override {
        stop();
        if (facts_.stop_fd >= 0) ::close(facts_.stop_fd);
    }

    Result<void> open(const Settings& settings) {
        if (facts_.stop_fd < 0) return errno_error(errno, "make the channels of alerts");
        std::vector<AlertCommand> commands;
        for (const AlertChannelConfig& one : settings.channels)
            if (one.kind == ChannelKind::command) commands.push_back({one.name, one.command, one.timeout});
        if (!commands.empty()) {
            auto made = AlertCommands::make(std::move(commands), settings.user);
            if (!made) return made.error();
            commands_ = std::move(*made);
        }
        for (const AlertChannelConfig& one : settings.channels) {
            auto sender = sender_of(one);
            if (!sender)
                return Error(sender.error().kind,
                             fmt::format("the alert channel \"{}\": {}", one.name, sender.error().text));
            lines_.push_back(std::make_unique<AlertLine>(one, std::move(*sender), limits_));
        }
        return {};
    }

    void start(SendMail send_mail) override {
        facts_.send_mail = std::move(send_mail);
        if (commands_) commands_->start();
        for (const auto& line : lines_)
            line->start();
    }

    void stop() override {
        facts_.stopping = true;
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(facts_.stop_fd, &one, sizeof one);
        for (const auto& line : lines_)
            line->stop();
        if (commands_) commands_->stop();
        for (const auto& line : lines_)
            line->join();
    }

    void send(const watch::Notice& notice, Time at) override {
        const auto& all = notice.transitions;
        for (std::size_t first = 0; first < all.size(); first += alerts_per_notice_max) {
            const std::size_t last = std::min(all.size(), first + alerts_per_notice_max);
            auto shipment = std::make_shared<Shipment>();
            shipment->notice.group = notice.group;
            shipment->notice.transitions.assign(all.begin() + static_cast<std::ptrdiff_t>(first),
                                                all.begin() + static_cast<std::ptrdiff_t>(last));
            shipment->at = at;
            shipment->id = random_text(id_characters);
            for (const auto& line : lines_)
                line->put(shipment);
        }
    }

    Result<std::vector<Tried>> test(const std::string& channel, Time at) override {
        std::vector<AlertLine*> lines;
        for (const auto& line : lines_)
            if (channel.empty() || line->name() == channel) lines.push_back(line.get());
        if (lines.empty() && !channel.empty())
            return Error(ErrorKind::not_found,
                         fmt::format("there is no alert channel \"{}\": `pier alert list` "
                                     "has the names",
                                     channel));
        // All at once: one that hangs is waited for, but not once for each.
        std::vector<std::future<Tried>> tries;
        for (AlertLine* line : lines)
            tries.push_back(std::async(std::launch::async, [line, at] {
                return line->try_now({watch::test_notice(at), at, random_text(id_characters)});
            }));
        std::vector<Tried> tried;
        for (auto& one : tries)
            tried.push_back(one.get());
        return tried;
    }

    std::vector<State> states() const override {
        std::vector<State> states;
        for (const auto& line : lines_)
            states.push_back(line->state());
        return states;
    }

  private:
    MadeSender sender_of(const AlertChannelConfig& config) {
        switch (config.kind) {
            case ChannelKind::mail:
                return make_mail_sender(config, facts_);
            case ChannelKind::webhook:
            case ChannelKind::alertmanager:
                return make_web_sender(config, facts_);
            case ChannelKind::command:
                return make_command_sender(config, facts_, *commands_);
            case ChannelKind::journal:
                break;
        }
        return make_journal_sender();
    }

    const AlertLineLimits limits_;
    SenderFacts facts_;
    std::unique_ptr<AlertCommands> commands_;
    std::vector<std::unique_ptr<AlertLine>> lines_;
};

}  // namespace

Result<std::unique_ptr<AlertChannels>> AlertChannels::make(Settings settings) {
    auto channels = std::make_unique<Channels>(settings);
    if (auto opened = channels->open(settings); !opened) return opened.error();
    return std::unique_ptr<AlertChannels>(std::move(channels));
}

std::string_view to_string(ChannelKind kind) {
    switch (kind) {
        case ChannelKind::mail:
            return "mail";
        case ChannelKind::webhook:
            return "webhook";
        case ChannelKind::command:
            return "command";
        case ChannelKind::journal:
            return "journal";
        case ChannelKind::alertmanager:
            return "alertmanager";
    }
    return "?";
}

}  // namespace pier::program
