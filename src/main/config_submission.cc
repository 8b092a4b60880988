#include "main/config_submission.h"

#include "main/config_fields.h"

namespace pier::program {
namespace {

using namespace std::string_view_literals;

constexpr std::array sender_check_words{"off"sv, "envelope"sv, "both"sv};
constexpr std::uint64_t rate_max = 1'000'000'000;

#define AT(member)                      \
    [](auto& c, std::size_t) -> auto& { \
        return c.submission.member;     \
    }

std::vector<Field> rates() {
    return {
        count("messages_per_hour_max", AT(rate.messages_per_hour_max), {0, rate_max},
              "Messages that an account may send within an hour; more are told to come later. So a stolen "
              "password does not send a million. 0: no limit, as for the others."),
        count("messages_per_day_max", AT(rate.messages_per_day_max), {0, rate_max}, "The same within a day."),
        count("recipients_per_hour_max", AT(rate.recipients_per_hour_max), {0, rate_max},
              "Recipients of all the messages that an account sends within an hour."),
        count("recipients_per_day_max", AT(rate.recipients_per_day_max), {0, rate_max},
              "The same within a day."),
        count("counted_accounts_max", AT(rate.counted_accounts_max), {100, 100'000'000},
              "Accounts whose mail is counted at the same time, in memory; about 100 octets each."),
    };
}

}  // namespace

Section submission_section() {
    Section section{
        .name = "submission",
        .help = "Mail out, from the users of this server (RFC 6409), who log in for it.",
        .fields = {
            word("sender_check", AT(settings.sender_check), sender_check_words,
                 "Whose addresses must be the account's own, or allowed to it with \"pier account change "
                 "--send-as\": the envelope's sender, both it and those in the header (From, Sender), or "
                 "nobody's."),
            flag("hide_client", AT(settings.hide_client),
                 "Whether Received leaves out from which address and by what name a message was submitted."),
            duration("login_timeout", AT(settings.login_timeout), {1, hour},
                     "How long a client may wait before it has logged in."),
            duration("idle_timeout", AT(idle_timeout), {1, day},
                     "How long a client may be silent after login. RFC 5321 §4.5.3.2 asks for five minutes."),
            octets("line_size_max", AT(limits.line_octets_max), {512, 64 * kib},
                   "The longest command line, with its line end."),
            octets("auth_line_size_max", AT(limits.auth_line_octets_max), {4 * kib, mib},
                   "The longest line within AUTH."),
            octets("text_line_size_max", AT(limits.text_line_octets_max), {1000, gib},
                   "The longest line of a message; longer ones are refused."),
            octets("header_size_max", AT(settings.header.header_octets_max), {16 * kib, gib},
                   "The largest header of a message."),
            count("header_fields_max", AT(settings.header.fields_max), {100, 1'000'000},
                  "Fields in the header of a message."),
            count("from_addresses_max", AT(settings.from_addresses_max), {1, 10'000},
                  "Addresses in the From of a message, and in its Sender."),
            count("recipients_max", AT(limits.recipients_max), {100, 100'000}, "Recipients of one message."),
            count("hops_max", AT(limits.hops_max), {20, 10'000},
                  "Servers that a message may have passed; one with more goes round in circles."),
            count("bad_commands_max", AT(limits.bad_commands_max), {1, 10'000},
                  "Wrong commands, then the connection is closed."),
            count("failed_logins_max", AT(limits.failed_logins_max), {1, 1000},
                  "Failed logins, then the connection is closed."),
            octets("output_size_max", AT(limits.output_octets_max), {kib, mib},
                   "Replies that are gathered before they are written."),
        }};
    for (Field& rate : rates())
        section.fields.push_back(std::move(rate));
    return section;
}

#undef AT

}  // namespace pier::program
