#include "queue/skipping_body.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace pier::queue {
namespace {

class SkippingBody final : public store::Body {
  public:
    SkippingBody(std::unique_ptr<store::Body> whole, std::uint64_t skipped)
        : whole_(std::move(whole)), skipped_(std::min(skipped, whole_->octets())) {}

    std::uint64_t octets() const override { return whole_->octets() - skipped_; }
    bool has_dot_lines() const override { return whole_->has_dot_lines(); }
    bool complete() const override { return whole_->complete(); }
    Result<std::size_t> read(std::uint64_t offset, std::span<char> out, store::Wait wait) override {
        if (offset >= octets()) return std::size_t{0};
        return whole_->read(skipped_ + offset, out, wait);
    }
    Result<void> verify(store::Wait wait) override { return whole_->verify(wait); }
    // The whole may need more room than the caller has made for what is left.
    Result<std::string_view> load(std::span<char> buffer, store::Wait wait) override {
        if (buffer.size() < octets() + load_room_octets)
            return Error{ErrorKind::invalid, "the buffer is too small for the message"};
        if (auto good = verify(wait); !good) return good.error();
        const auto out = buffer.first(static_cast<std::size_t>(octets()));
        std::size_t done = 0;
        while (done < out.size()) {
            const auto n = read(done, out.subspan(done), wait);
            if (!n) return n.error();
            if (*n == 0) return Error{ErrorKind::corrupt, "the message is shorter than it should be"};
            done += *n;
        }
        return std::string_view(out.data(), out.size());
    }
    std::optional<store::FileRange> file() const override {
        auto range = whole_->file();
        if (range) range->offset += skipped_;
        return range;
    }

  private:
    const std::unique_ptr<store::Body> whole_;
    const std::uint64_t skipped_;
};

}  // namespace

std::unique_ptr<store::Body> skipping_body(std::unique_ptr<store::Body> whole, std::uint64_t skipped) {
    if (skipped == 0) return whole;
    return std::make_unique<SkippingBody>(std::move(whole), skipped);
}

}  // namespace pier::queue
