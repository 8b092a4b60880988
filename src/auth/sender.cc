#include "auth/sender.h"

#include <algorithm>

#include <fmt/format.h>

#include "auth/name.h"

namespace pier::auth {
namespace {

constexpr std::string_view everybody = "any";
constexpr std::size_t send_as_max = 100;

bool receives(const Directory& directory, const Account& account, std::string_view local,
              std::string_view domain) {
    const auto found = directory.resolve(local, domain);
    if (found &&
        std::ranges::any_of(found->accounts, [&](const AccountPtr& one) { return one->id == account.id; }))
        return true;
    // It forwards all of its mail, which was its own.
    if (account.forward.empty() || account.keep_copy) return false;
    const AccountPtr named = directory.find_login(fmt::format("{}@{}", local, domain));
    return named && named->id == account.id;
}

}  // namespace

SenderClaim sender_claim(const Directory& directory, const Account& account, std::string_view local,
                         std::string_view domain) {
    if (local.empty() || domain.empty()) return SenderClaim::none;
    if (receives(directory, account, local, domain)) return SenderClaim::own;
    const std::string of_domain = "@" + fold_name(domain), address = fold_name(local) + of_domain;
    const auto is_listed = [&](std::string_view one) {
        return std::ranges::find(account.send_as, one) != account.send_as.end();
    };
    if (is_listed(address) || is_listed(of_domain)) return SenderClaim::granted;
    return is_listed(everybody) ? SenderClaim::any : SenderClaim::none;
}

Result<std::vector<std::string>> check_send_as(const std::vector<std::string>& wanted) {
    std::vector<std::string> out;
    for (const std::string& one : wanted) {
        std::string folded = fold_name(one);
        if (folded != everybody) {
            if (folded.find('@') == std::string::npos)
                return Error{
                    ErrorKind::invalid,
                    fmt::format("\"{}\" is no address to send as; write ada@example.org, @example.org for "
                                "all of a domain, or any",
                                one)};
            const auto address = alias_address(folded);
            if (!address) return address.error();
            folded = *address;
        }
        if (std::ranges::find(out, folded) == out.end()) out.push_back(std::move(folded));
    }
    if (out.size() > send_as_max)
        return Error{ErrorKind::invalid,
                     fmt::format("an account has at most {} addresses to send as; name a domain, or any",
                                 send_as_max)};
    return out;
}

}  // namespace pier::auth
