#include "main/metric_table.h"

#include <iterator>

#include <fmt/format.h>

namespace pier::program {
namespace {

using metrics::Description;
using metrics::Kind;

constexpr Kind counter = Kind::counter, gauge = Kind::gauge, histogram = Kind::histogram;

// clang-format off
constexpr Description table[] = {
    {"pier_build", Kind::info, "", {"version"}, "The program that runs."},
    {"pier_start_time_seconds", gauge, "seconds", {}, "When the server was started, in seconds since 1970."},
    {"pier_draining", gauge, "", {}, "1 while the server drains: it takes nobody new."},
    {"pier_store_failed", gauge, "", {}, "1 when the disk has failed the store: nothing more is accepted."},

    {"pier_listener", gauge, "", {"listener", "address"}, "1 for each socket that the server listens on."},
    {"pier_connections_open", gauge, "", {"listener"}, "Connections now."},
    {"pier_connections_accepted", counter, "", {"listener"}, "Connections that came, with those refused."},
    {"pier_connections_refused", counter, "", {"listener", "reason"}, "Connections turned away: by the listener's networks (network), the guard (blocked), while draining, for want of memory or descriptors, over limits.connections_max (in_all), connections_per_address_max (per_address) or new_connections_per_minute_max (rate), or because a proxy said nothing (proxy)."},
    {"pier_received_bytes", counter, "bytes", {"listener"}, "Octets received over connections that have ended, without TLS's own."},
    {"pier_sent_bytes", counter, "bytes", {"listener"}, "The same, sent."},

    {"pier_tls_handshakes", counter, "", {"listener", "version", "kind"}, "TLS handshakes done: full or resumed."},
    {"pier_tls_handshakes_failed", counter, "", {"listener"}, "TLS handshakes that failed or took too long."},
    {"pier_tls_handshake_seconds", histogram, "seconds", {"listener"}, "Time of a handshake that was done, with the client's part of it."},
    {"pier_tls_certificate_left_seconds", gauge, "seconds", {}, "Until the first of the certificates ends, in whole days."},
    {"pier_tls_self_signed", gauge, "", {}, "1 while a certificate that nobody trusts stands in for one that ACME has yet to get."},
    {"pier_tls_problems", gauge, "", {}, "Things that are wrong with the certificates; \"pier status\" names them."},
    {"pier_acme_challenges_answered", counter, "", {}, "Questions of the ACME authority that were answered."},

    {"pier_command_seconds", histogram, "seconds", {"protocol", "command"}, "Time from a command's arrival until its reply is handed to the network. A command appears with its first use; other stands for all that are unknown."},
    {"pier_sessions", gauge, "", {"protocol"}, "Sessions that are logged in now."},
    {"pier_logins", counter, "", {"protocol", "mechanism", "outcome"}, "Logins by how they were tried and how they ended: success, credentials (wrong), disabled, busy (too many at once), held (by the guard), outage (of a back end)."},
    {"pier_login_seconds", histogram, "seconds", {"protocol"}, "Time of a login: the guard's delay, the check, and opening the maildrop."},
    {"pier_maildrop_open_seconds", histogram, "seconds", {"protocol"}, "Of a login, the time to open the maildrop."},
    {"pier_first_octet_seconds", histogram, "seconds", {"protocol"}, "Time from RETR until the message's first octet could leave: read and verified."},
    {"pier_pop3_sessions_opened", counter, "", {}, "Sessions that got into a maildrop."},
    {"pier_pop3_retrieved", counter, "", {}, "Messages sent by RETR and TOP."},
    {"pier_pop3_removed", counter, "", {}, "Messages removed at QUIT."},
    {"pier_passwords_checked", counter, "", {}, "Passwords checked at full cost."},
    {"pier_passwords_remembered", counter, "", {}, "Logins that a password checked before has answered."},
    {"pier_password_checks_waiting", gauge, "", {}, "Logins that wait for a check now."},

    {"pier_recipients", counter, "", {"protocol", "reply"}, "RCPT by the class of its reply: accepted (2xx), refused for now (4xx), refused for good (5xx)."},
    {"pier_deliveries", counter, "", {"protocol", "reply"}, "Messages at their end, counted once for each recipient, by the class of the reply."},
    {"pier_delivery_seconds", histogram, "seconds", {"protocol"}, "Time from a message's end to its reply: appended and durable."},
    {"pier_messages_received", counter, "", {"protocol"}, "Messages that came to their end, delivered or not."},
    {"pier_messages_received_bytes", counter, "bytes", {"protocol"}, "Octets of those messages."},

    {"pier_guard_blocked", gauge, "", {}, "Blocks in force now."},
    {"pier_guard_tracked", gauge, "", {"what"}, "What is counted now: addresses, accounts, pairs of both."},
    {"pier_guard_blocks", counter, "", {}, "Blocks that the guard has made."},
    {"pier_guard_strikes", counter, "", {}, "Connections without a login that were up to no good."},
    {"pier_guard_logins_delayed", counter, "", {}, "Logins that had to wait before their password was looked at."},
    {"pier_guard_logins_refused", counter, "", {}, "Logins whose password was not looked at."},
    {"pier_guard_connections_refused", counter, "", {}, "Connections closed at once because their address is blocked."},

    {"pier_limit", gauge, "", {"limit"}, "The limits of the configuration that can be reached, by their keys."},
    {"pier_limit_used", gauge, "", {"limit"}, "How much of a limit is used now, where that is known."},
    {"pier_limit_reached", counter, "", {"limit"}, "How often it has turned somebody away."},

    {"pier_store_accounts", gauge, "", {}, "Accounts. This and the next five are counted at most once a minute."},
    {"pier_store_mailboxes", gauge, "", {}, "Mailboxes."},
    {"pier_store_messages", gauge, "", {}, "Messages in all mailboxes."},
    {"pier_store_segments", gauge, "", {}, "Files of the log."},
    {"pier_store_segment_bytes", gauge, "bytes", {}, "Octets in the files of the log."},
    {"pier_store_live_bytes", gauge, "bytes", {}, "Of them, those that somebody still has."},
    {"pier_store_groups", counter, "", {}, "Groups of records made durable, each by one sync."},
    {"pier_store_records", counter, "", {}, "Records made durable."},
    {"pier_store_cleaned_segments", counter, "", {}, "Files of the log that the cleaner has removed."},
    {"pier_store_sync_seconds", histogram, "seconds", {}, "Time of fdatasync for a group."},
    {"pier_store_listing_bytes", gauge, "bytes", {}, "Lists of mailboxes in memory."},
    {"pier_store_open_files", gauge, "", {}, "Files of the log that are open for reading."},
    {"pier_store_index_bytes", gauge, "bytes", {"where"}, "The index: its files, what is cached of them, and what is in memory alone."},
    {"pier_disk_free_bytes", gauge, "bytes", {}, "Free on the disk of the data folder, for this user."},
    {"pier_disk_size_bytes", gauge, "bytes", {}, "Its size."},

    {"pier_backend_up", gauge, "", {"backend"}, "1 if the process of the back end is ready."},
    {"pier_backend_requests", counter, "", {"backend"}, "What it was asked."},
    {"pier_backend_outages", counter, "", {"backend"}, "Requests that were not answered, or with an outage."},
    {"pier_backend_restarts", counter, "", {"backend"}, "Times that its process had to be made anew."},
    {"pier_backend_waiting", gauge, "", {"backend"}, "Requests under way now."},
    {"pier_backend_cached_names", gauge, "", {}, "Names of which it is remembered what the back ends have said."},
    {"pier_tokens_checked", counter, "", {}, "Tokens checked."},
    {"pier_tokens_asked", counter, "", {}, "Times that their issuer was asked."},
    {"pier_tokens_outages", counter, "", {}, "Times that it has not answered."},

    {"pier_filter_up", gauge, "", {}, "0 if the last message that the filter was asked about got no answer. These rows are there where a filter is set."},
    {"pier_filter_messages", counter, "", {}, "Messages for the filter."},
    {"pier_filter_refused", counter, "", {}, "Of them, those that were not taken: spam, greylisted, or not checked where filter.when_down is refuse."},
    {"pier_filter_marked", counter, "", {}, "Those that were taken and marked as spam."},
    {"pier_filter_unchecked", counter, "", {}, "Those that it did not look at: it was down or full, or they were too large."},
    {"pier_filter_under_way", gauge, "", {}, "Messages that it looks at now, or that wait for it."},
    {"pier_filter_seconds", histogram, "seconds", {}, "Time until its answer, waiting for a turn included."},

    {"pier_queue_messages", gauge, "", {}, "Messages for other servers that wait. These rows are there where there is a queue."},
    {"pier_queue_held", gauge, "", {}, "Of them, those that the administrator holds."},
    {"pier_queue_destinations", gauge, "", {}, "Destinations that mail waits for."},
    {"pier_queue_unreachable", gauge, "", {}, "Of them, those that could not be reached and are left alone for a while."},
    {"pier_queue_connections", gauge, "", {}, "Connections to other servers now."},
    {"pier_queue_added", counter, "", {}, "Messages put into the queue."},
    {"pier_queue_refused", counter, "", {}, "Messages refused because it was full."},
    {"pier_queue_recipients", counter, "", {"outcome"}, "Recipients by what each try has come to: delivered, deferred, failed, expired."},
    {"pier_queue_notices", counter, "", {}, "Notices to senders: not delivered, or delayed."},

    {"pier_probe_up", gauge, "", {"target", "what"}, "1 if the last look at a port came to its end, or the last canary came unchanged. These rows are there for what [watch] watches, since the first look; what is a protocol, or canary."},
    {"pier_probe_looks", counter, "", {"target", "what", "outcome"}, "Looks that came to their end (well) and that did not (failed)."},
    {"pier_probe_last_look_timestamp_seconds", gauge, "seconds", {"target", "what"}, "When the last look began, in seconds since 1970."},
    {"pier_probe_time_seconds", gauge, "seconds", {"target", "what"}, "Time of the last look that came to its end; of a canary, until it was found."},
    {"pier_probe_usual_time_seconds", gauge, "seconds", {"target", "what"}, "The median of that over the last day; known after two hours."},
    {"pier_probe_phase_seconds", gauge, "seconds", {"target", "what", "phase"}, "Time of each phase of the last look."},
    {"pier_probe_certificate_end_timestamp_seconds", gauge, "seconds", {"target", "what"}, "When the certificate that was shown ends, in seconds since 1970."},
    {"pier_probe_findings", gauge, "", {"target", "what", "severity"}, "Findings of the last look."},

    {"pier_alerts", gauge, "", {"severity"}, "What is wrong for certain now, as `pier alert list` shows it: warning, critical."},
    {"pier_alert_notices", counter, "", {"kind", "outcome"}, "Notices of alerts by the kind of their channel: sent, failed (given up), dropped (too many waited). These rows are there for the kinds of [[alerts.channel]]."},

    {"process_cpu_seconds", counter, "seconds", {}, "Processor time of this process, user and system."},
    {"process_resident_memory_bytes", gauge, "bytes", {}, "Its memory that is in the machine's."},
    {"process_virtual_memory_bytes", gauge, "bytes", {}, "Its addresses in use."},
    {"process_threads", gauge, "", {}, "Its threads."},
    {"process_open_fds", gauge, "", {}, "Its open descriptors."},
    {"process_max_fds", gauge, "", {}, "How many it may open."},
    {"process_start_time_seconds", gauge, "seconds", {}, "When it was started, in seconds since 1970."},
};
// clang-format on

}  // namespace

std::span<const Description> metric_table() {
    return table;
}

std::string metric_table_text() {
    std::string text = "| Name | Type | Unit | Labels | Meaning |\n| --- | --- | --- | --- | --- |\n";
    for (const Description& one : table) {
        std::string labels;
        for (std::size_t i = 0; i < one.label_count(); ++i)
            labels += fmt::format("{}`{}`", labels.empty() ? "" : ", ", one.labels[i]);
        fmt::format_to(std::back_inserter(text), "| `{}` | {} | {} | {} | {} |\n", metrics::query_name(one),
                       metrics::to_string(one.kind), one.unit, labels, one.help);
    }
    return text;
}

}  // namespace pier::program
