#include "store/log_bench.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace pier::test {

std::string difference(const std::vector<std::string>& before, const std::vector<std::string>& after) {
    std::vector<std::string> gone, come;
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(gone));
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(come));
    std::string text;
    for (const std::string& line : gone)
        text += "- " + line + "\n";
    for (const std::string& line : come)
        text += "+ " + line + "\n";
    return text;
}

std::vector<std::string> without_dead_since(std::vector<std::string> dump) {
    constexpr std::string_view segment_key = "73";  // 's'
    constexpr std::size_t digits = 16;              // of the last number of a segment's value
    for (std::string& line : dump)
        if (line.starts_with(segment_key)) line.resize(line.size() - digits);
    return dump;
}

std::vector<std::uint64_t> seeds(std::uint64_t first, std::uint64_t count) {
    if (const char* only = std::getenv("PIER_TEST_SEED")) return {std::strtoull(only, nullptr, 10)};
#ifdef __SANITIZE_ADDRESS__
    count = (count + 2) / 3;
#endif
    std::vector<std::uint64_t> all;
    for (std::uint64_t i = 0; i < count; ++i)
        all.push_back(first + i);
    return all;
}

}  // namespace pier::test
