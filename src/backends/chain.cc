#include "backends/chain.h"

#include <utility>

#include "auth/name.h"
#include "auth/password.h"
#include "base/log.h"

namespace pier::backends {
namespace {

using auth::BackendAnswer;

bool is_asked_for(Names names, std::string_view name) {
    const bool address = name.find('@') != std::string_view::npos;
    return names == Names::any || (names == Names::address) == address;
}

}  // namespace

struct Chain::Step {
    const Member* member;
    std::string name;
};

struct Chain::Course {
    ~Course() { auth::wipe(question.password); }
    What what;
    auth::BackendQuestion question;
    Done done;
    std::uint64_t age;        // of the cache when it was asked
    std::vector<Step> steps;  // not taken yet, the last one first
};

Chain::Chain(std::vector<std::unique_ptr<BackEnd>> back_ends, std::size_t names_max, Clock clock)
    : members_([&back_ends] {
          std::vector<Member> members;
          for (auto& one : back_ends)
              members.push_back({std::move(one), std::make_unique<std::atomic<std::uint64_t>>(0)});
          return members;
      }()),
      cache_(names_max),
      clock_(std::move(clock)) {}

void Chain::check(auth::BackendQuestion question, Done done) {
    begin(What::check, std::move(question), std::move(done));
}

void Chain::find(auth::BackendQuestion question, Done done) {
    begin(What::find, std::move(question), std::move(done));
}

void Chain::begin(What what, auth::BackendQuestion question, Done done) {
    const auto course = std::make_shared<Course>();
    course->what = what;
    course->question = std::move(question);
    course->done = std::move(done);
    course->age = cache_.age();
    bool there = false;
    for (auto member = members_.rbegin(); member != members_.rend(); ++member) {
        const Settings& settings = member->back_end->settings();
        const std::string& wanted = course->question.backend;
        if (!wanted.empty() && wanted != settings.name) continue;
        there = true;
        const auto& names = course->question.names;
        for (auto name = names.rbegin(); name != names.rend(); ++name)
            if (is_asked_for(settings.names, *name)) course->steps.push_back({&*member, *name});
    }
    if (!there) {
        log::error("backend.missing",
                   {{"backend", course->question.backend},
                    {"hint", "an account belongs to it, but no [[backend]] has that name"}});
        return course->done(auth::BackendOutage{"it is not configured"});
    }
    next(course);
}

void Chain::next(const std::shared_ptr<Course>& course) {
    if (course->steps.empty()) return course->done(auth::BackendUnknown{});
    const Step step = std::move(course->steps.back());
    course->steps.pop_back();
    ask(course, step);
}

void Chain::ask(const std::shared_ptr<Course>& course, const Step& step) {
    BackEnd& back_end = *step.member->back_end;
    const auto done = [this, course, step](Answer answer) { take(course, step, std::move(answer)); };
    if (course->what == What::check) {
        const auth::LoginOrigin& origin = course->question.origin;
        Login login{.name = step.name,
                    .password = course->question.password,
                    .protocol = std::string(origin.protocol),
                    .address = origin.protocol.empty() ? std::string() : origin.address.to_string()};
        back_end.check(login, done);
        auth::wipe(login.password);
        return;
    }
    const auto known = cache_.account_of(back_end.settings().name, step.name, clock_());
    if (!known) return back_end.find(step.name, done);
    if (known->empty()) return next(course);
    course->done(auth::BackendUser{.backend = back_end.settings().name, .name = *known});
}

void Chain::take(const std::shared_ptr<Course>& course, const Step& step, Answer answer) {
    const std::string& backend = step.member->back_end->settings().name;
    if (auto* found = std::get_if<Found>(&answer))
        found->user.name = auth::fold_name(found->user.name.empty() ? step.name : found->user.name);
    note(*course, step, answer);
    if (std::holds_alternative<UnknownUser>(answer)) return next(course);
    if (auto* found = std::get_if<Found>(&answer)) {
        User& user = found->user;
        return course->done(auth::BackendUser{.backend = backend,
                                              .name = std::move(user.name),
                                              .quota_octets = user.quota_octets,
                                              .allow = std::move(user.allow)});
    }
    if (auto* denied = std::get_if<NotAllowed>(&answer))
        return course->done(auth::BackendDenied{std::move(denied->reason)});
    if (auto* outage = std::get_if<Outage>(&answer)) {
        log::warning("backend.outage", {{"backend", backend}, {"user", step.name}, {"reason", outage->text}});
        return course->done(auth::BackendOutage{std::move(outage->text)});
    }
    course->done(auth::BackendWrong{});
}

void Chain::note(const Course& course, const Step& step, const Answer& answer) {
    const Settings& settings = step.member->back_end->settings();
    const Time now = clock_();
    if (std::holds_alternative<Outage>(answer)) ++*step.member->outages;
    if (std::holds_alternative<UnknownUser>(answer))
        cache_.keep_name(settings.name, step.name, {}, now + settings.cache_unknown_time, course.age);
    const auto* found = std::get_if<Found>(&answer);
    if (found == nullptr || settings.cache_time.count() == 0) return;
    const std::string& account = found->user.name;
    cache_.keep_name(settings.name, step.name, account, now + settings.cache_time, course.age);
    if (course.what == What::check)
        cache_.keep_password(settings.name, account, course.question.password, now + settings.cache_time,
                             course.age);
}

bool Chain::remembers(const auth::Account& account, std::string_view password) {
    return cache_.knows_password(account.backend, account.name, password, clock_());
}

void Chain::forget(std::string_view name) {
    cache_.forget(name.empty() ? std::string() : auth::fold_name(name));
}

void Chain::stop() {
    for (const Member& member : members_)
        member.back_end->stop();
}

std::vector<Chain::State> Chain::states() const {
    std::vector<State> out;
    for (const Member& member : members_)
        out.push_back({member.back_end->settings(), member.back_end->state(), member.outages->load()});
    return out;
}

}  // namespace pier::backends
