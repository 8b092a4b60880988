#include "queue/entry.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "base/utf8.h"
#include "wire/ascii.h"

namespace pier::queue {

namespace json = boost::json;

namespace {

// Without letters that are easily taken for others.
constexpr std::string_view id_letters = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t id_octets = 13;
constexpr std::size_t short_reply_octets = 80;

constexpr std::array<std::string_view, 4> state_words{"waiting", "delivered", "failed", "bounced"};
constexpr std::array<std::string_view, 3> return_words{"", "full", "headers"};

Error corrupt(std::string_view what) {
    return {ErrorKind::corrupt, fmt::format("the envelope's record is damaged: {}", what)};
}

std::int64_t microseconds(Time time) {
    return time.time_since_epoch().count();
}

// ---- writing ----

// What many recipients share stands once: replies, servers and senders, each by its place in an array.
class Shared {
  public:
    std::uint64_t place_of(std::string text) {
        const auto [at, is_new] = places_.try_emplace(std::move(text), texts_.size());
        if (is_new) texts_.emplace_back(at->first);
        return at->second;
    }
    json::array take() { return std::move(texts_); }

  private:
    std::map<std::string, std::uint64_t> places_;
    json::array texts_;
};

json::object write_recipient(const Recipient& recipient, Shared& shared, std::size_t text_octets_max) {
    json::object out{{"to", recipient.to.address.local + '@' + recipient.to.address.domain},
                     {"from", shared.place_of(recipient.sender.local + '@' + recipient.sender.domain)}};
    if (recipient.to.notify != 0) out["notify"] = recipient.to.notify;
    if (!recipient.to.original.empty()) out["orcpt"] = recipient.to.original;
    if (recipient.state != State::waiting) out["state"] = to_string(recipient.state);
    if (recipient.attempts != 0) out["attempts"] = recipient.attempts;
    if (recipient.next != Time()) out["next"] = microseconds(recipient.next);
    if (recipient.reply.code != 0) {
        out["code"] = recipient.reply.code;
        if (!recipient.reply.enhanced.empty()) out["enhanced"] = clean_text(recipient.reply.enhanced, 16);
        out["text"] = shared.place_of(clean_text(recipient.reply.text, text_octets_max));
    }
    if (!recipient.server.empty()) out["server"] = shared.place_of(clean_text(recipient.server));
    if (recipient.delay_told) out["delay_told"] = true;
    if (recipient.notice_due) out["notice_due"] = true;
    return out;
}

std::string write_with(const Entry& entry, std::size_t text_octets_max) {
    Shared shared;
    json::array recipients;
    recipients.reserve(entry.recipients.size());
    for (const Recipient& recipient : entry.recipients)
        recipients.push_back(write_recipient(recipient, shared, text_octets_max));
    json::object out{{"v", entry_version},
                     {"id", to_text(entry.id)},
                     {"sender", entry.envelope.sender.local + '@' + entry.envelope.sender.domain},
                     {"arrived", microseconds(entry.arrived)},
                     {"octets", entry.octets}};
    if (entry.skipped_octets != 0) out["skipped"] = entry.skipped_octets;
    if (!entry.account.empty()) out["account"] = entry.account;
    if (entry.envelope.body_8bit) out["body_8bit"] = true;
    if (entry.envelope.utf8) out["utf8"] = true;
    if (entry.envelope.require_tls) out["require_tls"] = true;
    if (entry.envelope.ret != smtp::Return::unsaid)
        out["ret"] = return_words.at(static_cast<std::size_t>(entry.envelope.ret));
    if (!entry.envelope.id.empty()) out["envid"] = entry.envelope.id;
    if (entry.held) out["held"] = true;
    out["recipients"] = std::move(recipients);
    out["texts"] = shared.take();
    return json::serialize(out);
}

// ---- reading ----

// Reads members, and remembers the first that is wrong. An absent member leaves the value as it was.
class Reader {
  public:
    explicit Reader(const json::object& object) : object_(object) {}

