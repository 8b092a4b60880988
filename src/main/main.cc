// The program `pier`: see program.h.
#include "main/program.h"

int main(int argc, char** argv) {
    pier::program::Terminal terminal = pier::program::standard_terminal();
    return pier::program::run_program({argv + 1, argv + argc}, terminal);
}
