#include "backends/sql_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include "auth/password.h"
#include "backends/secret_file.h"

namespace pier::backends {
namespace {

using std::chrono::steady_clock;

// The name is text that the database's own encoding can't hold (SQLSTATE 22021, 22P05): nobody there has it.
bool no_such_text(const PGresult* result) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state != nullptr && (std::strcmp(state, "22021") == 0 || std::strcmp(state, "22P05") == 0);
}

// libpq's texts end with a line end and may have several lines.
std::string one_line(const char* text) {
    std::string line;
    for (const char c : std::string_view(text == nullptr ? "" : text)) {
        if (c != '\n' && c != '\t')
            line += c;
        else if (!line.empty() && line.back() != ' ')
            line += ' ';
    }
    while (line.ends_with(' '))
        line.pop_back();
    return line;
}

std::string statement_name(std::size_t query) {
    return fmt::format("pier_{}", query);
}

struct FreeOptions {
    void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

Options parse_options(const std::string& connection, std::string* why = nullptr) {
    char* text = nullptr;
    Options options(PQconninfoParse(connection.c_str(), &text));
    if (why != nullptr) *why = one_line(text);
    PQfreemem(text);
    return options;
}

std::string_view option(const Options& options, std::string_view keyword) {
    for (const PQconninfoOption* one = options.get(); one != nullptr && one->keyword != nullptr; ++one)
        if (one->keyword == keyword && one->val != nullptr) return one->val;
    return {};
}

}  // namespace

SqlRow::SqlRow(const PGresult* result) {
    for (int column = 0; column < PQnfields(result); ++column) {
        std::optional<std::string> value;
        if (!PQgetisnull(result, 0, column))
            value.emplace(PQgetvalue(result, 0, column),
                          static_cast<std::size_t>(PQgetlength(result, 0, column)));
        columns_.emplace_back(PQfname(result, column), std::move(value));
    }
}

SqlRow::~SqlRow() {
    for (auto& [name, value] : columns_)
        if (value) auth::wipe(*value);
}

bool SqlRow::has(std::string_view column) const {
    return std::any_of(columns_.begin(), columns_.end(),
                       [&](const auto& one) { return one.first == column; });
}

const std::string* SqlRow::value(std::string_view column) const {
    for (const auto& [name, value] : columns_)
        if (name == column && value) return &*value;
    return nullptr;
}

void SqlConnection::Close::operator()(PGconn* connection) const {
    PQfinish(connection);
}

void SqlConnection::Clear::operator()(PGresult* result) const {
    PQclear(result);
}

SqlConnection::SqlConnection(std::shared_ptr<const SqlPlan> plan) : plan_(std::move(plan)) {}

Error SqlConnection::failure(std::string_view doing) const {
    return {ErrorKind::io, fmt::format("{}: {}", doing, one_line(PQerrorMessage(connection_.get())))};
}

Result<std::optional<SqlRow>> SqlConnection::ask(std::size_t query, std::string_view name, Instant deadline) {
    if (connection_) {
        auto row = run(query, name, deadline);
        if (row) return row;
        connection_.reset();
        // There is no time for more, or it would not help.
        if (row.error().kind == ErrorKind::busy || row.error().kind == ErrorKind::corrupt) return row;
    }
    if (!reconnect_.may_try(steady_clock::now())) return reconnect_.failure();
    if (auto connected = connect(deadline); !connected) {
        connection_.reset();
        reconnect_.failed(steady_clock::now(), connected.error());
        return connected.error();
    }
    reconnect_.succeeded();
    auto row = run(query, name, deadline);
    // Attack: a name for which the query always fails. It must not keep others out by the pause of
    // reconnect_.
    if (!row) connection_.reset();
    return row;
}

// libpq itself keeps to connect_timeout, for each host of the list: so a host that swallows everything does
// not keep the next one from being asked.
Result<void> SqlConnection::connect(Instant deadline) {
    std::string password;
    if (!plan_->password_file.empty()) {
        auto secret = read_secret(plan_->password_file, "password_file");
        if (!secret) return secret.error();
        password = std::move(*secret);
    }
    const std::string seconds = fmt::format("{}", plan_->connect_timeout.count());
    // A later word counts: what stands in front of dbname may be set otherwise by the connection string.
    std::vector<const char*> words{"connect_timeout", "gssencmode", "fallback_application_name", "dbname",
                                   "client_encoding"};
    std::vector<const char*> values{seconds.c_str(), "disable", "pier", plan_->connection.c_str(), "UTF8"};
    if (!password.empty()) {
        words.push_back("password");
        values.push_back(password.c_str());
    }
    words.push_back(nullptr);
    values.push_back(nullptr);
    connection_.reset(PQconnectdbParams(words.data(), values.data(), 1));
    auth::wipe(password);
    if (!connection_) throw std::bad_alloc();
    if (PQstatus(connection_.get()) != CONNECTION_OK) return failure("connect to PostgreSQL");
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);
    return prepare(deadline);
}

