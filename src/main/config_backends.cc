#include "main/config_backends.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "auth/password.h"
#include "backends/kinds.h"
#include "main/config_directories.h"
#include "main/config_fields.h"
#include "main/suggestion.h"

namespace pier::program {
namespace {

using namespace std::string_view_literals;
using backends::Settings;

constexpr std::size_t backends_max = 16;
constexpr std::array names_words{"any"sv, "address"sv, "local"sv};

// A key that only some kinds know.
struct KeyOfKind {
    std::string_view key;
    std::array<bool, 4> kinds;  // by Kind
};
constexpr std::array keys_of_kinds{
    KeyOfKind{"file", {true, false, false, false}},
    KeyOfKind{"default_scheme", {true, false, true, true}},
    KeyOfKind{"service", {false, true, false, false}},
    KeyOfKind{"uid_min", {false, true, false, false}},
    KeyOfKind{"uid_max", {false, true, false, false}},
    KeyOfKind{"connect_timeout", {false, false, true, true}},
};

std::string section_name(std::size_t index) {
    return fmt::format("backend[{}]", index);
}

void check_name(Loaded& loaded, std::size_t index) {
    const Settings& settings = loaded.config.backends[index];
    const Place place = loaded.place(section_name(index), "name");
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    };
    if (!std::all_of(settings.name.begin(), settings.name.end(), good))
        return loaded.add(Severity::error, place,
                          "backend.name is made of letters, digits, \"-\", \"_\" and \".\"");
    for (std::size_t other = 0; other < index; ++other)
        if (loaded.config.backends[other].name == settings.name)
            loaded.add(Severity::error, place,
                       fmt::format("two back ends have the name \"{}\"; give each its own with name",
                                   settings.name));
}

bool knows(backends::Kind kind, std::string_view key) {
    const auto one = std::find_if(keys_of_kinds.begin(), keys_of_kinds.end(),
                                  [&](const KeyOfKind& known) { return known.key == key; });
    if (one != keys_of_kinds.end()) return one->kinds[static_cast<std::size_t>(kind)];
    const auto owner = directory_that_knows(key);
    return !owner || *owner == kind;
}

void check_keys(Loaded& loaded, std::size_t index) {
    const Settings& settings = loaded.config.backends[index];
    Config defaults;
    defaults.backends.resize(1);
    for (const Field& field : backend_section().fields) {
        if (knows(settings.kind, field.key)) continue;
        // As `pier config show` writes it: what is the default does no harm.
        if (field.get(loaded.config, index) == field.get(defaults, 0)) continue;
        loaded.add(Severity::error, loaded.place(section_name(index), field.key),
                   fmt::format("backend.{} has no meaning for the kind \"{}\"; take it out", field.key,
                               backends::to_string(settings.kind)));
    }
    check_directory(loaded, index);
    if (settings.kind == backends::Kind::passwd_file && settings.passwd_file.file.empty())
        loaded.add(
            Severity::warning, loaded.place(section_name(index), "file"),
            "this [[backend]] names no file, so all that is asked of it is an outage; name one with file");
    if (settings.kind == backends::Kind::pam && settings.pam.service.find('/') != std::string::npos)
        loaded.add(Severity::error, loaded.place(section_name(index), "service"),
                   "backend.service is the name of a file in /etc/pam.d, and no path");
    const auto schemes = auth::password_scheme_names();
    if (std::find(schemes.begin(), schemes.end(), settings.default_scheme) == schemes.end())
        loaded.add(Severity::error, loaded.place(section_name(index), "default_scheme"),
                   fmt::format("backend.default_scheme can't be \"{}\"{}", settings.default_scheme,
                               suggestion(settings.default_scheme, {schemes.begin(), schemes.end()})));
}

}  // namespace

#define OF_BACKEND(member)                \
    [](auto& c, std::size_t i) -> auto& { \
        return c.backends[i].member;      \
    }

