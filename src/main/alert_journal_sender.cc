#include "base/log.h"
#include "main/alert_sender.h"

namespace pier::program {
namespace {

log::Level level_of(const watch::Transition& one) {
    if (one.change == watch::Change::resolved || one.change == watch::Change::forgotten)
        return log::Level::info;
    if (one.alert.severity == watch::Severity::critical) return log::Level::error;
    return one.alert.severity == watch::Severity::warning ? log::Level::warning : log::Level::info;
}

class JournalSender final : public AlertSender {
  public:
    Attempt send(const Shipment& shipment) const override {
        for (const watch::Transition& one : shipment.notice.transitions)
            log::event(level_of(one), "alert",
                       {{"change", watch::to_string(one.change)},
                        {"severity", watch::to_string(one.alert.severity)},
                        {"key", one.alert.key},
                        {"group", shipment.notice.group},
                        {"what", one.alert.what},
                        {"evidence", one.alert.evidence},
                        {"next", one.alert.step},
                        {"since", to_rfc3339(one.alert.since)}});
        return {};
    }
};

}  // namespace

MadeSender make_journal_sender() {
    return std::unique_ptr<AlertSender>(std::make_unique<JournalSender>());
}

}  // namespace pier::program
