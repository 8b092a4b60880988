#include "main/history_text.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "main/commands/commands.h"
#include "main/quantity.h"
#include "watch/figures.h"

namespace pier::program {
namespace {

constexpr std::size_t curve_columns = 48;
constexpr std::array<std::string_view, 8> bars{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 3> telling{"up", "total_s", "certificate_days"};

std::string value_text(std::string_view figure, double value) {
    if (figure == "up") return fmt::format("{:.4g} %", value * 100);
    if (figure.ends_with("_octets")) return about_octets(static_cast<std::uint64_t>(std::max(0.0, value)));
    if (figure.ends_with("_days")) return fmt::format("{:.0f} days", value);
    if (figure.ends_with("_s"))
        return value < 1 ? fmt::format("{:.3g} ms", value * 1000) : fmt::format("{:.3g} s", value);
    return fmt::format("{:.4g}", value);
}

struct Summary {
    double min = 0, max = 0, mean = 0, last = 0;
};

Summary summary_of(const std::vector<watch::Point>& points) {
    Summary all{points.front().min, points.front().max, 0, points.back().last};
    double count = 0;
    for (const watch::Point& point : points) {
        all.min = std::min(all.min, point.min);
        all.max = std::max(all.max, point.max);
        all.mean += point.mean * point.count;
        count += point.count;
    }
    if (count > 0) all.mean /= count;
    return all;
}

std::string day_text(Time from, Time to) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(to - from).count();
    return "LAST " + format_duration(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0)));
}

}  // namespace

std::string ShownSeries::figure() const {
    return name.substr(name.rfind('.') + 1);
}

std::string ShownSeries::thing() const {
    const std::size_t first = name.find('.'), last = name.rfind('.');
    return first == last ? name.substr(0, first) : name.substr(first + 1, last - first - 1);
}

bool is_wanted(const ShownSeries& series, const std::vector<std::string>& wanted) {
    const std::string thing = series.thing();
    if (wanted.empty())
        return thing == "server" || std::ranges::find(telling, series.figure()) != telling.end();
    return std::ranges::any_of(wanted, [&](const std::string& one) {
        return thing == watch::short_name(one) || thing.starts_with(one + ":");
    });
}

std::string curve(const ShownSeries& series, Time from, Time to, std::size_t columns) {
    const bool is_up = series.figure() == "up";
    std::vector<std::optional<double>> parts(columns);
    double most = is_up ? 1 : 0;
    for (const watch::Point& point : series.points) {
        if (point.at < from || point.at >= to) continue;
        const auto place = static_cast<std::size_t>((point.at - from).count() * static_cast<double>(columns) /
                                                    static_cast<double>((to - from).count()));
        std::optional<double>& part = parts[std::min(place, columns - 1)];
        const double value = is_up ? point.min : point.max;
        part = !part ? value : is_up ? std::min(*part, value) : std::max(*part, value);
        most = std::max(most, value);
    }
    std::string text;
    for (const auto& part : parts) {
        const double share = !part || most <= 0 ? 0 : std::clamp(*part / most, 0.0, 1.0);
        const auto height = static_cast<std::size_t>(share * (bars.size() - 1) + 0.5);
        text += part ? bars[height] : " ";
    }
    return text;
}

std::string history_text(const std::vector<ShownSeries>& all, Time from, Time to) {
    std::vector<std::vector<std::string>> rows{
        {"OF", "FIGURE", "LAST", "MEAN", "LEAST", "MOST", day_text(from, to)}};
    for (const ShownSeries& series : all) {
        if (series.points.empty()) continue;
        const Summary sum = summary_of(series.points);
        const std::string figure = series.figure();
        const auto text = [&](double value) { return value_text(figure, value); };
        rows.push_back({series.thing(), figure, text(sum.last), text(sum.mean), text(sum.min), text(sum.max),
                        curve(series, from, to, curve_columns)});
    }
    return rows.size() == 1 ? "nothing was measured in that time\n" : table(rows);
}

}  // namespace pier::program
