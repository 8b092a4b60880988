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
    if (const auto* text = std::get_if<Write>(&action)) {
        write(text->text);
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
    EXPECT_FALSE(message.recipients.empty()) << "a message for nobody";
    if (world_.begin_refusal) return session_.on_begin(world_.begin_refusal);
    Delivered& open = open_.emplace();
    open.helo = message.helo;
    open.sender = message.sender.text();
    for (const Address& recipient : message.recipients)
        open.recipients.push_back(recipient.text());
    open.body_8bit = message.body_8bit;
    open.utf8 = message.utf8;
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
    messages_.push_back(std::move(*open_));
    open_.reset();
    session_.on_end(std::move(replies));
}

}  // namespace pier::smtp
