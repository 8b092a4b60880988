#include "backends/ldap.h"

#include <algorithm>
#include <chrono>

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>

#include "auth/password.h"
#include "backends/ldap_connection.h"
#include "backends/ldap_text.h"
#include "backends/name_template.h"
#include "backends/stored_password.h"
#include "backends/value_text.h"

namespace pier::backends {
namespace {

// Where an entry is searched for, as the settings say it.
struct Place {
    NameTemplate base, filter;
    LdapScope scope = LdapScope::subtree;
    std::vector<std::string> attributes;

    bool base_has_name() const {
        return std::any_of(base.begin(), base.end(),
                           [](const TemplatePiece& piece) { return piece.part != NamePart::none; });
    }
    LdapQuery query(std::string_view name) const {
        return {.base = fill(base, name, escape_dn_value),
                .filter = fill(filter, name, escape_filter_value),
                .scope = scope,
                .attributes = attributes,
                .base_may_be_absent = base_has_name()};
    }
};

// The first value: what is said of an account should be there once.
const std::string* first_value(const LdapEntry& entry, const std::string& attribute) {
    const auto& values = entry.values(attribute);
    return attribute.empty() || values.empty() ? nullptr : &values.front();
}

class LdapSource : public Source {
  public:
    LdapSource(const std::shared_ptr<const LdapPlan>& plan, std::shared_ptr<const Place> place,
               const Settings& settings)
        : settings_(settings),
          place_(std::move(place)),
          searcher_(plan, LdapRole::searcher),
          binder_(plan, LdapRole::nobody) {}

    Answer check(const Login& login) override {
        const Instant deadline = this->deadline();
        if (login.password.empty()) return WrongPassword{};
        LdapEntry entry;
        User user;
        if (auto other = look_up(login.name, deadline, entry, user)) return *other;
        bool disabled = false;
        if (const std::string* text = first_value(entry, settings_.ldap.disabled_attribute)) {
            const auto truth = parse_truth(*text);
            if (!truth)
                return Outage{fmt::format("attribute {} of {} is neither TRUE nor FALSE",
                                          settings_.ldap.disabled_attribute, entry.dn)};
            disabled = *truth;
        }
        Answer answer = settings_.ldap.check == LdapCheck::bind
                            ? by_bind(entry, login.password, std::move(user), deadline)
                            : by_attribute(entry, login.password, user);
        if (disabled && std::holds_alternative<Found>(answer))
            return NotAllowed{"the directory says disabled"};
        return answer;
    }

    Answer find(const std::string& name) override {
        LdapEntry entry;
        User user;
        if (auto other = look_up(name, deadline(), entry, user)) return *other;
        return Found{std::move(user)};
    }

  private:
    Instant deadline() const { return deadline_of(settings_.timeout, std::chrono::steady_clock::now()); }

    // Nothing if there is one entry, which is then in `entry` and `user`.
    std::optional<Answer> look_up(const std::string& name, Instant deadline, LdapEntry& entry, User& user) {
        auto entries = searcher_.search(place_->query(name), deadline);
        if (!entries) return Outage{entries.error().text};
        if (entries->empty()) return UnknownUser{};
        if (entries->size() > 1)
            return Outage{
                fmt::format("the directory has several entries for one name ({} is one of them); make "
                            "base or filter narrower",
                            entries->front().dn)};
        entry = std::move(entries->front());
        if (const std::string* value = first_value(entry, settings_.ldap.name_attribute)) user.name = *value;
        if (const std::string* value = first_value(entry, settings_.ldap.quota_attribute)) {
            user.quota_octets = parse_octet_count(*value);
            if (!user.quota_octets)
                return Outage{fmt::format("attribute {} of {} is no number of octets",
                                          settings_.ldap.quota_attribute, entry.dn)};
        }
        return std::nullopt;
    }

    Answer by_bind(const LdapEntry& entry, const std::string& password, User user, Instant deadline) {
        const auto right = binder_.bind(entry.dn, password, deadline);
        if (!right) return Outage{right.error().text};
        if (!*right) return WrongPassword{};
        return Found{std::move(user)};
    }

    // Any of the values may be the password (RFC 4519 §2.41). One that can't be read is an outage only if no
    // other is the right one.
    Answer by_attribute(const LdapEntry& entry, const std::string& password, const User& user) const {
        Answer answer = WrongPassword{};
        for (const std::string& stored : entry.values(settings_.ldap.password_attribute)) {
            Answer one = compare(stored, settings_.default_scheme, password, user);
            if (std::holds_alternative<Found>(one)) return one;
            if (std::holds_alternative<Outage>(one)) answer = std::move(one);
        }
        return answer;
    }