    bool has(std::string_view name) const { return object_.contains(name); }
    void read(std::string_view name, std::string& out) {
        const json::value* member = object_.if_contains(name);
        if (member == nullptr) return;
        if (!member->is_string()) return fail(name);
        out = std::string_view(member->get_string());
    }
    void read(std::string_view name, bool& out) {
        const json::value* member = object_.if_contains(name);
        if (member == nullptr) return;
        if (!member->is_bool()) return fail(name);
        out = member->get_bool();
    }
    template <class Number>
    requires std::integral<Number>
    void read(std::string_view name, Number& out) {
        const json::value* member = object_.if_contains(name);
        if (member == nullptr) return;
        boost::system::error_code failed;
        const Number value = member->to_number<Number>(failed);
        if (failed || member->is_double()) return fail(name);
        out = value;
    }
    void read(std::string_view name, Time& out) {
        std::int64_t us = microseconds(out);
        read(name, us);
        out = Time(std::chrono::microseconds(us));
    }
    // Neither part of an address is looked into: it was an address when it came in.
    void read(std::string_view name, smtp::Address& out) {
        std::string text;
        read(name, text);
        split(name, text, out);
    }
    template <class Enum, std::size_t n>
    void read_word(std::string_view name, Enum& out, const std::array<std::string_view, n>& words) {
        std::string word(words.at(static_cast<std::size_t>(out)));
        read(name, word);
        const auto at = std::find(words.begin(), words.end(), word);
        if (at == words.end()) return fail(name);
        out = static_cast<Enum>(at - words.begin());
    }
    // By its place in `texts`.
    void read_shared(std::string_view name, const std::vector<std::string>& texts, std::string& out) {
        std::uint64_t place = texts.size();
        if (!has(name)) return;
        read(name, place);
        if (place >= texts.size()) return fail(name);
        out = texts[place];
    }
    void read_shared(std::string_view name, const std::vector<std::string>& texts, smtp::Address& out) {
        std::string text;
        read_shared(name, texts, text);
        split(name, text, out);
    }
    void fail(std::string_view name) {
        if (wrong_.empty()) wrong_ = fmt::format("\"{}\" is wrong", name);
    }
    const std::string& wrong() const { return wrong_; }  // "" if all were right

  private:
    void split(std::string_view name, const std::string& text, smtp::Address& out) {
        if (text.empty()) return;
        const auto at = text.rfind('@');
        if (at == std::string::npos) return fail(name);
        out.local = text.substr(0, at);
        out.domain = text.substr(at + 1);
    }

    const json::object& object_;
    std::string wrong_;
};

Recipient read_recipient(Reader& reader, const std::vector<std::string>& texts) {
    Recipient out;
    reader.read("to", out.to.address);
    if (out.to.address.empty()) reader.fail("to");
    reader.read_shared("from", texts, out.sender);
    reader.read("notify", out.to.notify);
    reader.read("orcpt", out.to.original);
    reader.read_word("state", out.state, state_words);
    reader.read("attempts", out.attempts);
    reader.read("next", out.next);
    reader.read("code", out.reply.code);
    reader.read("enhanced", out.reply.enhanced);
    reader.read_shared("text", texts, out.reply.text);
    reader.read_shared("server", texts, out.server);
    reader.read("delay_told", out.delay_told);
    reader.read("notice_due", out.notice_due);
    return out;
}

std::optional<std::vector<std::string>> read_texts(const json::object& object) {
    std::vector<std::string> texts;
    const json::value* array = object.if_contains("texts");
    if (array == nullptr || !array->is_array()) return std::nullopt;
    for (const json::value& text : array->get_array()) {
        if (!text.is_string()) return std::nullopt;
        texts.emplace_back(std::string_view(text.get_string()));
    }
    return texts;
}

Result<json::object> parse(std::string_view value) {
    boost::system::error_code failed;
    json::value parsed = json::parse(value, failed);
    if (failed || !parsed.is_object()) return corrupt("it is no JSON object");
    const json::value* version = parsed.get_object().if_contains("v");
    if (version == nullptr || !version->is_int64()) return corrupt("it has no version");
    if (version->get_int64() != entry_version)
        return Error{ErrorKind::corrupt, fmt::format("the envelope's record has version {}, and this program "
                                                     "knows {}: run the newer program",
                                                     version->get_int64(), entry_version)};
    return std::move(parsed.get_object());
}

}  // namespace

std::string to_text(Id id) {
    auto number = static_cast<std::uint64_t>(id);
    std::string text(id_octets, '0');
    for (std::size_t i = id_octets; i-- > 0; number >>= 5)
        text[i] = id_letters[number & 31];
    return text;
}

std::optional<Id> parse_id(std::string_view text) {
    if (text.size() != id_octets) return std::nullopt;
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < id_octets; ++i) {
        const auto digit = id_letters.find(text[i]);
        if (digit == std::string_view::npos || (i == 0 && digit > 15)) return std::nullopt;
        number = number << 5 | digit;
    }
    return Id{number};
}

