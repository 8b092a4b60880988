// The machine: disk, memory, descriptors, clock; and the files of certificates.
#include <fmt/format.h>

#include "main/doctor/rules.h"
#include "main/quantity.h"
#include "watch/findings.h"

namespace pier::program::doctor {
namespace {

void judge_disk(Judgement& findings, const DiskFacts& disk, const Thresholds& limits) {
    if (!disk.problem.empty())
        findings.add(
            Severity::critical, "data_folder_unusable", "The server cannot write its data folder",
            fmt::format("{}: {}", disk.folder, disk.problem),
            fmt::format("chown -R pier: {0} && chmod u+rwx {0}, with the user of server.user", disk.folder));
    if (disk.octets == 0) return;
    const double share = static_cast<double>(disk.octets_free) / static_cast<double>(disk.octets);
    const std::string seen = fmt::format("{} of {} are free at {}", about_octets(disk.octets_free),
                                         about_octets(disk.octets), disk.folder);
    const std::string step =
        fmt::format("df -h {}; remove what is not needed there, or enlarge it", disk.folder);
    if (disk.octets_free <= limits.disk_octets_critical)
        findings.add(Severity::critical, "disk_full", "The disk of the data folder is full: mail is refused",
                     seen, step);
    else if (share <= limits.disk_share_warning && disk.octets_free <= limits.disk_octets_warning)
        findings.add(Severity::warning, "disk_nearly_full", "The disk of the data folder is nearly full",
                     seen, step);
    // File systems without a fixed number of inodes say 0.
    if (disk.inodes == 0) return;
    const double inodes = static_cast<double>(disk.inodes_free) / static_cast<double>(disk.inodes);
    if (inodes <= limits.inode_share_warning)
        findings.add(
            Severity::critical, "inodes_short",
            "The file system of the data folder has hardly any inodes left",
            fmt::format("{} of {} inodes are free at {}", disk.inodes_free, disk.inodes, disk.folder),
            fmt::format("df -i {}; remove small files there", disk.folder));
}

void judge_clock(Judgement& findings, const ClockFacts& clock, const Thresholds& limits) {
    if (clock.newest_file_ahead >= limits.clock_ahead_max)
        findings.add(
            Severity::critical, "clock_behind",
            "The clock of this machine is behind: its data folder has a file from the future",
            fmt::format("{} was written {} from now", clock.newest_file,
                        format_duration(static_cast<std::uint64_t>(clock.newest_file_ahead.count()))),
            "timedatectl set-ntp true; timedatectl shows whether it was set");
    if (clock.synchronised && !*clock.synchronised)
        findings.add(Severity::warning, "clock_unsynchronised", "Nobody sets the clock of this machine",
                     "the kernel says that it is not synchronised (adjtimex: STA_UNSYNC)",
                     "timedatectl set-ntp true    (or: apt install chrony)");
}

}  // namespace

void judge_machine(Judgement& findings, const Facts& facts, const Thresholds& limits) {
    if (facts.disk) judge_disk(findings, *facts.disk, limits);
    if (facts.clock) judge_clock(findings, *facts.clock, limits);
    if (!facts.machine) return;
    const MachineFacts& machine = *facts.machine;
    if (machine.memory_octets_free && *machine.memory_octets_free <= limits.memory_octets_min)
        findings.add(Severity::critical, "memory_short", "The machine has hardly any memory left",
                     fmt::format("{} are available", about_octets(*machine.memory_octets_free)),
                     "ps aux --sort=-rss | head shows who has it");
    if (machine.descriptors_max && *machine.descriptors_max < machine.descriptors_wanted)
        findings.add(
            Severity::warning, "descriptors_low",
            "The server may open fewer files than its configuration needs: at a rush, sessions are refused",
            fmt::format("the limit is {}, and {} are needed for limits.connections_max and the store",
                        *machine.descriptors_max, machine.descriptors_wanted),
            fmt::format("systemctl edit pier: [Service] LimitNOFILE={}; then: {}; or lower "
                        "limits.connections_max",
                        machine.descriptors_wanted, restart_step));
}

void judge_certificates(Judgement& findings, const Facts& facts, const Thresholds& limits) {
    for (const CertificateFacts& one : facts.certificates) {
        const auto add = [&](Severity severity, const char* code, std::string what, std::string seen,
                             std::string step) {
            findings.add(severity, code, std::move(what), std::move(seen), std::move(step));
        };
        const std::string renew = fmt::format("renew {} and its key, then: pier reload", one.file);
        if (!one.unreadable.empty()) {
            add(Severity::critical, "certificate_unreadable", "The certificate cannot be read",
                fmt::format("{}: {}", one.file, one.unreadable),
                fmt::format("ls -l {}; put it there and let the user of server.user read it", one.file));
            continue;
        }
        const int days = watch::days_between(facts.now, one.not_after);
        if (one.not_after <= facts.now)
            add(Severity::critical, "certificate_expired",
                "The certificate has expired: clients warn or refuse",
                fmt::format("{} ended {}", one.file, to_rfc3339(one.not_after)), renew);
        else if (one.not_before > facts.now)
            add(Severity::critical, "certificate_not_yet_valid",
                "The certificate is not valid yet; or the clock of this machine is behind",
                fmt::format("{} begins {}, and it is {}", one.file, to_rfc3339(one.not_before),
                            to_rfc3339(facts.now)),
                "timedatectl shows the clock; if it is right, use the certificate from before until then");
        else if (days <= limits.certificate_days_min)
            add(Severity::warning, "certificate_ends_soon",
                fmt::format("The certificate ends in {} days, and nobody has renewed it", days), one.file,
                fmt::format("{}; with [acme]: pier acme status, pier acme renew", renew));
        if (!one.for_host)
            add(Severity::critical, "certificate_wrong_name",
                fmt::format("The certificate is not for {}, by which clients know this server", one.host),
                fmt::format("{} is for {}", one.file, fmt::join(one.names, ", ")),
                "get one for that name, or correct server.hostname");
        if (!one.key_unreadable.empty())
            add(Severity::critical, "key_unreadable", "The key of the certificate cannot be read",
                fmt::format("{}: {}", one.key_file, one.key_unreadable),
                fmt::format("ls -l {}; let root or the user of server.user read it", one.key_file));
        else if (!one.key_matches)
            add(Severity::critical, "certificate_key_mismatch", "Certificate and key do not belong together",
                fmt::format("{} and {}", one.file, one.key_file),
                "put the pair there that was made together, then: pier reload");
        if (one.key_open)
            add(Severity::warning, "key_open", "Everybody on this machine can read the private key",
                one.key_file, fmt::format("chmod o= {}", one.key_file));
    }
}

}  // namespace pier::program::doctor
