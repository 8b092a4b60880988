#include "queue/notice.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/utf8.h"
#include "wire/ascii.h"

namespace pier::queue {
namespace {

constexpr std::size_t header_octets_max = 64 << 10;  // of the original's header, brought back
constexpr std::size_t text_width = 76;
constexpr std::size_t recipients_in_text_max = 20;  // the machine-readable part has all

bool is_ascii(std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](char c) { return static_cast<unsigned char>(c) > 0x7F; });
}

// A field of the delivery status: one line, and ASCII unless the message is internationalized.
std::string field_text(std::string_view text, bool utf8) {
    std::string out = clean_text(text, 900);
    if (!utf8)
        std::replace_if(
            out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) > 0x7F; }, '?');
    return out;
}

// Appends `text` in lines of at most text_width, each behind `indent`.
void append_wrapped(std::string& out, std::string_view text, std::string_view indent = "") {
    std::string line(indent);
    const auto flush = [&] {
        out += line + "\r\n";
        line = indent;
    };
    while (!text.empty()) {
        const auto space = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, space);
        const bool first = line.size() == indent.size();
        if (!first && line.size() + 1 + word.size() > text_width) flush();
        if (line.size() != indent.size()) line += ' ';
        line += word;
        text.remove_prefix(std::min(space + 1, text.size()));
    }
    flush();
}

std::string_view header_of(std::string_view message) {
    const auto end = message.starts_with("\r\n") ? 0 : message.find("\r\n\r\n");
    if (end != std::string_view::npos) return message.substr(0, end == 0 ? 0 : end + 2);
    // It is longer than what is known of it: up to its last whole line.
    const auto last = message.rfind("\r\n");
    return message.substr(0, last == std::string_view::npos ? 0 : last + 2);
}

// The value of Message-ID, if it is a plain one.
std::string_view message_id_of(std::string_view header) {
    constexpr std::string_view name = "message-id:";
    while (!header.empty()) {
        const auto end = std::min(header.find("\r\n"), header.size());
        std::string_view line = header.substr(0, end);
        header.remove_prefix(std::min(end + 2, header.size()));
        if (!wire::ascii_starts_with(line, name)) continue;
        const auto open = line.find('<'), close = line.find('>');
        if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
        const std::string_view id = line.substr(open, close - open + 1);
        const bool plain = std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7F; });
        return plain && id.size() <= 500 ? id : std::string_view{};
    }
    return {};
}

std::string status_of(const smtp::Reply& reply, NoticeKind kind) {
    if (kind == NoticeKind::relayed || kind == NoticeKind::delivered) return "2.0.0";
    const char digit = kind == NoticeKind::failed ? '5' : '4';
    const std::string& e = reply.enhanced;
    const bool good = e.size() >= 5 && e.size() <= 9 && (e[0] == '4' || e[0] == '5') && e[1] == '.' &&
                      e.find_first_not_of("0123456789.") == std::string::npos;
    return good ? e : fmt::format("{}.0.0", digit);
}

std::string_view host_of(std::string_view server) {
    return server.substr(0, server.find(' '));
}

std::string reply_text(const smtp::Reply& reply) {
    std::string out = fmt::to_string(reply.code);
    if (!reply.enhanced.empty()) out += ' ' + reply.enhanced;
    if (!reply.text.empty()) out += ' ' + reply.text;
    return out;
}

class Writer {
  public:
    Writer(const Entry& entry, const NoticeFacts& facts, std::string_view original,
           const NoticeSettings& settings)
        : entry_(entry),
          facts_(facts),
          settings_(settings),
          utf8_(entry.envelope.utf8),
          whole_(bring_back(entry, facts.kind, settings) == BringBack::whole),
          header_(header_of(original)),
          original_(whole_ ? original : header_) {}

    Notice write() {
        boundary_ = "=_pier_" + facts_.unique;
        while (original_.find(boundary_) != std::string_view::npos)
            boundary_ += '_';
        write_header();
        write_text();
        write_status();
        write_original();
        Notice notice;
        notice.octets = std::move(out_);
        notice.envelope.utf8 = utf8_;
        notice.envelope.body_8bit = !is_ascii(notice.octets);
        // RFC 8689 §5: what was to be kept secret on its way there is on its way back, too.
        notice.envelope.require_tls = entry_.envelope.require_tls;
        notice.envelope.recipients.push_back({entry_.envelope.sender, smtp::notify::never, ""});
        return notice;
    }

