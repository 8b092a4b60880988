#include "main/config_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <set>
#include <sstream>
#include <tuple>

#include <boost/algorithm/string/trim.hpp>
#include <fmt/format.h>

#include "main/config_rules.h"
#include "main/quantity.h"
#include "main/suggestion.h"

// toml++ 3.3 takes for granted that no third bracket follows "[[": it asserts so, or under NDEBUG lets the
// compiler rely on it. Its parser reports the mistake by itself once neither happens.
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>

namespace pier::program {
namespace {

constexpr std::size_t file_octets_max = 4 << 20;
constexpr int syntax_errors_max = 20;

class Reader {
  public:
    Reader(Loaded& loaded, std::string text) : loaded_(loaded), text_(std::move(text)) {}

    void read() {
        const toml::table root = parse();
        std::vector<std::string_view> known;
        for (const Section& section : sections())
            known.push_back(section.name);
        for (const auto& [key, node] : root) {
            const auto section =
                std::find_if(sections().begin(), sections().end(),
                             [name = key.str()](const Section& s) { return s.name == name; });
            if (section == sections().end()) {
                error(at(key.source()),
                      fmt::format("unknown section [{}]{}", key.str(), suggestion(key.str(), known)));
            } else if (section->repeated) {
                read_repeated(*section, node);
            } else if (const toml::table* table = node.as_table()) {
                loaded_.places.emplace(section->name, at(key.source()));
                read_section(*section, std::string(section->name), 0, *table);
            } else {
                error(at(key.source()),
                      fmt::format("{0} is a section: write [{0}] on a line of its own", section->name));
            }
        }
    }

  private:
    Place at(const toml::source_region& region) const {
        return {loaded_.file.file, region.begin.line, region.begin.column};
    }

    void error(Place place, std::string text) {
        loaded_.add(Severity::error, std::move(place), std::move(text));
    }

    // toml++ stops at the first syntax error. So that all are told at once, the line it stands on is emptied
    // (and what belongs to a section whose head is wrong) and the rest is parsed again.
    toml::table parse() {
        for (int attempt = 0; attempt < syntax_errors_max; ++attempt) {
            try {
                return toml::parse(text_, loaded_.file.file);
            } catch (const toml::parse_error& failure) {
                error(at(failure.source()), fmt::format("this is not TOML: {}", failure.description()));
                if (!empty_line(failure.source().begin.line)) break;
            }
        }
        return {};
    }

    // False if there is nothing to take away on that line.
    bool empty_line(std::size_t number) {
        std::size_t begin = 0;
        for (std::size_t line = 1; line < number && begin != std::string::npos; ++line) {
            begin = text_.find('\n', begin);
            if (begin != std::string::npos) ++begin;
        }
        if (begin == std::string::npos || begin >= text_.size()) return false;
        bool emptied = false;
        bool head = false;
        while (begin < text_.size()) {
            const std::size_t end = std::min(text_.find('\n', begin), text_.size());
            const std::string line = boost::algorithm::trim_copy(text_.substr(begin, end - begin));
            if (emptied && (!head || line.starts_with('['))) return true;
            if (!emptied && line.empty()) return false;
            if (!emptied) head = line.starts_with('[');
            emptied = true;
            std::fill(text_.begin() + static_cast<std::ptrdiff_t>(begin),
                      text_.begin() + static_cast<std::ptrdiff_t>(end), ' ');
            begin = end + 1;
        }
        return emptied;
    }

    void read_repeated(const Section& section, const toml::node& node) {
        const toml::array* array = node.as_array();
        if (!array || !array->is_homogeneous(toml::node_type::table)) {
            error(at(node.source()),
                  fmt::format("there may be several of these: write [[{}]] with two brackets", section.name));
            return;
        }
        for (const toml::node& element : *array) {
            const std::size_t index = loaded_.config.listeners.size();
            loaded_.config.listeners.emplace_back();
            const std::string prefix = fmt::format("{}[{}]", section.name, index);
            loaded_.places.emplace(prefix, at(element.source()));
            read_section(section, prefix, index, *element.as_table());
            ListenerConfig& listener = loaded_.config.listeners[index];
            if (!loaded_.places.contains(prefix + ".port")) listener.port = usual_port(listener.protocol);
        }
    }

