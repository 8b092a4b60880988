#include "dns/answer.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace pier::dns {
namespace {

constexpr std::size_t header_octets = 12;
constexpr std::size_t name_octets_max = 253;
constexpr std::uint32_t negative_ttl_s = 60;  // of an answer that does not say how long

bool is_label_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Reads from the front; what does not fit makes it bad, for good.
class Reader {
  public:
    explicit Reader(std::string_view packet) : packet_(packet) {}

    bool good() const { return good_; }
    std::size_t at() const { return at_; }
    void go_to(std::size_t at) {
        good_ = good_ && at <= packet_.size();
        at_ = at;
    }

    std::uint8_t octet() {
        if (!has(1)) return 0;
        return static_cast<std::uint8_t>(packet_[at_++]);
    }
    std::uint16_t number16() {
        const auto high = octet();
        return static_cast<std::uint16_t>(high << 8 | octet());
    }
    std::uint32_t number32() {
        const std::uint32_t high = number16();
        return high << 16 | number16();
    }
    std::string_view octets(std::size_t count) {
        if (!has(count)) return {};
        return packet_.substr(std::exchange(at_, at_ + count), count);
    }

    // A name (RFC 1035 §4.1.4), in lower case, without a dot at its end. Absent, though the reader is good:
    // it has characters that we have no use for.
    std::optional<std::string> name() {
        std::string text;
        bool usable = true;
        std::size_t at = at_, begin = at_;
        std::size_t behind = 0;  // where reading goes on, once a pointer was followed
        while (good_) {
            if (at >= packet_.size()) break;
            const auto length = static_cast<std::uint8_t>(packet_[at]);
            if (length == 0) {
                at_ = behind != 0 ? behind : at + 1;
                return usable ? std::optional(std::move(text)) : std::nullopt;
            }
            if ((length & 0xC0) == 0xC0) {
                if (at + 1 >= packet_.size()) break;
                const std::size_t target = (length & 0x3Fu) << 8 | static_cast<std::uint8_t>(packet_[at + 1]);
                if (behind == 0) behind = at + 2;
                // Attack: a pointer to itself, or two in a ring. Pointers lead back, and each further back.
                if (target >= begin) break;
                at = begin = target;
                continue;
            }
            if ((length & 0xC0) != 0 || at + 1 + length > packet_.size()) break;
            if (text.size() + length + 1 > name_octets_max + 1) break;
            if (!text.empty()) text += '.';
            for (const char c : packet_.substr(at + 1, length)) {
                text += lower(c);
                usable = usable && is_label_character(lower(c));
            }
            at += 1u + length;
        }
        good_ = false;
        return std::nullopt;
    }

  private:
    bool has(std::size_t count) {
        good_ = good_ && packet_.size() - at_ >= count;
        return good_;
    }

