#include "backends/ldap_connection.h"

#include <algorithm>
#include <new>

#include <fmt/format.h>
#include <ldap.h>

#include "auth/password.h"
#include "backends/secret_file.h"
#include "wire/ascii.h"

namespace pier::backends {
namespace {

using std::chrono::steady_clock;

constexpr int entries_max = 2;  // two are as wrong as many
constexpr const char* system_authorities = "/etc/ssl/certs/ca-certificates.crt";

::timeval to_timeval(std::chrono::milliseconds time) {
    return {.tv_sec = time.count() / 1000, .tv_usec = (time.count() % 1000) * 1000};
}

int to_libldap(LdapScope scope) {
    switch (scope) {
        case LdapScope::subtree:
            return LDAP_SCOPE_SUBTREE;
        case LdapScope::one_level:
            return LDAP_SCOPE_ONELEVEL;
        case LdapScope::base:
            return LDAP_SCOPE_BASE;
    }
    return LDAP_SCOPE_SUBTREE;
}

std::string authorities_of(const LdapPlan& plan) {
    return plan.ca_file.empty() ? system_authorities : plan.ca_file;
}

// Frees what libldap has allocated.
struct MemFree {
    void operator()(char* text) const { ldap_memfree(text); }
};
using Text = std::unique_ptr<char, MemFree>;

}  // namespace

LdapEntry::~LdapEntry() {
    for (auto& [name, values] : attributes)
        for (std::string& value : values)
            auth::wipe(value);
}

const std::vector<std::string>& LdapEntry::values(std::string_view attribute) const {
    static const std::vector<std::string> none;
    for (const auto& [name, values] : attributes)
        if (wire::ascii_equal(name, attribute)) return values;
    return none;
}

void LdapConnection::Unbind::operator()(LDAP* handle) const {
    ldap_unbind_ext(handle, nullptr, nullptr);
}

void LdapConnection::Free::operator()(LDAPMessage* message) const {
    ldap_msgfree(message);
}

LdapConnection::LdapConnection(std::shared_ptr<const LdapPlan> plan, LdapRole role)
    : plan_(std::move(plan)), role_(role) {}

LdapConnection::~LdapConnection() = default;

Error LdapConnection::failure(std::string_view doing, int code) const {
    char* text = nullptr;
    if (handle_) ldap_get_option(handle_.get(), LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
    const Text diagnostic(text);
    const bool more = diagnostic && *diagnostic != '\0';
    return {ErrorKind::io, fmt::format("{} ({}): {}{}{}", doing, url_, ldap_err2string(code),
                                       more ? ": " : "", more ? diagnostic.get() : "")};
}

// libldap does not say what it dislikes about a certificate.
Error LdapConnection::connect_failure(int code) const {
    char* text = nullptr;
    ldap_get_option(handle_.get(), LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
    const Text diagnostic(text);
    const bool said = diagnostic && *diagnostic != '\0';
    const bool reached = code == LDAP_CONNECT_ERROR || (code == LDAP_SERVER_DOWN && said);
    if (plan_->tls == LdapTls::none || !reached) return failure("connect to the directory", code);
    return {ErrorKind::io,
            fmt::format("the TLS handshake with the directory ({}) fails ({}): is its certificate valid, "
                        "for the name in the URL, and from an authority in {} (ca_file)?",
                        url_, ldap_err2string(code), authorities_of(*plan_))};
}

template <class Ask>
auto LdapConnection::on_connection(Instant deadline, Ask ask) -> decltype(ask()) {
    if (handle_) {
        auto answer = ask();
        if (answer) return answer;
        handle_.reset();
        if (answer.error().kind == ErrorKind::busy) return answer;  // there is no time for more
    }
    if (!reconnect_.may_try(steady_clock::now())) return reconnect_.failure();
    if (auto connected = connect(deadline); !connected) {
        handle_.reset();
        reconnect_.failed(steady_clock::now(), connected.error());
        return connected.error();
    }
    reconnect_.succeeded();
    auto answer = ask();
    // Attack: a name for which the search always fails. It must not keep others out by the pause of
    // reconnect_.
    if (!answer) handle_.reset();
    return answer;
}

Result<void> LdapConnection::connect(Instant deadline) {
    std::string failures;
    for (const std::string& url : plan_->urls) {
        if (steady_clock::now() >= deadline) break;
        auto connected = connect_to(url, deadline);
        if (connected) return {};
        if (!failures.empty()) failures += "; ";
        failures += connected.error().text;
    }
    return Error{ErrorKind::io,
                 failures.empty() ? std::string("no time is left to connect to the directory") : failures};
}

Result<void> LdapConnection::connect_to(const std::string& url, Instant deadline) {
    url_ = url;
    LDAP* handle = nullptr;
    if (const int code = ldap_initialize(&handle, url.c_str()); code != LDAP_SUCCESS)
        return failure("read the URL", code);
    handle_.reset(handle);
    if (auto set = set_options(deadline); !set) return set;
    if (plan_->tls == LdapTls::starttls) {
        if (const int code = ldap_start_tls_s(handle, nullptr, nullptr); code != LDAP_SUCCESS)
            return connect_failure(code);
    } else if (const int code = ldap_connect(handle); code != LDAP_SUCCESS) {
        return connect_failure(code);
    }
    return role_ == LdapRole::searcher ? bind_searcher(deadline) : Result<void>();
}

Result<void> LdapConnection::set_options(Instant deadline) {
    LDAP* const handle = handle_.get();
    const int version = LDAP_VERSION3;
    const auto left = left_until(deadline, steady_clock::now());
    const ::timeval connect = to_timeval(std::min<std::chrono::milliseconds>(plan_->connect_timeout, left));
    const int demand = LDAP_OPT_X_TLS_DEMAND, tls_min = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, client = 0;
    const std::string authorities = authorities_of(*plan_);
    struct Option {
        int option;
        const void* value;
    };
    // All that a machine's ldap.conf could say otherwise is said here.
    std::vector<Option> options{{LDAP_OPT_PROTOCOL_VERSION, &version},
                                {LDAP_OPT_REFERRALS, LDAP_OPT_OFF},
                                {LDAP_OPT_RESTART, LDAP_OPT_ON},
                                {LDAP_OPT_NETWORK_TIMEOUT, &connect},
                                {LDAP_OPT_TIMEOUT, &connect}};
    if (plan_->tls != LdapTls::none)
        options.insert(options.end(), {{LDAP_OPT_X_TLS_REQUIRE_CERT, &demand},
                                       {LDAP_OPT_X_TLS_PROTOCOL_MIN, &tls_min},
                                       {LDAP_OPT_X_TLS_CACERTFILE, authorities.c_str()},
                                       {LDAP_OPT_X_TLS_NEWCTX, &client}});
    for (const Option& one : options)
        if (ldap_set_option(handle, one.option, one.value) != LDAP_OPT_SUCCESS)
            return Error{ErrorKind::io,
                         one.option == LDAP_OPT_X_TLS_NEWCTX
                             ? fmt::format("set up TLS to the directory; is {} a PEM file of "
                                           "certificates that Pier can read? (ca_file)",
                                           authorities)
                             : fmt::format("libldap does not take its option {:#x}", one.option)};
    return {};
}

Result<void> LdapConnection::bind_searcher(Instant deadline) {
    if (plan_->bind_dn.empty()) return {};
    auto secret = read_secret(plan_->bind_password_file, "bind_password_file");
    if (!secret) return secret.error();
    const auto code = simple_bind(plan_->bind_dn, *secret, deadline);
    auth::wipe(*secret);
    if (!code) return code.error();
    if (*code != LDAP_SUCCESS) return failure("bind as bind_dn", *code);
    return {};
}

Result<LdapConnection::Message> LdapConnection::wait_for(int message_id, Instant deadline) {
    ::timeval left = to_timeval(left_until(deadline, steady_clock::now()));
    LDAPMessage* message = nullptr;
    const int type = ldap_result(handle_.get(), message_id, LDAP_MSG_ALL, &left, &message);
    Message result(message);
    if (type == 0)
        return Error{
            ErrorKind::busy,
            fmt::format("the directory ({}) does not answer in time; see its load, and timeout", url_)};
    if (type < 0) {
        int code = LDAP_SERVER_DOWN;
        ldap_get_option(handle_.get(), LDAP_OPT_RESULT_CODE, &code);
        return failure("read from the directory", code);
    }
    return result;
}

// The code with which the server answers.
Result<int> LdapConnection::simple_bind(const std::string& dn, std::string_view password, Instant deadline) {
    std::string copy(password);  // libldap's type is not const
    ::berval credentials{.bv_len = copy.size(), .bv_val = copy.data()};
    int message_id = 0;
    const int sent = ldap_sasl_bind(handle_.get(), dn.c_str(), LDAP_SASL_SIMPLE, &credentials, nullptr,
                                    nullptr, &message_id);
    auth::wipe(copy);
    if (sent != LDAP_SUCCESS) return failure("ask the directory", sent);
    const auto answer = wait_for(message_id, deadline);
    if (!answer) return answer.error();
    int code = LDAP_OTHER;
    if (const int parsed =
            ldap_parse_result(handle_.get(), answer->get(), &code, nullptr, nullptr, nullptr, nullptr, 0);
        parsed != LDAP_SUCCESS)
        return failure("read the directory's answer", parsed);
    return code;
}

Result<bool> LdapConnection::bind(const std::string& dn, std::string_view password, Instant deadline) {
    if (dn.empty() || password.empty()) return false;
    return on_connection(deadline, [&]() -> Result<bool> {
        const auto code = simple_bind(dn, password, deadline);
        if (!code) return code.error();
        if (*code == LDAP_SUCCESS) return true;
        if (*code == LDAP_INVALID_CREDENTIALS || *code == LDAP_NO_SUCH_OBJECT) return false;
        return failure("check a password by a bind", *code);
    });
}

Result<std::vector<LdapEntry>> LdapConnection::search(const LdapQuery& query, Instant deadline) {
    return on_connection(deadline, [&] { return run_search(query, deadline); });
}

Result<std::vector<LdapEntry>> LdapConnection::run_search(const LdapQuery& query, Instant deadline) {
    std::vector<std::string> names = query.attributes;
    if (names.empty()) names.emplace_back(LDAP_NO_ATTRS);
    std::vector<char*> attributes;
    for (std::string& name : names)
        attributes.push_back(name.data());
    attributes.push_back(nullptr);
    ::timeval left = to_timeval(left_until(deadline, steady_clock::now()));
    int message_id = 0;
    if (const int sent =
            ldap_search_ext(handle_.get(), query.base.c_str(), to_libldap(query.scope), query.filter.c_str(),
                            attributes.data(), 0, nullptr, nullptr, &left, entries_max, &message_id);
        sent != LDAP_SUCCESS)
        return failure("ask the directory", sent);
    const auto answer = wait_for(message_id, deadline);
    if (!answer) return answer.error();
    int code = LDAP_OTHER;
    if (const int parsed =
            ldap_parse_result(handle_.get(), answer->get(), &code, nullptr, nullptr, nullptr, nullptr, 0);
        parsed != LDAP_SUCCESS)
        return failure("read the directory's answer", parsed);
    std::vector<LdapEntry> entries;
    for (LDAPMessage* one = ldap_first_entry(handle_.get(), answer->get()); one != nullptr;
         one = ldap_next_entry(handle_.get(), one))
        entries.push_back(read_entry(one));
    // The limit is ours: whoever reads two entries knows enough.
    if (code == LDAP_SUCCESS || (code == LDAP_SIZELIMIT_EXCEEDED && entries.size() >= 2)) return entries;
    if (code == LDAP_NO_SUCH_OBJECT && query.base_may_be_absent) return std::vector<LdapEntry>();
    return failure("search the directory", code);
}

LdapEntry LdapConnection::read_entry(LDAPMessage* message) const {
    LdapEntry entry;
    if (const Text dn(ldap_get_dn(handle_.get(), message)); dn) entry.dn = dn.get();
    BerElement* place = nullptr;
    for (Text name(ldap_first_attribute(handle_.get(), message, &place)); name;
         name.reset(ldap_next_attribute(handle_.get(), message, place))) {
        std::vector<std::string> values;
        ::berval** const octets = ldap_get_values_len(handle_.get(), message, name.get());
        for (::berval** one = octets; one != nullptr && *one != nullptr; ++one)
            values.emplace_back((*one)->bv_val, (*one)->bv_len);
        ldap_value_free_len(octets);
        entry.attributes.emplace_back(name.get(), std::move(values));
    }
    ber_free(place, 0);
    return entry;
}

}  // namespace pier::backends
