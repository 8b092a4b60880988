#include "backends/sql.h"

#include <chrono>

#include <fmt/format.h>

#include "backends/sql_connection.h"
#include "backends/stored_password.h"
#include "backends/value_text.h"

namespace pier::backends {
namespace {

constexpr std::size_t password_query = 0, user_query = 1;  // of SqlPlan::queries

Outage outage(std::string text) {
    return {std::move(text)};
}

// Nothing if all columns could be read.
std::optional<Outage> read_user(const SqlRow& row, User& user) {
    if (const std::string* name = row.value("name")) user.name = *name;
    if (const std::string* quota = row.value("quota")) {
        user.quota_octets = parse_octet_count(*quota);
        if (!user.quota_octets)
            return outage("column quota is no number of octets; it must be a whole number, 0 for no quota");
    }
    return std::nullopt;
}

class SqlSource : public Source {
  public:
    SqlSource(std::shared_ptr<const SqlPlan> plan, const Settings& settings)
        : connection_(std::move(plan)),
          timeout_(settings.timeout),
          default_scheme_(settings.default_scheme) {}

    Answer check(const Login& login) override {
        const auto row = connection_.ask(password_query, login.name, deadline());
        if (!row) return outage(row.error().text);
        if (!*row) return UnknownUser{};
        if (!(*row)->has("password"))
            return outage("password_query has no column password; write SELECT … AS password");
        User user;
        if (auto failed = read_user(**row, user)) return *failed;
        const std::string* disabled_text = (*row)->value("disabled");
        const auto disabled = parse_truth(disabled_text != nullptr ? *disabled_text : "");
        if (!disabled) return outage("column disabled is neither true nor false");
        const std::string* stored = (*row)->value("password");
        if (stored == nullptr || login.password.empty()) return WrongPassword{};
        Answer answer = compare(*stored, default_scheme_, login.password, std::move(user));
        if (!*disabled || !std::holds_alternative<Found>(answer)) return answer;
        const std::string* why = (*row)->value("disabled_text");
        return NotAllowed{why != nullptr && !why->empty() ? *why : "the database says disabled"};
    }

    Answer find(const std::string& name) override {
        const auto row = connection_.ask(user_query, name, deadline());
        if (!row) return outage(row.error().text);
        if (!*row) return UnknownUser{};
        User user;
        if (auto failed = read_user(**row, user)) return *failed;
        return Found{std::move(user)};
    }

  private:
    Instant deadline() const { return deadline_of(timeout_, std::chrono::steady_clock::now()); }

    SqlConnection connection_;
    const std::chrono::seconds timeout_;
    const std::string default_scheme_;
};

const std::string& user_query_of(const SqlSettings& settings) {
    return settings.user_query.empty() ? settings.password_query : settings.user_query;
}

}  // namespace

Result<MakeSource> open_sql(const Settings& settings) {
    for (const SettingProblem& problem : problems_of_sql(settings))
        if (!problem.is_warning)
            return Error{ErrorKind::invalid, fmt::format("{} {}", problem.key, problem.text)};
    auto plan = std::make_shared<SqlPlan>();
    plan->connection = settings.sql.connection;
    plan->password_file = settings.sql.password_file;
    plan->queries = {*parse_sql_query(settings.sql.password_query),
                     *parse_sql_query(user_query_of(settings.sql))};
    plan->connect_timeout = std::min(settings.connect_timeout, settings.timeout);
    return MakeSource([plan = std::shared_ptr<const SqlPlan>(std::move(plan)), settings] {
        return std::make_unique<SqlSource>(plan, settings);
    });
}

std::vector<SettingProblem> problems_of_sql(const Settings& settings) {
    std::vector<SettingProblem> problems;
    const SqlSettings& sql = settings.sql;
    if (const auto checked = check_sql_connection(sql.connection); !checked)
        problems.push_back({"connection", checked.error().text});
    else if (sql_connection_is_exposed(sql.connection))
        problems.push_back({"connection",
                            "goes to another machine, and nothing verifies that it is the right one; add "
                            "sslmode=verify-full and sslrootcert=… (PostgreSQL manual, \"SSL Support\")",
                            true});
    if (sql.password_query.empty())
        problems.push_back(
            {"password_query", "is missing; write one like SELECT password FROM users WHERE name = %u"});
    else if (const auto query = parse_sql_query(sql.password_query); !query)
        problems.push_back({"password_query", query.error().text});
    if (!sql.user_query.empty())
        if (const auto query = parse_sql_query(sql.user_query); !query)
            problems.push_back({"user_query", query.error().text});
    return problems;
}

}  // namespace pier::backends
