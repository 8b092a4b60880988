#include <fmt/format.h>

#include "main/manual.h"

namespace pier::program {
namespace {

// Calls `visit` for a command and everything below it.
template <class Visit>
void each(const CommandInfo& command, const Visit& visit) {
    visit(command);
    for (const CommandInfo& child : command.children)
        each(child, visit);
}

std::string last_word(std::string_view name) {
    return std::string(name.substr(name.rfind(' ') + 1));
}

// Everything that may come next after `command`, apart from free text.
std::string next_words(const CommandInfo& root, const CommandInfo& command) {
    std::string words;
    const auto add = [&](const std::string& word) { words += (words.empty() ? "" : " ") + word; };
    for (const CommandInfo& child : command.children)
        add(last_word(child.name));
    for (const OptionInfo& option : command.options) {
        for (const std::string& flag : option.flags)
            add(flag);
        if (option.flags.empty()) {
            for (const std::string& word : option.words)
                add(word);
        }
    }
    if (&root == &command) return words;
    for (const OptionInfo& option : root.options) {
        for (const std::string& flag : option.flags) {
            if (flag != "--help" && flag != "-h" && flag != "--version") add(flag);
        }
    }
    return words;
}

bool takes_files(const CommandInfo& command) {
    for (const OptionInfo& option : command.options) {
        if (option.flags.empty() && option.takes_file) return true;
    }
    return false;
}

// The lines of a `case` over "place|option": what an option's value may be. Options of the root hold
// everywhere.
std::string value_cases(const CommandInfo& root, std::string_view files, std::string_view words,
                        std::string_view nothing) {
    std::string out;
    each(root, [&](const CommandInfo& command) {
        for (const OptionInfo& option : command.options) {
            if (!option.takes_value) continue;
            for (const std::string& flag : option.flags) {
                const std::string pattern = &command == &root ? fmt::format("*\"|{}\"", flag)
                                                              : fmt::format("\"{}|{}\"", command.name, flag);
                std::string all;
                for (const std::string& word : option.words)
                    all += (all.empty() ? "" : " ") + word;
                const std::string action = option.takes_file ? std::string(files)
                                           : all.empty()     ? std::string(nothing)
                                                             : fmt::format(fmt::runtime(words), all);
                out += fmt::format("        {}) {}; return ;;\n", pattern, action);
            }
        }
    });
    return out;
}

std::string names_of_groups_and_commands(const CommandInfo& root) {
    std::string names;
    each(root, [&](const CommandInfo& command) {
        if (&command != &root) names += (names.empty() ? "" : "|") + fmt::format("\"{}\"", command.name);
    });
    return names;
}

std::string bash_script(const CommandInfo& root) {
    std::string out = "# bash completion for pier; made by \"pier completion bash\".\n_pier() {\n";
    out +=
        "    local place=pier word current=\"${COMP_WORDS[COMP_CWORD]}\" "
        "before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n";
    out += "    COMPREPLY=()\n    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n";
    out += fmt::format(
        "        case \"$place $word\" in\n            {}) place=\"$place $word\" ;;\n        esac\n    "
        "done\n",
        names_of_groups_and_commands(root));
    out += "    case \"$place|$before\" in\n";
    out += value_cases(root, "COMPREPLY=($(compgen -f -- \"$current\"))",
                       "COMPREPLY=($(compgen -W \"{}\" -- \"$current\"))", ":");
    out += "    esac\n    case \"$place\" in\n";
    each(root, [&](const CommandInfo& command) {
        out += fmt::format("        \"{}\") COMPREPLY=($(compgen {}-W \"{}\" -- \"$current\")) ;;\n",
                           command.name, takes_files(command) ? "-f " : "", next_words(root, command));
    });
    return out + "    esac\n}\ncomplete -o filenames -F _pier pier\n";
}

std::string zsh_script(const CommandInfo& root) {
    std::string out =
        "#compdef pier\n# zsh completion for pier; made by \"pier completion zsh\".\n_pier() {\n";
    out +=
        "    local place=pier word before=\"${words[CURRENT-1]}\"\n    for word in "
        "\"${(@)words[2,CURRENT-1]}\"; do\n";
    out += fmt::format(
        "        case \"$place $word\" in\n            ({}) place=\"$place $word\" ;;\n        esac\n    "
        "done\n",
        names_of_groups_and_commands(root));
    out +=
        "    case \"$place|$before\" in\n" + value_cases(root, "_files", "compadd -- {}", ":") + "    esac\n";
    out += "    case \"$place\" in\n";
    each(root, [&](const CommandInfo& command) {
        out += fmt::format("        \"{}\") compadd -- {}{} ;;\n", command.name, next_words(root, command),
                           takes_files(command) ? "; _files" : "");
    });
    return out + "    esac\n}\n_pier \"$@\"\n";
}

std::string fish_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

std::string fish_script(const CommandInfo& root) {
    std::string out =
        "# fish completion for pier; made by \"pier completion fish\".\n"
        "function __pier_at --description 'whether the words so far are this command'\n"
        "    set -l place pier\n"
        "    for word in (commandline -opc)[2..-1]\n"
        "        switch \"$place $word\"\n            case";
    each(root, [&](const CommandInfo& command) {
        if (&command != &root) out += " " + fish_quoted(command.name);
    });
    out +=
        "\n                set place \"$place $word\"\n        end\n    end\n    test \"$place\" = "
        "\"$argv[1]\"\nend\n"
        "complete -c pier -f\n";
    each(root, [&](const CommandInfo& command) {
        const std::string at = "__pier_at " + fish_quoted(command.name);
        const std::string condition = &command == &root ? "" : fmt::format(" -n {}", fish_quoted(at));
        for (const CommandInfo& child : command.children)
            out += fmt::format("complete -c pier -n {} -a {} -d {}\n", fish_quoted(at), last_word(child.name),
                               fish_quoted(child.help));
        for (const OptionInfo& option : command.options) {
            std::string words;
            for (const std::string& word : option.words)
                words += (words.empty() ? "" : " ") + word;
            const std::string values = words.empty() ? "" : " -a " + fish_quoted(words);
            for (const std::string& flag : option.flags)
                out += fmt::format("complete -c pier{} {} {} -d {}{}{}\n", condition,
                                   flag.starts_with("--") ? "-l" : "-s",
                                   flag.substr(flag.find_first_not_of('-')), fish_quoted(option.help),
                                   option.takes_value ? " -x" : "", option.takes_file ? " -F" : values);
            if (option.flags.empty() && (option.takes_file || !words.empty()))
                out += fmt::format("complete -c pier{}{}\n", condition, option.takes_file ? " -F" : values);
        }
    });
    return out;
}

}  // namespace

std::string completion_script(const CommandInfo& root, std::string_view shell) {
    if (shell == "zsh") return zsh_script(root);
    if (shell == "fish") return fish_script(root);
    return bash_script(root);
}

}  // namespace pier::program
