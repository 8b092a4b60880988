// DNS packets for tests, octet by octet.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pier::dns::test {

inline std::string number16(unsigned value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value)};
}
inline std::string number32(std::uint32_t value) {
    return number16(value >> 16) + number16(value & 0xFFFF);
}

// "mx.example" as labels, without compression.
inline std::string name(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::string_view label = text.substr(0, text.find('.'));
        out += static_cast<char>(label.size());
        out += label;
        text.remove_prefix(label.size() == text.size() ? text.size() : label.size() + 1);
    }
    return out + '\0';
}

inline std::string record(std::string_view owner, unsigned type, std::uint32_t ttl_s, std::string_view data) {
    return name(owner) + number16(type) + number16(1) + number32(ttl_s) +
           number16(static_cast<unsigned>(data.size())) + std::string(data);
}

struct Packet {
    unsigned flags = 0x81A0;  // an answer, recursion desired and available, AD
    unsigned id = 0;
    std::string question = {};  // name, type, class
    unsigned answer_count = 0, authority_count = 0;
    std::string answers = {}, authorities = {};

    Packet& add(std::string_view owner, unsigned type, std::uint32_t ttl_s, std::string_view data) {
        ++answer_count;
        answers += record(owner, type, ttl_s, data);
        return *this;
    }
    Packet& soa(std::uint32_t ttl_s, std::uint32_t minimum) {
        ++authority_count;
        authorities +=
            record("example", 6, ttl_s,
                   name("ns.example") + name("root.example") + std::string(16, '\1') + number32(minimum));
        return *this;
    }
    std::string text() const {
        return number16(id) + number16(flags) + number16(question.empty() ? 0 : 1) + number16(answer_count) +
               number16(authority_count) + number16(0) + question + answers + authorities;
    }
};

}  // namespace pier::dns::test
