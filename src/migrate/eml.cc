#include "migrate/eml.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "migrate/dates.h"
#include "migrate/digest.h"
#include "migrate/file.h"
#include "wire/ascii.h"

namespace pier::migrate {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t head_octets_max = 65536;  // where the date is looked for

class EmlSource : public Source {
  public:
    explicit EmlSource(EmlOptions options) : options_(std::move(options)) {}

    Result<void> open(const fs::path& path);
    Result<std::optional<Item>> next() override;
    std::uint64_t octets_total() const override { return octets_total_; }

  private:
    Result<Item> item(const fs::path& path);

    EmlOptions options_;
    std::vector<fs::path> paths_;
    std::size_t begun_ = 0;
    std::uint64_t octets_total_ = 0;
    std::unordered_map<std::string, std::uint32_t> seen_;  // how often a content has come
};

Result<void> EmlSource::open(const fs::path& path) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
        const auto file = File::open(path);  // for its error
        if (!file) return file.error();
        paths_.push_back(path);
        octets_total_ = (*file)->octets();
        return {};
    }
    for (fs::recursive_directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
        std::error_code ignored;
        if (!wire::ascii_equal(at->path().extension().string(), ".eml") || !at->is_regular_file(ignored))
            continue;
        paths_.push_back(at->path());
        octets_total_ += at->file_size(ignored);
    }
    if (error) return errno_error(error.value(), fmt::format("list {}", path.string()));
    if (paths_.empty())
        return Error(ErrorKind::not_found, fmt::format("there is no .eml file in {}", path.string()));
    std::sort(paths_.begin(), paths_.end());
    return {};
}

Result<std::optional<Item>> EmlSource::next() {
    if (begun_ == paths_.size()) return std::optional<Item>();
    Result<Item> made = item(paths_[begun_++]);
    if (!made) return made.error();
    return std::optional<Item>(std::move(*made));
}

Result<Item> EmlSource::item(const fs::path& path) {
    const auto file = File::open(path);
    if (!file) return file.error();
    std::string head;
    Digest digest;
    auto read = read_blocks(**file, 0, (*file)->octets(), [&](std::string_view block) -> Result<void> {
        digest.add(block);
        if (head.size() < head_octets_max) head += block;
        return {};
    });
    if (!read) return read.error();

    std::uint64_t begin = 0;
    if (head.starts_with("From "))
        begin = std::min(head.size(), head.find('\n') + 1);  // an mbox's, not a field
    Item item;
    item.origin = path.string();
    const std::string hash = digest.hex();
    item.identity = fmt::format("eml\n{}\n{}\n{}", options_.mailbox, hash, seen_[hash]++);
    item.mailbox = options_.mailbox;
    item.internal_date = date_of_header(std::string_view(head).substr(begin)).value_or((*file)->modified());
    item.octets = (*file)->octets();
    item.read = [path, begin](const Take& take) -> Result<void> {
        const auto again = File::open(path);
        if (!again) return again.error();
        return read_blocks(**again, begin, (*again)->octets(), take);
    };
    return item;
}

}  // namespace

Result<std::unique_ptr<Source>> open_eml(const fs::path& path, EmlOptions options) {
    auto source = std::make_unique<EmlSource>(std::move(options));
    if (auto opened = source->open(path); !opened) return opened.error();
    return std::unique_ptr<Source>(std::move(source));
}

}  // namespace pier::migrate
