#include "support/dialogue.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace pier::test {

namespace {

[[noreturn]] void fail(const std::string& name, int line, const std::string& what) {
    throw std::runtime_error("script " + name + ", line " + std::to_string(line) + ": " + what);
}

// The octet that the escape at text[i] (behind the backslash) means; moves i to its last character.
char unescape(std::string_view text, std::size_t& i, const std::string& name, int line) {
    switch (i < text.size() ? text[i] : ' ') {
        case 'r':
            return '\r';
        case 'n':
            return '\n';
        case 't':
            return '\t';
        case '0':
            return '\0';
        case '\\':
            return '\\';
        case '"':
            return '"';
        case 'x': {
            unsigned octet = 0;
            if (i + 2 >= text.size()) fail(name, line, "\\x needs two hexadecimal digits");
            const char* digits = text.data() + i + 1;
            if (std::from_chars(digits, digits + 2, octet, 16).ptr != digits + 2) {
                fail(name, line, "\\x needs two hexadecimal digits");
            }
            i += 2;
            return static_cast<char>(octet);
        }
        default:
            fail(name, line, "unknown escape; known are \\r \\n \\t \\0 \\\\ \\\" \\xHH");
    }
}

std::string unescape_all(std::string_view text, const std::string& name, int line) {
    std::string octets;
    for (std::size_t i = 0; i < text.size(); ++i) {
        octets.push_back(text[i] == '\\' ? unescape(text, ++i, name, line) : text[i]);
    }
    return octets;
}

std::vector<std::string> split_words(std::string_view text, const std::string& name, int line) {
    std::vector<std::string> words;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == ' ') continue;
        std::string word;
        if (text[i] == '"') {
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                word.push_back(text[i] == '\\' ? unescape(text, ++i, name, line) : text[i]);
            }
            if (i >= text.size()) fail(name, line, "the quote is not closed");
        } else {
            for (; i < text.size() && text[i] != ' '; ++i)
                word.push_back(text[i]);
        }
        words.push_back(std::move(word));
    }
    return words;
}

std::string client_octets(std::string_view text, const std::string& name, int line) {
    // "\ " at the very end would read as an escape, so the lone backslash is looked for first.
    if (text == "\\") return {};
    if (text.ends_with(" \\")) return unescape_all(text.substr(0, text.size() - 2), name, line);
    return unescape_all(text, name, line) + "\r\n";
}

}  // namespace

bool Step::matches(std::string_view reply) const {
    if (!is_pattern) return reply == text;
    return std::regex_match(reply.begin(), reply.end(), std::regex(text));
}

bool Dialogue::has_directive(std::string_view directive) const {
    return std::ranges::any_of(steps, [&](const Step& step) {
        return step.kind == Step::Kind::directive && step.words.front() == directive;
    });
}

Dialogue parse_dialogue(std::string_view script, std::string name) {
    Dialogue dialogue{std::move(name), {}};
    std::istringstream lines{std::string(script)};
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        if (line.empty() || line[0] == '#') continue;
        Step step;
        step.line = number;
        const std::string_view text = line.size() < 3 ? std::string_view() : std::string_view(line).substr(3);
        if (line.starts_with("C: ") || line == "C:") {
            step.kind = Step::Kind::client;
            step.text = client_octets(text, dialogue.name, number);
        } else if (line.starts_with("S: ") || line == "S:") {
            step.kind = Step::Kind::server;
            step.is_pattern = text.starts_with('~');
            step.text =
                step.is_pattern ? std::string(text.substr(1)) : unescape_all(text, dialogue.name, number);
        } else if (line.starts_with("! ")) {
            step.kind = Step::Kind::directive;
            step.words = split_words(std::string_view(line).substr(2), dialogue.name, number);
            if (step.words.empty()) fail(dialogue.name, number, "a directive needs a name");
        } else {
            fail(dialogue.name, number, "a line begins with \"C: \", \"S: \", \"! \" or \"#\"");
        }
        dialogue.steps.push_back(std::move(step));
    }
    if (dialogue.steps.empty()) fail(dialogue.name, 1, "nothing in it");
    return dialogue;
}

Dialogue load_dialogue(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) throw std::runtime_error("cannot read " + path.string());
    return parse_dialogue(text.str(), path.stem().string());
}

std::vector<std::filesystem::path> dialogue_paths(std::string_view folder) {
    const auto root = std::filesystem::path(PIER_SOURCE_DIR) / "tests" / "scripts" / folder;
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(root)) {
        if (entry.path().extension() == ".txt") paths.push_back(entry.path());
    }
    if (paths.empty()) throw std::runtime_error("no scripts in " + root.string());
    std::ranges::sort(paths);
    return paths;
}

std::string dialogue_test_name(const std::filesystem::path& path) {
    std::string name = path.stem().string();
    std::ranges::replace_if(
        name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
    return name;
}

}  // namespace pier::test