  private:
    std::string_view subject() const {
        switch (facts_.kind) {
            case NoticeKind::failed:
                return "Your message could not be delivered";
            case NoticeKind::delayed:
                return "Your message is delayed";
            case NoticeKind::relayed:
                return "Your message was passed on";
            case NoticeKind::delivered:
                break;
        }
        return "Your message was delivered";
    }

    void write_header() {
        out_ += fmt::format("From: \"Mail delivery\" <MAILER-DAEMON@{}>\r\n", settings_.hostname);
        out_ += fmt::format("To: <{}>\r\n", field_text(entry_.envelope.sender.text(), utf8_));
        out_ += fmt::format("Subject: {}\r\n", subject());
        out_ += fmt::format("Date: {}\r\n", to_rfc5322(facts_.now));
        out_ +=
            fmt::format("Message-ID: <{}.{}@{}>\r\n", to_text(entry_.id), facts_.unique, settings_.hostname);
        if (const auto id = message_id_of(header_); !id.empty())
            out_ += fmt::format("In-Reply-To: {0}\r\nReferences: {0}\r\n", id);
        out_ += "Auto-Submitted: auto-replied\r\n";  // RFC 3834 §5
        out_ += "MIME-Version: 1.0\r\n";
        out_ += fmt::format(
            "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{}\"\r\n",
            boundary_);
        if (!is_ascii(original_) || utf8_) out_ += "Content-Transfer-Encoding: 8bit\r\n";
        out_ += "\r\n";
    }

    void begin_part(std::string_view type, bool is_8bit) {
        out_ += fmt::format("--{}\r\nContent-Type: {}\r\n", boundary_, type);
        if (is_8bit) out_ += "Content-Transfer-Encoding: 8bit\r\n";
        out_ += "\r\n";
    }

