#include "base/exposition.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace pier::metrics {
namespace {

enum class Quotes { escaped, plain };

std::string escaped(std::string_view text, Quotes quotes = Quotes::escaped) {
    std::string out;
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || (c == '"' && quotes == Quotes::escaped)) out += '\\';
        out += c;
    }
    return out;
}

std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    // Whole numbers in full: "1234567890" and not "1.23456789e+09".
    constexpr double exact_max = 9007199254740992;  // 2^53
    if (std::abs(value) < exact_max && value == std::trunc(value))
        return fmt::format("{}", static_cast<std::int64_t>(value));
    return fmt::format("{}", value);
}

// {a="b",c="d"}, with `last` (as le="0.1") behind the others; nothing if there is none.
std::string labels_text(const Description& description, const std::vector<std::string>& values,
                        std::string_view last = {}) {
    std::string text;
    for (std::size_t i = 0; i < values.size(); ++i)
        text +=
            fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", description.labels[i], escaped(values[i]));
    if (!last.empty()) text += (text.empty() ? "" : ",") + std::string(last);
    return text.empty() ? text : "{" + text + "}";
}

std::string_view strip(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The part up to `separator`, and `text` behind it.
std::string_view take(std::string_view& text, char separator) {
    const std::size_t at = std::min(text.find(separator), text.size());
    const std::string_view part = text.substr(0, at);
    text.remove_prefix(std::min(text.size(), at + 1));
    return strip(part);
}

// RFC 9110 §12.4.2, in thousandths; what is no weight counts as 0: the client cannot have meant it.
int weight_of(std::string_view text) {
    if (text.empty() || (text[0] != '0' && text[0] != '1')) return 0;
    int thousandths = (text[0] - '0') * 1000;
    if (text.size() > 5 || (text.size() > 1 && text[1] != '.')) return 0;
    int place = 100;
    for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
        if (c < '0' || c > '9') return 0;
        thousandths += (c - '0') * place;
        place /= 10;
    }
    return std::min(thousandths, 1000);
}

// OpenMetrics wants "1.0" and not "1" here, and takes them for two series.
std::string bound_text(double seconds) {
    std::string text = fmt::format("{}", seconds);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
}

void append_histogram(std::string& out, const Description& description,
                      const std::vector<std::string>& labels, const Histogram::Values& times) {
    const std::string_view name = description.name;
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < times.counts.size(); ++i) {
        all += times.counts[i];
        std::string bound = "+Inf";
        if (i < time_bounds.size()) bound = bound_text(std::chrono::duration<double>(time_bounds[i]).count());
        const std::string le = "le=\"" + bound + "\"";
        fmt::format_to(std::back_inserter(out), "{}_bucket{} {}\n", name,
                       labels_text(description, labels, le), all);
    }
    const std::string text = labels_text(description, labels);
    fmt::format_to(std::back_inserter(out), "{0}_count{1} {2}\n{0}_sum{1} {3}\n", name, text, all,
                   number(times.sum.count()));
}

void append_head(std::string& out, const Description& description, Format format) {
    const bool open = format == Format::openmetrics;
    const std::string family = open ? std::string(description.name) : query_name(description);
    const std::string_view type =
        !open && description.kind == Kind::info ? "gauge" : to_string(description.kind);
    fmt::format_to(std::back_inserter(out), "# TYPE {} {}\n", family, type);
    if (open && !description.unit.empty())
        fmt::format_to(std::back_inserter(out), "# UNIT {} {}\n", family, description.unit);
    // The old format knows no quotes in help texts.
    const Quotes quotes = open ? Quotes::escaped : Quotes::plain;
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n", family, escaped(description.help, quotes));
}

}  // namespace

std::size_t Description::label_count() const {
    return static_cast<std::size_t>(
        std::count_if(labels.begin(), labels.end(), [](std::string_view label) { return !label.empty(); }));
}

std::string_view content_type(Format format) {
    return format == Format::openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                         : "text/plain; version=0.0.4; charset=utf-8";
}

Format format_for(std::string_view accept) {
    int open = 0, plain = 0;
    while (!accept.empty()) {
        std::string_view range = take(accept, ',');
        const std::string_view type = take(range, ';');
        int weight = 1000;
        bool version_fits = true;
        while (!range.empty()) {
            std::string_view parameter = take(range, ';');
            const std::string_view name = take(parameter, '=');
            if (name == "q") weight = weight_of(strip(parameter));
            if (name == "version") {
                const std::string_view version = strip(parameter);
                version_fits = version == "1.0.0" || version == "0.0.1" || version == "0.0.4";
            }
        }
        if (!version_fits) continue;
        if (type == "application/openmetrics-text") open = std::max(open, weight);
        if (type == "text/plain") plain = std::max(plain, weight);
    }
    return open > 0 && open >= plain ? Format::openmetrics : Format::prometheus;
}

std::string query_name(const Description& description) {
    std::string name(description.name);
    if (description.kind == Kind::counter) name += "_total";
    if (description.kind == Kind::info) name += "_info";
    return name;
}

std::string_view to_string(Kind kind) {
    switch (kind) {
        case Kind::counter:
            return "counter";
        case Kind::gauge:
            return "gauge";
        case Kind::histogram:
            return "histogram";
        case Kind::info:
            return "info";
    }
    return "unknown";
}

Page::Page(std::span<const Description> table) : table_(table), samples_(table.size()) {
    for (std::size_t i = 0; i < table_.size(); ++i)
        places_.emplace(table_[i].name, i);
}

Page::Sample* Page::sample(std::string_view name, bool histogram, Labels labels) {
    const auto place = places_.find(name);
    const bool fits = place != places_.end() &&
                      (table_[place->second].kind == Kind::histogram) == histogram &&
                      table_[place->second].label_count() == labels.size();
    assert(fits && "a measurement that the table does not describe");
    if (!fits) return nullptr;
    auto& samples = samples_[place->second];
    const auto same = [&](const Sample& sample) {
        return std::equal(sample.labels.begin(), sample.labels.end(), labels.begin(), labels.end());
    };
    const auto found = std::find_if(samples.begin(), samples.end(), same);
    if (found != samples.end()) return &*found;
    Sample& made = samples.emplace_back();
    made.labels.assign(labels.begin(), labels.end());
    return &made;
}

void Page::add(std::string_view name, double value, Labels labels) {
    if (Sample* at = sample(name, false, labels)) at->value += value;
}

void Page::add(std::string_view name, const Histogram::Values& values, Labels labels) {
    if (Sample* at = sample(name, true, labels)) at->times += values;
}

std::string Page::text(Format format) const {
    std::string out;
    for (std::size_t i = 0; i < table_.size(); ++i) {
        const Description& description = table_[i];
        if (samples_[i].empty()) continue;
        append_head(out, description, format);
        for (const Sample& sample : samples_[i]) {
            if (description.kind == Kind::histogram)
                append_histogram(out, description, sample.labels, sample.times);
            else
                fmt::format_to(std::back_inserter(out), "{}{} {}\n", query_name(description),
                               labels_text(description, sample.labels), number(sample.value));
        }
    }
    if (format == Format::openmetrics) out += "# EOF\n";
    return out;
}

}  // namespace pier::metrics
