// One connection to PostgreSQL (libpq), its statements prepared once. Waits for the server, but for each
// answer no longer than it is told. For one thread at a time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/reconnect.h"
#include "backends/sql_query.h"
#include "base/result.h"

struct pg_conn;
struct pg_result;

namespace pier::backends {

// A row by the names of its columns; a NULL is an absent value.
class SqlRow {
  public:
    explicit SqlRow(const pg_result* result);  // of one row; copies it
    ~SqlRow();                                 // wipes it: one column is a password
    SqlRow(SqlRow&&) = default;
    SqlRow& operator=(SqlRow&&) = default;

    bool has(std::string_view column) const;
    // Null also if there is no such column.
    const std::string* value(std::string_view column) const;

  private:
    std::vector<std::pair<std::string, std::optional<std::string>>> columns_;
};

struct SqlPlan {
    std::string connection;         // as libpq reads it (PostgreSQL manual, "Connection Strings")
    std::string password_file;      // empty: none
    std::vector<SqlQuery> queries;  // number 0, 1 …
    std::chrono::seconds connect_timeout{5};
};

class SqlConnection {
  public:
    explicit SqlConnection(std::shared_ptr<const SqlPlan> plan);

    // The one row that query gives for that name; absent if it gives none. An error whatever else happens:
    // `corrupt` for several rows, `busy` for no answer in time, `io` and others for no connection or a query
    // that the server refuses. An idle connection that
    // turns out to be broken is made anew once.
    Result<std::optional<SqlRow>> ask(std::size_t query, std::string_view name, Instant deadline);

  private:
    struct Close {
        void operator()(pg_conn* connection) const;
    };
    struct Clear {
        void operator()(pg_result* result) const;
    };
    using ResultPtr = std::unique_ptr<pg_result, Clear>;

    Result<void> connect(Instant deadline);
    Result<void> prepare(Instant deadline);
    Result<std::optional<SqlRow>> run(std::size_t query, std::string_view name, Instant deadline);
    Result<ResultPtr> next_result(Instant deadline);  // null: there is no more
    Error failure(std::string_view doing) const;

    const std::shared_ptr<const SqlPlan> plan_;
    std::unique_ptr<pg_conn, Close> connection_;
    Reconnect reconnect_;
};

// `invalid` if libpq can't read it; the text never repeats a password.
Result<void> check_sql_connection(const std::string& connection);

// Whether the password and what is asked may cross a network without a verified server: a host that is
// neither a Unix socket nor this machine, without sslmode=verify-full.
bool sql_connection_is_exposed(const std::string& connection);

}  // namespace pier::backends
