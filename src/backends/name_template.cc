#include "backends/name_template.h"

#include <fmt/format.h>

#include "auth/name.h"

namespace pier::backends {

Result<NameTemplate> parse_name_template(std::string_view text) {
    NameTemplate pieces;
    std::string literal;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            literal += text[i];
            continue;
        }
        if (i + 1 == text.size())
            return Error{ErrorKind::invalid,
                         fmt::format("ends with a '%' (character {}); write %% for a percent sign", i + 1)};
        const std::size_t offset = i++;
        if (text[i] == '%') {
            literal += '%';
            continue;
        }
        const NamePart part = text[i] == 'u'   ? NamePart::whole
                              : text[i] == 'n' ? NamePart::local
                              : text[i] == 'd' ? NamePart::domain
                                               : NamePart::none;
        if (part == NamePart::none)
            return Error{ErrorKind::invalid,
                         fmt::format("has %{} at character {}; there are %u (the whole name), %n (before its "
                                     "@), %d (behind it) and %% (a percent sign)",
                                     text[i], offset + 1)};
        pieces.push_back({std::move(literal), part, offset});
        literal.clear();
    }
    if (!literal.empty() || pieces.empty())
        pieces.push_back({std::move(literal), NamePart::none, text.size()});
    return pieces;
}

std::string_view part_of(std::string_view name, NamePart part) {
    switch (part) {
        case NamePart::none:
            return {};
        case NamePart::whole:
            return name;
        case NamePart::local:
            return auth::split_address(name).first;
        case NamePart::domain:
            return auth::split_address(name).second;
    }
    return {};
}

std::string fill(const NameTemplate& pieces, std::string_view name, std::string (*escape)(std::string_view)) {
    std::string out;
    for (const TemplatePiece& piece : pieces) {
        out += piece.text;
        if (piece.part != NamePart::none) out += escape(part_of(name, piece.part));
    }
    return out;
}

}  // namespace pier::backends
