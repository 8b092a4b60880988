#include "smtp/played_session.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace pier::smtp {

PlayedSession::PlayedSession(const World& world) : world_(world), session_(world.limits, world.facts) {}

PlayedSession::Stop PlayedSession::run() {
    while (perform(session_.next())) {
    }
    return stop_;
}

PlayedSession::Stop PlayedSession::feed(std::string_view octets) {
    session_.on_bytes(octets);
    return run();
}

bool PlayedSession::perform(Action action) {
    if (std::holds_alternative<NeedInput>(action)) {
        stop_ = Stop::input;
        return false;
    }
    if (std::holds_alternative<Close>(action)) {
        EXPECT_FALSE(open_) << "a message was begun, and neither ended nor abandoned";
        stop_ = Stop::closed;
        return false;
    }
    if (std::holds_alternative<AbandonMessage>(action)) {
        EXPECT_TRUE(open_) << "abandoned what was not begun";
        open_.reset();
        ++abandoned_;
        return true;
    }
    EXPECT_FALSE(write_failed_) << "an action after the connection was gone";
    if (std::holds_alternative<StartTls>(action)) {
        in_tls_ = true;
        session_.on_tls(world_.facts.sasl);
        return true;
    }
    if (log_in(action)) return true;
    if (const auto* text = std::get_if<Write>(&action)) {
        write(text->text);
    } else if (const auto* sender = std::get_if<Sender>(&action)) {
        EXPECT_EQ(world_.facts.kind, Kind::submission);
        const auto refusal = world_.senders.find(sender->address.text());
        session_.on_sender(refusal == world_.senders.end() ? std::nullopt : std::optional(refusal->second));
    } else if (const auto* recipient = std::get_if<Recipient>(&action)) {
        const auto reply = world_.recipients.find(recipient->address.text());
        session_.on_recipient(reply == world_.recipients.end() ? Reply{550, "5.1.1", "no such mailbox here"}
                                                               : reply->second);
    } else if (auto* message = std::get_if<BeginMessage>(&action)) {
        begin(std::move(*message));
    } else if (const auto* chunk = std::get_if<Chunk>(&action)) {
        keep(chunk->octets);
    } else if (std::holds_alternative<EndMessage>(action)) {
        end();
    }
    return true;
}

bool PlayedSession::log_in(const Action& action) {
    if (const auto* keys = std::get_if<NeedKeys>(&action)) {
        const auto password = world_.passwords.find(keys->user);
        if (const auto refused = world_.refusals.find(keys->user); refused != world_.refusals.end())
            session_.on_keys_refused(refused->second);
        else
            session_.on_keys(wire::derive_scram_keys(
                                 keys->hash, password == world_.passwords.end() ? "" : password->second,
                                 world_.scram_salt, world_.scram_iterations),
                             world_.scram_nonce, keys->channel_binding.empty() ? "" : world_.channel_binding);
    } else if (const auto* wrong = std::get_if<WrongProof>(&action)) {
        wrong_proofs_.push_back(wrong->user);
    } else if (const auto* login = std::get_if<Login>(&action)) {
        const auto password = world_.passwords.find(login->user);
        const bool right =
            password != world_.passwords.end() && (!login->password || *login->password == password->second);
        logins_.push_back(login->authzid + "|" + login->user + "|" + login->password.value_or("(proven)"));
        session_.on_login(verdict({}, login->user, right ? login->user : ""));
    } else if (const auto* token = std::get_if<TokenLogin>(&action)) {
        const auto whose = world_.tokens.find(token->token);
        logins_.push_back(token->authzid + "||token " + token->token);
        session_.on_login(
            verdict(token->authzid, token->authzid, whose == world_.tokens.end() ? "" : whose->second));
    } else if (const auto* certificate = std::get_if<CertificateLogin>(&action)) {
        logins_.push_back(certificate->authzid + "|" + world_.certificate_user + "|certificate");
        session_.on_login(verdict(certificate->authzid, world_.certificate_user, world_.certificate_user));
    } else {
        return false;
    }
    return true;
}

