// Feeds wire::HeaderReader with an arbitrary message in arbitrary pieces, and wire::parse_address_list with
// what its From says. The first octet: bits 0-1 choose small limits, the others the pieces' length.
#include "wire/header.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/require.h"
#include "wire/address_list.h"

namespace {

using namespace pier;
using fuzz::require;
using wire::HeaderReader;

HeaderReader read(const wire::HeaderLimits& limits, std::string_view message, std::size_t piece) {
    HeaderReader reader(limits, {"From", "Sender", "Date", "Message-ID"});
    for (; !message.empty(); message.remove_prefix(std::min(piece, message.size())))
        reader.feed(message.substr(0, piece));
    reader.finish();
    require(reader.over(), "a message that is over has a header that is over");
    return reader;
}

// A list that is written again means the same.
void check_addresses(std::string_view body) {
    const auto addresses = wire::parse_address_list(body, 20);
    if (!addresses) return;
    require(addresses->size() <= 20, "no more addresses than the limit");
    std::string again;
    for (const wire::HeaderAddress& address : *addresses) {
        require(!address.local.empty() && !address.domain.empty(), "an address is whole");
        again += "x (y) <\"";
        for (const char c : address.local) {
            if (c == '"' || c == '\\') again += '\\';
            again += c;
        }
        again += "\"@" + address.domain + ">, ";
    }
    const auto same = wire::parse_address_list(again, 20);
    require(same && *same == *addresses, "what is written means the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1 || size > 65536) return 0;
    wire::HeaderLimits limits;
    if (data[0] & 1) limits.fields_max = 3;
    if (data[0] & 2) limits.kept_octets_max = 40, limits.header_octets_max = 100;
    const std::string_view message = fuzz::text_of(data + 1, size - 1);
    const HeaderReader whole = read(limits, message, SIZE_MAX);
    const HeaderReader pieces = read(limits, message, 1 + data[0] / 4);
    const bool good = whole.problem() == HeaderReader::Problem::none;
    require(good == (pieces.problem() == HeaderReader::Problem::none), "pieces change no verdict");
    if (good) {
        require(whole.fields() == pieces.fields() && whole.has_8bit() == pieces.has_8bit(),
                "pieces change nothing");
    }
    std::size_t kept = 0;
    for (const wire::HeaderField& field : whole.fields()) {
        kept += field.body.size();
        require(field.body.find('\n') == std::string::npos, "a body is one line");
        check_addresses(field.body);
    }
    require(kept <= limits.kept_octets_max, "no more is held than the limit");
    check_addresses(message);
    return 0;
}