std::string_view to_string(State state) {
    return state_words.at(static_cast<std::size_t>(state));
}

bool Recipient::operator==(const Recipient& other) const {
    return to == other.to && sender == other.sender && state == other.state && attempts == other.attempts &&
           reply.code == other.reply.code && reply.enhanced == other.reply.enhanced &&
           reply.text == other.reply.text && server == other.server && next == other.next &&
           delay_told == other.delay_told && notice_due == other.notice_due;
}

bool Entry::finished() const {
    return !recipients.empty() &&
           std::all_of(recipients.begin(), recipients.end(), [](const Recipient& r) { return r.finished(); });
}

std::string write_entry(const Entry& entry) {
    std::string out = write_with(entry, reply_octets_max);
    if (out.size() > entry_octets_max) out = write_with(entry, short_reply_octets);
    return out;
}

Result<Entry> read_entry(std::string_view value) {
    const auto object = parse(value);
    if (!object) return object.error();
    Entry out;
    Reader reader(*object);
    std::string id;
    reader.read("id", id);
    const auto parsed = parse_id(id);
    if (!parsed) return corrupt("\"id\" is wrong");
    out.id = *parsed;
    reader.read("sender", out.envelope.sender);
    reader.read("arrived", out.arrived);
    reader.read("octets", out.octets);
    reader.read("skipped", out.skipped_octets);
    reader.read("account", out.account);
    reader.read("body_8bit", out.envelope.body_8bit);
    reader.read("utf8", out.envelope.utf8);
    reader.read("require_tls", out.envelope.require_tls);
    reader.read_word("ret", out.envelope.ret, return_words);
    reader.read("envid", out.envelope.id);
    reader.read("held", out.held);
    if (!reader.wrong().empty()) return corrupt(reader.wrong());

    const auto texts = read_texts(*object);
    if (!texts) return corrupt("\"texts\" is wrong");
    const json::value* recipients = object->if_contains("recipients");
    if (recipients == nullptr || !recipients->is_array()) return corrupt("\"recipients\" is wrong");
    for (const json::value& recipient : recipients->get_array()) {
        if (!recipient.is_object()) return corrupt("\"recipients\" is wrong");
        Reader inner(recipient.get_object());
        out.recipients.push_back(read_recipient(inner, *texts));
        if (!inner.wrong().empty()) return corrupt(inner.wrong());
    }
    return out;
}

std::string clean_text(std::string_view text, std::size_t octets_max) {
    std::string out;
    while (!text.empty()) {
        std::size_t length = utf8_length(text);
        const bool bad =
            length == 0 || static_cast<unsigned char>(text.front()) < 0x20 || text.front() == 0x7F;
        length = std::max<std::size_t>(length, 1);
        if (out.size() + length > octets_max) break;
        if (bad)
            out += '?';
        else
            out += text.substr(0, length);
        text.remove_prefix(length);
    }
    return out;
}

std::string destination_of(const smtp::Address& address) {
    return wire::ascii_lower(address.domain);
}

std::vector<Part> parts_of(const Entry& entry, std::string_view one_destination) {
    std::vector<Part> parts;
    // The part that takes more of the same destination and sender.
    std::map<std::pair<std::string, std::string>, std::size_t> open;
    for (std::size_t i = 0; i < entry.recipients.size(); ++i) {
        const Recipient& recipient = entry.recipients[i];
        std::string destination =
            one_destination.empty() ? destination_of(recipient.to.address) : std::string(one_destination);
        const auto [at, is_new] = open.try_emplace(
            {destination, recipient.sender.local + '@' + recipient.sender.domain}, parts.size());
        if (is_new || parts[at->second].recipients.size() == job_recipients_max) {
            at->second = parts.size();
            parts.push_back({std::move(destination), {}});
        }
        parts[at->second].recipients.push_back(i);
    }
    return parts;
}

}  // namespace pier::queue
