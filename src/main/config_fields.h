// How the fields of the configuration are described: one function for each kind of value. For config.cc and
// its neighbours config_*.cc, which hold the tables.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "main/config.h"

namespace pier::program {

inline constexpr std::uint64_t kib = 1ull << 10, mib = 1ull << 20, gib = 1ull << 30;
inline constexpr std::uint64_t minute = 60, hour = 3600, day = 24 * hour;
inline constexpr std::size_t path_octets_max = 4095;  // PATH_MAX with its NUL

struct Range {
    std::uint64_t min = 0, max = 0;
};

// `at` gives the field's place in a Config: a function of Config& and index.
template <class At>
Field number(std::string_view key, Kind kind, At at, Range range, std::string_view help) {
    Field field{.key = key, .kind = kind, .help = help, .min = range.min, .max = range.max};
    using Type = std::remove_cvref_t<decltype(at(std::declval<Config&>(), 0))>;
    field.get = [at](const Config& config, std::size_t index) -> Value {
        if constexpr (std::is_same_v<Type, seconds>)
            return static_cast<std::uint64_t>(at(config, index).count());
        else
            return static_cast<std::uint64_t>(at(config, index));
    };
    field.set = [at](Config& config, std::size_t index, const Value& value) {
        at(config, index) = static_cast<Type>(std::get<std::uint64_t>(value));
    };
    return field;
}

template <class At>
Field count(std::string_view key, At at, Range range, std::string_view help) {
    return number(key, Kind::count, at, range, help);
}

template <class At>
Field octets(std::string_view key, At at, Range range, std::string_view help) {
    return number(key, Kind::octets, at, range, help);
}

template <class At>
Field duration(std::string_view key, At at, Range range, std::string_view help) {
    return number(key, Kind::duration, at, range, help);
}

template <class At>
Field text(std::string_view key, Kind kind, At at, std::size_t octets_max, std::string_view help) {
    Field field{.key = key, .kind = kind, .help = help, .min = 0, .max = octets_max};
    field.get = [at](const Config& config, std::size_t index) -> Value { return at(config, index); };
    field.set = [at](Config& config, std::size_t index, const Value& value) {
        at(config, index) = std::get<std::string>(value);
    };
    return field;
}

// A text that may hold a secret.
inline Field secret(Field field) {
    field.secret = true;
    return field;
}

template <class At>
Field flag(std::string_view key, At at, std::string_view help) {
    Field field{.key = key, .kind = Kind::flag, .help = help};
    field.get = [at](const Config& config, std::size_t index) -> Value { return at(config, index); };
    field.set = [at](Config& config, std::size_t index, const Value& value) {
        at(config, index) = std::get<bool>(value);
    };
    return field;
}

template <class At>
Field word(std::string_view key, At at, std::span<const std::string_view> words, std::string_view help) {
    Field field{.key = key, .kind = Kind::word, .help = help, .words = {words.begin(), words.end()}};
    using Enum = std::remove_cvref_t<decltype(at(std::declval<Config&>(), 0))>;
    field.get = [at, words](const Config& config, std::size_t index) -> Value {
        return std::string(words[static_cast<std::size_t>(at(config, index))]);
    };
    field.set = [at, words](Config& config, std::size_t index, const Value& value) {
        const auto found = std::find(words.begin(), words.end(), std::get<std::string>(value));
        at(config, index) = static_cast<Enum>(found - words.begin());
    };
    return field;
}

template <class At>
Field networks(std::string_view key, At at, std::size_t networks_max, std::string_view help) {
    Field field{.key = key, .kind = Kind::networks, .help = help, .min = 0, .max = networks_max};
    field.get = [at](const Config& config, std::size_t index) -> Value {
        return texts_of(at(config, index));
    };
    field.set = [at](Config& config, std::size_t index, const Value& value) {
        at(config, index) = *parse_networks(std::get<std::vector<std::string>>(value));
    };
    return field;
}

template <class At>
Field names(std::string_view key, At at, std::size_t names_max, std::string_view help) {
    Field field{.key = key, .kind = Kind::names, .help = help, .min = 0, .max = names_max};
    field.get = [at](const Config& config, std::size_t index) -> Value { return at(config, index); };
    field.set = [at](Config& config, std::size_t index, const Value& value) {
        at(config, index) = std::get<std::vector<std::string>>(value);
    };
    return field;
}

}  // namespace pier::program
