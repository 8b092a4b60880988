// TRANSACTION and UPDATE: the maildrop's commands (RFC 1939 §5, RFC 1939 §6, RFC 1939 §7). Message numbers
// count from 1, indexes from 0; numbers never move while the session lasts.
#include <array>
#include <cassert>
#include <charconv>
#include <utility>

#include "pop3/conversation.h"

namespace pier::pop3 {
namespace {

void append_number(std::string& out, std::uint64_t number) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
}

}  // namespace

std::string Conversation::maildrop_text() const {
    return say("{} messages ({} octets)", messages_left(), octets_left());
}

// The index of a message that is there and not deleted; answers -ERR itself if there is none.
std::optional<std::size_t> Conversation::find_message(std::string_view word) {
    const auto number = parse_number(word);
    if (!number) {
        bad("a message number is digits only");
    } else if (*number < 1 || *number > maildrop_->messages()) {
        error(say("no such message, only {} in the maildrop", maildrop_->messages()));
    } else if (deletions_.contains(*number - 1)) {
        error(say("message {} is deleted", *number));
    } else {
        return *number - 1;
    }
    return std::nullopt;
}

void Conversation::run_stat(const Arguments&) {
    ok(std::to_string(messages_left()) + " " + std::to_string(octets_left()));
}

void Conversation::run_list(const Arguments& arguments) {
    if (arguments.count == 0) return begin_listing(Listing::sizes);
    if (const auto index = find_message(arguments[0])) {
        out_ += "+OK ";
        list_line(Listing::sizes, *index);
    }
}

void Conversation::run_uidl(const Arguments& arguments) {
    if (arguments.count == 0) return begin_listing(Listing::uids);
    if (const auto index = find_message(arguments[0])) {
        out_ += "+OK ";
        list_line(Listing::uids, *index);
    }
}

void Conversation::list_line(Listing listing, std::size_t index) {
    append_number(out_, index + 1);
    out_ += ' ';
    if (listing == Listing::sizes) {
        append_number(out_, maildrop_->octets(index));
    } else {
        maildrop_->append_uidl(index, out_);
    }
    out_ += "\r\n";
}

void Conversation::begin_listing(Listing listing) {
    ok(maildrop_text());
    listing_ = listing;
    listing_next_ = 0;
}

// As many lines as may gather before next() has to write them.
void Conversation::continue_listing() {
    const std::size_t messages = maildrop_->messages();
    for (; listing_next_ < messages; ++listing_next_) {
        if (!out_.empty() && out_.size() + reply_octets_max > limits_.output_octets_max) return;
        if (!deletions_.contains(listing_next_)) list_line(*listing_, listing_next_);
    }
    out_ += ".\r\n";
    listing_.reset();
}

void Conversation::run_retr(const Arguments& arguments) {
    const auto index = find_message(arguments[0]);
    if (!index) return;
    sending_ = *index;
    sending_whole_ = true;
    pending_ = SendMail{*index, std::nullopt, "+OK " + say("{} octets", maildrop_->octets(*index)) + "\r\n"};
}

void Conversation::run_top(const Arguments& arguments) {
    const auto index = find_message(arguments[0]);
    if (!index) return;
    const auto lines = parse_number(arguments[1]);
    if (!lines) return bad("a number of lines is digits only");
    sending_ = *index;
    sending_whole_ = false;
    pending_ = SendMail{*index, *lines, "+OK " + say("top of message follows") + "\r\n"};
}

void Conversation::on_mail_sent(MailReport report) {
    if (!take_report(Awaiting::mail)) return;
    if (const auto* refused = std::get_if<MailRefused>(&report)) {
        error(refused->temporary ? "SYS/TEMP" : "SYS/PERM", refused->text);
    } else if (std::holds_alternative<MailBroken>(report)) {
        abandon();  // anything written now would be read as part of the message
    } else if (sending_whole_) {
        ++counts_.retrieved;
        counts_.retrieved_octets += maildrop_->octets(sending_);
    }
}

void Conversation::run_dele(const Arguments& arguments) {
    const auto index = find_message(arguments[0]);
    if (!index) return;
    deletions_.add(*index, maildrop_->messages(), maildrop_->octets(*index));
    ok(say("message {} deleted", *index + 1));
}

void Conversation::run_noop(const Arguments&) {
    ok("nothing done");
}

void Conversation::run_rset(const Arguments&) {
    deletions_.clear();
    ok(maildrop_text());
}

void Conversation::run_quit(const Arguments&) {
    if (state_ == Session::State::transaction) state_ = Session::State::update;
    close();
    if (deletions_.count() == 0) return ok("bye");
    removing_ = deletions_.count();
    pending_ = Remove{deletions_.indexes()};
    deletions_.clear();
}

// The reply waits for this report: +OK says that the messages are gone for good (RFC 1939 §6).
void Conversation::on_removed(std::size_t not_removed) {
    assert(awaiting_ == Awaiting::removal && "nothing is removed without QUIT");
    awaiting_ = Awaiting::nothing;
    counts_.removed = removing_ - not_removed;
    if (peer_gone_) return;
    if (not_removed == 0) return ok(say("{} messages removed, bye", removing_));
    error("SYS/TEMP",
          say("some deleted messages not removed: {} of {} remain in the maildrop", not_removed, removing_));
}

}  // namespace pier::pop3
