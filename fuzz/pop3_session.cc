// Feeds a POP3 session with arbitrary octets in arbitrary pieces, and with arbitrary answers of the driver.
// Four octets choose the circumstances, the rest is what the client sends; so the corpus reads like
// dialogues.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "fuzz/require.h"
#include "pop3/session.h"
#include "wire/ascii.h"

namespace {

using namespace pier;
using fuzz::require;

class ThreeMails final : public pop3::Maildrop {
  public:
    std::size_t messages() const override { return 3; }
    std::uint64_t octets() const override { return 1 + 2 + (std::uint64_t{1} << 40); }
    std::uint64_t octets(std::size_t index) const override {
        require(index < 3, "octets() of a message that is not there");
        return index < 2 ? index + 1 : std::uint64_t{1} << 40;
    }
    void append_uidl(std::size_t index, std::string& out) const override {
        require(index < 3, "append_uidl() of a message that is not there");
        out += "uid-" + std::to_string(index);
    }
};

struct Circumstances {
    std::uint8_t facts = 0, answers = 0, block_octets = 0, event = 0;

    bool small_limits() const { return facts & 8; }
};

// Plays one session; returns all that was written.
class Driver {
  public:
    Driver(const Circumstances& circumstances, std::string_view input) : c_(circumstances), input_(input) {
        if (c_.small_limits()) limits_ = {20, 40, 64, 3, 2};
        if (!(c_.facts & 16)) limits_.bad_commands_max = SIZE_MAX;
    }