    void write_text() {
        begin_part(utf8_ ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", utf8_);
        append_wrapped(out_, opening());
        out_ += "\r\n";
        const std::size_t shown = std::min(facts_.recipients.size(), recipients_in_text_max);
        for (std::size_t i = 0; i < shown; ++i)
            write_recipient_text(entry_.recipients.at(facts_.recipients[i]));
        if (const auto more = facts_.recipients.size() - shown; more != 0)
            append_wrapped(
                out_, fmt::format("... and {} more recipients, who are named in the attached report.", more));
        append_wrapped(out_, fmt::format("The message came here on {} and has the number {}. {}",
                                         to_rfc5322(entry_.arrived), to_text(entry_.id),
                                         whole_ ? "It is attached." : "Its header is attached."));
        out_ += "\r\n";
    }

    std::string opening() const {
        const std::string me = fmt::format("This is the mail server {}.", settings_.hostname);
        switch (facts_.kind) {
            case NoticeKind::failed:
                return me +
                       " Your message could not be delivered to the recipients below, and it will not be "
                       "tried again.";
            case NoticeKind::delayed:
                return me + fmt::format(
                                " Your message has not been delivered to the recipients below yet. It "
                                "will be tried again until {}; you need not send it again.",
                                to_rfc5322(facts_.given_up));
            case NoticeKind::relayed:
                return me +
                       " Your message was passed on to the servers of the recipients below. They do not say "
                       "whether they have delivered it, so there may be no further notice.";
            case NoticeKind::delivered:
                break;
        }
        return me + " Your message is in the mailboxes of the recipients below.";
    }

    void write_recipient_text(const Recipient& recipient) {
        out_ += fmt::format("  {}\r\n", field_text(recipient.to.address.text(), utf8_));
        if (facts_.kind == NoticeKind::delivered) {
            // That he is named is all there is to say.
        } else if (facts_.kind == NoticeKind::relayed) {
            append_wrapped(out_, fmt::format("Taken by {}.", field_text(recipient.server, utf8_)), "    ");
        } else {
            append_wrapped(out_, explain(recipient.reply), "    ");
            const std::string said = field_text(reply_text(recipient.reply), utf8_);
            if (!recipient.server.empty())
                append_wrapped(
                    out_, fmt::format("{} has said: {}", field_text(recipient.server, utf8_), said), "    ");
            else if (recipient.reply.code != 0)
                append_wrapped(out_, fmt::format("The cause: {}", said), "    ");
        }
        out_ += "\r\n";
    }

    std::string typed_address(const smtp::Address& address) const {
        const std::string text = address.text();
        return fmt::format("{}; {}", is_ascii(text) ? "rfc822" : "utf-8", text);
    }

    void write_status() {
        begin_part(utf8_ ? "message/global-delivery-status" : "message/delivery-status", utf8_);
        out_ += fmt::format("Reporting-MTA: dns; {}\r\n", settings_.hostname);
        if (!entry_.envelope.id.empty())
            out_ += fmt::format("Original-Envelope-Id: {}\r\n",
                                field_text(decode_xtext(entry_.envelope.id), utf8_));
        out_ += fmt::format("Arrival-Date: {}\r\n", to_rfc5322(entry_.arrived));
        for (const std::size_t index : facts_.recipients)
            write_recipient_status(entry_.recipients.at(index));
        out_ += "\r\n";
    }

    void write_recipient_status(const Recipient& recipient) {
        out_ += "\r\n";
        if (const std::string& original = recipient.to.original; !original.empty()) {
            const auto colon = std::min(original.find(';'), original.size());
            out_ += fmt::format(
                "Original-Recipient: {}; {}\r\n", field_text(original.substr(0, colon), false),
                field_text(
                    decode_xtext(std::string_view(original).substr(std::min(colon + 1, original.size()))),
                    utf8_));
        }
        out_ +=
            fmt::format("Final-Recipient: {}\r\n", field_text(typed_address(recipient.to.address), utf8_));
        out_ += fmt::format("Action: {}\r\n", to_string(facts_.kind));
        out_ += fmt::format("Status: {}\r\n", status_of(recipient.reply, facts_.kind));
        if (!recipient.server.empty()) {
            out_ += fmt::format("Remote-MTA: dns; {}\r\n", field_text(host_of(recipient.server), utf8_));
            if (recipient.reply.code != 0)
                out_ += fmt::format("Diagnostic-Code: smtp; {}\r\n",
                                    field_text(reply_text(recipient.reply), utf8_));
        }
        out_ += fmt::format("Last-Attempt-Date: {}\r\n", to_rfc5322(facts_.now));
        if (facts_.kind == NoticeKind::delayed)
            out_ += fmt::format("Will-Retry-Until: {}\r\n", to_rfc5322(facts_.given_up));
    }

    void write_original() {
        const bool is_8bit = utf8_ || !is_ascii(original_);
        if (whole_)
            begin_part(utf8_ ? "message/global" : "message/rfc822", is_8bit);
        else
            begin_part(utf8_ ? "message/global-headers" : "text/rfc822-headers", is_8bit);
        out_ += original_;
        if (!original_.ends_with("\r\n")) out_ += "\r\n";
        out_ += fmt::format("\r\n--{}--\r\n", boundary_);
    }

    const Entry& entry_;
    const NoticeFacts& facts_;
    const NoticeSettings& settings_;
    const bool utf8_, whole_;
    const std::string_view header_, original_;
    std::string boundary_, out_;
};

struct Explanation {
    std::string_view status;  // behind the first digit and its dot; one that ends in '.' is a prefix
    std::string_view text;
};

// RFC 3463 §3, and RFC 7505, RFC 6531, RFC 8689 for single ones.
constexpr Explanation explanations[] = {
    {"1.1",
     "There is no mailbox of that name. Look whether the address is written correctly, or ask the "
     "recipient for the present one."},
    {"1.2", "There is no such domain. Look whether what stands behind the @ is written correctly."},
    {"1.3", "The other server does not take this for an address. Look whether it is written correctly."},
    {"1.6", "The mailbox has moved, and nobody knows where. Ask the recipient for the new address."},
    {"1.10", "This domain takes no mail at all. Look whether what stands behind the @ is written correctly."},
    {"1.7", "The other server refuses your address as the sender's. Ask your administrator."},
    {"1.8", "The other server refuses your address as the sender's. Ask your administrator."},
    {"2.1", "The mailbox is closed. Try to reach the recipient another way."},
    {"2.2", "The recipient's mailbox is full. Try again later, or reach the recipient another way."},
    {"2.3", "The message is too large for the recipient's mailbox. Send it in parts, or as a link."},
    {"3.4", "The message is too large for the other server. Send it in parts, or as a link."},
    {"4.1", "The other server does not answer. It may be out of order, or not reachable at present."},
    {"4.3", "The domain name system could not say where this domain's mail goes."},
    {"4.4",
     "It is not known where this domain's mail goes. Look whether what stands behind the @ is written "
     "correctly."},
    {"4.6", "The message goes round in circles. The recipient's administrator has to look at it."},
    {"4.7",
     "It was tried again and again, for as long as this server tries, without success. Send it again "
     "later, or reach the recipient another way."},
    {"6.7",
     "The other server cannot take addresses or headers with letters beyond ASCII. Ask the recipient "
     "for another address."},
    {"7.10", "The connection to the other server would not be safe enough for this message."},
    {"7.30", "The message may be sent over safe connections only, and the other server offers none."},
    {"7.",
     "The other server refuses the message by its own rules. What it has said may tell why; its "
     "administrator can help, and so can yours."},
    {"1.", "The other server does not know the address. Look whether it is written correctly."},
    {"2.", "The other server could not put the message into the mailbox."},
    {"3.", "The other server cannot take the message at present, or not such a message."},
    {"4.", "The connection to the other server does not work as it should."},
    {"5.", "The other server does not speak as it should."},
    {"6.", "The other server cannot take the message as it is written."},
};

}  // namespace

