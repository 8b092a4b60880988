#include "smtp/session.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "smtp/engine.h"
#include "smtp/reply.h"
#include "wire/ascii.h"

namespace pier::smtp {
namespace {

constexpr std::size_t block_octets =
    32768;  // of input turned into one Chunk, which is at most twice as long (LF to CRLF)

}  // namespace

Session::Session(const Limits& limits, Facts facts)
    : impl_(std::make_unique<Impl>(limits, std::move(facts))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

Action Session::next() {
    return impl_->next();
}
void Session::set_observer(wire::CommandObserver* observer) {
    impl_->observer = observer;
}
const Session::Counts& Session::counts() const {
    return impl_->counts;
}
void Session::on_bytes(std::string_view octets) {
    impl_->input.append(octets);
}
void Session::on_eof() {
    impl_->eof = true;
}
void Session::on_shutdown() {
    impl_->shutdown = true;
}

// ---- the loop ----

Action Session::Impl::next() {
    assert(wait == Wait::none && "an action has not been reported");
    if (eof && mode != Mode::closed) {  // nobody is there to be answered, and what is unread has no end
        output.clear();
        begin_tls = false;
        close();
    }
    for (;;) {
        if (action) {
            Action now = std::move(*action);
            action.reset();
            return now;
        }
        if (output.size() >= limits.output_octets_max) return flush();
        if (begin_tls) {
            if (!output.empty()) return flush();
            begin_tls = false;
            wait = Wait::tls;
            return StartTls{};
        }
        if (!step()) return output.empty() ? Action(NeedInput{}) : Action(flush());
    }
}

// Goes on as far as one action or one piece of input; false if it needs input.
bool Session::Impl::step() {
    switch (mode) {
        case Mode::greeting:
            return greet();
        case Mode::commands:
            return read_command();
        case Mode::auth:
            return read_auth();
        case Mode::data:
            return read_data();
        case Mode::chunk:
            return read_chunk();
        case Mode::swallow:
            return swallow();
        case Mode::closing:
            return close_step();
        case Mode::closed:
            break;
    }
    action = Close{};
    return true;
}

bool Session::Impl::greet() {
    mode = Mode::commands;
    if (!shutdown)
        say(220, "", fmt::format("{} {} Pier ready", facts.hostname, is_smtp() ? "ESMTP" : "LMTP"));
    return true;
}

bool Session::Impl::read_command() {
    if (shutdown) {  // between two commands, never inside a message: what was being sent is finished first
        say(421, "4.3.2", fmt::format("{} is stopping; try again later", facts.hostname));
        close();
        return true;
    }
    return take_line(line_octets_max(), &Impl::run_command);
}

// False if more input is needed. Passwords do not stay in memory that is given back.
bool Session::Impl::take_line(std::size_t octets_max, void (Impl::*run)(std::string_view line)) {
    const auto line = input.next_line(octets_max);
    if (!line) return false;
    if (line->too_long) {
        ++counts.commands;
        say_bad(500, "5.5.2", "the line is too long");
    } else if (is_smtp() && line->bare_lf) {
        ++counts.commands;
        say_bad(500, "5.5.2", "a line ends with CRLF");  // RFC 5321 §2.3.8
    } else {
        (this->*run)(line->text);
    }
    if (is_submission() && !logged_in) input.wipe_last_line();
    return true;
}

std::size_t Session::Impl::line_octets_max() const {
    // A token that stands behind AUTH is long.
    const bool response_may_follow =
        is_submission() && login_allowed() && wire::ascii_starts_with(input.raw(), "AUTH ");
    return response_may_follow ? std::max(limits.line_octets_max, limits.auth_line_octets_max)
                               : limits.line_octets_max;
}

bool Session::Impl::close_step() {
    if (transaction) {
        drop_transaction();
        return true;
    }
    input.clear();
    if (!output.empty()) {
        action = flush();
        return true;
    }
    mode = Mode::closed;
    return true;
}

void Session::Impl::close() {
    mode = Mode::closing;
}

Write Session::Impl::flush() {
    return Write{std::exchange(output, {})};
}

void Session::Impl::say(int code, std::string_view enhanced, std::string_view text) {
    append_reply(output, {code, std::string(enhanced), std::string(text)});
}

void Session::Impl::say_bad(int code, std::string_view enhanced, std::string_view text) {
    say(code, enhanced, text);
    ++counts.bad_commands;
    if (++bad_commands < limits.bad_commands_max) return;
    say(421, "4.7.0", "too many bad commands; closing the connection");
    close();
}

// RFC 3207 §4.2: what was said before TLS is forgotten; an attacker may have said it.
void Session::on_tls(const wire::SaslOffer& sasl) {
    Impl& s = *impl_;
    assert(s.wait == Impl::Wait::tls);
    s.wait = Impl::Wait::none;
    s.facts.tls_active = true;
    s.facts.sasl = sasl;
    s.helo.clear();
    s.state = fresh;
    s.bad_commands = 0;
}

// ---- the envelope ----

void Session::on_sender(std::optional<Reply> refusal) {
    Impl& s = *impl_;
    assert(s.wait == Impl::Wait::sender);
    s.wait = Impl::Wait::none;
    auto asked = std::exchange(s.asked, nullptr);
    if (refusal) return append_reply(s.output, *refusal);
    s.transaction = std::move(asked);
    s.state = mail;
    s.say(250, "2.1.0", "sender ok");
}

void Session::on_recipient(Reply reply) {
    Impl& s = *impl_;
    assert(s.wait == Impl::Wait::recipient);
    s.wait = Impl::Wait::none;
    if (reply.positive()) s.transaction->envelope.recipients.push_back(std::move(s.candidate));
    append_reply(s.output, reply);
}

// ---- the message's octets ----

void Session::Impl::begin_message() {
    action = BeginMessage{helo, extended, transaction->envelope};
    wait = Wait::begin;
}

void Session::on_begin(std::optional<Reply> refusal) {
    Impl& s = *impl_;
    assert(s.wait == Impl::Wait::begin);
    s.wait = Impl::Wait::none;
    const bool by_data = s.transaction->dots.has_value();
    s.transaction->begun = !refusal;
    if (!by_data) {
        s.transaction->refusal = std::move(refusal);  // told when the chunk is over
    } else if (refusal) {
        append_reply(s.output, *refusal);
        s.drop_transaction();
    } else {
        s.say(354, "", "send the message; end it with a dot on a line of its own");
        s.mode = Impl::Mode::data;
    }
}

bool Session::Impl::read_data() {
    Transaction& t = *transaction;
    if (t.dots->done()) {
        end_message();
        return true;
    }
    const std::string_view block = input.raw().substr(0, block_octets);
    if (block.empty()) return false;
    std::string octets;
    const std::size_t used = t.dots->feed(block, octets);
    t.line_ends.feed(block.substr(0, used));
    input.consume(used);
    check_line_ends();
    take_octets(std::move(octets), t.dots->longest_line_octets());
    return true;
}

bool Session::Impl::read_chunk() {
    Transaction& t = *transaction;
    std::string octets;
    if (chunk_left > 0) {
        if (t.octets + chunk_left > limits.message_octets_max)
            refuse_message({552, "5.3.4", "the message is too large"});
        const auto block = input.raw().substr(0, std::min<std::uint64_t>(block_octets, chunk_left));
        if (block.empty()) return false;
        t.crlf.feed(block, octets);
        t.line_ends.feed(block);
        input.consume(block.size());
        check_line_ends();
        chunk_left -= block.size();
        measure_lines(octets);
        take_octets(std::move(octets), t.line_octets_longest);
    } else if (chunk_last && !t.finished) {
        t.finished = true;
        t.crlf.finish(octets);
        t.line_ends.finish();
        check_line_ends();
        measure_lines(octets);
        take_octets(std::move(octets), t.line_octets_longest);
    } else if (chunk_last) {
        end_message();
    } else if (t.refusal) {
        append_reply(output, *t.refusal);
        state = broken;
        mode = Mode::commands;
    } else {
        say(250, "2.0.0", fmt::format("{} octets received", chunk_octets));
        mode = Mode::commands;
    }
    return true;
}

// A chunk that belongs to no message: its octets must still not be read as commands (RFC 3030 §2).
bool Session::Impl::swallow() {
    if (chunk_left > 0) {
        const auto count = std::min<std::uint64_t>(input.raw().size(), chunk_left);
        if (count == 0) return false;
        input.consume(count);
        chunk_left -= count;
        return true;
    }
    mode = Mode::commands;
    const bool last_of_broken = state == broken && chunk_last;
    for (std::size_t i = 1; i < swallow_replies; ++i)
        append_reply(output, swallow_reply);
    if (last_of_broken) drop_transaction();
    say_bad(swallow_reply.code, swallow_reply.enhanced, swallow_reply.text);
    return true;
}

void Session::Impl::measure_lines(std::string_view octets) {
    Transaction& t = *transaction;
    while (!octets.empty()) {
        const auto lf = octets.find('\n');
        const std::size_t taken = lf == std::string_view::npos ? octets.size() : lf + 1;
        t.line_octets += taken;
        t.line_octets_longest = std::max(t.line_octets_longest, t.line_octets);
        if (lf != std::string_view::npos) t.line_octets = 0;
        octets.remove_prefix(taken);
    }
}

// `line_octets`: the longest line of the message so far.
void Session::Impl::take_octets(std::string octets, std::uint64_t line_octets) {
    Transaction& t = *transaction;
    t.octets += octets.size();
    counts.octets += octets.size();
    if (t.octets > limits.message_octets_max)
        refuse_message(
            {552, "5.3.4", fmt::format("the message is larger than {} octets", limits.message_octets_max)});
    if (line_octets > limits.text_line_octets_max)
        refuse_message(
            {554, "5.6.0", fmt::format("a line is longer than {} octets", limits.text_line_octets_max)});
    if (is_smtp()) {
        t.hops.feed(octets);
        if (t.hops.hops() > limits.hops_max)
            refuse_message({554, "5.4.6",
                            fmt::format("the message goes round in circles: more than {} servers have had it",
                                        limits.hops_max)});
    }
    if (t.refusal || octets.empty()) return;
    action = Chunk{std::move(octets)};
    wait = Wait::chunk;
}

// Attack 31: what one server takes for a line end and another one not lets a message hide a second one.
void Session::Impl::check_line_ends() {
    if (is_smtp() && transaction->line_ends.bare())
        refuse_message({554, "5.6.0", "the message has a CR or LF that stands alone; lines end with CRLF"});
}

// The rest of its octets is read and thrown away, so that none of it is taken for a command; the first reason
// stays.
void Session::Impl::refuse_message(Reply why) {
    Transaction& t = *transaction;
    if (!t.refusal) t.refusal = std::move(why);
    if (t.begun) action = AbandonMessage{};
    t.begun = false;
}

void Session::on_chunk(std::optional<Reply> refusal) {
    assert(impl_->wait == Impl::Wait::chunk);
    impl_->wait = Impl::Wait::none;
    if (refusal) impl_->refuse_message(std::move(*refusal));
}

void Session::Impl::end_message() {
    if (transaction->refusal)
        return finish_transaction(std::vector<Reply>(replies_at_end(), *transaction->refusal));
    action = EndMessage{};
    wait = Wait::end;
}

void Session::on_end(std::vector<Reply> replies) {
    Impl& s = *impl_;
    assert(s.wait == Impl::Wait::end);
    assert(replies.size() == s.replies_at_end() &&
           "a recipient would never learn what became of the message");
    s.wait = Impl::Wait::none;
    s.transaction->begun = false;
    s.finish_transaction(replies);
}

std::size_t Session::Impl::replies_at_end() const {
    return is_smtp() ? 1 : transaction->envelope.recipients.size();
}

void Session::Impl::finish_transaction(const std::vector<Reply>& replies) {
    bool accepted = false;
    for (const Reply& reply : replies) {
        append_reply(output, reply);
        if (reply.positive()) counts.recipients += is_smtp() ? transaction->envelope.recipients.size() : 1;
        accepted = accepted || reply.positive();
    }
    counts.messages += accepted;
    if (accepted) bad_commands = 0;
    drop_transaction();
    mode = Mode::commands;
}

void Session::Impl::drop_transaction() {
    if (transaction && transaction->begun) action = AbandonMessage{};
    transaction.reset();
    if (state != fresh) state = ready;
}

}  // namespace pier::smtp
