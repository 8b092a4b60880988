// What an SMTP server says to our client. Input: one octet (1: not TLS from the first octet on; 2: TLS is a
// must; 4: a login; 8: the message has a lone LF; 16: SMTPUTF8; 32: REQUIRETLS), then the server's octets.
// Where they are cut does not matter, but for STARTTLS: octets behind its answer end the dialogue.
#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "fuzz/require.h"
#include "smtp/client.h"
#include "wire/line_ends.h"

namespace {

using namespace pier;
using namespace pier::smtp;
using fuzz::require;

constexpr std::size_t recipients = 3;

struct Options {
    Client::Facts facts;
    Envelope envelope;
    std::string message;
};

Options options_of(unsigned bits) {
    Options options;
    options.facts.hostname = "client.example.org";
    options.facts.tls_active = options.facts.tls_verified = (bits & 1) == 0;
    if ((bits & 2) != 0) options.facts.tls = Client::Tls::required;
    if ((bits & 4) != 0) options.facts.login = Client::Login{"ada", "secret words"};
    options.message = (bits & 8) != 0 ? "a\nb\r\n" : "Subject: hi\r\n\r\n.dot\r\n..\r\nend\r\n";
    options.envelope.sender = {"ada", "example.org"};
    options.envelope.utf8 = (bits & 16) != 0;
    options.envelope.require_tls = (bits & 32) != 0;
    options.envelope.id = "id";
    options.envelope.ret = Return::full;
    for (std::size_t i = 0; i < recipients; ++i) {
        Envelope::Recipient recipient;
        recipient.address = {"r" + std::to_string(i), "example.com"};
        recipient.notify = notify::failure;
        options.envelope.recipients.push_back(recipient);
    }
    return options;
}

bool is_plain(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

void check(const Reply& reply) {
    require(reply.code >= 200 && reply.code <= 599, "a reply has a code");
    require(is_plain(reply.text) && is_plain(reply.enhanced), "a reply can be shown");
    require(reply.text.size() <= 5000, "and is bounded");
    require(reply.enhanced.empty() || reply.enhanced[0] == '0' + reply.code / 100, "its codes agree");
}

// What came of it, `piece` octets at a time.
std::vector<std::string> play(const Options& options, std::string_view octets, std::size_t piece) {
    Client client({}, options.facts);
    std::vector<std::string> events;
    std::string sent;
    std::size_t message_at = 0, transactions = 0;
    bool in_tls = options.facts.tls_active;
    for (std::size_t steps = 0;; ++steps) {
        require(steps < 100'000, "it comes to an end");
        static_cast<void>(client.stage());
        Client::Action action = client.next();
        if (auto* write = std::get_if<Client::Write>(&action)) {
            require(in_tls || write->text.find("AGFkYQ") == std::string::npos, "no password in clear");
            sent += write->text;
        } else if (std::holds_alternative<Client::NeedInput>(action)) {
            if (octets.empty()) {
                client.on_lost("it broke");
                continue;
            }
            const std::size_t count = std::min(piece, octets.size());
            client.on_bytes(octets.substr(0, count));
            octets.remove_prefix(count);
        } else if (std::holds_alternative<Client::StartTls>(action)) {
            require(!in_tls, "TLS begins once");
            in_tls = true;
            events.push_back("tls");
            client.on_tls(true);
        } else if (std::holds_alternative<Client::NeedChunk>(action)) {
            if (message_at == options.message.size()) {
                client.on_message_end();
                continue;
            }
            client.on_chunk(std::string_view(options.message).substr(message_at, 7));
            message_at = std::min(message_at + 7, options.message.size());
        } else if (auto* done = std::get_if<Client::Done>(&action)) {
            require(done->replies.size() == recipients, "each recipient has a reply");
            for (const Reply& reply : done->replies) {
                check(reply);
                require(reply.positive() || reply.code >= 400, "which is yes or no");
                events.push_back("done " + std::to_string(reply.code) + reply.enhanced + reply.text);
                // A message with a lone LF is taken by nobody.
                require(!reply.positive() || options.message.find("a\nb") == std::string::npos,
                        "it is not sent");
            }
        } else if (auto* failed = std::get_if<Client::Failed>(&action)) {
            check(failed->reply);
            require(failed->reply.code >= 400, "a failure is none that is good");
            events.push_back("failed " + failed->reply.text);
            break;
        } else if (std::holds_alternative<Client::Ready>(action)) {
            require(in_tls || options.facts.tls != Client::Tls::required, "TLS was a must");
            events.push_back("ready");
            message_at = 0;
            if (transactions++ < 3)
                client.begin(options.envelope, 0, recipients, options.message.size());
            else
                client.quit();
        } else {
            break;
        }
    }
    wire::LineEnds ends;
    ends.feed(sent);
    require(!ends.bare(), "no CR and no LF stands alone");
    events.push_back(sent);
    return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Options options = options_of(data[0]);
    const std::string_view octets = fuzz::text_of(data + 1, size - 1);
    const auto whole = play(options, octets, std::max<std::size_t>(octets.size(), 1));
    const auto pieces = play(options, octets, 1);
    // What a server says while the message is sent is heard if it has come by then.
    const bool heard_early = octets.find("354") != std::string_view::npos;
    if (options.facts.tls_active && !heard_early)
        require(pieces == whole, "it does not matter where octets are cut");
    return 0;
}
