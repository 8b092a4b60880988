// The keys of a domain's DKIM signatures: files DOMAIN.SELECTOR.key in the data folder's dkim/, where rspamd
// reads them. Blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "main/domain_records.h"

namespace pier::program {

enum class DkimKeyType { rsa, ed25519 };

std::string dkim_folder(const std::string& data_folder);
std::string dkim_file(const std::string& data_folder, std::string_view domain, std::string_view selector);

// Labels of letters, digits and hyphens (RFC 6376 §3.1); they become part of a file's name.
bool is_selector(std::string_view text);

// Makes a key (RSA of 2,048 bits, RFC 8301 §3.2, or Ed25519, RFC 8463) in a new file that its group may read.
// `exists` if there is one for that selector. The data folder then lets its group pass through, and nothing
// else in it.
Result<DkimRecord> make_dkim_key(const std::string& data_folder, std::string_view domain,
                                 std::string_view selector, DkimKeyType type);

// Those of a domain, by selector. A file that holds no such key is an error that names it.
Result<std::vector<DkimRecord>> dkim_keys(const std::string& data_folder, std::string_view domain);

}  // namespace pier::program
