// pier man, pier completion
#include "main/commands/commands.h"
#include "main/manual.h"

namespace pier::program {

void define_text_commands(Program& program) {
    program.command(program.app(), "man", "Print the manual page, in roff: \"pier man | man -l -\" shows it.",
                    [&program]() -> Result<int> {
                        program.terminal().out << manual_page(describe(program.app()), PIER_VERSION);
                        return exit_code::fine;
                    });
    const auto shell = std::make_shared<std::string>();
    CLI::App* completion =
        program.command(program.app(), "completion", "Print the completion script for a shell.",
                        [&program, shell]() -> Result<int> {
                            program.terminal().out << completion_script(describe(program.app()), *shell);
                            return exit_code::fine;
                        });
    word_argument(*completion, "SHELL", *shell, {"bash", "zsh", "fish"}, "The shell.");
    completion->footer("For bash: pier completion bash > /usr/share/bash-completion/completions/pier");
}

}  // namespace pier::program
