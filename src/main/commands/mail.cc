// pier deliver, pier import maildir|mbox|eml
#include <algorithm>
#include <iterator>

#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "main/backend_sink.h"
#include "main/commands/commands.h"
#include "main/interrupt.h"
#include "main/progress_bar.h"
#include "main/quantity.h"
#include "migrate/eml.h"
#include "migrate/import.h"
#include "migrate/maildir.h"
#include "migrate/mbox.h"

namespace pier::program {
namespace {

namespace json = boost::json;

// sysexits(3), as mail servers that run a delivery program know them.
namespace sysexit {
constexpr int data_error = 65, no_user = 67, cannot_create = 73, temporary = 75;
}

// ---- deliver ----

struct DeliverArguments {
    std::vector<std::string> recipients;
    std::string sender;
};

int exit_code_of(int reply_code, std::string_view enhanced) {
    if (reply_code < 300) return exit_code::fine;
    if (reply_code < 500) return sysexit::temporary;
    if (enhanced == "5.2.2") return sysexit::cannot_create;
    return enhanced.starts_with("5.1.") ? sysexit::no_user : sysexit::data_error;
}

Result<std::string> read_message(std::istream& in, std::uint64_t octets_max) {
    std::string message;
    std::string block(64 << 10, '\0');
    while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0) {
        message.append(block, 0, static_cast<std::size_t>(in.gcount()));
        if (message.size() > octets_max)
            return Error(ErrorKind::invalid,
                         fmt::format("the message is larger than {}; raise store.message_size_max to take it",
                                     format_octets(octets_max)));
    }
    if (message.empty())
        return Error(ErrorKind::invalid, "there is no message on standard input; give one with < FILE");
    return message;
}

int say_failed_delivery(Program& program, const Error& error, int code) {
    const json::object answer{{"error", {{"kind", to_string(error.kind)}, {"text", error.text}}}};
    if (program.json())
        program.say("", answer);
    else
        program.terminal().err << "pier: " << error.text << '\n';
    return code;
}

// Whoever calls this keeps the message unless it exits 0, so nothing that may pass is told as final.
Result<int> deliver(Program& program, const DeliverArguments& arguments) {
    const auto config = program.config();
    if (!config) return say_failed_delivery(program, config.error(), sysexit::temporary);
    const auto message = read_message(program.terminal().in, (*config)->store.message_octets_max);
    if (!message) return say_failed_delivery(program, message.error(), sysexit::data_error);
    json::array recipients(arguments.recipients.begin(), arguments.recipients.end());
    const auto answer = program.call(
        "mail.deliver", {{"recipients", std::move(recipients)}, {"sender", arguments.sender}}, *message);
    if (!answer) {
        const bool wrong = answer.error().kind == ErrorKind::invalid;
        return say_failed_delivery(program, answer.error(), wrong ? sysexit::data_error : sysexit::temporary);
    }
    std::string text;
    int code = exit_code::fine;
    for (const json::value& result : answer->at("results").as_array()) {
        const int reply = result.at("code").to_number<int>();
        const std::string_view enhanced = result.at("enhanced").as_string();
        code = std::max(code, exit_code_of(reply, enhanced));
        if (reply >= 300 && !program.json())
            program.terminal().err << fmt::format("pier: {}: {}\n",
                                                  std::string_view(result.at("recipient").as_string()),
                                                  std::string_view(result.at("text").as_string()));
    }
    program.say("", *answer);
    return code;
}

// ---- import ----

struct ImportArguments {
    std::string account;
    std::vector<std::string> paths;
    std::string mailbox = "INBOX", uidls = "automatic", uidl_format, quoting = "rd";
    bool inbox_only = false, ignore_x_uidl = false;
};

using Open = std::function<Result<std::unique_ptr<migrate::Source>>(const std::string& path)>;

// The sum of the reports of all paths.
void add_report(migrate::Report& all, migrate::Report one) {
    all.counts.imported += one.counts.imported;
    all.counts.already_there += one.counts.already_there;
    all.counts.failed += one.counts.failed;
    all.counts.octets += one.counts.octets;
    std::move(one.failures.begin(), one.failures.end(), std::back_inserter(all.failures));
    std::move(one.warnings.begin(), one.warnings.end(), std::back_inserter(all.warnings));
    all.ended_by = std::move(one.ended_by);
    all.stopped = one.stopped;
}

int say_report(Program& program, const migrate::Report& report) {
    json::array failures;
    for (const migrate::Failure& failure : report.failures)
        failures.push_back(json::object{{"origin", failure.origin}, {"text", failure.text}});
    json::object answer{{"imported", report.counts.imported},
                        {"already_there", report.counts.already_there},
                        {"failed", report.counts.failed},
                        {"failures", std::move(failures)},
                        {"warnings", json::array(report.warnings.begin(), report.warnings.end())},
                        {"interrupted", report.stopped}};
    if (report.ended_by) answer["ended_by"] = report.ended_by->text;
    if (!program.json()) {
        std::ostream& err = program.terminal().err;
        for (const std::string& warning : report.warnings)
            err << "warning: " << warning << '\n';
        for (const migrate::Failure& failure : report.failures)
            err << "not imported: " << failure.origin << (failure.origin.empty() ? "" : ": ") << failure.text
                << '\n';
        if (report.ended_by)
            err << "pier: the import ended: " << report.ended_by->text << "; run it again to go on\n";
        if (report.stopped) err << "pier: interrupted; run it again to go on\n";
    }
    program.say(fmt::format("imported {}, already there {}, failed {}\n", report.counts.imported,
                            report.counts.already_there, report.counts.failed),
                answer);
    return report.counts.failed == 0 && !report.ended_by && !report.stopped ? exit_code::fine
                                                                            : exit_code::failed;
}

migrate::Report import_path(Program& program, migrate::Source& source, Backend& backend,
                            const std::string& account, std::uint64_t message_octets_max) {
    ProgressBar bar(program.terminal());
    BackendSink sink(backend, account, message_octets_max);
    migrate::ImportOptions options;
    options.progress = [&](const migrate::Progress& now) {
        bar.draw(now.octets, now.octets_total,
                 fmt::format("{} of {}, {} imported, {} already there, {} failed", about_octets(now.octets),
                             about_octets(now.octets_total), now.imported, now.already_there, now.failed));
    };
    options.stop = [] { return InterruptGuard::interrupted(); };
    return migrate::run_import(source, sink, options);
}

Result<int> import(Program& program, const ImportArguments& arguments, const Open& open) {
    const bool started_as_root = geteuid() == 0;
    const auto backend = program.backend();
    if (!backend) return backend.error();
    if (auto account = (*backend)->call("account.show", {{"name", arguments.account}}); !account)
        return account.error();
    const std::uint64_t message_octets_max = (*program.config())->store.message_octets_max;
    const InterruptGuard guard;
    migrate::Report report;
    for (const std::string& path : arguments.paths) {
        auto source = open(path);
        if (!source) {
            Error error = source.error();
            // The store's user reads the files then, and root's mail is not for everybody.
            if (started_as_root && geteuid() != 0)
                error.text += fmt::format(
                    "; it was read as user {}, because no server runs: start the server and run this again",
                    (*program.config())->server.user);
            report.failures.push_back({path, error.text});
            ++report.counts.failed;
            continue;
        }
        add_report(report, import_path(program, **source, **backend, arguments.account, message_octets_max));
        if (report.stopped || report.ended_by) break;
    }
    return say_report(program, report);
}

Result<migrate::UidlFormat> uidl_format(const ImportArguments& arguments) {
    if (arguments.uidl_format.empty()) return migrate::UidlFormat::dovecot_default();
    return migrate::UidlFormat::parse(arguments.uidl_format);
}

Result<int> import_maildir(Program& program, const ImportArguments& arguments) {
    const auto format = uidl_format(arguments);
    if (!format) return format.error();
    using Uidls = migrate::MaildirOptions::Uidls;
    migrate::MaildirOptions options;
    options.uidls = arguments.uidls == "dovecot"   ? Uidls::dovecot
                    : arguments.uidls == "courier" ? Uidls::courier
                    : arguments.uidls == "none"    ? Uidls::none
                                                   : Uidls::automatic;
    options.dovecot_format = *format;
    options.folders = !arguments.inbox_only;
    return import(program, arguments,
                  [&](const std::string& path) { return migrate::open_maildir(path, options); });
}

Result<int> import_mbox(Program& program, const ImportArguments& arguments) {
    const auto format = uidl_format(arguments);
    if (!format) return format.error();
    using Quoting = migrate::MboxOptions::Quoting;
    migrate::MboxOptions options;
    options.quoting = arguments.quoting == "o"      ? Quoting::o
                      : arguments.quoting == "none" ? Quoting::none
                                                    : Quoting::rd;
    options.mailbox = arguments.mailbox;
    options.x_uidl = !arguments.ignore_x_uidl;
    options.dovecot_format = *format;
    return import(program, arguments,
                  [&](const std::string& path) { return migrate::open_mbox(path, options); });
}

Result<int> import_eml(Program& program, const ImportArguments& arguments) {
    migrate::EmlOptions options;
    options.mailbox = arguments.mailbox;
    return import(program, arguments,
                  [&](const std::string& path) { return migrate::open_eml(path, options); });
}

using Import = Result<int> (*)(Program&, const ImportArguments&);

// `pier import <name>`, with the arguments that all have.
CLI::App* define_import(Program& program, CLI::App& group, const std::string& name, const std::string& help,
                        Import import_all, const std::shared_ptr<ImportArguments>& values) {
    CLI::App* command = program.command(
        group, name, help, [&program, values, import_all] { return import_all(program, *values); });
    argument(*command, "ACCOUNT", values->account, "The account that gets the mail.");
    arguments(*command, "PATH", values->paths, "What to import.");
    command->footer("May be stopped and run again: what was imported is passed over.");
    return command;
}

void define_uidl_format(CLI::App& command, ImportArguments& values) {
    option(command, "--uidl-format", values.uidl_format, "FORMAT",
           "Dovecot's pop3_uidl_format on the server that is left; by default %08Xu%08Xv.");
}

}  // namespace

