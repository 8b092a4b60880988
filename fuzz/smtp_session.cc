// Feeds a session of SMTP, submission or LMTP with arbitrary octets in arbitrary pieces, and with arbitrary
// answers of the driver. Four octets choose the circumstances, the rest is what the client sends; so the
// corpus reads like dialogues.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuzz/require.h"
#include "smtp/path.h"
#include "smtp/session.h"

namespace {

using namespace pier;
using fuzz::require;

struct Circumstances {
    // bit 0: small ones; bit 1: few bad commands, but hops without end; bit 2: short lines; bit 3: SMTP; bit
    // 4: with STARTTLS; bit 5: submission, if SMTP; bit 6: in TLS; bit 7: logins without TLS
    std::uint8_t limits = 0;
    std::uint8_t answers = 0;  // bits: of recipients 0-1, begin 2, chunks 3-4, end 5-6, logins and senders 7
    std::uint8_t block_octets = 0;  // of each piece; 0: all at once
    std::uint8_t event = 0;         // at which piece the end comes, or (bit 7) the shutdown; 0: never
};

constexpr std::size_t challenge_octets_max = 4096;  // of SASL, in base64

// Plays one session; play() returns all that was written, then all that was delivered.
class Driver {
  public:
    Driver(const Circumstances& circumstances, std::string_view input) : c_(circumstances), input_(input) {
        limits_.bad_commands_max = c_.limits & 2 ? 3 : SIZE_MAX;
        if (c_.limits & 1) {
            limits_.line_octets_max = 40;
            limits_.message_octets_max = 60;
            limits_.recipients_max = 2;
            limits_.output_octets_max = 64;
        }
        if (c_.limits & 4) limits_.text_line_octets_max = 30;
        if (!(c_.limits & 2)) limits_.hops_max = 3;
    }

