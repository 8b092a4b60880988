// One connection to a directory (RFC 4511, by libldap): the first of its servers that can be reached, with
// TLS as the plan demands, bound as somebody or as nobody. Waits for the server, but for each answer no
// longer than it is told. For one thread at a time.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/reconnect.h"
#include "backends/settings.h"
#include "base/result.h"

struct ldap;
struct ldapmsg;

namespace pier::backends {

struct LdapPlan {
    std::vector<std::string> urls;  // tried in this order
    LdapTls tls = LdapTls::starttls;
    std::string ca_file;
    std::string bind_dn, bind_password_file;  // empty: anonymous
    std::chrono::seconds connect_timeout{5};  // of each server
};

struct LdapEntry {
    std::string dn;
    std::vector<std::pair<std::string, std::vector<std::string>>> attributes;  // as asked for

    LdapEntry() = default;
    LdapEntry(LdapEntry&&) = default;
    LdapEntry& operator=(LdapEntry&&) = default;
    ~LdapEntry();  // wipes the values: one may be a password

    // Its values, none if it is not there or its name is empty.
    const std::vector<std::string>& values(std::string_view attribute) const;
};

// What is searched for.
struct LdapQuery {
    std::string base, filter;
    LdapScope scope = LdapScope::subtree;
    std::vector<std::string> attributes;
    bool base_may_be_absent = false;  // no entry there (noSuchObject) means no such user
};

// As whom a connection is bound before it is used.
enum class LdapRole { searcher, nobody };

class LdapConnection {
  public:
    LdapConnection(std::shared_ptr<const LdapPlan> plan, LdapRole role);
    ~LdapConnection();

    // All that the query finds, at most two entries. `io`, `busy` (no answer in time) for all that hinders.
    Result<std::vector<LdapEntry>> search(const LdapQuery& query, Instant deadline);

    // True: that password is the entry's; false: the server says invalidCredentials, or that there is no such
    // entry. Neither may be empty (RFC 4513 §5.1.2: the server would bind nobody, and call it a success). The
    // connection is bound as that user afterwards, so it must not be used to search.
    Result<bool> bind(const std::string& dn, std::string_view password, Instant deadline);

  private:
    struct Unbind {
        void operator()(ldap* handle) const;
    };
    struct Free {
        void operator()(ldapmsg* message) const;
    };
    using Message = std::unique_ptr<ldapmsg, Free>;

    // Asks, and once more on a new connection if a kept one turns out to be broken.
    template <class Ask>
    auto on_connection(Instant deadline, Ask ask) -> decltype(ask());

    Result<void> connect(Instant deadline);
    Result<void> connect_to(const std::string& url, Instant deadline);
    Result<void> set_options(Instant deadline);
    Result<void> bind_searcher(Instant deadline);
    Result<int> simple_bind(const std::string& dn, std::string_view password, Instant deadline);
    Result<std::vector<LdapEntry>> run_search(const LdapQuery& query, Instant deadline);
    Result<Message> wait_for(int message_id, Instant deadline);
    LdapEntry read_entry(ldapmsg* message) const;
    Error failure(std::string_view doing, int code) const;
    Error connect_failure(int code) const;

    const std::shared_ptr<const LdapPlan> plan_;
    const LdapRole role_;
    std::unique_ptr<ldap, Unbind> handle_;
    std::string url_;  // of handle_
    Reconnect reconnect_;
};

}  // namespace pier::backends
