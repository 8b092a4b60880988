#include "filter/rspamd.h"

#include <algorithm>
#include <charconv>
#include <map>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "wire/ascii.h"

namespace pier::filter {
namespace {

namespace json = boost::json;

constexpr std::size_t text_octets_max = 200;        // of what a client is told
constexpr std::size_t head_octets_max = 64 << 10;   // of an HTTP reply
constexpr std::size_t value_octets_max = 16 << 10;  // of one field to be added
constexpr std::size_t recipients_told_max = 1000;

Error invalid(std::string text) {
    return {ErrorKind::invalid, std::move(text)};
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

// Attack: a name that a client gives could end a field of ours and begin another.
void add_field(std::string& head, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    head += name;
    head += ": ";
    for (const char c : value)
        head += is_control(c) ? '?' : c;
    head += "\r\n";
}

std::string_view text_of(const json::value* value) {
    return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                  : std::string_view();
}

double number_of(const json::value* value) {
    if (value == nullptr || !value->is_number()) return 0;
    return value->to_number<double>();
}

Action action_of(std::string_view word) {
    if (word == "reject") return Action::reject;
    if (word == "greylist" || word == "soft reject") return Action::defer;
    if (word == "add header" || word == "rewrite subject" || word == "quarantine") return Action::mark;
    return Action::accept;
}

std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, text_octets_max))
        out += is_control(c) || static_cast<unsigned char>(c) >= 0x80 ? '?' : c;
    return out;
}

bool is_field_name(std::string_view name) {  // RFC 5322 §3.6.8
    return !name.empty() && name.size() <= 100 &&
           std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7F && c != ':'; });
}

// One field, folded where rspamd has folded it. What would end it early does not get in.
void add_to_message(std::string& fields, std::string_view name, std::string_view value) {
    if (!is_field_name(name) || value.size() > value_octets_max) return;
    std::string field = fmt::format("{}: ", name);
    bool at_line_end = false;
    for (const char c : value) {
        if (c == '\r' || c == '\n') {
            at_line_end = true;
            continue;
        }
        if (at_line_end) {
            // An empty line would end the header, one without a space before it begin another field.
            field += c == ' ' || c == '\t' ? "\r\n" : "\r\n\t";
            at_line_end = false;
        }
        if (c == '\t' || !is_control(c)) field += c;
    }
    field += "\r\n";
    if (fields.size() + field.size() <= fields_octets_max) fields += field;
}

// "value", {"value": …, "order": …} or an array of them (rspamd's milter headers).
void add_values(std::string& fields, std::string_view name, const json::value& value) {
    if (value.is_array()) {
        for (const json::value& one : value.get_array())
            if (!one.is_array()) add_values(fields, name, one);
    } else if (value.is_object()) {
        add_to_message(fields, name, text_of(value.get_object().if_contains("value")));
    } else {
        add_to_message(fields, name, text_of(&value));
    }
}

bool has_field(const json::object* added, std::string_view name) {
    if (added == nullptr) return false;
    return std::ranges::any_of(
        *added, [&](const auto& one) { return wire::ascii_equal(std::string_view(one.key()), name); });
}

std::string fields_of(const json::object& answer, const Verdict& verdict) {
    const json::value* milter = answer.if_contains("milter");
    const json::value* added =
        milter != nullptr && milter->is_object() ? milter->get_object().if_contains("add_headers") : nullptr;
    const json::object* named = added != nullptr && added->is_object() ? &added->get_object() : nullptr;
    std::string fields;
    if (const json::value* signature = answer.if_contains("dkim-signature"))
        add_values(fields, "DKIM-Signature", *signature);
    if (named != nullptr)
        for (const auto& [name, value] : *named)
            add_values(fields, std::string_view(name), value);
    if (verdict.action == Action::mark) {
        if (!has_field(named, "X-Spam")) add_to_message(fields, "X-Spam", "Yes");
        if (!has_field(named, "X-Spam-Status"))
            add_to_message(fields, "X-Spam-Status",
                           fmt::format("Yes, score={:.2f} required={:.2f}", verdict.score, verdict.required));
    }
    return fields;
}

}  // namespace

