// Names of accounts, aliases and domains, as a person types them and as the directory keeps them: ASCII
// letters in lower case, every other character as it is. Pure; any thread.
//
// A name is data and never becomes a path, a query or a command. What could be mistaken for one is refused
// all the same, so that no later tool stumbles over it.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace pier::auth {

inline constexpr std::size_t name_octets_max = 255;

// What a lookup compares: only the letters' case is changed, nothing is checked.
std::string fold_name(std::string_view name);

// "Ada", "ada@Example.org": the folded name, or `invalid` with what is wrong. The local part is a dot-atom
// (RFC 5321 §4.1.2) without the characters that shells and paths know, or UTF-8 (RFC 6531 §3.3) without
// invisible characters.
Result<std::string> account_name(std::string_view name);

// The same, or "@example.org": everything for the domain that nobody else receives.
Result<std::string> alias_address(std::string_view address);

// "Zoe@Example.net": an address of another server, its domain in lower case; the local part is whatever that
// server makes of it. `invalid` unless it can be written without quotes.
Result<std::string> outside_address(std::string_view address);

// "Example.org": labels of letters, digits and hyphens (RFC 1123 §2.1), or of UTF-8 letters.
Result<std::string> domain_name(std::string_view name);

// Who proves who he is (`user`), and as whom he then logs in (`authzid`; empty: as himself).
struct LoginName {
    std::string_view authzid, user;
};
// "ada*root": root, as ada. With an authzid, or without a star, all stays as it was given. No name has a
// star.
LoginName split_login(std::string_view authzid, std::string_view user);

// Before and behind the last '@'; without one the second is empty.
std::pair<std::string_view, std::string_view> split_address(std::string_view address);

}  // namespace pier::auth
