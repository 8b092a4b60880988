#include "main/maildrop_methods.h"

#include <fmt/format.h>

#include "admin/params.h"
#include "base/log.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using admin::Call;

constexpr std::uint64_t since_s_max = 253'402'300'799;  // the year 9999

Result<json::value> undelete(const auth::Directory& directory, const maildrop::Keeper& keeper,
                             const Call& call) {
    admin::Params params(call.params);
    const std::string name = params.text("account");
    const auto since_s = params.maybe_number("since_s");
    const bool dry_run = params.maybe_flag("dry_run").value_or(false);
    if (auto good = params.finish(); !good) return good.error();
    if (!since_s || *since_s > since_s_max)
        return Error(ErrorKind::invalid, "the parameter \"since_s\" is missing or beyond the year 9999");
    const auth::AccountPtr account = directory.find(name);
    if (!account)
        return Error(ErrorKind::not_found,
                     fmt::format("there is no account {}; \"pier account list\" shows all", name));
    const Time since{std::chrono::seconds(*since_s)};
    const auto found = dry_run ? keeper.undeletable(*account, since) : keeper.undelete(*account, since);
    if (!found) return found.error();
    if (!dry_run && found->messages > 0)
        log::info("maildrop.undeleted",
                  {{"user", account->name}, {"since", to_rfc3339(since)}, {"messages", found->messages}});
    return json::value(json::object{{"messages", found->messages}, {"octets", found->octets}});
}

}  // namespace

void add_maildrop_methods(admin::Api& api, const auth::Directory& directory, const maildrop::Keeper& keeper) {
    api.add("mail.undelete",
            [&directory, &keeper](const Call& call) { return undelete(directory, keeper, call); });
}

}  // namespace pier::program