Section backend_section() {
    Section section{
        .name = "backend",
        .help =
            "Accounts that are kept elsewhere, beside the built-in ones, which come first: asked in the "
            "order of "
            "this file. docs/backends.md says more.",
        .count = [](const Config& config) { return config.backends.size(); },
        .add = [](Config& config) { config.backends.emplace_back(); },
        .fields =
            {
                text("name", program::Kind::text, OF_BACKEND(name), 64,
                     "In accounts, log and commands. Keep it: it says to whom the accounts belong."),
                word("kind", OF_BACKEND(kind), backends::kind_words(), "What is asked."),
                word("names", OF_BACKEND(names), names_words,
                     "Under which names somebody is asked for: address (ada@example.org), local (ada), "
                     "or any: one after "
                     "the other."),
                text("file", program::Kind::path, OF_BACKEND(passwd_file.file), path_octets_max,
                     "passwd-file: the file, in Dovecot's format. It is read again when it changes."),
                text("default_scheme", program::Kind::text, OF_BACKEND(default_scheme), 32,
                     "Of stored passwords that name no scheme."),
                text("service", program::Kind::text, OF_BACKEND(pam.service), 64,
                     "pam: the service, a file in /etc/pam.d."),
                count("uid_min", OF_BACKEND(pam.uid_min), {0, 4'294'967'295},
                      "pam: the least user number to whom mail may be delivered."),
                count("uid_max", OF_BACKEND(pam.uid_max), {0, 4'294'967'295}, "pam: the greatest."),
                duration("connect_timeout", OF_BACKEND(connect_timeout), {2, 50},
                         "sql, ldap: how long one server may take until a connection to it stands."),
                duration("timeout", OF_BACKEND(timeout), {1, 50},
                         "An answer that takes longer is an outage: the client is told to come back."),
                count("threads", OF_BACKEND(threads), {1, 64},
                      "Requests that are worked on at the same time."),
                count("waiting_max", OF_BACKEND(waiting_max), {1, 100'000},
                      "Requests that may wait for an answer; more are an outage."),
                duration("cache_time", OF_BACKEND(cache_time), {0, day},
                         "How long a right password is taken again without asking, and that a user "
                         "exists. 0: not at all. "
                         "`pier account forget` ends it."),
                duration("cache_unknown_time", OF_BACKEND(cache_unknown_time), {0, hour},
                         "How long mail is refused for an unknown user without asking again."),
                flag("keep_root", OF_BACKEND(keep_root),
                     "The back end's own process stays root, as PAM's pam_unix wants it, if the server "
                     "is started as root."),
            }};
    // Behind those that say what kind it is.
    for (auto fields : {ldap_fields(), sql_fields()})
        section.fields.insert(section.fields.begin() + 3, fields.begin(), fields.end());
    return section;
}

void check_backends(Loaded& loaded) {
    const auto& all = loaded.config.backends;
    if (all.size() > backends_max)
        loaded.add(
            Severity::error, loaded.place(section_name(backends_max), "name"),
            fmt::format("there are {} back ends, but at most {} are possible", all.size(), backends_max));
    for (std::size_t index = 0; index < all.size(); ++index) {
        check_name(loaded, index);
        check_keys(loaded, index);
        if (all[index].timeout >= loaded.config.pop3.login_timeout)
            loaded.add(Severity::warning, loaded.place(section_name(index), "timeout"),
                       "backend.timeout is not shorter than pop3.login_timeout: a client is cut off before "
                       "it is told "
                       "of an outage; make it shorter");
    }
    if (!all.empty() && loaded.config.auth.scram == ScramUse::on)
        loaded.add(Severity::warning, loaded.place("auth", "scram"),
                   "clients are offered SCRAM, and nobody whom a back end knows can log in with it; take the "
                   "key out");
}

bool offers_scram(const Config& config) {
    if (config.auth.scram == ScramUse::automatic) return config.backends.empty();
    return config.auth.scram == ScramUse::on;
}

}  // namespace pier::program