    std::string play(std::size_t block_octets) {
        smtp::Facts facts{kind(), "mx.example.org"};
        facts.tls_available = (c_.limits & 16) != 0;
        facts.tls_active = tls_ = (c_.limits & 64) != 0;
        facts.clear_login_allowed = (c_.limits & 128) != 0;
        facts.sasl = offer();
        smtp::Session session(limits_, facts);
        for (std::size_t turn = 0;; ++turn) {
            require(turn < 200'000, "the session makes progress");
            smtp::Action action = session.next();
            if (std::holds_alternative<smtp::Close>(action)) break;
            if (std::holds_alternative<smtp::NeedInput>(action))
                give_input(session, block_octets);
            else
                answer(session, action);
        }
        require(std::holds_alternative<smtp::Close>(session.next()), "closed is closed");
        require(!open_, "a message that was begun is ended or abandoned");
        return written_ + delivered_;
    }

  private:
    bool is_smtp() const { return (c_.limits & 8) != 0; }
    bool is_submission() const { return kind() == smtp::Kind::submission; }
    smtp::Kind kind() const {
        if (!is_smtp()) return smtp::Kind::lmtp;
        return c_.limits & 32 ? smtp::Kind::submission : smtp::Kind::smtp;
    }
    static wire::SaslOffer offer() {
        static const wire::SaslTokenSource source{"mail", "https://issuer.example/"};
        wire::SaslOffer all(wire::SaslChannel::bindable);
        all.tokens = &source;
        all.certificate = true;
        return all;
    }

    void give_input(smtp::Session& session, std::size_t block_octets) {
        if (c_.event != 0 && ++inputs_ == (c_.event & 127)) {
            if (c_.event & 128) return session.on_shutdown();
            input_ = {};
        }
        if (input_.empty()) {
            gone_ = true;
            return session.on_eof();
        }
        const std::string_view block = input_.substr(0, block_octets);
        input_.remove_prefix(block.size());
        session.on_bytes(block);
    }

    void answer(smtp::Session& session, smtp::Action& action) {
        if (std::holds_alternative<smtp::AbandonMessage>(action)) {
            require(open_, "only what was begun is abandoned");
            open_ = false;
            return;
        }
        require(!gone_, "nothing is done for a client that is gone");
        if (const auto* write = std::get_if<smtp::Write>(&action)) {
            check_text(write->text);
            written_ += write->text;
        } else if (std::holds_alternative<smtp::StartTls>(action)) {
            require(is_smtp() && (c_.limits & 16) && !tls_ && !open_ && !logged_in_,
                    "TLS begins once, outside a transaction");
            tls_ = true;
            accepted_ = 0;
            session.on_tls(offer());
        } else if (log_in(session, action)) {
            return;
        } else if (const auto* sender = std::get_if<smtp::Sender>(&action)) {
            check_address(sender->address);
            require(is_submission() && logged_in_ && !open_, "only who has logged in sends as somebody");
            const bool refuse = (c_.answers & 128) && sender->address.local.size() % 2 == 1;
            session.on_sender(refuse ? std::optional(smtp::Reply{550, "5.7.1", "no\r\n250 yes"})
                                     : std::nullopt);
        } else if (const auto* recipient = std::get_if<smtp::Recipient>(&action)) {
            check_address(recipient->address);
            require(!recipient->address.text().empty(), "a recipient is somebody");
            const unsigned way = c_.answers & 3;
            const bool accept = way == 0 || (way == 1 && recipient->address.local.size() % 2 == 0);
            accepted_ += accept;
            session.on_recipient(accept ? smtp::Reply{250, "2.1.5", "ok"}
                                        : smtp::Reply{550, "5.1.1", "no\r\n250 yes"});
        } else if (const auto* begin = std::get_if<smtp::BeginMessage>(&action)) {
            begin_message(session, *begin);
        } else if (const auto* chunk = std::get_if<smtp::Chunk>(&action)) {
            keep(session, chunk->octets);
        } else {
            end_message(session);
        }
    }

    // False if it is none that belongs to a login.
    bool log_in(smtp::Session& session, const smtp::Action& action) {
        const bool refuse = (c_.answers & 128) != 0;
        const auto begun = [&] {
            require(is_submission() && !logged_in_ && !open_ && (tls_ || (c_.limits & 128)),
                    "logins are for submission, once, and where they are allowed");
        };
        using Why = smtp::LoginRefused::Why;
        const auto verdict = [&](std::string_view shown) -> std::optional<smtp::LoginRefused> {
            logged_in_ = !refuse || shown.size() % 2 == 0;
            if (logged_in_) return std::nullopt;
            return smtp::LoginRefused{static_cast<Why>(shown.size() % 3), "no\r\n235 yes"};
        };
        if (const auto* keys = std::get_if<smtp::NeedKeys>(&action)) {
            begun();
            static const wire::ScramKeys made{"salt", 4096, std::string(32, 's'), std::string(32, 'k')};
            if (refuse && keys->user.size() % 2 == 1)
                session.on_keys_refused({Why::temporary, "later"});
            else
                session.on_keys(made, "nonce", keys->user.size() % 3 == 0 ? "" : "binding");
        } else if (std::holds_alternative<smtp::WrongProof>(action)) {
            begun();
        } else if (const auto* login = std::get_if<smtp::Login>(&action)) {
            begun();
            session.on_login(verdict(login->password.value_or(login->user)));
        } else if (const auto* token = std::get_if<smtp::TokenLogin>(&action)) {
            begun();
            session.on_login(verdict(token->token));
        } else if (const auto* certificate = std::get_if<smtp::CertificateLogin>(&action)) {
            begun();
            session.on_login(verdict(certificate->authzid));
        } else {
            return false;
        }
        return true;
    }

    void begin_message(smtp::Session& session, const smtp::BeginMessage& begin) {
        const smtp::Envelope& envelope = begin.envelope;
        require(!open_, "one message at a time");
        require(!is_submission() || logged_in_, "only of who has logged in");
        require(!envelope.recipients.empty() && envelope.recipients.size() <= limits_.recipients_max,
                "a message for somebody");
        require(envelope.recipients.size() <= accepted_, "only for accepted recipients");
        require(smtp::is_host_name(begin.helo), "a name that may stand in a field");
        require(!envelope.require_tls || tls_, "TLS is demanded within TLS");
        require(envelope.id.size() <= 100, "a bounded ENVID");
        check_address(envelope.sender);
        for (const smtp::Envelope::Recipient& recipient : envelope.recipients) {
            check_address(recipient.address);
            require(recipient.original.size() <= 500, "a bounded ORCPT");
            require(recipient.notify == smtp::notify::never || !(recipient.notify & smtp::notify::never),
                    "NEVER stands alone");
            if (!envelope.utf8) {
                for (const char c : recipient.address.text() + recipient.original)
                    require(static_cast<unsigned char>(c) < 0x80, "ASCII without SMTPUTF8");
            }
        }
        if (c_.answers & 4) return session.on_begin(smtp::Reply{452, "4.3.1", "not now"});
        open_ = true;
        recipients_ = envelope.recipients.size();
        octets_.clear();
        session.on_begin(std::nullopt);
    }

    void keep(smtp::Session& session, const std::string& octets) {
        require(open_, "octets of a message");
        require(!octets.empty() && octets.size() <= 65536, "a bounded chunk");
        octets_ += octets;
        require(octets_.size() <= limits_.message_octets_max, "no more than the limit");
        const unsigned way = c_.answers >> 3 & 3;
        if (way == 1 || (way == 2 && octets_.size() > 20))
            return session.on_chunk(smtp::Reply{452, "4.3.1", "full"});
        session.on_chunk(std::nullopt);
    }

    void end_message(smtp::Session& session) {
        require(open_, "the end of a message");
        open_ = false;
        for (std::size_t i = octets_.find('\n'); i != std::string::npos; i = octets_.find('\n', i + 1))
            require(i > 0 && octets_[i - 1] == '\r', "no bare LF in a message");
        require(octets_.empty() || octets_.ends_with("\r\n"), "whole lines in a message");
        for (std::size_t i = octets_.find('\r'); is_smtp() && i != std::string::npos;
             i = octets_.find('\r', i + 1))
            require(octets_[i + 1] == '\n', "no bare CR in a message");
        delivered_ += "[message " + octets_ + "]";
        std::vector<smtp::Reply> replies;
        for (std::size_t i = 0; i < (is_smtp() ? 1 : recipients_); ++i) {
            const bool well = (c_.answers >> 5 & 3) == 0 || ((c_.answers >> 5 & 3) == 1 && i == 0);
            replies.push_back(well ? smtp::Reply{250, "2.0.0", "ok"} : smtp::Reply{452, "4.2.2", "full"});
        }
        session.on_end(std::move(replies));
    }

    static void check_address(const smtp::Address& address) {
        const std::string text = address.text();
        require(text.find_first_of("\r\n") == std::string::npos && text.find('\0') == std::string::npos,
                "an address is one line");
        if (text.empty()) return;
        const auto again = smtp::parse_address(text);
        require(again && again->local == address.local && again->domain == address.domain,
                "what is written means the same");
    }

    // Whole lines of replies, without a control character that came from outside; and not too much at once.
    void check_text(std::string_view text) const {
        require(!text.empty() && text.ends_with("\r\n"), "whole lines");
        require(text.size() <=
                    limits_.output_octets_max + challenge_octets_max + 512 * (limits_.recipients_max + 8),
                "a bounded write");
        for (std::size_t begin = 0; begin < text.size();) {
            const std::size_t end = text.find("\r\n", begin);
            const std::string_view line = text.substr(begin, end - begin);
            const std::size_t octets_max = line.starts_with("334 ") ? challenge_octets_max : 510;
            require(line.size() >= 4 && line.size() <= octets_max && line[0] >= '2' && line[0] <= '5' &&
                        (line[3] == ' ' || line[3] == '-'),
                    "a reply");
            for (const char c : line)
                require(c >= ' ' && c <= '~', "printable ASCII");
            begin = end + 2;
        }
    }

    Circumstances c_;
    smtp::Limits limits_;
    std::string_view input_;
    std::string written_, delivered_, octets_;
    std::size_t inputs_ = 0, accepted_ = 0, recipients_ = 0;
    bool open_ = false, gone_ = false, tls_ = false, logged_in_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4 || size > 65536) return 0;
    const Circumstances circumstances{data[0], data[1], data[2], data[3]};
    const std::string_view input = fuzz::text_of(data + 4, size - 4);
    const std::size_t block_octets = circumstances.block_octets ? circumstances.block_octets : SIZE_MAX;
    const std::string result = Driver(circumstances, input).play(block_octets);

    // Where octets are cut must not matter, except where an event counts the pieces, and where a message may
    // be refused for several reasons: the one met first is told (SMTP knows two: bare line ends and hops).
    // What stands behind STARTTLS ends the session.
    const bool small = circumstances.limits & 1, short_lines = circumstances.limits & 4,
               full = circumstances.answers & 24, smtp = circumstances.limits & 8,
               hops = smtp && !(circumstances.limits & 2), tls = circumstances.limits & 16;
    if (circumstances.event == 0 && !tls && small + short_lines + full + smtp + hops <= 1) {
        require(result == Driver(circumstances, input).play(1), "the same octets give the same answers");
    }
    return 0;
}
