// Single messages in files as a Source: one file, or all "*.eml" files below a directory, by path. The date
// is that of the topmost Received field, else of Date, else of the file. A From_ line in front is left out.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "migrate/source.h"

namespace pier::migrate {

struct EmlOptions {
    std::string mailbox = "INBOX";
};

// Fails if there is no such file, or no .eml file in the directory. Lists the directory once.
Result<std::unique_ptr<Source>> open_eml(const std::filesystem::path& path, EmlOptions options = {});

}  // namespace pier::migrate
