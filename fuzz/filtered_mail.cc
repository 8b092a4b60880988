// What comes in and is looked at: a filter's answer (HTTP, JSON), a message's header, and senders that
// forwarding has rewritten. What a filter adds to a message is whole fields; a header that is cut into pieces
// gives the same as whole; nothing is restored that was not made here. Input: one octet for the kind, then
// the text.
#include <string>

#include "delivery/incoming_header.h"
#include "delivery/srs.h"
#include "filter/rspamd.h"
#include "fuzz/require.h"

namespace {

using namespace pier;
using fuzz::require;

// Lines that end in CRLF, each a field or part of one; no empty one.
void check_fields(std::string_view fields) {
    require(fields.size() <= filter::fields_octets_max, "added fields have a limit");
    bool first = true;
    while (!fields.empty()) {
        const std::size_t end = fields.find("\r\n");
        require(end != fields.npos && end > 0, "an added line has an end, and is not empty");
        const std::string_view line = fields.substr(0, end);
        require(line.find_first_of("\r\n") == line.npos, "no other line ends are added");
        const bool folded = line[0] == ' ' || line[0] == '\t';
        require(folded ? !first : line.find(':') != line.npos && line[0] != ':', "a field has a name");
        first = false;
        fields.remove_prefix(end + 2);
    }
}

void check_answer(std::string_view text) {
    const auto reply = filter::parse_http(text, true);
    if (reply) require(reply->has_value(), "at the end it is a reply or none");
    const auto verdict = filter::parse_verdict(reply ? (*reply)->body : text);
    if (!verdict) return;
    check_fields(verdict->fields);
    const smtp::Reply refusal = filter::refusal(*verdict);
    require(refusal.code == 451 || refusal.code == 554, "a refusal is one");
    for (const char c : refusal.text)
        require(c >= 0x20 && c < 0x7F, "what a client is told can be printed");
}

void check_header(std::string_view text) {
    delivery::IncomingHeader whole("mx.example.org", true), pieces("mx.example.org", true);
    std::string all = whole.feed(text);
    all += whole.finish();
    std::string joined;
    const std::size_t piece = text.empty() ? 1 : 1 + static_cast<unsigned char>(text[0]) % 16;
    for (std::size_t at = 0; at < text.size(); at += piece)
        joined += pieces.feed(text.substr(at, piece));
    joined += pieces.finish();
    require(text.size() > delivery::IncomingHeader::field_octets_max || all == joined,
            "pieces give the same as the whole");
    require(all.size() <= text.size(), "nothing is added");
}

void check_sender(std::string_view text) {
    const delivery::Srs srs("a secret");
    const Time now{};
    const std::size_t at = text.find('@');
    const smtp::Address sender{std::string(text.substr(0, at)),
                               at == text.npos ? "example.com" : "example.net"};
    require(!srs.restore(sender.local, now), "nothing is restored that was not made here");
    const auto rewritten = srs.rewrite(sender, "us.example", now);
    if (!rewritten || sender.empty()) return;
    const auto back = srs.restore(rewritten->local, now);
    if (back && !delivery::Srs::is_rewritten(sender.local))
        require(*back == sender, "a sender is found again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    if (text.empty()) return 0;
    const std::string_view rest = text.substr(1);
    switch (text[0]) {
        case 'a':
            check_answer(rest);
            break;
        case 'h':
            check_header(rest);
            break;
        case 's':
            check_sender(rest);
            break;
        default:
            break;
    }
    return 0;
}
