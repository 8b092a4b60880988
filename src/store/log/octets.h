// Numbers and texts as octets, for records and index values. Little-endian in values; big-endian in keys, so
// that they sort.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/endian/conversion.hpp>

namespace pier::store::log {

template <class T>
void put_number(std::string& out, T value) {
    value = boost::endian::native_to_little(value);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Seven bits in each octet, the lowest first; the eighth says that another one follows.
inline void put_short(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        out += static_cast<char>(value | 0x80);
    out += static_cast<char>(value);
}

template <class T>
void put_sorted(std::string& out, T value) {
    value = boost::endian::native_to_big(value);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Reads values one behind the other. After something that is not all there, ok() is false and every value is
// zero.
class OctetReader {
  public:
    explicit OctetReader(std::string_view octets) : rest_(octets) {}

    template <class T>
    T number() {
        return boost::endian::little_to_native(raw<T>());
    }
    template <class T>
    T sorted() {
        return boost::endian::big_to_native(raw<T>());
    }
    std::uint64_t short_number() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; ok_; shift += 7) {
            const auto octet = number<std::uint8_t>();
            if (shift > 63) ok_ = false;
            if (!ok_) return 0;
            value |= std::uint64_t{octet & 0x7Fu} << shift;
            if (octet < 0x80) break;
        }
        return value;
    }
    std::string_view text(std::size_t octets) {
        if (octets > rest_.size()) ok_ = false;
        if (!ok_) return {};
        const std::string_view taken = rest_.substr(0, octets);
        rest_.remove_prefix(octets);
        return taken;
    }
    std::string_view rest() const { return rest_; }
    bool ok() const { return ok_; }

  private:
    template <class T>
    T raw() {
        const std::string_view taken = text(sizeof(T));
        T value{};
        if (ok_) taken.copy(reinterpret_cast<char*>(&value), sizeof value);
        return value;
    }
    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace pier::store::log