    std::string play(std::size_t block_octets) {
        pop3::Session session(limits_, {.tls_active = tls(),
                                        .sasl = sasl(),
                                        .tls_available = (c_.facts & 2) != 0,
                                        .clear_login_allowed = (c_.facts & 4) != 0,
                                        .xclient = (c_.facts & 64) != 0});
        bool just_tls = false;
        for (std::size_t turn = 0;; ++turn) {
            require(turn < 100'000, "the session makes progress");
            pop3::Action action = session.next();
            const bool input = std::holds_alternative<pop3::NeedInput>(action);
            require(!just_tls || input, "behind STLS the session waits for what comes inside TLS");
            just_tls = false;
            if (std::holds_alternative<pop3::Close>(action)) break;
            if (input) {
                give_input(session, block_octets);
            } else if (std::holds_alternative<pop3::StartTls>(action)) {
                require(!tls_started_ && !tls(), "TLS starts once");
                require(session.state() == pop3::Session::State::authorization, "TLS starts before login");
                tls_started_ = just_tls = true;
                session.on_tls(sasl());
            } else {
                answer(session, action);
            }
        }
        require(std::holds_alternative<pop3::Close>(session.next()), "closed is closed");
        return std::move(output_);
    }

  private:
    bool tls() const { return c_.facts & 1; }
    wire::SaslOffer sasl() const {
        static const wire::SaslTokenSource source{"scope", "https://issuer.example/"};
        wire::SaslOffer offer;
        if (c_.facts & 32) offer.channel = wire::SaslChannel::bindable;
        if (c_.facts & 128) offer.tokens = &source;
        offer.certificate = offer.tokens != nullptr;
        return offer;
    }

    void give_input(pop3::Session& session, std::size_t block_octets) {
        if (c_.event != 0 && ++inputs_ == (c_.event & 127)) {
            if (c_.event & 128) return session.on_shutdown();
            input_ = {};
        }
        if (input_.empty()) return session.on_eof();
        const std::string_view block = input_.substr(0, block_octets);
        input_.remove_prefix(block.size());
        given_.append(block);
        session.on_bytes(block);
    }

    void answer(pop3::Session& session, pop3::Action& action) {
        if (const auto* write = std::get_if<pop3::Write>(&action)) {
            check_text(write->text);
            output_ += write->text;
        } else if (const auto* client = std::get_if<pop3::Introduce>(&action)) {
            require(c_.facts & 64, "only who is believed introduces somebody");
            introduce(session, *client);
        } else if (const auto* keys = std::get_if<pop3::NeedKeys>(&action)) {
            check_login_allowed();
            static const wire::ScramKeys sha1 = wire::derive_scram_keys(wire::ScramHash::sha1, "p", "s", 1);
            static const wire::ScramKeys sha256 =
                wire::derive_scram_keys(wire::ScramHash::sha256, "p", "s", 1);
            session.on_keys(keys->hash == wire::ScramHash::sha1 ? sha1 : sha256, "n",
                            keys->channel_binding.empty() ? "" : "b");
        } else if (const auto* wrong = std::get_if<pop3::WrongProof>(&action)) {
            require(!wrong->user.empty(), "a wrong proof is somebody's");
        } else if (const auto* login = std::get_if<pop3::Login>(&action)) {
            check_login_allowed();
            require(!login->user.empty(), "a login names a user");
            log_in(session);
        } else if (const auto* token = std::get_if<pop3::TokenLogin>(&action)) {
            check_login_allowed();
            require(sasl().tokens != nullptr && !token->token.empty(), "a token where tokens are taken");
            log_in(session);
        } else if (std::holds_alternative<pop3::CertificateLogin>(action)) {
            check_login_allowed();
            require(sasl().certificate && !introduced_, "a certificate was shown");
            log_in(session);
        } else if (auto* mail = std::get_if<pop3::SendMail>(&action)) {
            require(session.state() == pop3::Session::State::transaction, "mail is sent in TRANSACTION");
            require(mail->index < 3, "a message that is there");
            check_text(mail->reply);
            send_mail(session, *mail);
        } else {
            const auto& removal = std::get<pop3::Remove>(action);
            require(session.state() == pop3::Session::State::update, "messages are removed in UPDATE");
            require(wire::ascii_upper(given_).find("QUIT") != std::string::npos, "nothing goes without QUIT");
            require(!std::exchange(removed_, true), "messages are removed once");
            require(!removal.indexes.empty() && std::ranges::is_sorted(removal.indexes) &&
                        removal.indexes.back() < 3,
                    "messages that are there, in order");
            session.on_removed(c_.answers & 64 ? 1 : 0);
        }
    }

    void check_login_allowed() const {
        require(tls() || tls_started_ || introduced_tls_ || (c_.facts & 4), "no login in clear text");
    }

    void introduce(pop3::Session& session, const pop3::Introduce& client) {
        require(session.state() == pop3::Session::State::authorization,
                "clients are introduced before login");
        const auto how = static_cast<pop3::Introduced::How>(client.address.size() % 3);
        if (how == pop3::Introduced::How::welcome) {
            introduced_tls_ = client.tls;
            introduced_ = true;
        }
        session.on_introduced({how, tls() || tls_started_ || introduced_tls_, (c_.facts & 4) != 0});
    }

    void log_in(pop3::Session& session) {
        using Why = pop3::LoginRefused::Why;
        const unsigned answer = c_.answers & 7;
        if (answer >= 1 && answer <= 5) {
            session.on_login(
                pop3::LoginRefused{static_cast<Why>(answer - 1), "no\r\n+OK y\xC3\xBCs \xC2\x85\xFF", {}});
            require(session.state() == pop3::Session::State::authorization, "a refused login is none");
        } else {
            session.on_login(std::make_shared<ThreeMails>());
            require(session.state() == pop3::Session::State::transaction && !session.user().empty(),
                    "a login that was granted leads to TRANSACTION");
        }
    }

    void send_mail(pop3::Session& session, const pop3::SendMail& mail) {
        const unsigned answer = c_.answers >> 3 & 7;
        if (answer == 1) return session.on_mail_sent(pop3::MailRefused{true, "not\nnow"});
        if (answer == 2) return session.on_mail_sent(pop3::MailRefused{false, "never"});
        if (answer == 3) return session.on_mail_sent(pop3::MailBroken{});
        output_ += mail.reply + "message " + std::to_string(mail.index) + "\r\n.\r\n";
        session.on_mail_sent(pop3::MailSent{});
    }

    // Whole lines, without a control character that came from outside; and not too much at once.
    void check_text(std::string_view text) const {
        require(!text.empty(), "an empty write");
        require(text.size() <= limits_.output_octets_max + 4096, "a bounded write");
        require(text.ends_with("\r\n"), "whole lines");
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\r') {
                require(text[i + 1] == '\n', "no lone CR");
            } else if (text[i] == '\n') {
                require(i > 0 && text[i - 1] == '\r', "no bare LF");
            } else {
                const bool ascii = text[i] >= ' ' && text[i] <= '~';
                require(ascii || ((text[i] & 0x80) != 0 && may_be_utf8()), "printable ASCII, unless asked");
                require(!text.substr(i).starts_with("\xC2\x85"), "no control character of UTF-8");
            }
        }
        require(is_utf8(text), "UTF-8");
    }

    bool may_be_utf8() const {
        const std::string said = wire::ascii_upper(given_);
        return said.find("UTF8") != std::string::npos || said.find("LANG") != std::string::npos;
    }

    Circumstances c_;
    pop3::Limits limits_;
    std::string_view input_;
    std::string given_, output_;
    std::size_t inputs_ = 0;
    bool tls_started_ = false, introduced_tls_ = false, introduced_ = false, removed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4 || size > 65536) return 0;
    const Circumstances circumstances{data[0], data[1], data[2], data[3]};
    const std::string_view input = fuzz::text_of(data + 4, size - 4);
    const std::size_t block_octets = circumstances.block_octets ? circumstances.block_octets : SIZE_MAX;
    const std::string output = Driver(circumstances, input).play(block_octets);

    // Where octets are cut must not matter; except behind STLS, and where an event counts the pieces.
    const bool stls = (circumstances.facts & 3) == 2;
    if (!stls && circumstances.event == 0) {
        require(output == Driver(circumstances, input).play(1), "the same octets give the same answers");
    }
    return 0;
}