    void read_section(const Section& section, const std::string& prefix, std::size_t index,
                      const toml::table& table) {
        std::vector<std::string_view> known;
        for (const Field& field : section.fields)
            known.push_back(field.key);
        for (const auto& [key, node] : table) {
            const auto field = std::find_if(section.fields.begin(), section.fields.end(),
                                            [name = key.str()](const Field& f) { return f.key == name; });
            if (field == section.fields.end()) {
                error(at(key.source()), fmt::format("unknown key \"{}\" in [{}]{}", key.str(), section.name,
                                                    suggestion(key.str(), known)));
                continue;
            }
            const auto value = convert(*field, node);
            if (!value) {
                error(at(node.source()),
                      fmt::format("{}.{} {}", section.name, field->key, value.error().text));
                continue;
            }
            loaded_.places.emplace(fmt::format("{}.{}", prefix, field->key), at(key.source()));
            field->set(loaded_.config, index, *value);
        }
    }

    static Error wrong(std::string text) { return {ErrorKind::invalid, std::move(text)}; }

    Result<Value> convert(const Field& field, const toml::node& node) const {
        switch (field.kind) {
            case Kind::text:
            case Kind::path:
                return convert_text(field, node);
            case Kind::word:
                return convert_word(field, node);
            case Kind::networks:
                return convert_networks(field, node);
            case Kind::flag:
                if (const auto flag = node.value_exact<bool>()) return Value(*flag);
                return wrong("is true or false, without quotes");
            case Kind::count:
            case Kind::octets:
            case Kind::duration:
                return convert_number(field, node);
        }
        return wrong("has a kind that nobody reads");
    }

    Result<Value> convert_text(const Field& field, const toml::node& node) const {
        auto text = node.value_exact<std::string>();
        if (!text) return wrong(fmt::format("is a text: write it in quotes, as in {} = \"...\"", field.key));
        const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
        if (std::any_of(text->begin(), text->end(), control))
            return wrong("holds a control character (a line end or a NUL, perhaps); take it out");
        if (field.kind == Kind::path && !text->empty() && !text->starts_with('/'))
            text = (std::filesystem::absolute(loaded_.file.file).parent_path() / *text)
                       .lexically_normal()
                       .string();
        if (text->size() > field.max)
            return wrong(fmt::format("has {} octets, but at most {} are possible; shorten it", text->size(),
                                     field.max));
        return Value(*text);
    }

    static Result<Value> convert_word(const Field& field, const toml::node& node) {
        const auto word = node.value_exact<std::string>();
        if (!word) return wrong(fmt::format("is a word in quotes{}", suggestion("", field.words)));
        if (std::find(field.words.begin(), field.words.end(), *word) == field.words.end())
            return wrong(fmt::format("can't be \"{}\"{}", *word, suggestion(*word, field.words)));
        return Value(*word);
    }

    static Result<Value> convert_networks(const Field& field, const toml::node& node) {
        const std::string shape =
            fmt::format("is a list of networks, as in {} = [\"192.0.2.0/24\", \"2001:db8::/32\"]", field.key);
        const toml::array* array = node.as_array();
        if (!array) return wrong(shape);
        std::vector<std::string> texts;
        for (const toml::node& element : *array) {
            const auto text = element.value_exact<std::string>();
            if (!text) return wrong(shape);
            texts.push_back(*text);
        }
        if (texts.size() > field.max)
            return wrong(fmt::format("has {} networks, but at most {} are possible; name larger ones",
                                     texts.size(), field.max));
        if (const auto networks = parse_networks(texts); !networks)
            return wrong(fmt::format("is wrong: {}", networks.error().text));
        return Value(std::move(texts));
    }

