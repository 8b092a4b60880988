#include "admin/methods.h"

#include <boost/json.hpp>

#include "admin/params.h"

namespace pier::admin {

namespace json = boost::json;

namespace {

using auth::AccountPtr;

// "{SSHA}…" to "SSHA": the rest is a secret.
std::string_view scheme_name(std::string_view stored) {
    const std::size_t end = stored.find('}');
    return stored.starts_with('{') && end != std::string_view::npos ? stored.substr(1, end - 1) : "";
}

json::array to_json(const auth::Protocols& protocols) {
    if (!protocols) return {"all"};
    return json::array(protocols->begin(), protocols->end());
}

json::array to_json(const Networks& networks) {
    const auto texts = texts_of(networks);
    return json::array(texts.begin(), texts.end());
}

Result<json::object> describe(const store::Store& store, const auth::Account& account) {
    const auto usage = store.usage(account.id);
    if (!usage) return usage.error();
    return json::object{{"name", account.name},
                        {"id", static_cast<std::uint64_t>(account.id)},
                        {"created", to_rfc3339(account.created)},
                        {"password", std::string(scheme_name(account.password))},
                        {"scram", account.scram_sha1.has_value() && account.scram_sha256.has_value()},
                        {"disabled", account.disabled},
                        {"disabled_text", account.disabled_text},
                        {"exclusive", account.exclusive},
                        {"app_passwords_only", account.app_passwords_only},
                        {"second_factor", account.has_second_factor()},
                        {"protocols", to_json(account.protocols)},
                        {"master", account.master},
                        {"send_as", json::array(account.send_as.begin(), account.send_as.end())},
                        {"backend", account.backend},
                        {"forward", json::array(account.forward.begin(), account.forward.end())},
                        {"keep_copy", account.keep_copy},
                        {"quota_octets", account.quota_octets},
                        {"allow", to_json(account.networks.allow)},
                        {"deny", to_json(account.networks.deny)},
                        {"messages", usage->messages},
                        {"octets", usage->octets}};
}

Result<json::value> described(const store::Store& store, const Result<AccountPtr>& account) {
    if (!account) return account.error();
    auto out = describe(store, **account);
    if (!out) return out.error();
    return json::value(std::move(*out));
}

Error no_account(std::string_view name) {
    return {ErrorKind::not_found,
            "there is no account " + std::string(name) + "; 'pier account list' shows all"};
}

class AccountMethods {
  public:
    AccountMethods(auth::Directory& directory, store::Store& store) : directory_(directory), store_(store) {}

    Result<json::value> add(const Call& call) const {
        Params params(call.params);
        auth::NewAccount account{.name = params.text("name"),
                                 .password = params.maybe_text("password").value_or(""),
                                 .password_scheme = params.maybe_text("password_scheme").value_or(""),
                                 .quota_octets = params.maybe_number("quota_octets").value_or(0),
                                 .exclusive = params.maybe_flag("exclusive").value_or(false)};
        if (auto good = params.finish(); !good) return good.error();
        const auto added = directory_.add(account);
        auth::wipe(account.password);
        return described(store_, added);
    }

    Result<json::value> show(const Call& call) const {
        Params params(call.params);
        const std::string name = params.text("name");
        if (auto good = params.finish(); !good) return good.error();
        const AccountPtr account = directory_.find(name);
        if (!account) return no_account(name);
        auto out = describe(store_, *account);
        if (!out) return out.error();
        const auto mailboxes = store_.mailboxes(account->id);
        if (!mailboxes) return mailboxes.error();
        json::array list;
        for (const auto& mailbox : *mailboxes)
            list.push_back(json::object{{"name", mailbox.name},
                                        {"messages", mailbox.messages},
                                        {"octets", mailbox.octets},
                                        {"uid_validity", mailbox.uid_validity},
                                        {"uid_next", mailbox.uid_next}});
        (*out)["mailboxes"] = std::move(list);
        return json::value(std::move(*out));
    }

