#include "main/config_delivery.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "auth/name.h"
#include "main/config_fields.h"

namespace pier::program {
namespace {

using namespace std::string_view_literals;

constexpr std::array over_quota_words{"temporary"sv, "permanent"sv};
constexpr std::array when_down_words{"accept"sv, "refuse"sv};
constexpr std::array filter_kinds{"smtp"sv, "submission"sv, "lmtp"sv};
constexpr std::string_view separators = "+-._=#&";  // what a name may have in it and is no letter or digit

#define AT(member)                      \
    [](auto& c, std::size_t) -> auto& { \
        return c.member;                \
    }

}  // namespace

Section delivery_section() {
    return {
        .name = "delivery",
        .help = "Who gets mail, whatever brought it.",
        .fields = {
            word("over_quota", AT(delivery.over_quota), over_quota_words,
                 "The answer when an account or its domain is full: temporary (452) lets the sender try "
                 "again, permanent (552) sends it back. Permanent if lmtp.over_quota is."),
            text("subaddress_separator", Kind::text, AT(delivery.subaddress_separator), 1,
                 "What stands between a name and what its owner adds to it (RFC 5233): mail for ada+lists "
                 "is ada's. Empty: nothing does."),
            text("srs_domain", Kind::text, AT(delivery.srs_domain), 253,
                 "The domain of the senders under which mail is forwarded (SRS); its mail must come here. "
                 "Empty: that of the address which forwards."),
        }};
}

Section filter_section() {
    return {
        .name = "filter",
        .help = "rspamd, which looks at mail for spam, and signs and verifies (DKIM, SPF, DMARC).",
        .fields = {
            text("rspamd", Kind::text, AT(filter.rspamd), path_octets_max,
                 "Where rspamd's normal worker listens on this machine: as in 127.0.0.1:11333, or the path "
                 "of a Unix socket. Empty: nobody looks at mail."),
            names("listeners", AT(filter.listeners), filter_kinds.size(),
                  "By which listeners comes what it looks at: smtp, submission, lmtp."),
            word("when_down", AT(filter.refuse_when_down), when_down_words,
                 "What becomes of mail while rspamd does not answer: accept (it is taken, with an "
                 "X-Spam-Status field that says so) or refuse (451: it comes again later)."),
            flag("junk", AT(filter.junk),
                 "What rspamd marks as spam goes to the mailbox Junk of each account, which POP3 does not "
                 "show."),
            duration("timeout", AT(filter.timeout), {1, 10 * minute},
                     "How long one message may take, waiting for its turn included."),
            octets("size_max", AT(filter.octets_max), {kib, 64 * gib},
                   "Larger messages are taken without being looked at."),
            count("connections_max", AT(filter.connections_max), {1, 256},
                  "Messages that are looked at, at the same time."),
        }};
}

#undef AT

void check_delivery(Loaded& loaded) {
    const DeliveryConfig& delivery = loaded.config.delivery;
    if (delivery.subaddress_separator.find_first_not_of(separators) != std::string::npos)
        loaded.add(Severity::error, loaded.place("delivery", "subaddress_separator"),
                   fmt::format("delivery.subaddress_separator can't be \"{}\"; it is one of {}, or empty",
                               delivery.subaddress_separator, separators));
    if (const auto good = auth::domain_name(delivery.srs_domain); !good && !delivery.srs_domain.empty())
        loaded.add(Severity::error, loaded.place("delivery", "srs_domain"),
                   "delivery.srs_domain: " + good.error().text);
}

void check_filter(Loaded& loaded) {
    const FilterConfig& filter = loaded.config.filter;
    for (const std::string& kind : filter.listeners)
        if (std::ranges::find(filter_kinds, kind) == filter_kinds.end())
            loaded.add(
                Severity::error, loaded.place("filter", "listeners"),
                fmt::format("filter.listeners has \"{}\" in it; there are smtp, submission and lmtp", kind));
    if (!filter.configured()) return;
    if (const auto good = filter::check_server(filter.rspamd); !good)
        loaded.add(Severity::error, loaded.place("filter", "rspamd"), "filter.rspamd: " + good.error().text);
}

filter::Settings filter_settings(const Config& config) {
    return {.server = config.filter.rspamd,
            .timeout = config.filter.timeout,
            .connections_max = config.filter.connections_max,
            .octets_max = config.filter.octets_max,
            .refuse_when_down = config.filter.refuse_when_down};
}

bool is_filtered(const Config& config, std::string_view listeners) {
    return config.filter.configured() &&
           std::ranges::find(config.filter.listeners, listeners) != config.filter.listeners.end();
}

delivery::Settings delivery_settings(const Config& config) {
    const bool permanent =
        config.delivery.over_quota == OverQuota::permanent || config.lmtp.over_quota == OverQuota::permanent;
    return {.hostname = config.server.hostname,
            .over_quota = permanent ? delivery::OverQuota::permanent : delivery::OverQuota::temporary,
            .postmaster = config.smtp.postmaster,
            .srs_domain = auth::fold_name(config.delivery.srs_domain)};
}

}  // namespace pier::program
