#include "main/directory_changes.h"

#include <array>
#include <memory>
#include <mutex>

#include <boost/algorithm/string/predicate.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.h"
#include "main/quantity.h"

namespace pier::program {
namespace {

// What a method is about.
enum class Kind { account, alias, domain };

struct Recorded {
    std::string_view method, subject;  // the name of the parameter
    Kind kind;
};

constexpr std::array recorded{
    Recorded{"account.add", "name", Kind::account},
    Recorded{"account.passwd", "name", Kind::account},
    Recorded{"account.change", "name", Kind::account},
    Recorded{"account.disable", "name", Kind::account},
    Recorded{"account.enable", "name", Kind::account},
    Recorded{"account.remove", "name", Kind::account},
    Recorded{"account.app_password.add", "account", Kind::account},
    Recorded{"account.app_password.revoke", "account", Kind::account},
    Recorded{"account.second_factor.start", "account", Kind::account},
    Recorded{"account.second_factor.confirm", "account", Kind::account},
    Recorded{"account.second_factor.remove", "account", Kind::account},
    Recorded{"alias.add", "address", Kind::alias},
    Recorded{"alias.remove", "address", Kind::alias},
    Recorded{"domain.add", "name", Kind::domain},
    Recorded{"domain.change", "name", Kind::domain},
    Recorded{"domain.remove", "name", Kind::domain},
};

std::string yes_or_no(bool value) {
    return value ? "yes" : "no";
}

std::string or_none(std::string text, const char* none = "none") {
    return text.empty() ? none : std::move(text);
}

std::string joined(const std::vector<std::string>& texts) {
    return fmt::format("{}", fmt::join(texts, " "));
}

std::string quota_fact(std::uint64_t octets) {
    return octets == 0 ? "none" : format_octets(octets);
}

// "{SSHA}…" to "SSHA": the rest is a secret.
std::string scheme_of(const std::string& password) {
    const std::size_t end = password.find('}');
    const bool has = password.starts_with('{') && end != std::string::npos;
    return has ? password.substr(1, end - 1) : or_none(password.empty() ? "" : "?");
}

std::string app_password_fact(const auth::AppPassword& one) {
    return fmt::format("for {}, from {}, until {}", or_none(joined(one.protocols), "all protocols"),
                       or_none(joined(texts_of(one.networks)), "everywhere"),
                       one.until == Time() ? "it is revoked" : to_rfc3339(one.until));
}

// What a method's subject was, or is.
struct State {
    std::string name;  // as it is written here; empty: it is not there
    Facts facts{};
    std::string password{};  // of an account, as it is kept
};

State state_of(const auth::Directory& directory, Kind kind, const std::string& subject) {
    switch (kind) {
        case Kind::account: {
            const auth::AccountPtr account = directory.find(subject);
            if (!account) return {};
            return {account->name, account_facts(*account), account->password};
        }
        case Kind::alias:
            for (const auth::Alias& alias : directory.aliases())
                if (boost::algorithm::iequals(alias.address, subject))
                    return {alias.address, {{"targets", joined(alias.targets)}}};
            return {};
        case Kind::domain:
            if (const auto domain = directory.domain(subject))
                return {
                    domain->name,
                    {{"alias_of", or_none(domain->alias_of)}, {"quota", quota_fact(domain->quota_octets)}}};
            return {};
    }
    return {};
}

const char* word_of(Kind kind) {
    constexpr std::array words{"account", "alias", "domain"};
    return words[static_cast<std::size_t>(kind)];
}

std::vector<Difference> differences_of(const State& before, const State& after) {
    std::vector<Difference> out = differences(before.facts, after.facts);
    // The scheme is the same mostly; that it is another password is to be seen all the same.
    const bool both = !before.name.empty() && !after.name.empty();
    if (both && before.password != after.password && scheme_of(before.password) == scheme_of(after.password))
        out.push_back({"password", scheme_of(before.password), scheme_of(after.password) + ", another one"});
    return out;
}

struct Recorder {
    const auth::Directory& directory;
    ChangeLog& changes;
    Clock clock;
    std::mutex mutex{};

    Result<boost::json::value> record(const Recorded& what, const admin::Method& method,
                                      const admin::Call& call) {
        const boost::json::value* value = call.params.if_contains(what.subject);
        if (value == nullptr || !value->is_string()) return method(call);  // it will say so
        const std::string subject(value->get_string());
        const std::lock_guard lock(mutex);
        const State before = state_of(directory, what.kind, subject);
        auto answer = method(call);
        if (!answer) return answer;
        const State after = state_of(directory, what.kind, subject);
        Change change{.at = clock(),
                      .what = word_of(what.kind),
                      .subject = !after.name.empty()    ? after.name
                                 : !before.name.empty() ? before.name
                                                        : subject,
                      .by = std::string(what.method),
                      .who = call.caller,
                      .differences = differences_of(before, after)};
        if (change.differences.empty() && before.name == after.name) return answer;
        if (auto kept = changes.append(change); !kept)
            log::error("changes.failed", {{"what", change.by},
                                          {"subject", change.subject},
                                          {"reason", kept.error().text},
                                          {"hint", "it was done, and `pier history` will not show it"}});
        return answer;
    }
};

}  // namespace

Facts account_facts(const auth::Account& account) {
    Facts facts{{"password", scheme_of(account.password)},
                {"disabled", yes_or_no(account.disabled)},
                {"exclusive", yes_or_no(account.exclusive)},
                {"app_passwords_only", yes_or_no(account.app_passwords_only)},
                {"second_factor", account.has_second_factor() ? "in force"
                                  : account.second_factor     ? "not confirmed"
                                                              : "none"},
                {"master", yes_or_no(account.master)},
                {"protocols", account.protocols ? or_none(joined(*account.protocols)) : "all"},
                {"allow", or_none(joined(texts_of(account.networks.allow)), "everywhere")},
                {"deny", or_none(joined(texts_of(account.networks.deny)))},
                {"send_as", or_none(joined(account.send_as))},
                {"forward", or_none(joined(account.forward))},
                {"quota", quota_fact(account.quota_octets)}};
    if (!account.disabled_text.empty()) facts["disabled_text"] = account.disabled_text;
    if (!account.backend.empty()) facts["backend"] = account.backend;
    if (!account.forward.empty()) facts["keep_copy"] = yes_or_no(account.keep_copy);
    for (const auth::AppPassword& one : account.app_passwords)
        facts[fmt::format("app_password[{}]", one.name)] = app_password_fact(one);
    return facts;
}

void record_directory_changes(admin::Api& api, const auth::Directory& directory, ChangeLog& changes,
                              Clock clock) {
    const auto recorder = std::make_shared<Recorder>(directory, changes, std::move(clock));
    for (const Recorded& one : recorded)
        api.around(one.method, [recorder, one](admin::Method method) -> admin::Method {
            return [recorder, one, method = std::move(method)](const admin::Call& call) {
                return recorder->record(one, method, call);
            };
        });
}

}  // namespace pier::program
