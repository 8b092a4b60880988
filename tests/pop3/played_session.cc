#include "pop3/played_session.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "wire/dots.h"
#include "wire/top.h"

namespace pier::pop3 {

std::uint64_t MemoryMaildrop::octets() const {
    std::uint64_t sum = 0;
    for (const auto& mail : mails_)
        sum += mail.content.size();
    return sum;
}

PlayedSession::PlayedSession(const World& world) : world_(world), session_(world.limits, world.facts) {}

PlayedSession::Stop PlayedSession::run() {
    for (;;) {
        Action action = session_.next();
        if (std::holds_alternative<NeedInput>(action)) return Stop::input;
        if (std::holds_alternative<Close>(action)) return Stop::closed;
        EXPECT_FALSE(write_failed_) << "an action after the connection was gone";
        if (std::holds_alternative<StartTls>(action)) return Stop::tls;
        if (const auto* text = std::get_if<Write>(&action)) {
            EXPECT_FALSE(text->text.empty());
            longest_write_octets_ = std::max(longest_write_octets_, text->text.size());
            if (!write(text->text)) session_.on_eof();
        } else if (const auto* client = std::get_if<Introduce>(&action)) {
            using How = Introduced::How;
            session_.on_introduced({client->address == "192.0.2.1"   ? How::welcome
                                    : client->address == "192.0.2.2" ? How::not_welcome
                                                                     : How::no_address,
                                    client->tls, client->port == 1});
        } else if (const auto* keys = std::get_if<NeedKeys>(&action)) {
            if (const auto refused = world_.key_refusals.find(keys->user);
                refused != world_.key_refusals.end()) {
                session_.on_keys_refused(refused->second);
                continue;
            }
            const auto password = world_.passwords.find(keys->user);
            session_.on_keys(wire::derive_scram_keys(
                                 keys->hash, password == world_.passwords.end() ? "" : password->second,
                                 world_.scram_salt, world_.scram_iterations),
                             world_.scram_nonce, keys->channel_binding.empty() ? "" : world_.channel_binding);
        } else if (const auto* wrong = std::get_if<WrongProof>(&action)) {
            wrong_proofs_.push_back(wrong->user);
        } else if (const auto* login = std::get_if<Login>(&action)) {
            session_.on_login(log_in(*login));
        } else if (const auto* token = std::get_if<TokenLogin>(&action)) {
            const auto whose = world_.tokens.find(token->token);
            session_.on_login(log_in(token->authzid, whose == world_.tokens.end() ? "" : whose->second,
                                     "token " + token->token));
        } else if (const auto* certificate = std::get_if<CertificateLogin>(&action)) {
            session_.on_login(log_in(certificate->authzid, world_.certificate_user, "certificate"));
        } else if (const auto* mail = std::get_if<SendMail>(&action)) {
            send_mail(*mail);
        } else if (const auto* removal = std::get_if<Remove>(&action)) {
            EXPECT_FALSE(removal->indexes.empty());
            removals_.push_back(removal->indexes);
            session_.on_removed(world_.not_removed);
        }
    }
}

PlayedSession::Stop PlayedSession::feed(std::string_view octets) {
    session_.on_bytes(octets);
    return run();
}

bool PlayedSession::write(std::string_view text) {
    if (writes_until_failure_ && (*writes_until_failure_)-- == 0) {
        writes_until_failure_.reset();
        write_failed_ = true;
        return false;
    }
    ++writes_;
    output_.append(text);
    return true;
}

void PlayedSession::send_mail(const SendMail& mail) {
    const auto report = world_.mail_reports.find(mail.index);
    if (report != world_.mail_reports.end() && std::holds_alternative<MailRefused>(report->second)) {
        return session_.on_mail_sent(report->second);
    }
    std::string_view content = world_.mails.at(mail.index).content;
    if (mail.body_lines) content = content.substr(0, wire::TopCutter(*mail.body_lines).feed(content));
    std::string text = mail.reply;
    wire::DotStuffer stuffer;
    const auto append = [&](std::string_view piece) { text.append(piece); };
    if (report != world_.mail_reports.end() && std::holds_alternative<MailBroken>(report->second)) {
        stuffer.feed(content.substr(0, content.size() / 2), append);
        write(text);
        return session_.on_mail_sent(MailBroken{});
    }
    stuffer.feed(content, append);
    stuffer.finish(append);
    session_.on_mail_sent(write(text) ? MailReport(MailSent{}) : MailReport(MailBroken{}));
}

LoginReport PlayedSession::log_in(const Login& login) {
    logins_.push_back(login.authzid + "|" + login.user + "|" + login.password.value_or("(proven)"));
    if (const auto refused = world_.refusals.find(login.user); refused != world_.refusals.end()) {
        return refused->second;
    }
    const auto password = world_.passwords.find(login.user);
    if (password == world_.passwords.end() || (login.password && *login.password != password->second)) {
        return LoginRefused{LoginRefused::Why::credentials, "wrong user name or password"};
    }
    return std::make_shared<MemoryMaildrop>(world_.mails);
}

// By a token or certificate, which is `user`'s.
LoginReport PlayedSession::log_in(const std::string& authzid, const std::string& user,
                                  const std::string& shown) {
    logins_.push_back(authzid + "|" + user + "|" + shown);
    if (const auto refused = world_.refusals.find(user); refused != world_.refusals.end())
        return refused->second;
    if (user.empty() || (!authzid.empty() && authzid != user))
        return LoginRefused{LoginRefused::Why::credentials, "Authentication failed"};
    return std::make_shared<MemoryMaildrop>(world_.mails);
}

}  // namespace pier::pop3
