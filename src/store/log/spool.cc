#include "store/log/spool.h"

#include <fmt/format.h>

namespace pier::store::log {

bool find_dot_line(std::string_view octets, char& last) {
    bool found = false;
    for (std::size_t dot = octets.find('.'); dot != std::string_view::npos && !found;
         dot = octets.find('.', dot + 1))
        found = (dot == 0 ? last : octets[dot - 1]) == '\n';
    if (!octets.empty()) last = octets.back();
    return found;
}

Result<void> LogSpool::write(std::string_view octets) {
    if (octets_ + octets.size() > octets_max_)
        return Error{ErrorKind::invalid,
                     fmt::format("the message is larger than {} octets, the limit of this server "
                                 "(store.message_octets_max)",
                                 octets_max_)};
    if (octets_ == 0) begins_with_dot_ = octets.starts_with('.');
    if (!dot_lines_) dot_lines_ = find_dot_line(octets, last_);
    if (!file_ && octets_ + octets.size() > memory_octets_) {
        if (auto r = move_to_file(); !r) return r;
    }
    if (file_) {
        if (auto r = file_->write(octets_, {&octets, 1}); !r) return r;
    } else {
        memory_ += octets;
    }
    octets_ += octets.size();
    return {};
}

Result<std::size_t> LogSpool::read(std::uint64_t offset, std::span<char> out) const {
    if (file_) return file_->read(offset, out, Wait::may_block);
    if (offset >= memory_.size()) return std::size_t{0};
    return memory_.copy(out.data(), out.size(), static_cast<std::size_t>(offset));
}

Result<void> LogSpool::move_to_file() {
    auto file = disk_.create_nameless();
    if (!file) return file.error();
    const std::string_view piece = memory_;
    if (auto r = (*file)->write(0, {&piece, 1}); !r) return r;
    file_ = std::move(*file);
    memory_ = std::string();
    return {};
}

}  // namespace pier::store::log
