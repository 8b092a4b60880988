#include "backends/kinds.h"

#include <array>

#include <fmt/format.h>

#include "backends/ldap.h"
#include "backends/pam.h"
#include "backends/passwd_file.h"
#include "backends/sql.h"

namespace pier::backends {
namespace {

using namespace std::string_view_literals;

constexpr std::array words{"passwd-file"sv, "pam"sv, "sql"sv, "ldap"sv};  // in the enum's order

struct KindEntry {
    Kind kind;
    Result<MakeSource> (*open)(const Settings& settings);
};
// One line for each kind.
constexpr std::array kinds{
    KindEntry{Kind::passwd_file, open_passwd_file},
    KindEntry{Kind::sql, open_sql},
    KindEntry{Kind::ldap, open_ldap},
    KindEntry{Kind::pam, open_pam},
};

}  // namespace

Result<MakeSource> open_kind(const Settings& settings) {
    for (const KindEntry& entry : kinds)
        if (entry.kind == settings.kind) return entry.open(settings);
    return Error{ErrorKind::invalid,
                 fmt::format("this program has no back ends of the kind {}", to_string(settings.kind))};
}

std::span<const std::string_view> kind_words() {
    return words;
}

std::string_view to_string(Kind kind) {
    return words[static_cast<std::size_t>(kind)];
}

}  // namespace pier::backends
