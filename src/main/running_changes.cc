// What a running server records of changes to how it is set up.
#include <fmt/format.h>
#include <sys/stat.h>

#include "base/log.h"
#include "main/running.h"
#include "main/setup_facts.h"

namespace pier::program {
namespace {

// Who may have changed it, as far as a file tells.
std::string file_note(const std::string& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return "";
    const Time written{std::chrono::seconds(status.st_mtim.tv_sec)};
    return fmt::format("{} was last written {} and belongs to user {}", file, to_rfc3339(written),
                       status.st_uid);
}

}  // namespace

void Running::record_change(Change change, const Facts& now) {
    change.at = system_now();
    const std::string what = change.what;
    if (auto recorded = changes_.compare(std::move(change), now); !recorded)
        log::error("changes.failed", {{"what", what},
                                      {"reason", recorded.error().text},
                                      {"hint", "`pier history` does not show what has changed of it"}});
}

void Running::record_configuration(const Config& config, std::string by, const admin::Caller& who) {
    const auto key = changes_.key();
    if (!key) {
        log::error("changes.failed", {{"what", "configuration"}, {"reason", key.error().text}});
        return;
    }
    record_change({.what = "configuration", .by = std::move(by), .who = who, .note = file_note(config_file_)},
                  configuration_facts(config, *key));
}

void Running::record_certificates(std::string by, const admin::Caller& who) {
    if (!tls_upkeep_) return;
    record_change({.what = "certificate", .by = std::move(by), .who = who},
                  certificate_facts(tls_upkeep_->settings()));
}

void Running::record_start() {
    record_configuration(config_, "start", started_by_);
    record_certificates("start", started_by_);
    Facts facts;
    for (const auto& [name, endpoint] : server_->listeners()) {
        std::string& fact = facts[name];
        fact += (fact.empty() ? "" : " ") + endpoint.text();
    }
    record_change({.what = "listeners", .by = "start", .who = started_by_}, facts);
}

}  // namespace pier::program
