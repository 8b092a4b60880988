// pier migrate pop3|imap|dovecot|courier|cyrus
#include <csignal>
#include <fstream>

#include <boost/algorithm/string/replace.hpp>
#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <sodium.h>
#include <unistd.h>

#include "base/time.h"
#include "main/commands/commands.h"
#include "main/interrupt.h"
#include "main/migration.h"
#include "main/progress_bar.h"
#include "main/quantity.h"
#include "main/user_list.h"
#include "migrate/imap_source.h"
#include "migrate/maildir.h"
#include "migrate/pop3_source.h"
#include "migrate/server_text.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using migrate::Line;
using migrate::MailboxPlan;
using migrate::ServerUrl;

constexpr const char* password_variable = "PIER_MIGRATE_PASSWORD";

enum class OldServer { pop3, imap, dovecot, courier, cyrus };

struct Arguments {
    OldServer kind{};
    std::string from, path, to, user, users, master, password_file, ca_file, uidl_from, uidl_format;
    bool insecure = false, dry_run = false, remove = false, inbox_only = false;
};

// What stands for all accounts of a run.
struct Run {
    Arguments arguments;
    std::optional<ServerUrl> server, pop3;
    std::optional<migrate::UidlFormat> uidl_format;
    std::string password;
    std::uint64_t message_octets_max = 0;

    ~Run() { sodium_memzero(password.data(), password.size()); }
};

