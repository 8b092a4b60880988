// A folder that is made for one test and removed behind it, and files in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/time.h"

namespace pier::migrate {

class TemporaryTree {
  public:
    TemporaryTree() {
        std::string name = (std::filesystem::temp_directory_path() / "pier-migrate-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
        root_ = name;
    }
    ~TemporaryTree() { std::filesystem::remove_all(root_); }
    TemporaryTree(const TemporaryTree&) = delete;
    TemporaryTree& operator=(const TemporaryTree&) = delete;

    const std::filesystem::path& root() const { return root_; }
    std::filesystem::path operator/(const std::string& name) const { return root_ / name; }

    void write(const std::string& name, const std::string& octets) const {
        const auto path = root_ / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream file(path, std::ios::binary);
        file << octets;
        if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
    }

    // The file's modification time, in seconds since 1970.
    void set_time(const std::string& name, std::int64_t seconds) const {
        const timespec times[2] = {{seconds, 0}, {seconds, 0}};
        if (::utimensat(AT_FDCWD, (root_ / name).c_str(), times, 0) != 0)
            throw std::runtime_error("cannot set the time");
    }

  private:
    std::filesystem::path root_;
};

inline Time at_s(std::int64_t seconds) {
    return Time(std::chrono::seconds(seconds));
}

}  // namespace pier::migrate
