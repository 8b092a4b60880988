// A folder for one test, removed with all that is in it when the test ends.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <unistd.h>

namespace pier::test {

class TemporaryFolder {
  public:
    // `in_memory`: on /dev/shm where there is one, for what a test writes often and never needs to be
    // durable.
    enum class Where { on_disk, in_memory };

    explicit TemporaryFolder(Where where = Where::on_disk) {
        std::filesystem::path top = std::filesystem::temp_directory_path();
        if (where == Where::in_memory && ::access("/dev/shm", W_OK) == 0) top = "/dev/shm";
        std::string pattern = (top / "pier-store-test-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder: " + pattern);
        path_ = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace pier::test
