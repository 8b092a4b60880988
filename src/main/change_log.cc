#include "main/change_log.h"

#include <array>
#include <cerrno>

#include <boost/json.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/whole_file.h"
#include "main/config.h"

namespace pier::program {
namespace {

namespace json = boost::json;

constexpr mode_t folder_mode = 0700, file_mode = 0600;
constexpr std::size_t key_octets = 32;
constexpr std::size_t known_octets_max = 16 << 20;

std::string make_key() {
    std::array<unsigned char, key_octets> octets{};
    ::randombytes_buf(octets.data(), octets.size());
    std::array<char, 2 * key_octets + 1> text{};
    ::sodium_bin2hex(text.data(), text.size(), octets.data(), octets.size());
    return text.data();
}

Result<void> write_line(int fd, std::string_view line, const std::string& file) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return errno_error(errno, "read " + file);
    char last = '\n';
    if (status.st_size > 0 && ::pread(fd, &last, 1, status.st_size - 1) != 1)
        return errno_error(errno, "read " + file);
    const std::string text = (last == '\n' ? "" : "\n") + std::string(line);
    const ssize_t written = ::write(fd, text.data(), text.size());
    const int code = written < 0 ? errno : written < static_cast<ssize_t>(text.size()) ? ENOSPC : 0;
    if (code == 0 && ::fdatasync(fd) == 0) return {};
    const Error failed = errno_error(code != 0 ? code : errno, "write " + file);
    [[maybe_unused]] const int cut = ::ftruncate(fd, status.st_size);
    return failed;
}

// The whole line or nothing of it, but for a machine that stops in between: its next write begins a line, and
// read() passes over such an end.
Result<void> append_line(const std::string& file, std::string_view line) {
    const int fd = ::open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, file_mode);
    if (fd < 0) return errno_error(errno, "open " + file);
    auto written = write_line(fd, line, file);
    ::close(fd);
    return written;
}

// So that a name in it outlives a power failure.
void sync_folder(const std::string& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
}

void read_lines(const std::string& text, ChangeLog::Kept& kept) {
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (line.empty()) continue;
        if (auto change = parse_change(line))
            kept.changes.push_back(bounded(std::move(*change)));
        else
            ++kept.unreadable;
    }
}

}  // namespace

std::string changes_folder(const Config& config) {
    return config.server.data_folder + "/changes";
}

ChangeLog::ChangeLog(std::string folder) : folder_(std::move(folder)) {}

Result<void> ChangeLog::append(const Change& change) {
    const std::lock_guard lock(mutex_);
    return append_locked(change);
}

Result<void> ChangeLog::append_locked(const Change& change) {
    const std::string line = json::serialize(to_json(bounded(change))) + "\n";
    const bool made = ::mkdir(folder_.c_str(), folder_mode) == 0;
    if (!made && errno != EEXIST) return errno_error(errno, "make " + folder_);
    const std::string file = folder_ + "/changes.jsonl", older = folder_ + "/changes.1.jsonl";
    struct stat status {};
    bool fresh = ::stat(file.c_str(), &status) != 0;
    if (!fresh && static_cast<std::uint64_t>(status.st_size) + line.size() + 1 > file_octets_max) {
        if (::rename(file.c_str(), older.c_str()) != 0) return errno_error(errno, "rename " + file);
        fresh = true;
    }
    if (auto appended = append_line(file, line); !appended) return appended;
    if (made) sync_folder(folder_ + "/..");
    if (fresh) sync_folder(folder_);
    return {};
}

Result<ChangeLog::Kept> ChangeLog::read() const {
    const std::lock_guard lock(mutex_);
    Kept kept;
    for (const char* name : {"/changes.1.jsonl", "/changes.jsonl"}) {
        const auto text = read_whole_file(folder_ + name, file_octets_max);
        if (!text && text.error().kind == ErrorKind::not_found) continue;
        if (!text) return text.error();
        read_lines(*text, kept);
    }
    return kept;
}

Result<std::string> ChangeLog::key() {
    const std::lock_guard lock(mutex_);
    const auto known = this->known();
    if (!known) return known.error();
    return (*known)->key;
}

Result<void> ChangeLog::compare(Change change, const Facts& now) {
    const std::lock_guard lock(mutex_);
    const auto known = this->known();
    if (!known) return known.error();
    const auto before = (*known)->facts.find(change.what);
    if (before == (*known)->facts.end()) {
        change.note =
            fmt::format("what is known from here on{}{}", change.note.empty() ? "" : "; ", change.note);
    } else {
        change.differences = differences(before->second, now);
        if (change.differences.empty()) return {};
    }
    if (auto appended = append_locked(change); !appended) return appended;
    Known fresh = **known;
    fresh.facts[change.what] = now;
    if (auto kept = keep(fresh); !kept) return kept;
    known_ = std::move(fresh);
    return {};
}

Result<ChangeLog::Known*> ChangeLog::known() {
    if (known_) return &*known_;
    const auto text = read_whole_file(folder_ + "/known.json", known_octets_max);
    if (!text && text.error().kind != ErrorKind::not_found) return text.error();
    Known read;
    if (text) {
        boost::system::error_code failed;
        const json::value value = json::parse(*text, failed);
        try {
            const json::object& root = value.as_object();
            read.key = root.at("key").as_string();
            for (const auto& [what, facts] : root.at("facts").as_object())
                for (const auto& [key, fact] : facts.as_object())
                    read.facts[what][key] = fact.as_string();
        } catch (const std::exception&) {
            log::warning("changes.known.damaged",
                         {{"file", folder_ + "/known.json"},
                          {"hint", "what changed since it was written is not told; it is written anew"}});
            read = {};
        }
    }
    if (read.key.size() != 2 * key_octets) read = {make_key(), {}};
    known_ = std::move(read);
    return &*known_;
}

Result<void> ChangeLog::keep(const Known& known) const {
    json::object facts;
    for (const auto& [what, all] : known.facts) {
        json::object& out = (facts[what] = json::object()).as_object();
        for (const auto& [key, fact] : all)
            out[key] = fact;
    }
    const json::object root{{"key", known.key}, {"facts", std::move(facts)}};
    return replace_file(folder_ + "/known.json", json::serialize(root) + "\n", file_mode);
}

}  // namespace pier::program
