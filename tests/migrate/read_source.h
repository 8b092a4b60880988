// Reads a source to its end, for tests.
#pragma once

#include <string>
#include <vector>

#include "migrate/source.h"
#include "wire/crlf.h"

namespace pier::migrate {

struct ReadItem {
    Item item;
    std::string octets;  // as in the source
    std::string error;   // of next() or of reading
};

inline ReadItem read_item(Result<std::optional<Item>> next) {
    if (!next) return {{}, "", next.error().text};
    ReadItem read{**next, "", ""};
    const auto result = read.item.read([&](std::string_view block) -> Result<void> {
        read.octets += block;
        return {};
    });
    if (!result) read.error = result.error().text;
    return read;
}

inline std::vector<ReadItem> read_all(Source& source) {
    std::vector<ReadItem> items;
    for (;;) {
        auto next = source.next();
        if (next && !*next) return items;
        items.push_back(read_item(std::move(next)));
    }
}

}  // namespace pier::migrate
