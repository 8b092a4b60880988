// What the configuration says of one back end ([[backend]]), for server and worker process alike. A plain
// value. What only one kind needs stands in a struct of its own, at the end; the keys are described in
// main/config_backends.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pier::backends {

enum class Kind { passwd_file, pam, sql, ldap };

// Which of a login's names it is asked for: "ada@example.org" as typed, and for domains of this server "ada".
enum class Names { any, address, local };

struct PasswdFileSettings {
    std::string file;
};

struct PamSettings {
    std::string service = "pier";  // /etc/pam.d/pier
    // Who is a user to whom mail may be delivered: those that the system (NSS) knows with such a number.
    std::uint64_t uid_min = 1000, uid_max = 59'999;
};

// PostgreSQL (sql.h).
struct SqlSettings {
    std::string connection;      // as libpq reads it: "host=… dbname=… user=…"
    std::string password_file;   // the database user's password; empty: none, or libpq's own passfile
    std::string password_query;  // with %u, %n, %d (sql_query.h)
    std::string user_query;      // for deliveries; empty: the same
};

// LDAP (ldap.h). Attributes that are empty are not asked for.
enum class LdapCheck { bind, search };
enum class LdapTls { none, starttls, ldaps };
enum class LdapScope { subtree, one_level, base };
struct LdapSettings {
    std::string url;  // one or several, in the order in which they are tried, with spaces between them
    LdapTls tls = LdapTls::starttls;
    std::string ca_file;  // PEM; empty: the system's authorities
    std::string bind_dn;  // who searches; empty: nobody (anonymous)
    std::string bind_password_file;
    LdapCheck check = LdapCheck::bind;
    // Where the entry is found: below a base by a filter; or at a name made from the login's.
    std::string base;  // with %u, %n, %d
    std::string filter = "(&(objectClass=inetOrgPerson)(uid=%n))";
    LdapScope scope = LdapScope::subtree;
    std::string user_dn;                              // with %u, %n, %d; in place of base, filter and scope
    std::string password_attribute = "userPassword";  // with LdapCheck::search
    std::string name_attribute, quota_attribute, disabled_attribute;
};

struct Settings {
    std::string name;  // in accounts, log and commands
    Kind kind = Kind::passwd_file;
    Names names = Names::any;
    // A request that takes longer is an outage. A source should give up by itself before: the thread that
    // works on it is lost for others until then.
    std::chrono::seconds timeout{10};
    std::chrono::seconds connect_timeout{5};  // of one server's connection, where the kind has connections
    std::uint64_t threads = 4;         // in the worker: requests at once, each with a Source of its own
    std::uint64_t waiting_max = 1000;  // requests that are not answered yet; more are an outage
    // What it has said is remembered: a password that was right and who is known, and that a name is unknown.
    std::chrono::seconds cache_time{300}, cache_unknown_time{30};
    bool keep_root = false;  // the worker stays root, if the server was started as root
    // Of passwords that stand without a scheme ("{SSHA}…"): a name of auth::password_scheme_names().
    std::string default_scheme = "CRYPT";

    PasswdFileSettings passwd_file;
    PamSettings pam;
    SqlSettings sql;
    LdapSettings ldap;
};

// What is wrong with the settings of a kind: the key, and a text that goes on behind it.
struct SettingProblem {
    std::string key, text;
    bool is_warning = false;
};

}  // namespace pier::backends
