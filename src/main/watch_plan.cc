#include "main/watch_plan.h"

#include <algorithm>
#include <map>

#include "backends/secret_file.h"
#include "main/probe_targets.h"

namespace pier::program {
namespace {

constexpr int waits = 6;  // a whole dialogue has many answers; each is mostly quick

Result<std::optional<watch::Login>> login_of(const std::string& account, const std::string& password_file,
                                             const watch::Target& target) {
    if (account.empty()) return std::optional<watch::Login>();
    auto password = backends::read_secret(password_file, "password_file");
    if (!password) return password.error();
    watch::Login login;
    login.user = account;
    login.password = std::move(*password);
    // tls = "none" says plainly that there is to be no TLS.
    login.clear_allowed = target.tls == watch::TlsMode::none;
    return std::optional(std::move(login));
}

watch::ProbeOptions usual_options(const Config& config) {
    const WatchConfig& watch = config.watch;
    watch::ProbeOptions options;
    options.limits.wait = watch.timeout;
    options.limits.total = watch.timeout * waits;
    options.hostname = config.server.hostname;
    options.rules.certificate_days_warning = static_cast<int>(watch.days_warning);
    options.rules.certificate_days_critical = static_cast<int>(watch.days_critical);
    options.rules.phase_warning = watch.slow_warning;
    options.rules.phase_critical = watch.slow_critical;
    return options;
}

class Planner {
  public:
    explicit Planner(const Config& config)
        : config_(config),
          listeners_(own_listeners(config, {"", "", own_certificate_name(config)})),
          own_(watched_own_ports(config)) {}

    Result<WatchPlan> plan() {
        for (const WatchTargetConfig& one : config_.watch.targets)
            if (auto added = one.host.empty() ? Result<void>() : add_target(one); !added)
                return added.error();
        for (const watch::Target& target : own_.targets)
            if (auto added = add_own(target); !added) return added.error();
        for (const WatchCanaryConfig& one : config_.watch.canaries)
            if (auto added = one.sender.empty() ? Result<void>() : add_canary(one); !added)
                return added.error();
        plan_.settings.rules.second_look = config_.watch.second_look;
        plan_.settings.usual.factor = static_cast<double>(config_.watch.latency_factor);
        plan_.left_out = std::move(own_.left_out);
        return std::move(plan_);
    }

  private:
    // Each file of authorities is read once.
    Result<std::shared_ptr<const watch::TlsTrust>> trust_in(const std::string& file) {
        if (const auto known = trusts_.find(file); known != trusts_.end()) return known->second;
        auto loaded = watch::TlsTrust::load(file);
        if (!loaded) return loaded.error();
        auto trust = std::make_shared<const watch::TlsTrust>(std::move(*loaded));
        trusts_.emplace(file, trust);
        return trust;
    }

    // A listener of this server, whether or not `own` has it watched.
    bool is_own(const watch::Target& target) const {
        return std::ranges::any_of(
            listeners_, [&](const ProbeTarget& mine) { return mine.target.text() == target.text(); });
    }

    Result<void> add(watch::WatchedPort port, const std::string& ca_file) {
        auto trust = trust_in(ca_file);
        if (!trust) return trust.error();
        port.trust = std::move(*trust);
        plan_.settings.ports.push_back(std::move(port));
        return {};
    }

    Result<void> add_target(const WatchTargetConfig& one) {
        auto target = watched_target(one);
        if (!target) return target.error();
        auto login = login_of(one.account, one.password_file, *target);
        if (!login) return login.error();
        watch::WatchedPort port;
        port.options = usual_options(config_);
        port.options.rules.stranger = one.stranger;
        port.options.login = std::move(*login);
        port.rhythm = {one.interval.count() == 0 ? config_.watch.interval : one.interval,
                       config_.watch.thorough_interval};
        port.group = target->host;
        port.own = is_own(*target);
        port.target = std::move(*target);
        return add(std::move(port), one.ca_file.empty() ? config_.watch.ca_file : one.ca_file);
    }

    Result<void> add_own(const watch::Target& target) {
        const auto same = [&](const watch::WatchedPort& port) { return port.target.text() == target.text(); };
        if (std::ranges::any_of(plan_.settings.ports, same)) return {};
        watch::WatchedPort port;
        port.options = usual_options(config_);
        port.rhythm = {config_.watch.interval, config_.watch.thorough_interval};
        port.group = own_certificate_name(config_);
        port.own = true;
        port.target = target;
        return add(std::move(port), config_.watch.ca_file);
    }

    Result<void> add_canary(const WatchCanaryConfig& one) {
        auto sender = canary_end(config_, one.sender), fetcher = canary_end(config_, one.fetcher);
        if (!sender) return sender.error();
        if (!fetcher) return fetcher.error();
        auto login = login_of(one.account, one.password_file, *fetcher);
        if (!login) return login.error();
        auto trust = trust_in(config_.watch.ca_file);
        if (!trust) return trust.error();
        watch::WatchedCanary canary;
        canary.name = canary_name(one);
        canary.options = usual_options(config_);
        canary.options.login = std::move(*login);
        canary.trust = std::move(*trust);
        canary.canary.from = one.from;
        canary.canary.to = one.to;
        canary.canary.wait = one.wait;
        canary.rhythm = {one.interval, {}};
        canary.own = is_own(*sender) || is_own(*fetcher);
        canary.group = is_own(*fetcher) ? own_certificate_name(config_) : fetcher->host;
        canary.sender = std::move(*sender);
        canary.fetcher = std::move(*fetcher);
        plan_.settings.canaries.push_back(std::move(canary));
        return {};
    }

    const Config& config_;
    const std::vector<ProbeTarget> listeners_;
    OwnPorts own_;
    std::map<std::string, std::shared_ptr<const watch::TlsTrust>> trusts_;
    WatchPlan plan_;
};

}  // namespace

Result<WatchPlan> watch_plan(const Config& config) {
    return Planner(config).plan();
}

}  // namespace pier::program
