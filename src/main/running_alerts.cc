// The part of a running server that tells when something is wrong, and its looks at itself.
#include <future>

#include <boost/asio/post.hpp>
#include <sys/statvfs.h>

#include "delivery/routing.h"
#include "main/running.h"
#include "smtp/path.h"

namespace pier::program {
namespace {

// A notice is on disk by then, or the disk hangs.
constexpr std::chrono::seconds delivery_wait{30};

// What a reply to a notice means for its channel.
Result<void> result_of(const std::vector<smtp::Reply>& replies) {
    for (const smtp::Reply& reply : replies)
        if (!reply.positive())
            return Error{reply.code < 500 ? ErrorKind::busy : ErrorKind::not_found,
                         reply.enhanced + ' ' + reply.text};
    return {};
}

std::optional<VitalReadings::Disk> disk_of(const std::string& folder) {
    struct statvfs disk {};
    if (::statvfs(folder.c_str(), &disk) != 0) return {};
    const auto unit = static_cast<double>(disk.f_frsize);
    // What root keeps for itself is no room for mail.
    const auto ours = static_cast<double>(disk.f_blocks - disk.f_bfree + disk.f_bavail);
    return VitalReadings::Disk{static_cast<double>(disk.f_bavail) * unit, ours * unit};
}

}  // namespace

watch::Observe Running::observer() {
    return [this](watch::Observation seen) {
        if (alerting_) alerting_->observe(std::move(seen));
    };
}

void Running::open_alerts() {
    Alerting::Settings settings;
    settings.rules = alert_rules(config_.alerts);
    settings.file = config_.server.data_folder + "/alerts.json";
    settings.on_disk = [this](std::function<void()> what) {
        boost::asio::post(*disk_pool_, std::move(what));
    };
    alerting_ = std::make_unique<Alerting>(std::move(settings), std::exchange(alert_ways_, {}), even_clock());
    vitals_.emplace(config_.alerts, config_.server.hostname, config_.filter.refuse_when_down);
}

void Running::start_alerts() {
    alerting_->start([this](const std::string& from, const std::vector<std::string>& to,
                            const std::string& message) { return send_notice(from, to, message); });
}

// Each recipient's by itself: one that is refused keeps it from nobody else.
Result<void> Running::send_notice(const std::string& from, const std::vector<std::string>& to,
                                  const std::string& message) {
    const auto sender = smtp::parse_address(from);
    if (!sender) return Error{ErrorKind::invalid, from + " is no address"};
    Result<void> result;
    bool any = false;
    for (const std::string& recipient : to) {
        auto sent = send_notice_to(*sender, recipient, message);
        any = any || sent.has_value();
        if (!sent) result = sent.error();
    }
    // Tried again, those who have got it would get it again.
    if (any) return {};
    return result;
}

Result<void> Running::send_notice_to(const smtp::Address& from, const std::string& to,
                                     const std::string& message) {
    const auto address = smtp::parse_address(to);
    if (!address) return Error{ErrorKind::invalid, to + " is no address"};
    auto octets = store_->new_spool();
    if (auto written = octets->write(message); !written) return written.error();
    smtp::Envelope::Recipient recipient;
    recipient.address = *address;
    delivery::Envelope envelope;
    envelope.with = "local";
    envelope.sender = from;
    envelope.recipient = address->text();
    envelope.all_or_none = true;
    envelope.body_8bit = true;
    delivery::Routing routing;
    // As our own mail, not forwarded: its sender stays (delivery/srs.h).
    if (queue_ && !address->domain.empty() && !directory_->has_domain(address->domain)) {
        envelope.outgoing.push_back({recipient, from});
    } else {
        delivery::Resolved resolved = delivery_->resolve(*address);
        if (!resolved.reply.positive()) return result_of({resolved.reply});
        delivery_->route(recipient, std::move(resolved), envelope, routing);
    }
    auto done = std::make_shared<std::promise<Result<void>>>();
    auto waited = done->get_future();
    delivery_->deliver(
        envelope, routing.take_accounts(), std::move(octets),
        [done](const std::vector<smtp::Reply>& replies) { done->set_value(result_of(replies)); });
    if (waited.wait_for(delivery_wait) != std::future_status::ready)
        return Error{ErrorKind::busy, "the store has not taken it in time: its disk may hang"};
    return waited.get();
}

// Looks wait for the disk: not on this thread, and one at a time.
void Running::tick_vitals() {
    const auto now = std::chrono::steady_clock::now();
    if (vitals_looking_) {
        if (now - vitals_looked_ >= vitals_hang)
            alerting_->observe(vitals_->judge_disk_answers(false, system_now()));
        return;
    }
    if (now - vitals_looked_ < vitals_pause) return;
    vitals_looked_ = now;
    vitals_looking_ = true;
    boost::asio::post(*disk_pool_, [this] {
        look_at_vitals();
        vitals_looking_ = false;
    });
}

void Running::look_at_vitals() {
    VitalReadings now;
    now.at = system_now();
    now.disk = disk_of(config_.server.data_folder);
    if (queue_) now.queue = {queue_->counts().messages, queue_->oldest()};
    now.failed_logins = pop3_->failed_logins.load() + submitters_->failed_logins.load();
    now.blocks = guard_.counts().blocks;
    if (filter_) {
        const auto filter = filter_->counts();
        now.filter = {filter.asked, filter.down};
    }
    if (chain_)
        for (const auto& state : chain_->states())
            now.back_ends.push_back({state.settings.name,
                                     state.channel.worker == "gone" || state.channel.worker == "ended",
                                     state.channel.requests, state.outages});
    if (tls_) now.certificates = {tls_->stands_in() || tls_->days_left() >= 0, tls_->problems()};
    alerting_->observe(vitals_->judge_disk_answers(true, now.at));
    for (watch::Observation& one : vitals_->judge(now))
        alerting_->observe(std::move(one));
}

}  // namespace pier::program
