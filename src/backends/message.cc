#include "backends/message.h"

#include <type_traits>

#include "auth/password.h"

namespace pier::backends {
namespace {

template <class Number>
void put(std::string& out, Number number) {
    for (std::size_t i = 0; i < sizeof number; ++i)
        out.push_back(static_cast<char>((number >> (8 * i)) & 0xFF));
}

// Takes numbers and texts off the front; once something is missing all that follows is empty.
class Cursor {
  public:
    explicit Cursor(std::string_view rest) : rest_(rest) {}

    template <class Number>
    Number number() {
        const std::string_view octets = text(sizeof(Number));
        Number out = 0;
        for (std::size_t i = 0; i < octets.size(); ++i)
            out = static_cast<Number>(
                out |
                static_cast<Number>(static_cast<Number>(static_cast<unsigned char>(octets[i])) << (8 * i)));
        return out;
    }
    std::string_view text(std::size_t octets) {
        if (octets > rest_.size()) {
            good_ = false;
            rest_ = {};
            return {};
        }
        const std::string_view out = rest_.substr(0, octets);
        rest_.remove_prefix(octets);
        return out;
    }
    bool good() const { return good_; }
    bool at_end() const { return good_ && rest_.empty(); }

  private:
    std::string_view rest_;
    bool good_ = true;
};

Error too_large() {
    return {ErrorKind::invalid, "a message to a worker process is too large"};
}
Error corrupt() {
    return {ErrorKind::corrupt, "a message of a worker process cannot be read"};
}

}  // namespace

Fields::Fields(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
    for (const auto& [name, value] : fields)
        add(name, value);
}

Fields::~Fields() {
    for (auto& [name, value] : fields_)
        auth::wipe(value);
}

Fields& Fields::operator=(Fields&& other) noexcept {
    fields_.swap(other.fields_);
    return *this;
}

void Fields::add(std::string_view name, std::string_view value) {
    // Attack: a vector that grows by itself leaves copies of short secrets behind.
    if (fields_.size() == fields_.capacity()) {
        std::vector<std::pair<std::string, std::string>> larger;
        larger.reserve(fields_.size() * 2 + 8);
        for (auto& [old_name, old_value] : fields_) {
            larger.emplace_back(old_name, old_value);
            auth::wipe(old_value);
        }
        fields_ = std::move(larger);
    }
    fields_.emplace_back(name, value);
}

std::string_view Fields::get(std::string_view name) const {
    for (const auto& field : fields_)
        if (field.first == name) return field.second;
    return {};
}

bool Fields::has(std::string_view name) const {
    for (const auto& field : fields_)
        if (field.first == name) return true;
    return false;
}

Result<std::string> encode(const Message& message) {
    std::size_t octets = sizeof(std::uint64_t) + 2 * sizeof(std::uint16_t) + message.word.size();
    for (const auto& [name, value] : message.fields.all())
        octets += sizeof(std::uint16_t) + name.size() + sizeof(std::uint32_t) + value.size();
    if (octets > message_octets_max || message.fields.all().size() > message_fields_max ||
        message.word.size() > UINT16_MAX)
        return too_large();
    std::string out;
    out.reserve(octets);  // so that no copy is left behind while it grows
    put(out, message.id);
    put(out, static_cast<std::uint16_t>(message.word.size()));
    out += message.word;
    put(out, static_cast<std::uint16_t>(message.fields.all().size()));
    for (const auto& [name, value] : message.fields.all()) {
        if (name.size() > UINT16_MAX) {
            auth::wipe(out);
            return too_large();
        }
        put(out, static_cast<std::uint16_t>(name.size()));
        out += name;
        put(out, static_cast<std::uint32_t>(value.size()));
        out += value;
    }
    return out;
}

Result<Message> decode(std::string_view octets) {
    Cursor cursor(octets);
    Message message;
    message.id = cursor.number<std::uint64_t>();
    message.word = cursor.text(cursor.number<std::uint16_t>());
    const std::size_t fields = cursor.number<std::uint16_t>();
    if (fields > message_fields_max) return corrupt();
    for (std::size_t i = 0; i < fields && cursor.good(); ++i) {
        const std::string_view name = cursor.text(cursor.number<std::uint16_t>());
        const std::string_view value = cursor.text(cursor.number<std::uint32_t>());
        message.fields.add(name, value);
    }
    if (!cursor.at_end()) return corrupt();
    return message;
}

}  // namespace pier::backends
