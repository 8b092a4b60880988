// Feeds an LMTP session with arbitrary octets in arbitrary pieces, and with arbitrary answers of the driver.
// Four octets choose the circumstances, the rest is what the client sends; so the corpus reads like
// dialogues.
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
    std::uint8_t limits = 0;   // bit 0: small ones; bit 1: few bad commands; bit 2: short lines in messages
    std::uint8_t answers = 0;  // bits: of recipients 0-1, begin 2, chunks 3-4, end 5-6
    std::uint8_t block_octets = 0;  // of each piece; 0: all at once
    std::uint8_t event = 0;         // at which piece the end comes, or (bit 7) the shutdown; 0: never
};

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
    }

    std::string play(std::size_t block_octets) {
        smtp::Session session(limits_, {smtp::Kind::lmtp, "mx.example.org"});
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

    void begin_message(smtp::Session& session, const smtp::BeginMessage& begin) {
        require(!open_, "one message at a time");
        require(!begin.recipients.empty() && begin.recipients.size() <= limits_.recipients_max,
                "a message for somebody");
        require(begin.recipients.size() <= accepted_, "only for accepted recipients");
        require(smtp::is_host_name(begin.helo), "a name that may stand in a field");
        check_address(begin.sender);
        for (const smtp::Address& recipient : begin.recipients) {
            check_address(recipient);
            if (!begin.utf8) {
                for (const char c : recipient.text())
                    require(static_cast<unsigned char>(c) < 0x80, "ASCII without SMTPUTF8");
            }
        }
        if (c_.answers & 4) return session.on_begin(smtp::Reply{452, "4.3.1", "not now"});
        open_ = true;
        recipients_ = begin.recipients.size();
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
        delivered_ += "[message " + octets_ + "]";
        std::vector<smtp::Reply> replies;
        for (std::size_t i = 0; i < recipients_; ++i) {
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
        require(text.size() <= limits_.output_octets_max + 512 * (limits_.recipients_max + 8),
                "a bounded write");
        for (std::size_t begin = 0; begin < text.size();) {
            const std::size_t end = text.find("\r\n", begin);
            const std::string_view line = text.substr(begin, end - begin);
            require(line.size() >= 4 && line.size() <= 510 && line[0] >= '2' && line[0] <= '5' &&
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
    bool open_ = false, gone_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4 || size > 65536) return 0;
    const Circumstances circumstances{data[0], data[1], data[2], data[3]};
    const std::string_view input = fuzz::text_of(data + 4, size - 4);
    const std::size_t block_octets = circumstances.block_octets ? circumstances.block_octets : SIZE_MAX;
    const std::string result = Driver(circumstances, input).play(block_octets);

    // Where octets are cut must not matter, except where an event counts the pieces, and where a message may
    // be refused for several reasons: the one met first is told.
    const bool small = circumstances.limits & 1, short_lines = circumstances.limits & 4,
               full = circumstances.answers & 24;
    if (circumstances.event == 0 && small + short_lines + full <= 1) {
        require(result == Driver(circumstances, input).play(1), "the same octets give the same answers");
    }
    return 0;
}
