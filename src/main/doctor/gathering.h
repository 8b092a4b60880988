// Gathers the doctor's facts: reads files and /proc, asks the running server over its management socket,
// speaks with its listeners, asks DNS. Changes nothing. Blocks, for up to a minute when much does not answer;
// one thread (it makes some of its own while it probes). The process must ignore SIGPIPE.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "main/config_file.h"
#include "main/doctor/facts.h"
#include "main/probe_targets.h"
#include "watch/probe_tls.h"

namespace pier::program::doctor {

// What is looked at.
enum class Area {
    listeners,
    firewall,
    account,  // of Request::about
    certificates,
    machine,  // disk, memory, descriptors, clock
    names,    // DNS
    mail,     // domains, recipients, filter, queue
};

struct Request {
    std::set<Area> areas;  // the configuration and the server's own word always
    About about;
    std::vector<ProbeTarget> targets;  // asked for by HOST:PORT
    std::string ca_file;               // whom to trust; empty: the system's authorities
};

// `invalid`: ca_file cannot be used.
Result<Facts> gather(Loaded loaded, const Request& request);

// The parts, in files of their own.
std::vector<ListenerFacts> listener_facts(const Config& config, const ServerFacts& server,
                                          const About& about);
// Speaks with each that may be spoken with.
void probe_listeners(const Config& config, const watch::TlsTrust& trust,
                     std::vector<ListenerFacts>& listeners);
std::vector<watch::Probe> probe_targets(const std::vector<ProbeTarget>& targets,
                                        const watch::TlsTrust& trust);
watch::Firewall firewall_facts();
ServerFacts server_facts(const Config& config, const Request& request);
std::vector<CertificateFacts> certificate_facts(const Config& config);
ClockFacts clock_facts(const std::string& data_folder);
DiskFacts disk_facts(const std::string& data_folder);
MachineFacts machine_facts(const Config& config, const ServerFacts& server);
DnsFacts dns_facts(const Config& config, const std::vector<std::string>& domains, bool of_domains);
FilterFacts filter_facts(const FilterConfig& filter);

}  // namespace pier::program::doctor