std::string request_head(const Question& question, std::uint64_t octets, std::string_view host) {
    std::string head = fmt::format("POST /checkv2 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", host);
    add_field(head, "Content-Length", fmt::format("{}", octets));
    add_field(head, "IP", question.ip);
    add_field(head, "Helo", question.helo);
    add_field(head, "MTA-Name", question.hostname);
    add_field(head, "MTA-Tag", "pier");
    add_field(head, "Queue-Id", question.id);
    add_field(head, "User", question.user);
    add_field(head, "TLS-Version", question.tls_version);
    add_field(head, "TLS-Cipher", question.tls_cipher);
    add_field(head, "From", fmt::format("<{}>", question.sender.text()));
    const std::size_t told = std::min(question.recipients.size(), recipients_told_max);
    for (std::size_t i = 0; i < told; ++i)
        add_field(head, "Rcpt", fmt::format("<{}>", question.recipients[i].text()));
    add_field(head, "Milter", "Yes");
    return head + "\r\n";
}

Result<Verdict> parse_verdict(std::string_view body) {
    boost::system::error_code failed;
    const json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed);
    if (failed || !parsed.is_object()) return invalid("the answer is no JSON object");
    const json::object& answer = parsed.get_object();
    if (const std::string_view error = text_of(answer.if_contains("error")); !error.empty())
        return invalid("it says: " + printable(error));
    const std::string_view action = text_of(answer.if_contains("action"));
    if (action.empty()) return invalid("the answer names no action");
    Verdict verdict;
    verdict.action = action_of(action);
    verdict.action_text = printable(action);
    verdict.score = number_of(answer.if_contains("score"));
    verdict.required = number_of(answer.if_contains("required_score"));
    if (const json::value* messages = answer.if_contains("messages"); messages && messages->is_object())
        verdict.text = printable(text_of(messages->get_object().if_contains("smtp_message")));
    verdict.fields = fields_of(answer, verdict);
    return verdict;
}

smtp::Reply refusal(const Verdict& verdict) {
    const auto text = [&](const char* otherwise) {
        return verdict.text.empty() ? std::string(otherwise) : verdict.text;
    };
    if (verdict.action == Action::reject)
        return {554, "5.7.1", text("the message looks like spam and is not taken")};
    return {451, "4.7.1", text("the message is not taken now; try again later")};
}

Result<std::optional<HttpReply>> parse_http(std::string_view octets, bool at_end) {
    const auto missing = [&]() -> Result<std::optional<HttpReply>> {
        if (at_end) return invalid("the reply is cut off");
        return std::optional<HttpReply>();
    };
    const std::size_t head_end = octets.find("\r\n\r\n");
    if (head_end == octets.npos) {
        if (octets.size() > head_octets_max) return invalid("the reply has no end of its head");
        return missing();
    }
    std::string_view head = octets.substr(0, head_end);
    HttpReply reply{.status = 0, .body = octets.substr(head_end + 4)};
    // "HTTP/1.1 200 OK"
    if (!head.starts_with("HTTP/1.") || head.size() < 12 || head[8] != ' ') return invalid("it is no HTTP/1");
    const auto status = std::from_chars(head.data() + 9, head.data() + 12, reply.status);
    if (status.ec != std::errc() || status.ptr != head.data() + 12) return invalid("it has no status");
    std::optional<std::uint64_t> length;
    for (std::size_t line = head.find("\r\n"); line != head.npos; line = head.find("\r\n")) {
        head.remove_prefix(line + 2);
        const std::string_view field = head.substr(0, head.find("\r\n"));
        const std::size_t colon = field.find(':');
        if (colon == field.npos) continue;
        const std::string_view name = field.substr(0, colon);
        std::string_view value = field.substr(colon + 1);
        while (value.starts_with(' '))
            value.remove_prefix(1);
        if (wire::ascii_equal(name, "transfer-encoding"))
            return invalid("the reply comes in chunks, which was not agreed");
        if (!wire::ascii_equal(name, "content-length")) continue;
        std::uint64_t octets_said = 0;
        const auto read = std::from_chars(value.data(), value.data() + value.size(), octets_said);
        if (read.ec != std::errc() || read.ptr != value.data() + value.size())
            return invalid("its Content-Length is no number");
        length = octets_said;
    }
    if (reply.body.size() > answer_octets_max || length.value_or(0) > answer_octets_max)
        return invalid("the reply is too long");
    if (!length) return at_end ? Result<std::optional<HttpReply>>(reply) : missing();
    if (reply.body.size() < *length) return missing();
    reply.body = reply.body.substr(0, static_cast<std::size_t>(*length));
    return std::optional(reply);
}

}  // namespace pier::filter