    Result<json::value> list(const Call& call) const {
        if (auto good = Params(call.params).finish(); !good) return good.error();
        json::array list;
        for (const AccountPtr& account : directory_.accounts()) {
            auto one = describe(store_, *account);
            if (!one) return one.error();
            list.push_back(std::move(*one));
        }
        return json::value(json::object{{"accounts", std::move(list)}});
    }

    Result<json::value> passwd(const Call& call) const {
        Params params(call.params);
        const std::string name = params.text("name");
        auth::AccountChange change;
        change.password = params.maybe_text("password");
        change.password_scheme = params.maybe_text("password_scheme");
        if (auto good = params.finish(); !good) return good.error();
        if (!change.password && !change.password_scheme)
            return Error{ErrorKind::invalid, "the parameter \"password\" is missing"};
        const auto changed = directory_.change(name, change);
        if (change.password) auth::wipe(*change.password);
        return described(store_, changed);
    }

    Result<json::value> change(const Call& call) const {
        Params params(call.params);
        const std::string name = params.text("name");
        auth::AccountChange change;
        change.quota_octets = params.maybe_number("quota_octets");
        change.exclusive = params.maybe_flag("exclusive");
        change.app_passwords_only = params.maybe_flag("app_passwords_only");
        change.master = params.maybe_flag("master");
        if (auto protocols = params.maybe_texts("protocols"))
            change.protocols =
                *protocols == std::vector<std::string>{"all"} ? auth::Protocols() : std::move(*protocols);
        change.forward = params.maybe_texts("forward");
        change.keep_copy = params.maybe_flag("keep_copy");
        change.send_as = params.maybe_texts("send_as");
        const auto allow = params.maybe_texts("allow"), deny = params.maybe_texts("deny");
        if (auto good = params.finish(); !good) return good.error();
        const auto read = [](const auto& texts, std::optional<Networks>& out) -> Result<void> {
            if (!texts) return {};
            auto networks = parse_networks(*texts);
            if (!networks) return networks.error();
            out = std::move(*networks);
            return {};
        };
        if (auto good = read(allow, change.allow); !good) return good.error();
        if (auto good = read(deny, change.deny); !good) return good.error();
        return described(store_, directory_.change(name, change));
    }

    Result<json::value> disable(const Call& call) const {
        Params params(call.params);
        const std::string name = params.text("name");
        auth::AccountChange change;
        change.disabled = true;
        change.disabled_text = params.maybe_text("text").value_or("");
        if (auto good = params.finish(); !good) return good.error();
        return described(store_, directory_.change(name, change));
    }

    Result<json::value> enable(const Call& call) const {
        Params params(call.params);
        const std::string name = params.text("name");
        if (auto good = params.finish(); !good) return good.error();
        auth::AccountChange change;
        change.disabled = false;
        change.disabled_text = "";
        return described(store_, directory_.change(name, change));
    }

    Result<json::value> remove(const Call& call) const {
        Params params(call.params);
        const std::string name = params.text("name");
        if (auto good = params.finish(); !good) return good.error();
        if (auto removed = directory_.remove(name); !removed) return removed.error();
        return json::value(json::object{});
    }