std::string_view to_string(NoticeKind kind) {
    static constexpr std::array<std::string_view, 4> words{"failed", "delayed", "relayed", "delivered"};
    return words.at(static_cast<std::size_t>(kind));
}

std::string explain(const smtp::Reply& reply) {
    if (reply.enhanced.size() > 2) {
        const std::string_view status = std::string_view(reply.enhanced).substr(2);
        for (const auto& [known, text] : explanations)
            if (known == status || (known.ends_with('.') && status.starts_with(known)))
                return std::string(text);
    }
    if (reply.code == 552) return std::string("The message is too large, or the mailbox is full.");
    if (reply.code == 550 || reply.code == 551 || reply.code == 553)
        return std::string(
            "The other server does not take mail for this address. Look whether it is written "
            "correctly.");
    if (reply.code / 100 == 5) return std::string("The other server does not take the message.");
    return std::string("The other server does not take the message at present.");
}

BringBack bring_back(const Entry& entry, NoticeKind kind, const NoticeSettings& settings) {
    const bool whole = kind == NoticeKind::failed && entry.envelope.ret != smtp::Return::headers &&
                       entry.octets <= settings.original_octets_max;
    return whole ? BringBack::whole : BringBack::header;
}

std::size_t original_octets_needed(const Entry& entry, NoticeKind kind, const NoticeSettings& settings) {
    if (bring_back(entry, kind, settings) == BringBack::whole) return settings.original_octets_max;
    return header_octets_max;
}

Notice write_notice(const Entry& entry, const NoticeFacts& facts, std::string_view original,
                    const NoticeSettings& settings) {
    return Writer(entry, facts, original, settings).write();
}

bool wants_notice(const smtp::Envelope::Recipient& recipient, NoticeKind kind) {
    if ((recipient.notify & smtp::notify::never) != 0) return false;
    switch (kind) {
        case NoticeKind::failed:
            return recipient.notify == 0 || (recipient.notify & smtp::notify::failure) != 0;
        case NoticeKind::delayed:
            return recipient.notify == 0 || (recipient.notify & smtp::notify::delay) != 0;
        case NoticeKind::relayed:
        case NoticeKind::delivered:
            break;
    }
    return (recipient.notify & smtp::notify::success) != 0;
}

std::string decode_xtext(std::string_view text) {
    const auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '+') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? digit(text[i + 1]) : -1;
        const int low = high >= 0 ? digit(text[i + 2]) : -1;
        if (low < 0) return std::string(text);
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

}  // namespace pier::queue
