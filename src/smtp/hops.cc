#include "smtp/hops.h"

#include <algorithm>

#include "wire/ascii.h"

namespace pier::smtp {
namespace {

constexpr std::string_view field = "Received:";

}  // namespace

void HopCounter::feed(std::string_view octets) {
    while (!octets.empty() && !over_) {
        if (!in_line_) {
            const std::size_t wanted = field.size() - begun_.size();
            const std::string_view taken = octets.substr(0, std::min(wanted, octets.find('\n')));
            begun_.append(taken);
            octets.remove_prefix(taken.size());
            if (octets.empty() && begun_.size() < field.size()) return;
            over_ = begun_ == "\r";
            hops_ += wire::ascii_equal(begun_, field);
            begun_.clear();
            in_line_ = true;
        } else {
            const std::size_t lf = octets.find('\n');
            if (lf == std::string_view::npos) return;
            octets.remove_prefix(lf + 1);
            in_line_ = false;
        }
    }
}

}  // namespace pier::smtp