// `proven`: who it was shown to be; empty: nobody.
std::optional<LoginRefused> PlayedSession::verdict(const std::string& authzid, const std::string& user,
                                                   const std::string& proven) {
    if (const auto refused = world_.refusals.find(user); refused != world_.refusals.end())
        return refused->second;
    if (proven.empty() || (!authzid.empty() && authzid != proven))
        return LoginRefused{LoginRefused::Why::credentials, "Authentication failed"};
    return std::nullopt;
}

namespace {

std::string dsn_of(const Envelope& envelope) {
    std::string text;
    const auto add = [&](const std::string& word) { text += (text.empty() ? "" : " ") + word; };
    if (envelope.require_tls) add("requiretls");
    if (envelope.ret != Return::unsaid) add(envelope.ret == Return::full ? "ret=full" : "ret=headers");
    if (!envelope.id.empty()) add("envid=" + envelope.id);
    for (const Envelope::Recipient& recipient : envelope.recipients) {
        if (recipient.notify != 0) add("notify=" + std::to_string(recipient.notify));
        if (!recipient.original.empty()) add("orcpt=" + recipient.original);
    }
    return text;
}

}  // namespace

void PlayedSession::write(const std::string& text) {
    EXPECT_FALSE(text.empty());
    longest_write_octets_ = std::max(longest_write_octets_, text.size());
    if (writes_until_failure_ && (*writes_until_failure_)-- == 0) {
        writes_until_failure_.reset();
        write_failed_ = true;
        session_.on_eof();
        return;
    }
    ++writes_;
    output_ += text;
}

void PlayedSession::begin(BeginMessage message) {
    EXPECT_FALSE(open_) << "begun twice";
    const Envelope& envelope = message.envelope;
    EXPECT_FALSE(envelope.recipients.empty()) << "a message for nobody";
    if (world_.begin_refusal) return session_.on_begin(world_.begin_refusal);
    Delivered& open = open_.emplace();
    open.helo = message.helo;
    open.sender = envelope.sender.text();
    for (const Envelope::Recipient& recipient : envelope.recipients)
        open.recipients.push_back(recipient.address.text());
    open.extended = message.extended;
    open.body_8bit = envelope.body_8bit;
    open.utf8 = envelope.utf8;
    open.dsn = dsn_of(envelope);
    session_.on_begin(std::nullopt);
}

void PlayedSession::keep(const std::string& octets) {
    ASSERT_TRUE(open_) << "octets of no message";
    EXPECT_FALSE(octets.empty());
    longest_chunk_octets_ = std::max(longest_chunk_octets_, octets.size());
    if (world_.spool_octets_max && open_->octets.size() + octets.size() > *world_.spool_octets_max)
        return session_.on_chunk(world_.spool_refusal);
    open_->octets += octets;
    session_.on_chunk(std::nullopt);
}

void PlayedSession::end() {
    ASSERT_TRUE(open_) << "the end of no message";
    std::vector<Reply> replies;
    for (const std::string& recipient : open_->recipients) {
        const auto reply = world_.store_replies.find(recipient);
        replies.push_back(reply == world_.store_replies.end()
                              ? Reply{250, "2.0.0", "delivered to " + recipient}
                              : reply->second);
    }
    if (world_.facts.kind != Kind::lmtp) {
        const auto refused = std::find_if(replies.begin(), replies.end(),
                                          [](const Reply& reply) { return !reply.positive(); });
        replies = {refused == replies.end() ? Reply{250, "2.0.0", "delivered"} : *refused};
    }
    if (std::any_of(replies.begin(), replies.end(), [](const Reply& reply) { return reply.positive(); }) ||
        world_.facts.kind == Kind::lmtp)
        messages_.push_back(std::move(*open_));
    open_.reset();
    session_.on_end(std::move(replies));
}

}  // namespace pier::smtp
