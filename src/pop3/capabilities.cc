// CAPA (RFC 2449 §5): what this session can do, as it stands.
#include <string>

#include "pop3/conversation.h"

namespace pier::pop3 {

void Conversation::run_capa(const Arguments&) {
    ok("capabilities follow");
    out_ += "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE ";
    out_.append(facts_.expire_days == 0 ? "NEVER" : std::to_string(facts_.expire_days)).append("\r\n");
    if (facts_.login_delay_s != 0)
        out_.append("LOGIN-DELAY ").append(std::to_string(facts_.login_delay_s)).append("\r\n");
    // RFC 6856 §2: USER says that names and passwords may be UTF-8; there are some only where a login is
    // allowed.
    out_ += login_allowed() ? "UTF8 USER\r\n" : "UTF8\r\n";
    out_ += "LANG\r\n";
    // RFC 2449 §5: what AUTHORIZATION offers is announced in both states.
    if (login_allowed()) {
        out_ += "USER\r\nSASL";
        for (const auto mechanism : wire::sasl_mechanisms(facts_.sasl))
            if (offers(mechanism)) out_.append(" ").append(mechanism);
        out_ += "\r\n";
    }
    const bool logged_in = state_ == Session::State::transaction;
    if (facts_.tls_available && !facts_.tls_active && !logged_in) out_ += "STLS\r\n";
    // RFC 2449 §6.9 allows to tell it only to those who have logged in, and not to scanners.
    if (logged_in && !facts_.implementation.empty()) {
        out_ += "IMPLEMENTATION ";
        for (const char c : facts_.implementation.substr(0, 200))
            out_.push_back(c > ' ' && c <= '~' ? c : '-');
        out_ += "\r\n";
    }
    out_ += ".\r\n";
}

}  // namespace pier::pop3
