#include "main/doctor/gathering.h"

#include <algorithm>

#include <fmt/format.h>

#include "auth/name.h"
#include "main/config_check.h"

namespace pier::program::doctor {
namespace {

// What the doctor finds out more exactly by itself: said once.
bool is_told_elsewhere(const Config& config, const std::string& text) {
    std::vector<std::string> words{"is open to root alone"};
    if (config.tls.configured()) {
        words.push_back(config.tls.certificate);
        words.push_back(config.tls.key_file());
    }
    for (const CertificateConfig& one : config.certificates) {
        words.push_back(one.file);
        words.push_back(one.key_file());
    }
    const auto has = [&](const std::string& word) {
        return !word.empty() && text.find(word) != std::string::npos;
    };
    // Of a certificate by its subject (net::Tls::problems).
    const bool ends = text.starts_with("the certificate ") && (text.find(" ends in ") != std::string::npos ||
                                                               text.find(" EXPIRED") != std::string::npos);
    return ends || text.starts_with("server.data_folder") || std::ranges::any_of(words, has);
}

// Whether it fits this machine; and what is wrong with the data folder.
void check_config(Loaded& loaded, Facts& facts, std::string& data_folder_problem) {
    const std::size_t of_file = loaded.problems.size();
    if (loaded.was_read) check_machine(loaded);
    for (std::size_t i = 0; i < loaded.problems.size(); ++i) {
        const Problem& problem = loaded.problems[i];
        if (i >= of_file && problem.text.starts_with("server.data_folder"))
            data_folder_problem = problem.text;
        if (i >= of_file && is_told_elsewhere(loaded.config, problem.text)) continue;
        facts.config.push_back({problem.severity == Severity::error, problem.place.text(), problem.text});
    }
}

// Of the domains that are served, or the one that was asked about.
std::vector<std::string> domains_to_ask(const ServerFacts& server, const About& about) {
    constexpr std::size_t domains_max = 20;
    std::vector<std::string> out = server.domains;
    const std::string asked(auth::split_address(about.account).second);
    if (!asked.empty()) std::erase_if(out, [&](const std::string& one) { return one != asked; });
    if (out.size() > domains_max) out.resize(domains_max);
    return out;
}

}  // namespace

Result<Facts> gather(Loaded loaded, const Request& request) {
    const auto trust = watch::TlsTrust::load(request.ca_file);
    if (!trust) return trust.error();
    Facts facts;
    facts.now = system_now();
    facts.about = request.about;
    facts.config_file = loaded.file.file;
    std::string data_folder_problem;
    check_config(loaded, facts, data_folder_problem);
    const Config& config = loaded.config;
    const auto wanted = [&](Area area) { return request.areas.contains(area); };

    facts.server = server_facts(config, request);
    const ServerFacts& server = *facts.server;
    facts.smarthost = config.queue.smarthost;
    facts.takes_mail_from_world =
        std::ranges::any_of(config.listeners, [](const auto& one) { return one.protocol == Protocol::smtp; });
    if (wanted(Area::listeners) && request.targets.empty()) {
        facts.listeners = listener_facts(config, server, request.about);
        probe_listeners(config, *trust, facts.listeners);
    }
    facts.asked_targets = probe_targets(request.targets, *trust);
    if (wanted(Area::firewall)) facts.firewall = firewall_facts();
    if (wanted(Area::certificates)) facts.certificates = certificate_facts(config);
    if (wanted(Area::machine)) {
        facts.clock = clock_facts(config.server.data_folder);
        facts.disk = disk_facts(config.server.data_folder);
        facts.disk->problem = data_folder_problem;
        facts.machine = machine_facts(config, server);
    }
    const bool sends = config.queue.enabled;
    if (wanted(Area::names) && sends)
        facts.dns = dns_facts(config, domains_to_ask(server, request.about), wanted(Area::mail));
    if (wanted(Area::mail) && config.filter.configured()) facts.filter = filter_facts(config.filter);
    return facts;
}

}  // namespace pier::program::doctor
