// What a run found, for programs and for people.
#pragma once

#include <string>

#include "load/run.h"

namespace load {

// One JSON object without a line end. Sorts the latencies.
std::string json_report(Run& run);

// One line. After json_report.
std::string line_report(const Run& run);

}  // namespace load
