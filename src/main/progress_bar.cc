#include "main/progress_bar.h"

#include <algorithm>

#include <fmt/format.h>

namespace pier::program {
namespace {

constexpr std::size_t bar_width = 20;
constexpr std::chrono::milliseconds redraw_after{100};

}  // namespace

std::string progress_line(std::uint64_t done, std::uint64_t total, const std::string& text) {
    const double part =
        total == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(bar_width));
    return fmt::format("[{}{}] {:3}%  {}", std::string(filled, '#'), std::string(bar_width - filled, '-'),
                       static_cast<int>(part * 100), text);
}

void ProgressBar::draw(std::uint64_t done, std::uint64_t total, const std::string& text) {
    if (!terminal_.draws) return;
    const auto now = std::chrono::steady_clock::now();
    if (drawn_ && now - last_ < redraw_after) return;
    last_ = now;
    drawn_ = true;
    terminal_.err << '\r' << progress_line(done, total, text) << "\x1b[K" << std::flush;
}

void ProgressBar::clear() {
    if (drawn_) terminal_.err << "\r\x1b[K" << std::flush;
    drawn_ = false;
}

}  // namespace pier::program
