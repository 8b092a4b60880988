// Runs pier's commands in this process, with strings for its streams and a folder of its own.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "main/program.h"

namespace pier::program {

struct Ran {
    int code = 0;
    std::string out, err;
    boost::json::value json() const { return boost::json::parse(out); }
};

class CliTest : public testing::Test {
  protected:
    CliTest() {
        std::filesystem::create_directories(folder_);
        write("pier.toml",
              fmt::format("[server]\ndata_folder = \"data\"\nuser = \"\"\nhostname = \"mail.example.org\"\n"
                          "[admin]\nsocket = \"pier.sock\"\n"
                          "[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n{}",
                          more_config_));
    }
    ~CliTest() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    Ran run(std::vector<std::string> arguments, const std::string& input = "", bool asks = false) {
        std::istringstream in(input);
        std::ostringstream out, err;
        Terminal terminal{in, out, err, asks, false};
        arguments.insert(arguments.begin(), {"--config", path("pier.toml")});
        const int code = run_program(std::move(arguments), terminal);
        return {code, out.str(), err.str()};
    }

    // Must succeed; its JSON.
    boost::json::value ask(std::vector<std::string> arguments, const std::string& input = "") {
        arguments.push_back("--json");
        const Ran ran = run(arguments, input);
        EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
        return ran.code == 0 ? ran.json() : boost::json::value();
    }

    std::string path(const std::string& name) const { return (folder_ / name).string(); }

    void write(const std::string& name, const std::string& octets) const {
        std::filesystem::create_directories((folder_ / name).parent_path());
        std::ofstream(folder_ / name, std::ios::binary) << octets;
    }

    std::filesystem::path folder_ = std::filesystem::temp_directory_path() / ("pier-cli-" + random_text(12));
    std::string more_config_;
};

}  // namespace pier::program
