// A line that shows how far something is, drawn anew in place; only where a person looks. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "main/terminal.h"

namespace pier::program {

// "[########------------]  40%  <text>"
std::string progress_line(std::uint64_t done, std::uint64_t total, const std::string& text);

class ProgressBar {
  public:
    explicit ProgressBar(Terminal& terminal) : terminal_(terminal) {}
    ~ProgressBar() { clear(); }
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    void draw(std::uint64_t done, std::uint64_t total,
              const std::string& text);  // at most ten times a second
    void clear();

  private:
    Terminal& terminal_;
    std::chrono::steady_clock::time_point last_{};
    bool drawn_ = false;
};

}  // namespace pier::program
