// The definitions of all commands, a file for each group. Each adds its commands to program.app().
#pragma once

#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "main/program.h"

namespace pier::program {

void define_server_commands(Program& program);                             // serve, status, reload, log
void define_config_commands(Program& program);                             // check, config
void define_account_commands(Program& program);                            // account
void define_app_password_commands(Program& program, CLI::App& accounts);   // account app-password
void define_second_factor_commands(Program& program, CLI::App& accounts);  // account second-factor
void define_address_commands(Program& program);                            // alias, domain
void define_domain_record_commands(Program& program, CLI::App& domains);   // domain dkim|records|check
void define_mail_commands(Program& program);                               // deliver, import
void define_messages_command(Program& program, CLI::App& accounts);        // account messages
void define_migrate_commands(Program& program);                            // migrate
void define_undelete_command(Program& program);                            // undelete
void define_store_commands(Program& program);                              // store
void define_guard_commands(Program& program);                              // guard
void define_queue_commands(Program& program);                              // queue
void define_tls_commands(Program& program);                                // tls
void define_probe_command(Program& program);                               // probe
void define_watch_command(Program& program);                               // watch
void define_alert_commands(Program& program);                              // alert
void define_ports_command(Program& program);                               // ports
void define_history_command(Program& program);                             // history
void define_text_commands(Program& program);                               // man, completion

// Arguments without dashes, which must be given. `value` lives as long as the command.
CLI::Option* argument(CLI::App& command, const std::string& name, std::string& value,
                      const std::string& help);
CLI::Option* arguments(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                       const std::string& help);
// One of some words; anything else is refused with the nearest of them.
CLI::Option* word_argument(CLI::App& command, const std::string& name, std::string& value,
                           std::vector<std::string> words, const std::string& help);
// Options with a value, and checks of values.
CLI::Option* option(CLI::App& command, const std::string& name, std::string& value, const std::string& type,
                    const std::string& help);
void allow_words(CLI::Option& option, std::vector<std::string> words);

// A size, or "none", as "quota_octets"; empty: nothing is added.
Result<void> add_quota(const std::string& quota, boost::json::object& params);
// That of an account or a domain, for people.
std::string quota_text(const boost::json::object& described);

// pier probe --history. `wanted`: hosts, HOST:PORT, or none for the most telling figures of all.
Result<int> show_history(Program& program, const std::vector<std::string>& wanted, const std::string& since);

// How many of the lines in `now` were there `before` already, when old ones have left at the front and new
// ones have come behind: for showing a log that was read twice.
std::size_t lines_in_common(const std::vector<std::string>& before, const std::vector<std::string>& now);

// Rows in columns as wide as their widest cell; the first row is the head. For people.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace pier::program