    const Settings settings_;
    const std::shared_ptr<const Place> place_;
    LdapConnection searcher_, binder_;
};

std::vector<std::string> split_urls(std::string_view text) {
    std::vector<std::string> urls;
    while (!text.empty()) {
        const std::string_view url = text.substr(0, text.find(' '));
        if (!url.empty()) urls.emplace_back(url);
        text.remove_prefix(std::min(text.size(), url.size() + 1));
    }
    return urls;
}

bool is_local(std::string_view url) {
    if (url.starts_with("ldapi://")) return true;
    std::string_view host = url.substr(std::min(url.size(), std::string_view("ldap://").size()));
    host = host.starts_with('[') ? host.substr(1, host.find(']') - 1)
                                 : host.substr(0, host.find_first_of(":/?"));
    boost::system::error_code no_address;
    const auto address = boost::asio::ip::make_address(std::string(host), no_address);
    return host == "localhost" || (!no_address && address.is_loopback());
}

void check_urls(const LdapSettings& ldap, std::vector<SettingProblem>& problems) {
    const auto urls = split_urls(ldap.url);
    if (urls.empty()) problems.push_back({"url", "is missing; write it as \"ldap://ldap.example.org\""});
    for (const std::string& url : urls) {
        const std::string_view scheme = std::string_view(url).substr(0, url.find("://"));
        if (scheme.size() == url.size() || (scheme != "ldap" && scheme != "ldaps" && scheme != "ldapi")) {
            problems.push_back(
                {"url", fmt::format("has \"{}\", which is not ldap://…, ldaps://… or ldapi://…", url)});
        } else if ((scheme == "ldaps") != (ldap.tls == LdapTls::ldaps)) {
            problems.push_back(
                {"tls", fmt::format("does not go with \"{}\": ldaps:// and tls = \"ldaps\" belong "
                                    "together, and ldap:// takes \"starttls\" or \"none\"",
                                    url)});
        } else if (scheme == "ldapi" && ldap.tls != LdapTls::none) {
            problems.push_back({"tls", "has no meaning on a Unix socket (ldapi://…); write tls = \"none\""});
        } else if (ldap.tls == LdapTls::none && !is_local(url)) {
            problems.push_back(
                {"tls",
                 fmt::format("is \"none\", so passwords cross the network to \"{}\" for all to read; "
                             "write tls = \"starttls\"",
                             url),
                 true});
        }
    }
}

void check_template(std::string_view key, const std::string& text, std::vector<SettingProblem>& problems) {
    if (const auto parsed = parse_name_template(text); !parsed)
        problems.push_back({std::string(key), parsed.error().text});
}

bool asks_for_the_name(const std::string& text) {
    const auto parsed = parse_name_template(text);
    return !parsed || std::any_of(parsed->begin(), parsed->end(),
                                  [](const TemplatePiece& piece) { return piece.part != NamePart::none; });
}

void check_place(const LdapSettings& ldap, std::vector<SettingProblem>& problems) {
    if (!ldap.user_dn.empty()) {
        check_template("user_dn", ldap.user_dn, problems);
        if (!ldap.base.empty())
            problems.push_back({"base", "has no meaning beside user_dn; take one of them out"});
        if (!asks_for_the_name(ldap.user_dn))
            problems.push_back(
                {"user_dn", "does not ask for the name; write it as uid=%n,ou=people,dc=example"});
        return;
    }
    if (ldap.base.empty())
        problems.push_back({"base",
                            "is missing; write the name of the entry that all users are below, as in "
                            "ou=people,dc=example,dc=org"});
    check_template("base", ldap.base, problems);
    check_template("filter", ldap.filter, problems);
    if (!asks_for_the_name(ldap.filter))
        problems.push_back({"filter", "does not ask for the name; write it as (uid=%n)"});
    if (!filter_is_closed(ldap.filter))
        problems.push_back(
            {"filter", "is no filter: every ( needs its ), around all of it; write it as (uid=%n)"});
}

}  // namespace

Result<MakeSource> open_ldap(const Settings& settings) {
    for (const SettingProblem& problem : problems_of_ldap(settings))
        if (!problem.is_warning)
            return Error{ErrorKind::invalid, fmt::format("{} {}", problem.key, problem.text)};
    const LdapSettings& ldap = settings.ldap;
    auto place = std::make_shared<Place>();
    const bool made = !ldap.user_dn.empty();
    place->base = *parse_name_template(made ? ldap.user_dn : ldap.base);
    place->filter = *parse_name_template(made ? "(objectClass=*)" : ldap.filter);
    place->scope = made ? LdapScope::base : ldap.scope;
    for (const std::string& attribute :
         {ldap.name_attribute, ldap.quota_attribute, ldap.disabled_attribute,
          ldap.check == LdapCheck::search ? ldap.password_attribute : std::string()})
        if (!attribute.empty()) place->attributes.push_back(attribute);
    auto plan = std::make_shared<LdapPlan>(
        LdapPlan{.urls = split_urls(ldap.url),
                 .tls = ldap.tls,
                 .ca_file = ldap.ca_file,
                 .bind_dn = ldap.bind_dn,
                 .bind_password_file = ldap.bind_password_file,
                 .connect_timeout = std::min(settings.connect_timeout, settings.timeout)});
    return MakeSource(
        [plan, place, settings] { return std::make_unique<LdapSource>(plan, place, settings); });
}

std::vector<SettingProblem> problems_of_ldap(const Settings& settings) {
    std::vector<SettingProblem> problems;
    const LdapSettings& ldap = settings.ldap;
    check_urls(ldap, problems);
    check_place(ldap, problems);
    if (ldap.bind_dn.empty() != ldap.bind_password_file.empty())
        problems.push_back({ldap.bind_dn.empty() ? "bind_password_file" : "bind_dn",
                            "stands alone; bind_dn and bind_password_file belong together"});
    if (ldap.tls == LdapTls::none && !ldap.ca_file.empty())
        problems.push_back({"ca_file", "has no meaning with tls = \"none\"; take one of them out"});
    if (ldap.check == LdapCheck::search && ldap.password_attribute.empty())
        problems.push_back({"password_attribute", "is empty; write \"userPassword\""});
    return problems;
}

}  // namespace pier::backends
