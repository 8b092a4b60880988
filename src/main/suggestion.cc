#include "main/suggestion.h"

#include <algorithm>

#include <fmt/format.h>

namespace pier::program {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a.size()][b.size()];
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known) {
    // Attack: a key of a megabyte would cost a table of its length times every known word.
    constexpr std::size_t word_octets_max = 64;
    if (word.empty() || word.size() > word_octets_max) return {};
    std::string_view best;
    std::size_t best_distance = 0;
    for (const std::string_view candidate : known) {
        std::size_t distance = edit_distance(word, candidate);
        // Half a name is meant too: "timeout" for "idle_timeout".
        if (word.size() >= 4 && candidate.find(word) != std::string_view::npos)
            distance = std::min<std::size_t>(distance, 2);
        const std::size_t shorter = std::min(word.size(), candidate.size());
        const std::size_t distance_max = shorter == 1 ? 0 : std::max<std::size_t>(1, shorter / 3);
        if (distance > distance_max || (!best.empty() && distance >= best_distance)) continue;
        best = candidate;
        best_distance = distance;
    }
    return best;
}

std::string suggestion(std::string_view word, const std::vector<std::string_view>& known) {
    if (const std::string_view best = nearest(word, known); !best.empty())
        return fmt::format("; did you mean \"{}\"?", best);
    std::string text = "; known are ";
    for (std::size_t i = 0; i < known.size(); ++i) {
        if (i > 0) text += i + 1 == known.size() ? " and " : ", ";
        text += known[i];
    }
    return text;
}

}  // namespace pier::program
