// "Did you mean …?": the known word that is nearest to a mistyped one. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pier::program {

// The number of letters to add, drop, change or swap with a neighbour (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `known`, if it is near enough to be meant; empty if none is.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known);

// "; did you mean \"purge_after\"?", or "; known are a, b and c" when nothing is near.
std::string suggestion(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace pier::program
