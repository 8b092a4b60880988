// The figures of one look that are kept in the history, and the names of their series. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "watch/probe.h"

namespace pier::watch {

struct Figure {
    std::string series;
    double value = 0;
};

// "mail.example.org:995", or, where that would make the name of a series too long, its beginning and a
// checksum. A canary's name likewise.
std::string short_name(std::string_view name);
// "probe.mail.example.org:995.total_s"
std::string series_of(const Target& target, std::string_view figure);

// How long a look took, without what only thorough looks do: so that all looks can be compared.
double comparable_seconds(const Probe& probe);

// up (1 or 0), and of a server that was reached total_s, and connect_s, greeting_s, tls_s, login_s, status_s
// and retrieve_s as far as they happened, and certificate_days.
std::vector<Figure> figures_of(const Probe& probe);
// up, and of one that came total_s (until it was found) and wait_s.
std::vector<Figure> figures_of(const Canary& canary, std::string_view name);

}  // namespace pier::watch
