// What a DNS server, or somebody in its place, answers. Input: one octet (which type was asked for), then the
// packet. The name that was asked for is example.org.
#include <algorithm>
#include <string>

#include "dns/answer.h"
#include "fuzz/require.h"

namespace {

using namespace pier;
using namespace pier::dns;
using fuzz::require;

constexpr Type types[] = {Type::a, Type::mx, Type::txt, Type::aaaa, Type::tlsa, Type::cname};

void check(const Answer& answer, Type type) {
    const std::size_t records =
        answer.addresses.size() + answer.exchanges.size() + answer.texts.size() + answer.associations.size();
    require((answer.kind == Answer::Kind::found) == (records != 0), "found is what has records");
    require(records <= records_max, "records are bounded");
    require(answer.ttl_s <= 0x7FFFFFFF, "times are");
    require((answer.kind == Answer::Kind::failed) == !answer.why.empty(), "a failure says why");
    if (answer.kind == Answer::Kind::failed) return;
    require(answer.name == "example.org" || is_name(answer.name), "the name behind aliases is one");
    require(type == Type::mx || answer.exchanges.empty(), "nothing that was not asked for");
    require((type == Type::a || type == Type::aaaa) || answer.addresses.empty(), "nor addresses");
    for (const IpAddress& address : answer.addresses)
        require(address.is_v4() == (type == Type::a), "addresses are of the kind that was asked for");
    for (const Mx& mx : answer.exchanges)
        require(mx.exchange.empty() || is_name(mx.exchange), "a mail host has a name");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Type type = types[data[0] % std::size(types)];
    const std::string_view packet = fuzz::text_of(data + 1, size - 1);
    check(parse_answer(packet, "example.org", type), type);
    // Names from the wire are names to ask for.
    static_cast<void>(is_name(packet));
    return 0;
}
