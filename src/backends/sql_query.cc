#include "backends/sql_query.h"

#include <algorithm>

#include <fmt/format.h>

namespace pier::backends {
namespace {

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

// Follows the quotes of a query from piece to piece: a doubled quote closes and opens again, which comes to
// the same.
class Quotes {
  public:
    // The first character outside of quotes that has no business in a template; npos if there is none.
    std::size_t follow(std::string_view text) {
        for (std::size_t i = 0; i < text.size(); ++i) {
            const char c = text[i];
            if (open_ != '\0') {
                if (c == open_) open_ = '\0';
            } else if (c == '\'' || c == '"') {
                open_ = c;
            } else if (c == ';' ||
                       (c == '$' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9')) {
                return i;
            }
        }
        return std::string_view::npos;
    }
    bool open() const { return open_ != '\0'; }

  private:
    char open_ = '\0';
};

std::size_t number_of(std::vector<NamePart>& parameters, NamePart part) {
    const auto found = std::find(parameters.begin(), parameters.end(), part);
    if (found != parameters.end()) return static_cast<std::size_t>(found - parameters.begin()) + 1;
    parameters.push_back(part);
    return parameters.size();
}

}  // namespace

Result<SqlQuery> parse_sql_query(std::string_view text) {
    const auto pieces = parse_name_template(text);
    if (!pieces) return pieces.error();
    SqlQuery query;
    Quotes quotes;
    for (const TemplatePiece& piece : *pieces) {
        if (const std::size_t at = quotes.follow(piece.text); at != std::string_view::npos)
            return invalid(
                piece.text[at] == ';'
                    ? "has a ';'; it is one statement, without a ';' at its end"
                    : "has a '$' with a number; write %u, %n or %d, which become $1, $2 and so on");
        query.text += piece.text;
        if (piece.part == NamePart::none) continue;
        if (quotes.open())
            return invalid(
                fmt::format("has quotes around the % at character {}; take them away: the name is sent "
                            "beside the query and needs none",
                            piece.offset + 1));
        query.text += fmt::format("${}", number_of(query.parameters, piece.part));
    }
    if (quotes.open()) return invalid("has a quote that is not closed");
    if (query.parameters.empty())
        return invalid("does not ask for the name; write %u where it belongs, as in WHERE name = %u");
    return query;
}

}  // namespace pier::backends
