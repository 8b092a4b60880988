// The configuration as text, made from the table in config.h. Pure; any thread.
#pragma once

#include <string>

#include <boost/json/object.hpp>

#include "main/config.h"

namespace pier::program {

// A field's value as it is written in the file: "64 MiB" in quotes, 10, true.
std::string toml_value(const Field& field, const Value& value);

// What a field takes: "a size from 64 KiB to 64 GiB", "\"never\", \"loopback\" or \"always\"".
std::string describe_range(const Field& field);

// The sample file: every key with its help and its default, commented out. Loading it gives the defaults.
std::string sample_config();

// All values that are in force, as a file that load_config() reads back to the same.
std::string show_config(const Config& config);

// {"server": {"hostname": …}, …, "listener": [{…}, …]}; octets and seconds as numbers.
boost::json::object config_to_json(const Config& config);

}  // namespace pier::program
