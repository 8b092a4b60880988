// Text of the configuration with places for the name that logs in: %u the whole name, %n what stands before
// its last '@' (all of it if there is none), %d what stands behind it (empty if there is none), %% a percent
// sign. What is put into those places is the reader's own business: a database gets it as a parameter, a
// directory gets it escaped. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pier::backends {

enum class NamePart { none, whole, local, domain };

struct TemplatePiece {
    std::string text;                // as it is
    NamePart part = NamePart::none;  // then this; none only at the template's end
    std::size_t offset = 0;          // of the '%' in the template, octets
};
using NameTemplate = std::vector<TemplatePiece>;

// `invalid` for another letter behind '%', or none; the text names the character's place.
Result<NameTemplate> parse_name_template(std::string_view text);

// A view of `name`.
std::string_view part_of(std::string_view name, NamePart part);

// The text with every part written as `escape` gives it.
std::string fill(const NameTemplate& pieces, std::string_view name, std::string (*escape)(std::string_view));

}  // namespace pier::backends
