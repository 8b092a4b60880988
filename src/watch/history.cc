#include "watch/history.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <boost/crc.hpp>
#include <boost/endian/conversion.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

namespace pier::watch {
namespace {

constexpr std::string_view suffix = ".rings";
constexpr std::string_view magic = "PIERHIST";
constexpr std::uint32_t form = 1;
constexpr mode_t file_mode = 0600, folder_mode = 0700;

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

bool is_series_name(std::string_view name) {
    return !name.empty() && name.size() <= series_name_octets_max &&
           std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

unsigned char* raw(char* at) {
    return reinterpret_cast<unsigned char*>(at);
}

// The head of a file: what it is, and the rings that it has.
std::array<char, history_header_octets> header() {
    using boost::endian::store_little_u32;
    std::array<char, history_header_octets> head{};
    magic.copy(head.data(), magic.size());
    store_little_u32(raw(&head[8]), form);
    store_little_u32(raw(&head[12]), resolutions.size());
    std::size_t at = 16;
    for (const Resolution& one : resolutions) {
        store_little_u32(raw(&head[at]), static_cast<std::uint32_t>(one.step.count()));
        store_little_u32(raw(&head[at + 4]), static_cast<std::uint32_t>(one.slots));
        at += 8;
    }
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(head.data(), history_header_octets - 4);
    store_little_u32(raw(&head[history_header_octets - 4]), crc.checksum());
    return head;
}

// All of it; `io` also at the end of the file.
Result<void> read_all(int fd, std::span<char> octets, std::size_t offset, const std::string& file) {
    while (!octets.empty()) {
        const ssize_t n = ::pread(fd, octets.data(), octets.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error(errno, "read " + file);
        if (n == 0) return Error{ErrorKind::corrupt, file + " is shorter than it was made"};
        octets = octets.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::size_t>(n);
    }
    return {};
}

Result<void> write_all(int fd, std::span<const char> octets, std::size_t offset, const std::string& file) {
    while (!octets.empty()) {
        const ssize_t n = ::pwrite(fd, octets.data(), octets.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error(errno, "write " + file);
        octets = octets.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::size_t>(n);
    }
    return {};
}

// Where the file system cannot reserve space, a file with holes has to do.
Result<void> reserve(int fd, const std::string& file) {
    if (::fallocate(fd, 0, 0, history_file_octets) == 0) return {};
    if (errno == EOPNOTSUPP && ::ftruncate(fd, history_file_octets) == 0) return {};
    return errno_error(errno, "make " + file);
}

}  // namespace

class History::File final : public SlotStorage {
  public:
    explicit File(std::string name, int fd) : name_(std::move(name)), fd_(fd), rings_(*this) {}
    ~File() override { ::close(fd_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    // `corrupt` if it is not as make() leaves it.
    static Result<std::unique_ptr<File>> open(const std::string& name) {
        const int fd = ::open(name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) return errno_error(errno, "open " + name);
        auto file = std::make_unique<File>(name, fd);
        std::array<char, history_header_octets> head;
        if (auto done = read_all(fd, head, 0, name); !done) return done.error();
        struct stat status {};
        const bool whole =
            ::fstat(fd, &status) == 0 && status.st_size == static_cast<off_t>(history_file_octets);
        if (head != header() || !whole)
            return Error{ErrorKind::corrupt, name + " is no file of measurements, or of another form"};
        return file;
    }

    // Under another name until it is whole, so that a power failure leaves no half of one.
    static Result<std::unique_ptr<File>> make(const std::string& name) {
        const std::string unfinished = name + ".new";
        const int fd =
            ::open(unfinished.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, file_mode);
        if (fd < 0) return errno_error(errno, "make " + unfinished);
        auto file = std::make_unique<File>(name, fd);
        auto done = reserve(fd, unfinished);
        if (done) done = write_all(fd, header(), 0, unfinished);
        if (done && ::fdatasync(fd) != 0) done = errno_error(errno, "make " + unfinished + " durable");
        if (done && ::rename(unfinished.c_str(), name.c_str()) != 0)
            done = errno_error(errno, "make " + name);
        if (!done) {
            ::unlink(unfinished.c_str());
            return done.error();
        }
        return file;
    }

    Result<std::optional<Slot>> read(std::size_t place) const override {
        SlotOctets octets;
        if (auto done = read_all(fd_, octets, offset_of(place), name_); !done) return done.error();
        return decode_slot(octets, place);
    }
    Result<void> write(std::size_t place, const Slot& slot) override {
        return write_all(fd_, encode_slot(slot, place), offset_of(place), name_);
    }

    Rings& rings() { return rings_; }

  private:
    static std::size_t offset_of(std::size_t place) { return history_header_octets + place * slot_octets; }

    const std::string name_;
    const int fd_;
    Rings rings_;
};

std::string history_file_name(std::string_view series) {
    std::string name;
    for (const char c : series) {
        const bool hidden = name.empty() && c == '.';
        if (is_plain(c) && !hidden)
            name += c;
        else
            name += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return name + std::string(suffix);
}

std::string history_series_of(std::string_view file_name) {
    if (!file_name.ends_with(suffix)) return {};
    const std::string_view escaped = file_name.substr(0, file_name.size() - suffix.size());
    std::string series;
    for (std::size_t i = 0; i < escaped.size(); ++i) {
        if (escaped[i] != '%') {
            series += escaped[i];
            continue;
        }
        if (i + 2 >= escaped.size()) return {};
        const int high = hex_digit(escaped[i + 1]), low = hex_digit(escaped[i + 2]);
        if (high < 0 || low < 0) return {};
        series += static_cast<char>(high * 16 + low);
        i += 2;
    }
    // One name for one series: no second way to write it.
    return is_series_name(series) && history_file_name(series) == file_name ? series : std::string();
}

History::History(std::string folder, const HistoryLimits& limits)
    : folder_(std::move(folder)), limits_(limits) {}

History::~History() = default;

Result<std::unique_ptr<History>> History::open(std::string folder, const HistoryLimits& limits) {
    if (::mkdir(folder.c_str(), folder_mode) != 0 && errno != EEXIST)
        return errno_error(errno, "make the folder " + folder);
    std::unique_ptr<History> history(new History(std::move(folder), limits));
    std::error_code error;
    std::filesystem::directory_iterator at(history->folder_, error);
    for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
        const std::string series = history_series_of(at->path().filename().string());
        if (series.empty()) continue;
        auto file = File::open(at->path().string());
        if (file) {
            history->files_.emplace(series, std::move(*file));
        } else {
            log::warning("history.damaged", {{"file", at->path().string()},
                                             {"reason", file.error().text},
                                             {"hint", "its measurements are lost; it is begun anew"}});
        }
    }
    if (error) return Error{ErrorKind::io, fmt::format("list {}: {}", history->folder_, error.message())};
    return history;
}

Result<History::File*> History::file_for(std::string_view series) {
    if (const auto found = files_.find(series); found != files_.end()) return found->second.get();
    if (!is_series_name(series))
        return Error{ErrorKind::invalid, "a series needs a name of 1 to 80 octets without blanks"};
    if (files_.size() >= limits_.series_max)
        return Error{ErrorKind::busy,
                     fmt::format("there are {} series of measurements already", files_.size())};
    auto made = File::make(folder_ + "/" + history_file_name(series));
    if (!made) return made.error();
    return files_.emplace(std::string(series), std::move(*made)).first->second.get();
}

Result<void> History::add(std::string_view series, double value, Time at) {
    const std::lock_guard lock(mutex_);
    const auto file = file_for(series);
    if (!file) return file.error();
    return (*file)->rings().add(value, at);
}

Result<std::vector<Point>> History::points(std::string_view series, Time from, Time to, Time now,
                                           std::size_t points_max) const {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(series);
    if (found == files_.end())
        return Error{ErrorKind::not_found, fmt::format("there is no series \"{}\"", series)};
    return found->second->rings().points(from, to, now, points_max);
}

std::vector<std::string> History::series() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, file] : files_)
        names.push_back(name);
    return names;
}

Result<void> History::remove(std::string_view series) {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(series);
    if (found == files_.end())
        return Error{ErrorKind::not_found, fmt::format("there is no series \"{}\"", series)};
    const std::string file = folder_ + "/" + history_file_name(series);
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "remove " + file);
    files_.erase(found);
    return {};
}

}  // namespace pier::watch
