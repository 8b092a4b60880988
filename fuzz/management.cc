// The management socket: any lines as requests, to the methods for accounts, aliases and domains over a store
// in memory. Every request gets one line of answer, what is read can be written again, and after all of them
// the directory that a restart would load is the one that is there. Input: requests, a line each, the octets
// that a request announces behind it.
#include <algorithm>
#include <memory>
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "admin/api.h"
#include "admin/app_password_methods.h"
#include "admin/methods.h"
#include "admin/second_factor_methods.h"
#include "auth/directory.h"
#include "auth/memory_store.h"
#include "auth/name.h"
#include "base/utf8.h"
#include "fuzz/require.h"

namespace {

using namespace pier;
using fuzz::require;
namespace json = boost::json;

constexpr std::uint64_t octets_max = 4096;  // behind a line
constexpr int requests_max = 64;

class Server {
  public:
    explicit Server(std::shared_ptr<test::MemoryStore::Disk> disk)
        : store_(std::move(disk), test::MemoryStore::Answers::at_once), directory_(store_) {
        require(directory_.load().has_value(), "a directory can be loaded");
        admin::add_directory_methods(api_, directory_, store_);
        admin::add_app_password_methods(api_, directory_);
        admin::add_second_factor_methods(api_, directory_);
    }

    const admin::Api& api() const { return api_; }
    const auth::Directory& directory() const { return directory_; }
    std::string list(std::string_view method) const {
        const auto all = api_.call(method, {});
        require(all.has_value(), "a list can be had");
        return json::serialize(*all);
    }

  private:
    test::MemoryStore store_;
    auth::Directory directory_;
    admin::Api api_;
};

// A password in clear costs a tenth of a second of hashing, on purpose.
bool would_hash(const json::object& params) {
    const json::value* scheme = params.if_contains("password_scheme");
    if (params.contains("password")) return true;
    if (scheme == nullptr || !scheme->is_string()) return false;
    const auto normal = auth::normal_password_scheme(scheme->get_string());
    return normal && auth::readable_password(*normal);
}

void check_answer(const std::string& answer) {
    require(answer.find('\n') == answer.size() - 1, "an answer is one line");
    require(is_utf8(answer), "an answer is text");
    const auto read = admin::parse_answer(answer);
    require(admin::write_answer(read) == answer, "an answer that is written again is the same");
    if (read) return;
    require(!read.error().text.empty(), "an error says what is wrong");
    require(read.error().kind != ErrorKind::io && read.error().kind != ErrorKind::corrupt,
            "no request breaks the store");
}

void check_texts(std::string_view line) {
    if (const auto request = admin::parse_request(line, octets_max)) {
        const auto again = admin::parse_request(admin::write_request(*request), octets_max);
        require(again && again->method == request->method && again->params == request->params &&
                    again->octets == request->octets && again->for_user == request->for_user,
                "a request that is written again is the same");
    }
    const std::string answer = admin::write_answer(admin::parse_answer(line));
    require(admin::write_answer(admin::parse_answer(answer)) == answer, "any line is one answer or an error");
}

// An address was somebody's elsewhere when an alias was made, and its domain came here later: then it is
// nobody's.
bool has_dangling_alias(const auth::Directory& directory) {
    const auto aliases = directory.aliases();
    const auto is_known = [&](const std::string& name) {
        return directory.find(name) ||
               std::ranges::any_of(aliases, [&](const auth::Alias& alias) { return alias.address == name; });
    };
    return std::ranges::any_of(aliases, [&](const auth::Alias& alias) {
        return std::ranges::any_of(alias.targets, [&](const std::string& target) {
            return directory.has_domain(auth::split_address(target).second) && !is_known(target);
        });
    });
}

void check_directory(const auth::Directory& directory) {
    const bool dangling = has_dangling_alias(directory);
    for (const auth::AccountPtr& account : directory.accounts()) {
        require(fuzz::gives(auth::account_name(account->name), account->name), "an account has a good name");
        const auto [local, domain] = auth::split_address(account->name);
        const auto receivers = directory.resolve(local, domain);
        require(receivers && !receivers->empty(), "somebody gets an account's mail");
        if (account->forward.empty())
            require(receivers->accounts.size() == 1 && receivers->accounts.front() == account,
                    "an account gets its mail");
        require(directory.find_login(account->name) == account, "and can log in");
    }
    for (const auth::Alias& alias : directory.aliases()) {
        require(!directory.find(alias.address) && !alias.targets.empty(), "an alias is no account");
        const auto [local, domain] = auth::split_address(alias.address);
        if (local.empty()) continue;
        const auto receivers = directory.resolve(local, domain);
        require(dangling || (receivers && !receivers->empty()), "an alias leads to somebody");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto disk = std::make_shared<test::MemoryStore::Disk>();
    const Server server(disk);
    std::string_view rest = fuzz::text_of(data, size);
    for (int requests = 0; !rest.empty() && requests < requests_max; ++requests) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        check_texts(line);
        const auto request = admin::parse_request(line, octets_max);
        if (request && would_hash(request->params)) continue;
        const std::string_view body = rest.substr(0, request ? request->octets : 0);
        rest.remove_prefix(body.size());
        check_answer(server.api().call(line, body, octets_max));
    }
    check_directory(server.directory());
    const Server restarted(disk);
    for (const std::string_view method : {"account.list", "alias.list", "domain.list"})
        require(restarted.list(method) == server.list(method), "a restart finds what was there");
    return 0;
}
