#include "main/change_methods.h"

#include <algorithm>
#include <array>

#include <boost/algorithm/string/predicate.hpp>
#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "admin/params.h"

namespace pier::program {
namespace {

namespace json = boost::json;

constexpr std::uint64_t count_usual = 50, count_max = 10'000;
constexpr std::array<std::string_view, 6> kinds{"configuration", "certificate", "listeners",
                                                "account",       "alias",       "domain"};

Result<json::value> list(const ChangeLog& log, const Clock& clock, const admin::Call& call) {
    admin::Params params(call.params);
    const std::string what = params.maybe_text("what").value_or("");
    const std::string subject = params.maybe_text("subject").value_or("");
    const auto since_s = params.maybe_number("since_s");
    const std::uint64_t count = params.maybe_number("count").value_or(count_usual);
    if (auto good = params.finish(); !good) return good.error();
    if (!what.empty() && std::find(kinds.begin(), kinds.end(), what) == kinds.end())
        return Error{ErrorKind::invalid,
                     "\"what\" is configuration, certificate, listeners, account, alias or domain"};
    if (count == 0 || count > count_max)
        return Error{ErrorKind::invalid, fmt::format("\"count\" is from 1 to {}", count_max)};
    const auto kept = log.read();
    if (!kept) return kept.error();

    const Time now = clock();
    const auto since_epoch_s = static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count()));
    const std::uint64_t back_s = std::min(since_s.value_or(since_epoch_s), since_epoch_s);
    const Time from = now - std::chrono::seconds(back_s);
    std::vector<const Change*> wanted;
    for (const Change& change : kept->changes)
        if ((what.empty() || change.what == what) &&
            (subject.empty() || boost::algorithm::iequals(change.subject, subject)) && change.at >= from)
            wanted.push_back(&change);
    const std::size_t older = wanted.size() > count ? wanted.size() - count : 0;
    json::array all;
    for (std::size_t i = older; i < wanted.size(); ++i)
        all.push_back(to_json(*wanted[i]));
    return json::value(
        json::object{{"changes", std::move(all)}, {"older", older}, {"unreadable", kept->unreadable}});
}

}  // namespace

void add_change_methods(admin::Api& api, const ChangeLog& changes, Clock clock) {
    api.add("changes.list", [&changes, clock = std::move(clock)](const admin::Call& call) {
        return list(changes, clock, call);
    });
}

}  // namespace pier::program
