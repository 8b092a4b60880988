// What a proxy says of its client (net/proxy_header.h). More octets never change what was read, and what
// comes out is fit for limits and log. Input: the octets.
#include "net/proxy_header.h"

#include <algorithm>
#include <string>

#include "fuzz/require.h"

using namespace pier::net;
using pier::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string octets(pier::fuzz::text_of(data, size));
    const auto parsed = parse_proxy_header(octets);
    if (std::holds_alternative<ProxyHeaderIncomplete>(parsed)) {
        require(octets.size() < proxy_header_octets_max, "what is incomplete is short");
        return 0;
    }
    if (const auto* bad = std::get_if<ProxyHeaderMalformed>(&parsed)) {
        require(!bad->text.empty() && bad->text.find_first_of("\r\n") == std::string::npos,
                "a reason is one line");
        require(std::holds_alternative<ProxyHeaderMalformed>(parse_proxy_header(octets + "\r\n")),
                "bad stays bad");
        return 0;
    }
    const auto& header = std::get<ProxyHeader>(parsed);
    require(header.octets > 0 && header.octets <= octets.size() && header.octets <= proxy_header_octets_max,
            "the header lies in what has come");
    require(std::ranges::all_of(header.tls, [](char c) { return c > ' ' && c <= '~'; }) &&
                header.tls.size() <= 130,
            "the log's text is short and printable");
    require(!header.has_client || (!header.client.is_unix() && !header.server.is_unix()),
            "a client has an address");
    for (std::size_t cut = 0; cut < header.octets; ++cut)
        require(std::holds_alternative<ProxyHeaderIncomplete>(parse_proxy_header(octets.substr(0, cut))),
                "it is not whole before it is");
    return 0;
}