    std::string_view packet_;
    std::size_t at_ = 0;
    bool good_ = true;
};

struct Record {
    std::string owner;
    Type type{};
    std::uint32_t ttl_s = 0;
    std::size_t at = 0, octets = 0;  // of its data
};

struct Packet {
    unsigned code = 0;  // RCODE
    bool authentic = false, truncated = false;
    std::vector<Record> answers, authorities;
};

// Records of a section. Those of another class, and those whose owner is no name for us, are passed over.
void read_section(Reader& in, unsigned count, std::vector<Record>& out) {
    for (unsigned i = 0; i < count && in.good(); ++i) {
        Record record;
        auto owner = in.name();
        record.type = static_cast<Type>(in.number16());
        const unsigned of_class = in.number16();
        record.ttl_s = in.number32();
        if (record.ttl_s > 0x7FFFFFFF) record.ttl_s = 0;  // RFC 2181 §8
        record.octets = in.number16();
        record.at = in.at();
        static_cast<void>(in.octets(record.octets));
        if (!in.good()) return;
        if (!owner || of_class != 1 || out.size() >= records_max) continue;
        record.owner = std::move(*owner);
        out.push_back(std::move(record));
    }
}

std::optional<Packet> read_packet(std::string_view octets) {
    if (octets.size() < header_octets) return std::nullopt;
    Reader in(octets);
    Packet packet;
    in.go_to(2);
    const unsigned flags = in.number16();
    if ((flags & 0x8000) == 0) return std::nullopt;  // a question
    packet.truncated = (flags & 0x0200) != 0;
    packet.authentic = (flags & 0x0020) != 0;
    packet.code = flags & 0x000F;
    const unsigned questions = in.number16(), answers = in.number16(), authorities = in.number16();
    in.go_to(header_octets);
    for (unsigned i = 0; i < questions && in.good(); ++i) {
        static_cast<void>(in.name());
        in.number32();  // type and class
    }
    read_section(in, answers, packet.answers);
    read_section(in, authorities, packet.authorities);
    if (!in.good()) return std::nullopt;
    return packet;
}

// Behind all aliases of `name`; absent: they go round in circles.
std::optional<std::string> follow(std::string_view octets, const Packet& packet, std::string_view name,
                                  std::uint32_t& ttl_s) {
    std::string at(name);
    for (unsigned i = 0; i <= aliases_max; ++i) {
        const auto alias = std::ranges::find_if(
            packet.answers, [&](const Record& each) { return each.type == Type::cname && each.owner == at; });
        if (alias == packet.answers.end()) return at;
        Reader in(octets);
        in.go_to(alias->at);
        const auto target = in.name();
        if (!target || target->empty()) return std::nullopt;
        ttl_s = std::min(ttl_s, alias->ttl_s);
        at = *target;
    }
    return std::nullopt;
}

// One record's data, added to the answer; what is malformed is left out.
void add(Answer& answer, std::string_view octets, const Record& record) {
    Reader in(octets);
    in.go_to(record.at);
    const std::string_view data = octets.substr(record.at, record.octets);
    switch (record.type) {
        case Type::a: {
            if (data.size() != 4) return;
            boost::asio::ip::address_v4::bytes_type bytes;
            std::copy(data.begin(), data.end(), bytes.begin());
            answer.addresses.emplace_back(boost::asio::ip::address_v4(bytes));
            return;
        }
        case Type::aaaa: {
            if (data.size() != 16) return;
            boost::asio::ip::address_v6::bytes_type bytes;
            std::copy(data.begin(), data.end(), bytes.begin());
            answer.addresses.emplace_back(boost::asio::ip::address_v6(bytes));
            return;
        }
        case Type::mx: {
            const std::uint16_t preference = in.number16();
            auto exchange = in.name();
            if (!exchange || in.at() != record.at + record.octets) return;
            answer.exchanges.push_back({preference, std::move(*exchange)});
            return;
        }
        case Type::txt: {
            std::string text;
            for (std::size_t at = 0; at < data.size();) {
                const auto length = static_cast<std::uint8_t>(data[at]);
                if (length > data.size() - at - 1) return;
                text += data.substr(at + 1, length);
                at += 1u + length;
            }
            answer.texts.push_back(std::move(text));
            return;
        }
        case Type::tlsa:
            if (data.size() < 4) return;
            answer.associations.push_back({static_cast<std::uint8_t>(data[0]),
                                           static_cast<std::uint8_t>(data[1]),
                                           static_cast<std::uint8_t>(data[2]), std::string(data.substr(3))});
            return;
        case Type::srv: {
            Srv srv;
            srv.priority = static_cast<std::uint16_t>(in.number16());
            srv.weight = static_cast<std::uint16_t>(in.number16());
            srv.port = static_cast<std::uint16_t>(in.number16());
            auto target = in.name();
            if (!target || in.at() != record.at + record.octets) return;
            srv.target = std::move(*target);
            answer.services.push_back(std::move(srv));
            return;
        }
        default:
            return;
    }
}

// How long it may be remembered that something is not there (RFC 2308 §5).
std::uint32_t negative_ttl(std::string_view octets, const Packet& packet) {
    const auto soa = std::ranges::find(packet.authorities, Type::soa, &Record::type);
    if (soa == packet.authorities.end()) return negative_ttl_s;
    Reader in(octets);
    in.go_to(soa->at);
    static_cast<void>(in.name());
    static_cast<void>(in.name());
    static_cast<void>(in.octets(16));  // serial, refresh, retry, expire
    const std::uint32_t minimum = in.number32();
    return in.good() ? std::min(soa->ttl_s, minimum) : negative_ttl_s;
}

Answer failed(std::string why) {
    Answer answer;
    answer.why = std::move(why);
    return answer;
}

}  // namespace

std::string_view to_string(Type type) {
    switch (type) {
        case Type::a:
            return "A";
        case Type::cname:
            return "CNAME";
        case Type::soa:
            return "SOA";
        case Type::mx:
            return "MX";
        case Type::txt:
            return "TXT";
        case Type::aaaa:
            return "AAAA";
        case Type::srv:
            return "SRV";
        case Type::tlsa:
            return "TLSA";
    }
    return "?";
}

std::size_t Answer::records() const {
    return addresses.size() + exchanges.size() + texts.size() + associations.size() + services.size();
}

Answer parse_answer(std::string_view octets, std::string_view name, Type type) {
    const auto packet = read_packet(octets);
    if (!packet) return failed("the answer is malformed");
    constexpr unsigned no_error = 0, no_such_name = 3;
    if (packet->code != no_error && packet->code != no_such_name) {
        constexpr std::array<std::string_view, 6> codes = {"", "FORMERR", "SERVFAIL",
                                                           "", "NOTIMP",  "REFUSED"};
        return failed(packet->code < codes.size() ? fmt::format("the answer is {}", codes[packet->code])
                                                  : fmt::format("the answer is error {}", packet->code));
    }
    if (packet->truncated) return failed("the answer is cut off");
    Answer answer;
    answer.authentic = packet->authentic;
    std::uint32_t ttl_s = 0x7FFFFFFF;
    auto behind = follow(octets, *packet, name, ttl_s);
    if (!behind) return failed("its aliases (CNAME) lead nowhere");
    answer.name = std::move(*behind);
    for (const Record& record : packet->answers) {
        if (record.type != type || record.owner != answer.name) continue;
        const std::size_t before = answer.records();
        add(answer, octets, record);
        if (answer.records() != before) ttl_s = std::min(ttl_s, record.ttl_s);
    }
    const bool any = answer.records() != 0;
    answer.kind = any                            ? Answer::Kind::found
                  : packet->code == no_such_name ? Answer::Kind::no_name
                                                 : Answer::Kind::no_data;
    answer.ttl_s = any ? ttl_s : std::min(ttl_s, negative_ttl(octets, *packet));
    return answer;
}

bool is_name(std::string_view name) {
    if (name.empty() || name.size() > name_octets_max) return false;
    std::size_t label = 0;
    for (const char c : name) {
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
        } else if (!is_label_character(lower(c)) || ++label > 63) {
            return false;
        }
    }
    return label != 0;
}

}  // namespace pier::dns
