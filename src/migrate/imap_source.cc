#include "migrate/imap_source.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "migrate/server_text.h"

namespace pier::migrate {
namespace {

ImapClient::Limits limits_of(const ImapOptions& options) {
    ImapClient::Limits limits;
    limits.reader.literal_octets_max = options.remote.message_octets_max;
    return limits;
}

}  // namespace

ImapSource::ImapSource(ServerUrl url, Login login, ImapOptions options)
    : url_(std::move(url)),
      options_(std::move(options)),
      client_(std::move(login), limits_of(options_)),
      window_(options_.remote.window) {}

ImapSource::~ImapSource() = default;

Error ImapSource::failed(const Error& error) const {
    const std::string where = url_.text();
    return error.text.starts_with(where) ? error
                                         : Error(error.kind, fmt::format("{}: {}", where, error.text));
}

Result<ImapClient::Action> ImapSource::drive_on() {
    auto action = drive(client_, *connection_);
    if (!action) return failed(action.error());
    return action;
}

Result<std::unique_ptr<ImapSource>> ImapSource::open(const ServerUrl& url, Login login, ImapOptions options) {
    login.tls_already = url.tls;
    std::unique_ptr<ImapSource> source(new ImapSource(url, std::move(login), std::move(options)));
    if (auto listed = source->list(); !listed) return listed.error();
    return source;
}

Result<void> ImapSource::list() {
    auto connection = ServerConnection::open(url_, options_.remote.connect);
    if (!connection) return connection.error();
    connection_ = std::move(*connection);
    if (auto logged_in = drive_on(); !logged_in) return logged_in.error();
    client_.list_mailboxes();
    if (auto listed = drive_on(); !listed) return listed.error();

    std::map<std::string, ImapClient::Mailbox> by_name;
    for (const ImapClient::Mailbox& mailbox : client_.mailboxes()) {
        if (!mailbox.selectable) continue;
        std::string name = local_mailbox(mailbox);
        const bool wanted = name == "INBOX" || !options_.inbox_only;
        if (wanted && !by_name.emplace(name, mailbox).second)
            warn(fmt::format("the mailbox {} is left out: another one is {} here too", shown(mailbox.name),
                             name));
    }
    if (auto inbox = by_name.extract("INBOX")) {
        if (auto listed = list_mailbox(inbox.mapped(), "INBOX"); !listed) return listed;
    }
    for (const auto& [name, mailbox] : by_name) {
        if (auto listed = list_mailbox(mailbox, name); !listed) return listed;
    }
    if (keywords_ > 0) warn(fmt::format("{} messages have keywords, which are not kept", keywords_));
    return {};
}

Result<void> ImapSource::open_mailbox(std::size_t mailbox) {
    if (open_ == mailbox) return {};
    open_.reset();
    client_.open(mailboxes_[mailbox].server_name);
    if (auto answered = drive_on(); !answered) return answered.error();
    if (!client_.opened().done)
        return Error(ErrorKind::io,
                     fmt::format("the mailbox cannot be opened: {}", client_.opened().refusal));
    open_ = mailbox;
    return {};
}

Result<void> ImapSource::list_mailbox(const ImapClient::Mailbox& found, std::string name) {
    const std::size_t index = mailboxes_.size();
    mailboxes_.push_back({found.name, std::move(name), 0, {}});
    if (auto opened = open_mailbox(index); !opened) {
        if (opened.error().kind != ErrorKind::io) return opened;
        places_.push_back(
            {index, 0, "", "", fmt::format("{}: {}", mailboxes_[index].name, opened.error().text)});
        return {};
    }
    client_.list_messages();
    if (auto listed = drive_on(); !listed) return listed.error();
    Mailbox& mailbox = mailboxes_[index];
    mailbox.uid_validity = client_.opened().uid_validity;
    mailbox.messages = client_.opened().messages;
    for (const ImapClient::Message& message : mailbox.messages) {
        octets_total_ += message.octets;
        if (message.keywords) ++keywords_;
    }
    if (mailbox.name == "INBOX" && options_.pop3) return place_by_pop3(index);
    if (mailbox.name == "INBOX" && !options_.uidl_format && !mailbox.messages.empty())
        warn(
            "nothing tells the UIDLs of the INBOX: POP3 clients will download it again; give --uidl-from or "
            "--uidl-format");
    place_all(index);
    return {};
}

void ImapSource::place_all(std::size_t mailbox) {
    const Mailbox& from = mailboxes_[mailbox];
    for (std::size_t i = 0; i < from.messages.size(); ++i) {
        Place place{mailbox, i, "", "", ""};
        if (options_.uidl_format)
            place.uidl = (*options_.uidl_format)(from.messages[i].uid, from.uid_validity, "", "");
        if (!is_uidl(place.uidl)) place.uidl.clear();
        place.uidl_identity = place.uidl;
        places_.push_back(std::move(place));
    }
}

// Of the mailbox that is open.
Result<std::vector<Fingerprint>> ImapSource::fingerprints(std::size_t mailbox) {
    const std::vector<ImapClient::Message>& messages = mailboxes_[mailbox].messages;
    std::vector<Fingerprint> all(messages.size());
    client_.heads();
    for (;;) {
        auto action = drive_on();
        if (!action) return action.error();
        const auto* head = std::get_if<ImapClient::Fetched>(&*action);
        if (!head) return all;
        const auto at = std::ranges::lower_bound(messages, head->uid, {}, &ImapClient::Message::uid);
        if (at == messages.end() || at->uid != head->uid || !head->octets) continue;
        all[static_cast<std::size_t>(at - messages.begin())] = {at->octets, head_hash(*head->octets)};
    }
}

// POP3 says which messages there are, in which order, with which UIDLs; IMAP says all else.
Result<void> ImapSource::place_by_pop3(std::size_t mailbox) {
    Pop3Source& pop3 = *options_.pop3;
    const auto here = fingerprints(mailbox);
    if (!here) return here.error();
    std::vector<Fingerprint> listed;
    auto read = pop3.heads([&](const Result<std::string>& head) {
        listed.push_back({pop3.messages()[listed.size()].octets, head ? head_hash(*head) : ""});
    });
    if (!read) return read;
    const auto found = match(listed, *here);
    Uidls uidls;
    std::set<std::size_t> taken;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const Pop3Client::Message& message = pop3.messages()[i];
        const Uidls::Kept kept = uidls.keep(message.uidl);
        if (!kept.warning.empty()) warn(fmt::format("message {}: {}", message.number, kept.warning));
        Place place{mailbox, found[i].value_or(0), kept.uidl, kept.identity, ""};
        if (!found[i])
            place.trouble = fmt::format("POP3's message {} ({}) is none that IMAP shows", message.number,
                                        shown(message.uidl));
        else
            taken.insert(*found[i]);
        places_.push_back(std::move(place));
    }
    for (std::size_t i = 0; i < here->size(); ++i) {
        if (taken.contains(i)) continue;
        places_.push_back(
            {mailbox, i, "", "",
             fmt::format("INBOX, UID {}: POP3 does not list it, so its UIDL is not known; if it has "
                         "just arrived, run this again",
                         mailboxes_[mailbox].messages[i].uid)});
    }
    options_.pop3.reset();  // some servers lock the maildrop for a POP3 session
    return {};
}

