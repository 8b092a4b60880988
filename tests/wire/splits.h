// Feeds a text in pieces, in every way that matters: whole, octet by octet, and cut in two and in three at
// every position. What comes out must not depend on where a text was cut.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace pier::wire {

// Calls check(pieces) for each way of cutting `text`.
template <class Check>
void for_every_split(std::string_view text, Check&& check) {
    std::vector<std::string_view> octets;
    for (std::size_t i = 0; i < text.size(); ++i)
        octets.push_back(text.substr(i, 1));
    check(octets);
    for (std::size_t i = 0; i <= text.size(); ++i) {
        for (std::size_t j = i; j <= text.size(); ++j) {
            check(std::vector<std::string_view>{text.substr(0, i), text.substr(i, j - i), text.substr(j)});
        }
    }
}

}  // namespace pier::wire
