// The section [acme]: its fields, and the rules across its values and the listeners.
#pragma once

#include "main/config_file.h"

namespace pier::program {

Section acme_section();
void check_acme(Loaded& loaded);

}  // namespace pier::program