Error wrong(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

// ---- what the arguments mean ----

// The formats that servers make their UIDLs by, beside Dovecot's own notation.
std::string format_of(const std::string& word) {
    if (word == "cyrus") return "%v.%u";
    if (word == "uidonly") return "%u";
    if (word == "courier") return "UID%u-%v";
    if (word == "dovecot") return "%08Xu%08Xv";
    return word;
}

Result<ServerUrl> url_of(const std::string& text, ServerUrl::Protocol protocol, std::string_view option) {
    auto url = migrate::parse_server_url(text);
    if (!url) return url;
    if (url->protocol != protocol)
        return wrong(fmt::format(
            "{} takes an address that begins with {}", option,
            protocol == ServerUrl::Protocol::pop3 ? "pops:// or pop3://" : "imaps:// or imap://"));
    return url;
}

// Where the UIDLs of an IMAP server come from.
Result<void> find_uidls(Run& run) {
    const Arguments& arguments = run.arguments;
    std::string from = arguments.uidl_from;
    if (!arguments.uidl_format.empty()) {
        if (!from.empty()) return wrong("--uidl-from and --uidl-format exclude each other");
        auto format = migrate::UidlFormat::parse(format_of(arguments.uidl_format));
        if (!format) return format.error();
        if (run.server && format->needs_name())
            return wrong("IMAP tells no file names and GUIDs; a format for it is made of %u and %v");
        run.uidl_format = std::move(*format);
        return {};
    }
    if (from.empty() && arguments.kind != OldServer::imap) from = "pop3";
    if (from.empty() || !run.server) return {};
    if (from != "pop3") {
        auto url = url_of(from, ServerUrl::Protocol::pop3, "--uidl-from");
        if (!url) return url.error();
        run.pop3 = std::move(*url);
        return {};
    }
    run.pop3 = *run.server;
    run.pop3->protocol = ServerUrl::Protocol::pop3;
    run.pop3->port = run.server->tls ? 995 : 110;
    return {};
}

Result<void> find_source(Run& run) {
    const Arguments& arguments = run.arguments;
    if (arguments.from.empty() == arguments.path.empty())
        return wrong(arguments.kind == OldServer::dovecot || arguments.kind == OldServer::courier
                         ? "give either --from, the server's address, or the path of a maildir"
                         : "give --from, the server's address, as in pops://ada@old.example.org");
    if (!arguments.from.empty()) {
        const auto protocol =
            arguments.kind == OldServer::pop3 ? ServerUrl::Protocol::pop3 : ServerUrl::Protocol::imap;
        auto url = url_of(arguments.from, protocol, "--from");
        if (!url) return url.error();
        run.server = std::move(*url);
    }
    return find_uidls(run);
}

Result<void> find_password(Program& program, Run& run) {
    if (!run.server || (!run.arguments.users.empty() && run.arguments.master.empty())) return {};
    const std::string whom = run.arguments.master.empty() ? "the old server" : run.arguments.master;
    const char* variable = std::getenv(password_variable);
    auto secret = !run.arguments.password_file.empty()
                      ? read_secret_file(program.terminal(), run.arguments.password_file)
                  : variable ? Result<std::string>(variable)
                             : ask_present_password(program.terminal(), whom);
    if (!secret) return secret.error();
    run.password = *secret;
    sodium_memzero(secret->data(), secret->size());
    return {};
}

// The old user and the new account of one migration, or all of a list.
Result<std::vector<UserLine>> find_users(const Run& run) {
    const Arguments& arguments = run.arguments;
    if (!arguments.users.empty()) {
        if (!arguments.to.empty() || !arguments.user.empty())
            return wrong("--users names the accounts; leave --to and --user out");
        const bool passwords = run.server && arguments.master.empty();
        return read_user_list(arguments.users, passwords);
    }
    if (arguments.to.empty()) return wrong("give --to, the account that gets the mail, or --users, a list");
    UserLine one;
    one.old_user = !arguments.user.empty() ? arguments.user : run.server ? run.server->user : arguments.to;
    if (one.old_user.empty()) one.old_user = arguments.to;
    one.account = arguments.to;
    one.password = run.password;
    return std::vector{std::move(one)};
}

// ---- one account ----

migrate::Login login_of(const Run& run, const UserLine& user) {
    migrate::Login login;
    login.clear_allowed = run.arguments.insecure;
    login.password = run.arguments.master.empty() ? user.password : run.password;
    login.user = run.arguments.master.empty() ? user.old_user : run.arguments.master;
    if (!run.arguments.master.empty()) login.act_as = user.old_user;
    return login;
}

migrate::RemoteOptions remote_options(const Run& run) {
    migrate::RemoteOptions options;
    options.connect.ca_file = run.arguments.ca_file;
    options.connect.insecure = run.arguments.insecure;
    options.message_octets_max = run.message_octets_max;
    options.now = system_now();
    return options;
}

Result<std::unique_ptr<migrate::Source>> open_maildir_of(const Run& run, const UserLine& user) {
    migrate::MaildirOptions options;
    using Uidls = migrate::MaildirOptions::Uidls;
    options.uidls = run.arguments.kind == OldServer::dovecot ? Uidls::dovecot : Uidls::courier;
    if (run.uidl_format) options.dovecot_format = *run.uidl_format;
    options.folders = !run.arguments.inbox_only;
    auto source = migrate::open_maildir(path_of_user(run.arguments.path, user.old_user), options);
    if (!source && source.error().kind == ErrorKind::not_found)
        return Error(
            ErrorKind::not_found,
            source.error().text + "; sdbox and mdbox are read through the running server, with --from");
    return source;
}

Result<std::unique_ptr<migrate::Source>> open_source(const Run& run, const UserLine& user) {
    if (!run.server) return open_maildir_of(run, user);
    if (run.arguments.kind == OldServer::pop3) {
        auto source = migrate::Pop3Source::open(*run.server, login_of(run, user), remote_options(run));
        if (!source) return source.error();
        return std::unique_ptr<migrate::Source>(std::move(*source));
    }
    migrate::ImapOptions options;
    options.remote = remote_options(run);
    options.inbox_only = run.arguments.inbox_only;
    options.uidl_format = run.uidl_format;
    if (run.pop3) {
        auto pop3 = migrate::Pop3Source::open(*run.pop3, login_of(run, user), remote_options(run));
        if (!pop3) return pop3.error();
        options.pop3 = std::move(*pop3);
    }
    auto source = migrate::ImapSource::open(*run.server, login_of(run, user), std::move(options));
    if (!source) return source.error();
    return std::unique_ptr<migrate::Source>(std::move(*source));
}

// ---- what is said ----

// Names of files and mailboxes may hold anything.
std::string printable(const std::string& text) {
    constexpr std::size_t octets_max = 1000;
    return migrate::shown(text, octets_max);
}

std::string diff_text(const std::vector<MailboxPlan>& plans) {
    std::string text;
    for (const MailboxPlan& plan : plans) {
        if (plan.lines.empty()) continue;
        text += fmt::format("{}\n", plan.mailbox);
        for (const Line& line : plan.lines)
            text += fmt::format("{} {}{}{}\n", static_cast<char>(line.sign), printable(line.name),
                                line.text.empty() ? "" : "  ", line.text);
    }
    return text;
}

std::uint64_t count(const std::vector<MailboxPlan>& plans, Line::Sign sign) {
    std::uint64_t sum = 0;
    for (const MailboxPlan& plan : plans)
        sum += plan.count(sign);
    return sum;
}

std::string what_differs(const MigrationReport& report, bool dry_run) {
    if (!report.differs()) return "nothing differs";
    std::string text;
    const auto add = [&](std::uint64_t number, std::string_view what) {
        if (number > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, what);
    };
    const std::string_view missing = dry_run ? "to be added" : "not here";
    add(count(report.after, Line::Sign::add), missing);
    add(count(report.after, Line::Sign::change), "changed");
    add(count(report.after, Line::Sign::gone), "gone at the source (--delete removes them here)");
    add(report.failed, "could not be read or stored");
    return "differs: " + (text.empty() ? "it was not finished" : text);
}

json::object to_json(const MailboxPlan& plan, bool lines) {
    json::object object{{"mailbox", plan.mailbox},
                        {"same", plan.count(Line::Sign::same)},
                        {"add", plan.count(Line::Sign::add)},
                        {"change", plan.count(Line::Sign::change)},
                        {"gone", plan.count(Line::Sign::gone)},
                        {"deleted_here", plan.count(Line::Sign::deleted_here)},
                        {"own", plan.own},
                        {"out_of_place", plan.out_of_place},
                        {"other_size", plan.other_size}};
    if (!lines) return object;
    json::array list;
    for (const Line& line : plan.lines)
        list.push_back(json::object{{"sign", std::string(1, static_cast<char>(line.sign))},
                                    {"uidl", printable(line.name)},
                                    {"text", line.text}});
    object["diff"] = std::move(list);
    return object;
}

json::object to_json(const UserLine& user, const MigrationReport& report, bool dry_run) {
    json::array mailboxes, failures;
    for (const MailboxPlan& plan : dry_run ? report.before : report.after)
        mailboxes.push_back(to_json(plan, dry_run));
    for (const migrate::Failure& failure : report.failures)
        failures.push_back(json::object{{"origin", failure.origin}, {"text", failure.text}});
    return {{"user", user.old_user},
            {"account", user.account},
            {"differs", report.differs()},
            {"added", report.added},
            {"changed", report.changed},
            {"removed", report.removed},
            {"failed", report.failed},
            {"failures", std::move(failures)},
            {"warnings", json::array(report.warnings.begin(), report.warnings.end())},
            {"ended_by", report.ended_by},
            {"interrupted", report.stopped},
            {"mailboxes", std::move(mailboxes)}};
}

void say_troubles(std::ostream& err, const UserLine& user, const MigrationReport& report) {
    std::uint64_t other_size = 0, out_of_place = 0;
    for (const MailboxPlan& plan : report.after) {
        other_size += plan.other_size;
        out_of_place += plan.out_of_place;
    }
    for (const std::string& warning : report.warnings)
        err << fmt::format("warning: {}: {}\n", user.account, printable(warning));
    if (other_size > 0)
        err << fmt::format("warning: {}: {} messages have another size than the old server says\n",
                           user.account, other_size);
    if (out_of_place > 0)
        err << fmt::format("warning: {}: {} messages stand in another order than at the source\n",
                           user.account, out_of_place);
    for (const migrate::Failure& failure : report.failures)
        err << fmt::format("not migrated: {}: {}{}{}\n", user.account, printable(failure.origin),
                           failure.origin.empty() ? "" : ": ", printable(failure.text));
    if (!report.ended_by.empty())
        err << fmt::format("pier: {}: the migration ended: {}; run it again to go on\n", user.account,
                           printable(report.ended_by));
    if (report.stopped) err << "pier: interrupted; run it again to go on\n";
}

// ---- all accounts ----

Result<MigrationReport> migrate_user(Program& program, Backend& backend, const Run& run,
                                     const UserLine& user) {
    if (auto account = backend.call("account.show", {{"name", user.account}}); !account)
        return account.error();
    auto source = open_source(run, user);
    if (!source) return source.error();
    ProgressBar bar(program.terminal());
    MigrationOptions options;
    options.dry_run = run.arguments.dry_run;
    options.remove = run.arguments.remove;
    options.message_octets_max = run.message_octets_max;
    options.stop = InterruptGuard::interrupted;
    options.progress = [&](const migrate::Progress& now) {
        bar.draw(now.octets, now.octets_total,
                 fmt::format("{}: {} of {}, {} added, {} failed", user.account, about_octets(now.octets),
                             about_octets(now.octets_total), now.imported, now.failed));
    };
    return migrate_account(backend, user.account, **source, options);
}

struct Summary {
    json::array accounts;
    std::size_t differing = 0, failed = 0;
};

void migrate_and_say(Program& program, Backend& backend, const Run& run, const UserLine& user,
                     Summary& summary) {
    const bool dry_run = run.arguments.dry_run;
    const auto report = migrate_user(program, backend, run, user);
    if (!report) {
        ++summary.failed;
        summary.accounts.push_back(
            json::object{{"user", user.old_user}, {"account", user.account}, {"error", report.error().text}});
        if (!program.json())
            program.terminal().err << fmt::format("pier: {}: {}\n", user.account, report.error().text);
        return;
    }
    if (report->differs()) ++summary.differing;
    summary.accounts.push_back(to_json(user, *report, dry_run));
    if (program.json()) return;
    say_troubles(program.terminal().err, user, *report);
    std::ostream& out = program.terminal().out;
    if (dry_run) out << diff_text(report->before);
    const std::string done = dry_run
                                 ? fmt::format("{} the same", count(report->before, Line::Sign::same))
                                 : fmt::format("{} added, {} changed, {} removed, {} failed", report->added,
                                               report->changed, report->removed, report->failed);
    out << fmt::format("{}: {}; {}\n", user.account, done, what_differs(*report, dry_run)) << std::flush;
}

Result<int> migrate_all(Program& program, const Arguments& arguments) {
    Run run;
    run.arguments = arguments;
    if (auto found = find_source(run); !found) return found.error();
    if (auto found = find_password(program, run); !found) return found.error();
    auto users = find_users(run);
    if (!users) return users.error();
    const auto backend = program.backend();
    if (!backend) return backend.error();
    run.message_octets_max = (*program.config())->store.message_octets_max;
    std::signal(SIGPIPE, SIG_IGN);  // a server that is gone is an error of its connection
    const InterruptGuard guard;
    Summary summary;
    std::size_t done = 0;
    for (; done < users->size() && !InterruptGuard::interrupted(); ++done)
        migrate_and_say(program, **backend, run, (*users)[done], summary);
    for (UserLine& user : *users)
        sodium_memzero(user.password.data(), user.password.size());
    const std::size_t left = users->size() - done;
    std::string text;
    if (users->size() > 1)
        text =
            fmt::format("{} accounts: {} the same, {} differ, {} failed, {} not begun\n", users->size(),
                        done - summary.differing - summary.failed, summary.differing, summary.failed, left);
    program.say(text, json::object{{"accounts", std::move(summary.accounts)}, {"not_begun", left}});
    return summary.differing + summary.failed + left == 0 ? exit_code::fine : exit_code::failed;
}

// ---- the commands ----

void define_server_options(CLI::App& command, Arguments& values) {
    option(command, "--user", values.user, "NAME",
           "Who logs in there, if --from does not say; ada*master where Dovecot has master users.");
    option(command, "--master", values.master, "NAME",
           "A master user, who logs in there for the others (SASL PLAIN); the password is his.");
    option(command, "--password-file", values.password_file, "FILE",
           "Take the password from the first line of a file; - is standard input.");
    option(command, "--ca-file", values.ca_file, "FILE",
           "Trust the authorities in this file and not the system's.");
    command.add_flag("--insecure", values.insecure,
                     "Take any certificate, and send the password in clear if the server has no TLS.");
}

void define_common_options(CLI::App& command, Arguments& values) {
    option(command, "--to", values.to, "ACCOUNT", "The account that gets the mail.");
    option(command, "--users", values.users, "FILE",
           "Migrate many: a line each with old user, account and, without --master, password.");
    command.add_flag("--dry-run", values.dry_run, "Change nothing; show what differs, UIDL by UIDL.");
    command.add_flag("--delete", values.remove,
                     "Remove messages that were migrated and are gone at the source since.");
    command.footer(
        "Run it again until nothing differs. Exits 0 if nothing differs, else 1. The password is asked for, "
        "or "
        "taken from the environment variable PIER_MIGRATE_PASSWORD, if there is no --password-file.");
}

void define_uidl_options(CLI::App& command, Arguments& values, bool pop3_by_default) {
    option(command, "--uidl-from", values.uidl_from, "URL",
           fmt::format(
               "The POP3 server of the same mail, which gives the UIDLs: pops://HOST:PORT, or pop3 for the "
               "same host{}.",
               pop3_by_default ? ", which is the default" : ""));
    option(command, "--uidl-format", values.uidl_format, "FORMAT",
           "Make the UIDLs of UID and UIDVALIDITY: cyrus, uidonly, courier, dovecot, or as in %08Xu%08Xv.");
    command.add_flag("--inbox-only", values.inbox_only, "Leave the other mailboxes out.");
}

void define_kind(Program& program, CLI::App& group, OldServer kind, const std::string& name,
                 const std::string& help) {
    const auto values = std::make_shared<Arguments>();
    values->kind = kind;
    CLI::App* command =
        program.command(group, name, help, [&program, values] { return migrate_all(program, *values); });
    const bool files = kind == OldServer::dovecot || kind == OldServer::courier;
    if (files) {
        command
            ->add_option(
                "PATH,--maildir", values->path,
                "A maildir; with --users %u, %n and %d stand for the old user, its local part, its domain.")
            ->type_name("PATH");
    }
    option(*command, "--from", values->from, "URL",
           kind == OldServer::pop3
               ? "The server: pops://USER@HOST, or pop3://USER@HOST:PORT with STLS."
               : "The server: imaps://USER@HOST, or imap://USER@HOST:PORT with STARTTLS.");
    if (kind != OldServer::pop3) define_uidl_options(*command, *values, kind != OldServer::imap);
    define_server_options(*command, *values);
    define_common_options(*command, *values);
}

}  // namespace

void define_migrate_commands(Program& program) {
    CLI::App* group = program.command(program.app(), "migrate",
                                      "Take over mail, flags and UIDLs from another server.", nullptr);
    define_kind(program, *group, OldServer::pop3, "pop3", "From a POP3 server: the INBOX and its UIDLs.");
    define_kind(program, *group, OldServer::imap, "imap", "From an IMAP server: mailboxes, flags and dates.");
    define_kind(program, *group, OldServer::dovecot, "dovecot",
                "From Dovecot: its Maildir files, or all formats by POP3 and IMAP together.");
    define_kind(program, *group, OldServer::courier, "courier",
                "From Courier: its Maildir files, or by POP3 and IMAP together.");
    define_kind(program, *group, OldServer::cyrus, "cyrus", "From Cyrus, by POP3 and IMAP together.");
}

}  // namespace pier::program