  private:
    auth::Directory& directory_;
    store::Store& store_;
};

json::object describe(const auth::Alias& alias) {
    return json::object{{"address", alias.address},
                        {"targets", json::array(alias.targets.begin(), alias.targets.end())}};
}

Result<json::value> add_alias(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string address = params.text("address");
    auth::Alias alias{.address = address, .targets = params.texts("targets")};
    if (auto good = params.finish(); !good) return good.error();
    if (auto put = directory.put_alias(alias); !put) return put.error();
    return json::value(describe(alias));
}

Result<json::value> list_aliases(const auth::Directory& directory, const Call& call) {
    if (auto good = Params(call.params).finish(); !good) return good.error();
    json::array list;
    for (const auto& alias : directory.aliases())
        list.push_back(describe(alias));
    return json::value(json::object{{"aliases", std::move(list)}});
}

Result<json::value> remove_alias(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string address = params.text("address");
    if (auto good = params.finish(); !good) return good.error();
    if (auto removed = directory.remove_alias(address); !removed) return removed.error();
    return json::value(json::object{});
}

json::object describe(const auth::Domain& domain) {
    return json::object{
        {"name", domain.name}, {"alias_of", domain.alias_of}, {"quota_octets", domain.quota_octets}};
}

Result<json::value> add_domain(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const auth::Domain domain{.name = params.text("name"),
                              .alias_of = params.maybe_text("alias_of").value_or(""),
                              .quota_octets = params.maybe_number("quota_octets").value_or(0)};
    if (auto good = params.finish(); !good) return good.error();
    if (auto put = directory.put_domain(domain); !put) return put.error();
    return json::value(describe(domain));
}

Result<json::value> change_domain(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string name = params.text("name");
    auth::DomainChange change;
    change.alias_of = params.maybe_text("alias_of");
    change.quota_octets = params.maybe_number("quota_octets");
    if (auto good = params.finish(); !good) return good.error();
    const auto changed = directory.change_domain(name, change);
    if (!changed) return changed.error();
    return json::value(describe(*changed));
}

// With what its accounts use.
Result<json::object> describe_with_usage(const store::Store& store, const auth::Directory& directory,
                                         const auth::Domain& domain) {
    const auto accounts = directory.accounts_of(domain.name);
    std::uint64_t octets = 0;
    for (const AccountPtr& account : accounts) {
        const auto usage = store.usage(account->id);
        if (!usage) return usage.error();
        octets += usage->octets;
    }
    json::object out = describe(domain);
    out["accounts"] = accounts.size();
    out["octets"] = octets;
    return out;
}

Result<json::value> list_domains(const auth::Directory& directory, const store::Store& store,
                                 const Call& call) {
    if (auto good = Params(call.params).finish(); !good) return good.error();
    json::array list;
    for (const auto& domain : directory.domains()) {
        auto one = describe_with_usage(store, directory, domain);
        if (!one) return one.error();
        list.push_back(std::move(*one));
    }
    return json::value(json::object{{"domains", std::move(list)}});
}

Result<json::value> remove_domain(auth::Directory& directory, const Call& call) {
    Params params(call.params);
    const std::string name = params.text("name");
    if (auto good = params.finish(); !good) return good.error();
    if (auto removed = directory.remove_domain(name); !removed) return removed.error();
    return json::value(json::object{});
}

}  // namespace

void add_directory_methods(Api& api, auth::Directory& directory, store::Store& store) {
    const AccountMethods account(directory, store);
    api.add("account.add", [account](const Call& call) { return account.add(call); });
    api.add("account.show", [account](const Call& call) { return account.show(call); });
    api.add("account.list", [account](const Call& call) { return account.list(call); });
    api.add("account.passwd", [account](const Call& call) { return account.passwd(call); });
    api.add("account.change", [account](const Call& call) { return account.change(call); });
    api.add("account.disable", [account](const Call& call) { return account.disable(call); });
    api.add("account.enable", [account](const Call& call) { return account.enable(call); });
    api.add("account.remove", [account](const Call& call) { return account.remove(call); });
    api.add("alias.add", [&directory](const Call& call) { return add_alias(directory, call); });
    api.add("alias.list", [&directory](const Call& call) { return list_aliases(directory, call); });
    api.add("alias.remove", [&directory](const Call& call) { return remove_alias(directory, call); });
    api.add("domain.add", [&directory](const Call& call) { return add_domain(directory, call); });
    api.add("domain.change", [&directory](const Call& call) { return change_domain(directory, call); });
    api.add("domain.list",
            [&directory, &store](const Call& call) { return list_domains(directory, store, call); });
    api.add("domain.remove", [&directory](const Call& call) { return remove_domain(directory, call); });
}

}  // namespace pier::admin
