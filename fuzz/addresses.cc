// Addresses from both sides: paths and parameters as SMTP brings them, names as a person types them. What is
// parsed can be written and parsed again, and every name that an account may have can get mail. Input: the
// text.
#include <algorithm>
#include <string>

#include "auth/name.h"
#include "base/utf8.h"
#include "fuzz/require.h"
#include "smtp/path.h"
#include "wire/ascii.h"

namespace {

using namespace pier;
using fuzz::require;

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

void check_address(const smtp::Address& address) {
    require(
        address.local.size() <= smtp::local_octets_max && address.domain.size() <= smtp::domain_octets_max,
        "an address is not too long");
    require(std::ranges::none_of(address.text(), is_control), "an address is one line");
    if (address.text().empty()) return;
    const auto again = smtp::parse_address(address.text());
    require(again && again->local == address.local && again->domain == address.domain,
            "what is written means the same");
    const auto path = smtp::parse_path("<" + address.text() + ">");
    require(path && path->address.local == address.local && path->address.domain == address.domain &&
                path->rest.empty(),
            "and so does its path");
}

void check_parameters(std::string_view text) {
    const auto parameters = smtp::parse_parameters(text);
    if (!parameters) return;
    std::string written;
    for (const smtp::Parameter& parameter : *parameters) {
        require(!parameter.keyword.empty() && wire::ascii_upper(parameter.keyword) == parameter.keyword,
                "a keyword is upper case");
        written += " " + parameter.keyword;
        if (parameter.value) written += "=" + std::string(*parameter.value);
    }
    const auto again = smtp::parse_parameters(written);
    require(again && again->size() == parameters->size(), "parameters that are written again are as many");
    for (std::size_t i = 0; i < again->size(); ++i)
        require(
            (*again)[i].keyword == (*parameters)[i].keyword && (*again)[i].value == (*parameters)[i].value,
            "and the same");
}

void check_paths(std::string_view text) {
    if (const auto path = smtp::parse_path(text)) {
        check_address(path->address);
        require(text.ends_with(path->rest) && (path->rest.empty() || path->rest.front() == ' '),
                "what follows a path is the rest of it");
        check_parameters(path->rest);
    }
    if (const auto address = smtp::parse_address(text)) {
        require(!address->text().empty(), "an address is somebody");
        check_address(*address);
    }
    check_parameters(text);
    if (const auto number = smtp::parse_number(text)) {
        const auto digits = std::min(text.find_first_not_of('0'), text.size() - 1);
        require(std::to_string(*number) == text.substr(digits), "a number is its digits");
    }
    if (smtp::is_host_name(text))
        require(text.find_first_of(" ()<>;,\"\\") == std::string_view::npos &&
                    std::ranges::none_of(text, is_control),
                "a name that may stand in a field");
}

void check_name(const std::string& name, const Result<std::string>& again) {
    require(fuzz::gives(again, name), "a name that was taken is taken again, and is the same");
    require(auth::fold_name(name) == name, "a name is kept in lower case");
    require(name.size() <= auth::name_octets_max && is_utf8(name) && std::ranges::none_of(name, is_control),
            "a name is a short line of text");
    require(name.find_first_of("/\\ \"`$%*?:;|<>()[]{}") == std::string::npos,
            "nothing that shells and paths know");
}

void check_names(std::string_view text) {
    if (const auto name = auth::account_name(text)) {
        check_name(*name, auth::account_name(*name));
        require(auth::alias_address(text).has_value(), "what an account may be called an alias may be too");
        const auto address = smtp::parse_address(*name);
        const auto [local, domain] = auth::split_address(*name);
        require(address && address->local == local && address->domain == domain, "mail can be sent to it");
        require(address->text() == *name, "and the address is written as the name");
    }
    if (const auto alias = auth::alias_address(text)) check_name(*alias, auth::alias_address(*alias));
    if (const auto domain = auth::domain_name(text)) {
        check_name(*domain, auth::domain_name(*domain));
        require(smtp::parse_address("x@" + *domain).has_value(), "mail can be sent to the domain");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    check_paths(text);
    check_names(text);
    return 0;
}