Result<void> SqlConnection::prepare(Instant deadline) {
    for (std::size_t query = 0; query < plan_->queries.size(); ++query) {
        if (PQsendPrepare(connection_.get(), statement_name(query).c_str(),
                          plan_->queries[query].text.c_str(), 0, nullptr) == 0)
            return failure("prepare the query");
        for (;;) {
            auto result = next_result(deadline);
            if (!result) return result.error();
            if (!*result) break;
            if (PQresultStatus(result->get()) != PGRES_COMMAND_OK)
                return Error{ErrorKind::io, fmt::format("PostgreSQL does not take the query: {}",
                                                        one_line(PQresultErrorMessage(result->get())))};
        }
    }
    return {};
}

Result<SqlConnection::ResultPtr> SqlConnection::next_result(Instant deadline) {
    while (PQisBusy(connection_.get()) != 0) {
        ::pollfd readable{.fd = PQsocket(connection_.get()), .events = POLLIN, .revents = 0};
        if (steady_clock::now() >= deadline)
            return Error{ErrorKind::busy, "PostgreSQL does not answer in time; see its load, and timeout"};
        const int ready =
            ::poll(&readable, 1, static_cast<int>(left_until(deadline, steady_clock::now()).count()));
        if (ready < 0 && errno != EINTR) return errno_error(errno, "wait for PostgreSQL");
        if (ready > 0 && PQconsumeInput(connection_.get()) == 0) return failure("read from PostgreSQL");
    }
    return ResultPtr(PQgetResult(connection_.get()));
}

Result<std::optional<SqlRow>> SqlConnection::run(std::size_t query, std::string_view name, Instant deadline) {
    std::vector<std::string> texts;
    for (const NamePart part : plan_->queries[query].parameters)
        texts.emplace_back(part_of(name, part));
    std::vector<const char*> values;
    for (const std::string& text : texts)
        values.push_back(text.c_str());
    if (PQsendQueryPrepared(connection_.get(), statement_name(query).c_str(), static_cast<int>(values.size()),
                            values.data(), nullptr, nullptr, 0) == 0)
        return failure("ask PostgreSQL");
    // A query that gives a whole table fails at its second row, and is never in memory.
    PQsetSingleRowMode(connection_.get());
    std::optional<SqlRow> row;
    bool absent = false;
    for (;;) {
        auto result = next_result(deadline);
        if (!result) return result.error();
        if (!*result) break;
        const auto status = PQresultStatus(result->get());
        if (status == PGRES_SINGLE_TUPLE) {
            if (row)
                return Error{
                    ErrorKind::corrupt,
                    "the query gives several rows for one name; make the column unique, or the query "
                    "narrower"};
            row.emplace(result->get());
        } else if (status == PGRES_FATAL_ERROR && no_such_text(result->get())) {
            absent = true;
        } else if (status != PGRES_TUPLES_OK) {
            return Error{ErrorKind::io,
                         status == PGRES_COMMAND_OK
                             ? std::string("the query gives no rows at all; it must be a SELECT")
                             : fmt::format("PostgreSQL refuses the query: {}",
                                           one_line(PQresultErrorMessage(result->get())))};
        }
    }
    if (absent) row.reset();
    return row;
}

Result<void> check_sql_connection(const std::string& connection) {
    std::string why;
    const Options options = parse_options(connection, &why);
    if (!options)
        return Error{ErrorKind::invalid,
                     fmt::format("can't be read by libpq ({}); write it as \"host=db.example.org dbname=mail "
                                 "user=pier\"",
                                 why)};
    if (!option(options, "password").empty())
        return Error{
            ErrorKind::invalid,
            "holds a password; put it into a file that only Pier can read, and name that with password_file"};
    return {};
}

bool sql_connection_is_exposed(const std::string& connection) {
    const Options options = parse_options(connection);
    std::string_view hosts = option(options, "host");
    if (option(options, "sslmode") == "verify-full") return false;
    if (hosts.empty()) hosts = option(options, "hostaddr");
    while (!hosts.empty()) {
        const std::string_view host = hosts.substr(0, hosts.find(','));
        hosts.remove_prefix(std::min(hosts.size(), host.size() + 1));
        const bool local = host.empty() || host.starts_with('/') || host.starts_with('@') ||
                           host == "localhost" || host == "::1" || host.starts_with("127.");
        if (!local) return true;
    }
    return false;
}

}  // namespace pier::backends
