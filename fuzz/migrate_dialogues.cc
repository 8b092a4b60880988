// What a POP3 or IMAP server sends to `pier migrate`, by a server that sends anything. Input: one octet (1:
// IMAP; 2: in clear, with --insecure; 4: a master user), then the server's octets. In TLS it does not matter
// where they are cut; in clear it does, because octets behind the answer to STLS end the dialogue.
#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "fuzz/require.h"
#include "migrate/fingerprints.h"
#include "migrate/imap_client.h"
#include "migrate/pop3_client.h"
#include "migrate/server_text.h"

namespace {

using namespace pier;
using namespace pier::migrate;
using fuzz::require;

constexpr std::uint64_t message_octets_max = 2000;
constexpr std::size_t messages_max = 50;

Login login_of(unsigned bits) {
    Login login;
    login.user = "ada";
    login.password = "secret words";
    login.tls_already = (bits & 2) == 0;
    login.clear_allowed = true;
    if ((bits & 4) != 0) login.act_as = "bob";
    return login;
}

bool is_plain(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

// What a client asks for when it is idle the n-th time; false: nothing more.
bool ask(Pop3Client& client, int time) {
    if (time == 0) client.list();
    if (time == 1) {
        for (const Pop3Client::Message& message : client.messages()) {
            client.head(message.number);
            client.message(message.number);
        }
    }
    if (time == 2) client.quit();
    return time < 3;
}

bool ask(ImapClient& client, int time) {
    if (time == 0) client.list_mailboxes();
    if (time == 1) client.open(client.mailboxes().empty() ? "INBOX" : client.mailboxes().front().name);
    if (time == 2) client.list_messages();
    if (time == 3) client.heads();
    if (time == 4) {
        for (const ImapClient::Message& message : client.opened().messages)
            client.message(message.uid);
    }
    if (time == 5) client.log_out();
    return time < 6;
}

std::size_t id_of(const Pop3Client::Fetched& fetched) {
    return fetched.number;
}
std::size_t id_of(const ImapClient::Fetched& fetched) {
    return fetched.uid;
}

void check(const Pop3Client& client) {
    require(client.messages().size() <= messages_max, "a list is bounded");
    require(std::ranges::is_sorted(client.messages(), {}, &Pop3Client::Message::number),
            "messages come by number");
    for (const Pop3Client::Message& message : client.messages())
        require(is_plain(shown(message.uidl)), "a UIDL can be shown");
}

void check(const ImapClient& client) {
    require(client.mailboxes().size() <= messages_max, "mailboxes are bounded");
    require(client.opened().messages.size() <= messages_max, "a list is bounded");
    for (const ImapClient::Mailbox& mailbox : client.mailboxes()) {
        const std::string name = local_mailbox(mailbox);
        require(!name.empty() && is_plain(name), "a mailbox's name is text");
        require(!store::is_kept_aside(name), "and none that is kept aside");
    }
}

// What came of it; `piece`: so many octets at a time.
template <class Client>
std::vector<std::string> play(Client client, std::string_view octets, std::size_t piece) {
    std::vector<std::string> events;
    std::string sent;
    const std::string_view all = octets;
    int idle = 0;
    for (std::size_t steps = 0;; ++steps) {
        require(steps < 100'000, "it comes to an end");
        auto action = client.next();
        if (auto* write = std::get_if<typename Client::Write>(&action)) {
            sent += write->text;
            require(write->text.ends_with("\r\n"), "commands are whole lines");
        } else if (std::holds_alternative<typename Client::NeedInput>(action)) {
            if (octets.empty()) {
                client.on_eof();
                continue;
            }
            const std::size_t count = std::min(piece, octets.size());
            client.on_bytes(octets.substr(0, count));
            octets.remove_prefix(count);
        } else if (std::holds_alternative<typename Client::StartTls>(action)) {
            events.push_back("tls");
            client.on_tls();
        } else if (auto* fetched = std::get_if<typename Client::Fetched>(&action)) {
            require(!fetched->octets || fetched->octets->size() <= message_octets_max,
                    "a message is bounded");
            require(fetched->octets || is_plain(fetched->octets.error().text), "an error can be shown");
            if (fetched->octets) static_cast<void>(head_hash(*fetched->octets));
            events.push_back(std::to_string(id_of(*fetched)) + " " +
                             (fetched->octets ? *fetched->octets : fetched->octets.error().text));
        } else if (auto* failed = std::get_if<typename Client::Failed>(&action)) {
            require(is_plain(failed->error.text), "an error can be shown");
            require(failed->error.text.find("secret") == std::string::npos ||
                        std::string_view(sent).find("secret") != std::string_view::npos ||
                        all.find("secret") != std::string_view::npos,
                    "an error tells no password that the server does not have");
            events.push_back("failed " + failed->error.text);
            events.push_back(sent);
            return events;  // a list that was cut off has no order yet
        } else {
            events.push_back("idle");
            check(client);
            if (!ask(client, idle++)) break;
        }
    }
    events.push_back(sent);
    return events;
}

template <class Client>
void play_both_ways(const Login& login, const typename Client::Limits& limits, std::string_view octets) {
    const auto whole = play(Client(login, limits), octets, std::max<std::size_t>(octets.size(), 1));
    if (login.tls_already)
        require(play(Client(login, limits), octets, 1) == whole, "it does not matter where octets are cut");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Login login = login_of(data[0]);
    const std::string_view octets = fuzz::text_of(data + 1, size - 1);
    if ((data[0] & 1) == 0) {
        Pop3Client::Limits limits;
        limits.messages_max = messages_max;
        limits.message_octets_max = limits.head_octets_max = message_octets_max;
        limits.skipped_octets_max = 4000;
        play_both_ways<Pop3Client>(login, limits, octets);
    } else {
        ImapClient::Limits limits;
        limits.mailboxes_max = limits.messages_max = messages_max;
        limits.reader.literal_octets_max = message_octets_max;
        limits.reader.line_octets_max = message_octets_max;
        play_both_ways<ImapClient>(login, limits, octets);
    }
    return 0;
}