void define_mail_commands(Program& program) {
    const auto delivering = std::make_shared<DeliverArguments>();
    CLI::App* delivers = program.command(program.app(), "deliver", "Deliver the message on standard input.",
                                         [&program, delivering] { return deliver(program, *delivering); });
    arguments(*delivers, "ACCOUNT", delivering->recipients, "Who gets it: accounts, aliases or addresses.");
    option(*delivers, "--from", delivering->sender, "ADDRESS", "The sender, for Return-Path.");
    delivers->footer(
        "Exits as sysexits(3): 0 delivered, 65 unusable message, 67 unknown account, 73 account full for "
        "good, "
        "75 try again later.");

    CLI::App* group =
        program.command(program.app(), "import", "Import mail, with its dates, flags and UIDLs.", nullptr);
    const auto maildir = std::make_shared<ImportArguments>();
    CLI::App* maildirs = define_import(program, *group, "maildir", "Import maildirs with their folders.",
                                       import_maildir, maildir);
    allow_words(
        *option(*maildirs, "--uidls", maildir->uidls, "",
                "Whose UIDLs to keep; automatic takes Dovecot's if its list is there, else Courier's."),
        {"automatic", "dovecot", "courier", "none"});
    define_uidl_format(*maildirs, *maildir);
    maildirs->add_flag("--inbox-only", maildir->inbox_only, "Leave the other folders out.");

    const auto mbox = std::make_shared<ImportArguments>();
    CLI::App* mboxes = define_import(program, *group, "mbox", "Import mbox files.", import_mbox, mbox);
    option(*mboxes, "--mailbox", mbox->mailbox, "NAME", "The mailbox of the account, INBOX by default.");
    allow_words(
        *option(*mboxes, "--quoting", mbox->quoting, "",
                "How From lines inside messages are quoted: rd (mboxrd), o (mboxo, mboxcl), none (mboxcl2)."),
        {"rd", "o", "none"});
    mboxes->add_flag("--ignore-x-uidl", mbox->ignore_x_uidl, "Do not take UIDLs from X-UIDL fields.");
    define_uidl_format(*mboxes, *mbox);

    const auto eml = std::make_shared<ImportArguments>();
    CLI::App* emls =
        define_import(program, *group, "eml", "Import single messages: files, or folders with .eml files.",
                      import_eml, eml);
    option(*emls, "--mailbox", eml->mailbox, "NAME", "The mailbox of the account, INBOX by default.");
}

}  // namespace pier::program
