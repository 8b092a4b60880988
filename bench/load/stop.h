// Stop: whatever is wrong ends the run. A load generator that goes on after a wrong octet count measures
// nothing, so there are no results here, only this exception, which main() prints.
#pragma once

#include <stdexcept>

namespace load {

struct Stop : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace load
