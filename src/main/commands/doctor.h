// pier doctor: apart from commands.h, because it is a door of its own to main/doctor/.
#pragma once

#include "main/program.h"

namespace pier::program {

void define_doctor_command(Program& program);

}  // namespace pier::program
