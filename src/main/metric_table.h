// Every measurement that Pier shows: name, kind, unit, labels and what it means. What is not here cannot be
// shown; docs/metrics.md, the dashboard and the alert rules are tested against it.
#pragma once

#include <span>
#include <string>

#include "base/exposition.h"

namespace pier::program {

std::span<const metrics::Description> metric_table();

// As docs/metrics.md has it: a table in Markdown.
std::string metric_table_text();

}  // namespace pier::program