    static Result<Value> convert_number(const Field& field, const toml::node& node) {
        const auto show = [&](std::uint64_t number) {
            if (field.kind == Kind::octets) return format_octets(number);
            if (field.kind == Kind::duration) return format_duration(number);
            return fmt::format("{}", number);
        };
        const std::string range = fmt::format("it must be from {} to {}", show(field.min), show(field.max));
        std::uint64_t number = 0;
        if (const auto integer = node.value_exact<std::int64_t>()) {
            if (*integer < 0) return wrong(fmt::format("is negative; {}", range));
            number = static_cast<std::uint64_t>(*integer);
        } else if (field.kind == Kind::count) {
            return wrong(fmt::format("is a whole number without quotes; {}", range));
        } else if (const auto text = node.value_exact<std::string>()) {
            const auto parsed = field.kind == Kind::octets ? parse_octets(*text) : parse_duration(*text);
            if (!parsed) return wrong(fmt::format("is wrong: {}; {}", parsed.error().text, range));
            number = *parsed;
        } else if (field.kind == Kind::octets) {
            return wrong(fmt::format("is a size, as in \"64 MiB\", or a whole number of octets; {}", range));
        } else {
            return wrong(
                fmt::format("is a duration, as in \"10m\", or a whole number of seconds; {}", range));
        }
        if (number < field.min || number > field.max)
            return wrong(fmt::format("is {}, but {}", show(number), range));
        return Value(number);
    }

    Loaded& loaded_;
    std::string text_;
};

// Attack: a key or a word may hold any character. A terminal would obey an escape sequence, and a line end
// would forge another problem; so they are told as TOML writes them.
std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out;
}

Loaded unreadable(const std::string& path) {
    Loaded loaded;
    loaded.file.file = path;
    loaded.was_read = false;
    finish(loaded.config);
    return loaded;
}

}  // namespace

std::string Place::text() const {
    return line == 0 ? file : fmt::format("{}:{}:{}", file, line, column);
}

bool Loaded::usable() const {
    return std::none_of(problems.begin(), problems.end(),
                        [](const Problem& problem) { return problem.severity == Severity::error; });
}

Place Loaded::place(std::string_view section, std::string_view key) const {
    if (const auto found = places.find(fmt::format("{}.{}", section, key)); found != places.end())
        return found->second;
    if (const auto found = places.find(section); found != places.end()) return found->second;
    return file;
}

Place Loaded::listener_place(std::size_t index, std::string_view key) const {
    return place(fmt::format("listener[{}]", index), key);
}

void Loaded::add(Severity severity, Place place, std::string text) {
    const auto behind = [](const Problem& a, const Problem& b) {
        return std::tie(a.place.line, a.place.column) < std::tie(b.place.line, b.place.column);
    };
    Problem problem{severity, std::move(place), printable(text)};
    problems.insert(std::upper_bound(problems.begin(), problems.end(), problem, behind), std::move(problem));
}

Loaded parse_config(std::string_view text, const std::string& file) {
    Loaded loaded;
    loaded.file.file = file;
    Reader(loaded, std::string(text)).read();
    finish(loaded.config);
    check_rules(loaded);
    return loaded;
}

Loaded load_config(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    if (in) text << in.rdbuf();
    if (!in || !text) {
        const int number = errno;
        Loaded loaded = unreadable(path);
        loaded.add(Severity::error, loaded.file,
                   fmt::format(
                       "can't read the configuration: {}; name another file with --config, or begin one with "
                       "\"pier config sample\"",
                       std::strerror(number)));
        return loaded;
    }
    if (text.str().size() > file_octets_max) {
        Loaded loaded = unreadable(path);
        loaded.add(Severity::error, loaded.file,
                   "is larger than 4 MiB; a configuration is a few KiB: is this the right file?");
        return loaded;
    }
    return parse_config(text.str(), path);
}

Loaded default_config() {
    return parse_config("", std::string(default_config_file));
}

}  // namespace pier::program