Result<std::optional<Item>> ImapSource::next() {
    if (given_ == places_.size()) return std::optional<Item>();
    const std::size_t index = given_++;
    const Place& place = places_[index];
    if (!place.trouble.empty()) return Error(ErrorKind::io, place.trouble);
    const Mailbox& mailbox = mailboxes_[place.mailbox];
    const ImapClient::Message& message = mailbox.messages[place.message];
    Item item;
    item.origin = fmt::format("{}, UID {}", mailbox.name, message.uid);
    item.uidl = place.uidl;
    item.mailbox = mailbox.name;
    item.identity = place.uidl_identity.empty()
                        ? fmt::format("imap\n{}\n{}\n{}", mailbox.name, mailbox.uid_validity, message.uid)
                        : identity_of_uidl(mailbox.name, place.uidl_identity);
    item.internal_date = message.internal_date.value_or(options_.remote.now);
    item.date_in_header = !message.internal_date;
    item.flags = message.flags;
    item.octets = message.octets;
    item.octets_exact = true;
    item.read = [this, index](const Take& take) -> Result<void> {
        const auto octets = fetch(index);
        if (!octets) return octets.error();
        return take(*octets);
    };
    items_.push_back(index);
    return std::optional<Item>(std::move(item));
}

void ImapSource::will_read(const std::vector<std::size_t>& items) {
    std::vector<FetchWindow::Message> expected;
    for (const std::size_t item : items) {
        const Place& place = places_[items_[item]];
        expected.push_back(
            {items_[item], mailboxes_[place.mailbox].messages[place.message].octets, place.mailbox});
    }
    window_.expect(std::move(expected));
}

Result<std::string> ImapSource::fetch(std::size_t index) {
    const Place& wanted = places_[index];
    const Mailbox& mailbox = mailboxes_[wanted.mailbox];
    const auto uid_of = [this](std::size_t place) {
        return mailboxes_[places_[place].mailbox].messages[places_[place].message].uid;
    };
    if (open_ != wanted.mailbox) {
        while (!window_.under_way().empty()) {  // of the mailbox before, and never read
            if (auto action = drive_on(); !action) return action.error();
            window_.answered();
        }
        early_.clear();
        if (auto opened = open_mailbox(wanted.mailbox); !opened) return opened.error();
        if (client_.opened().uid_validity != mailbox.uid_validity)
            return Error(ErrorKind::io, "the mailbox was made anew at the source meanwhile; run this again");
    }
    for (const std::size_t place : window_.ask(index, true))
        client_.message(uid_of(place));
    while (!window_.under_way().empty()) {
        const std::size_t first = window_.under_way().front();
        if (auto node = early_.extract(uid_of(first))) {
            window_.answered();
            if (first == index) return std::move(node.mapped());
            continue;
        }
        auto action = drive_on();
        if (!action) return action.error();
        auto* fetched = std::get_if<ImapClient::Fetched>(&*action);
        if (!fetched) break;
        early_.insert_or_assign(fetched->uid, std::move(fetched->octets));
    }
    return Error(ErrorKind::stopped, fmt::format("{}: an answer is missing", url_.text()));
}

}  // namespace pier::migrate
