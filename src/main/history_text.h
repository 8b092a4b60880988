// Measurements as a person likes to see them: a table with a small curve for each. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "watch/rings.h"

namespace pier::program {

struct ShownSeries {
    std::string name;  // "probe.mail.example.org:995.total_s"
    std::vector<watch::Point> points;

    std::string thing() const;   // "mail.example.org:995"; of the server's own figures "server"
    std::string figure() const;  // "total_s"
};

// Whether a series belongs to `wanted`: a host, HOST:PORT, a canary's name, or "server". With nothing wanted
// the few figures of each that say most.
bool is_wanted(const ShownSeries& series, const std::vector<std::string>& wanted);

// One letter for each of `columns` equal parts of [from, to): a bar as high as the largest value in it, from
// 0 to the largest of all; blank where nothing was measured. Of "up" the smallest: an outage is to be seen.
std::string curve(const ShownSeries& series, Time from, Time to, std::size_t columns);

std::string history_text(const std::vector<ShownSeries>& all, Time from, Time to);

}  // namespace pier::program
