#include "filter/filter.h"

#include <atomic>
#include <mutex>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <fmt/format.h>

#include "base/log.h"
#include "filter/connection.h"

namespace pier::filter {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds complaint_pause{60};

Judgement judgement(const Verdict& verdict) {
    Judgement out;
    out.log = fmt::format("{} score={:.2f}", verdict.action_text, verdict.score);
    if (verdict.action == Action::reject || verdict.action == Action::defer)
        out.refusal = refusal(verdict);
    else
        out.fields = verdict.fields;
    out.spam = verdict.action == Action::mark;
    return out;
}

// Nobody has looked at it.
Judgement unchecked(std::string_view why) {
    Judgement out;
    out.fields = fmt::format("X-Spam-Status: unchecked ({})\r\n", why);
    out.log = fmt::format("not looked at: {}", why);
    return out;
}

}  // namespace

struct Filter::Impl {
    explicit Impl(Settings s) : settings(std::move(s)), pool(settings.connections_max) {}

    Judgement ask(const Question& question, std::uint64_t octets, const Read& read,
                  Steady::time_point began) {
        const auto verdict = ask_rspamd(settings.server, question, octets, read, began + settings.timeout);
        if (!verdict) return down(verdict.error().text);
        times.observe(Steady::now() - began);
        if (const std::lock_guard lock(mutex); std::exchange(is_down, false))
            log::info("filter.up", {{"server", settings.server}});
        return judgement(*verdict);
    }

    Judgement down(const std::string& reason) {
        {
            const std::lock_guard lock(mutex);
            is_down = true;
            ++complaints;
            const auto now = Steady::now();
            if (!complained || now - *complained >= complaint_pause) {
                log::error(
                    "filter.down",
                    {{"server", settings.server},
                     {"reason", reason},
                     {"messages", complaints},
                     {"hint", settings.refuse_when_down
                                  ? "mail is refused with 451 until rspamd answers again"
                                  : "mail is taken without being looked at until rspamd answers again"}});
                complained = now;
                complaints = 0;
            }
        }
        if (!settings.refuse_when_down) return unchecked("the filter did not answer");
        Judgement out;
        out.refusal = smtp::Reply{451, "4.7.1", "the message cannot be checked now; try again later"};
        out.log = "not looked at: " + reason;
        return out;
    }

    Judgement count(Judgement one) {
        if (one.refusal) ++refused;
        if (one.spam) ++marked;
        if (one.log.starts_with("not looked at")) ++not_checked;
        return one;
    }

    const Settings settings;
    std::mutex mutex;  // of the four
    bool is_down = false;
    std::uint64_t complaints = 0;  // since the last line in the log
    std::optional<Steady::time_point> complained;

    std::atomic<std::uint64_t> asked = 0, refused = 0, marked = 0, not_checked = 0;
    std::atomic<std::size_t> under_way = 0;
    metrics::Histogram times;
    boost::asio::thread_pool pool;  // goes first: it waits for its threads
};

Filter::Filter(Settings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {}

Filter::~Filter() {
    impl_->pool.join();
}

void Filter::ask(Question question, std::uint64_t octets, Read read, std::function<void(Judgement)> done) {
    Impl& impl = *impl_;
    ++impl.asked;
    if (octets > impl.settings.octets_max) return done(impl.count(unchecked("too large")));
    const std::size_t most = impl.settings.connections_max + impl.settings.waiting_max;
    if (++impl.under_way > most) {
        --impl.under_way;
        return done(impl.count(impl.down("too many messages wait for it")));
    }
    boost::asio::post(impl.pool, [&impl, began = Steady::now(), octets, question = std::move(question),
                                  read = std::move(read), done = std::move(done)] {
        Judgement one = impl.count(impl.ask(question, octets, read, began));
        --impl.under_way;
        done(std::move(one));
    });
}

Filter::Counts Filter::counts() const {
    const std::lock_guard lock(impl_->mutex);
    return {.asked = impl_->asked,
            .refused = impl_->refused,
            .marked = impl_->marked,
            .unchecked = impl_->not_checked,
            .under_way = impl_->under_way,
            .down = impl_->is_down};
}

metrics::Histogram::Values Filter::times() const {
    return impl_->times.values();
}

}  // namespace pier::filter
