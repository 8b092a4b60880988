#include "migrate/fingerprints.h"

#include <deque>
#include <map>

#include <fmt/format.h>

#include "migrate/digest.h"

namespace pier::migrate {
namespace {

// Pairs those that have the same word and are not yet taken.
template <class WordOf>
void pair_by(const std::vector<Fingerprint>& these, const std::vector<Fingerprint>& those, WordOf&& word_of,
             std::vector<std::optional<std::size_t>>& places, std::vector<bool>& taken) {
    std::map<std::string, std::deque<std::size_t>> free;
    for (std::size_t i = 0; i < those.size(); ++i) {
        if (!taken[i] && !those[i].head.empty()) free[word_of(those[i])].push_back(i);
    }
    for (std::size_t i = 0; i < these.size(); ++i) {
        if (places[i] || these[i].head.empty()) continue;
        const auto found = free.find(word_of(these[i]));
        if (found == free.end() || found->second.empty()) continue;
        places[i] = found->second.front();
        taken[*places[i]] = true;
        found->second.pop_front();
    }
}

}  // namespace

std::string head_hash(std::string_view head) {
    while (head.ends_with("\r\n"))
        head.remove_suffix(2);
    Digest digest;
    digest.add(head);
    return digest.hex();
}

std::vector<std::optional<std::size_t>> match(const std::vector<Fingerprint>& these,
                                              const std::vector<Fingerprint>& those) {
    std::vector<std::optional<std::size_t>> places(these.size());
    std::vector<bool> taken(those.size(), false);
    pair_by(
        these, those, [](const Fingerprint& one) { return fmt::format("{} {}", one.octets, one.head); },
        places, taken);
    pair_by(
        these, those, [](const Fingerprint& one) { return one.head; }, places, taken);
    return places;
}

}  // namespace pier::migrate
