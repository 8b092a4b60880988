#include "migrate/pop3_source.h"

#include <utility>

#include <fmt/format.h>

#include "migrate/server_text.h"

namespace pier::migrate {
namespace {

constexpr std::size_t heads_under_way_max = 64;

Pop3Client::Limits limits_of(const RemoteOptions& options) {
    Pop3Client::Limits limits;
    limits.message_octets_max = options.message_octets_max;
    return limits;
}

}  // namespace

Uidls::Kept Uidls::keep(const std::string& uidl) {
    Kept kept;
    const std::size_t earlier = seen_[uidl]++;
    kept.identity = earlier == 0 ? uidl : fmt::format("{}\n{}", uidl, earlier);
    if (earlier > 0)
        kept.warning = fmt::format(
            "the server gives the UIDL \"{}\" more than once; this message gets a new one", shown(uidl));
    else if (is_uidl(uidl))
        kept.uidl = uidl;
    else
        kept.warning =
            fmt::format("the UIDL \"{}\" cannot be kept (1 to 70 printable characters)", shown(uidl));
    return kept;
}

std::string identity_of_uidl(std::string_view mailbox, std::string_view uidl_identity) {
    return fmt::format("uidl\n{}\n{}", mailbox, uidl_identity);
}

Pop3Source::Pop3Source(ServerUrl url, Login login, RemoteOptions options)
    : url_(std::move(url)),
      options_(std::move(options)),
      client_(std::move(login), limits_of(options_)),
      window_(options_.window) {}

// QUIT, so that a server that saves what it has shown does so; its answer is of no use.
Pop3Source::~Pop3Source() {
    if (!connection_) return;
    client_.quit();
    auto action = client_.next();
    if (auto* write = std::get_if<Pop3Client::Write>(&action))
        static_cast<void>(connection_->write(write->text));
}

Result<std::unique_ptr<Pop3Source>> Pop3Source::open(const ServerUrl& url, Login login,
                                                     RemoteOptions options) {
    login.tls_already = url.tls;
    std::unique_ptr<Pop3Source> source(new Pop3Source(url, std::move(login), std::move(options)));
    if (auto connected = source->connect(); !connected)
        return Error(connected.error().kind, fmt::format("{}: {}", url.text(), connected.error().text));
    return source;
}

Result<void> Pop3Source::connect() {
    auto connection = ServerConnection::open(url_, options_.connect);
    if (!connection) return connection.error();
    connection_ = std::move(*connection);
    if (auto logged_in = drive(client_, *connection_); !logged_in) return logged_in.error();
    client_.list();
    if (auto listed = drive(client_, *connection_); !listed) return listed.error();
    for (const Pop3Client::Message& message : messages())
        octets_total_ += message.octets;
    return {};
}

Result<std::optional<Item>> Pop3Source::next() {
    if (given_ == messages().size()) return std::optional<Item>();
    const std::size_t index = given_++;
    const Pop3Client::Message& message = messages()[index];
    Item item;
    item.origin = fmt::format("{}, message {} ({})", url_.text(), message.number, shown(message.uidl));
    const Uidls::Kept kept = uidls_.keep(message.uidl);
    if (!kept.warning.empty()) warn(fmt::format("message {}: {}", message.number, kept.warning));
    item.uidl = kept.uidl;
    item.mailbox = "INBOX";
    item.identity = identity_of_uidl(item.mailbox, kept.identity);
    item.internal_date = options_.now;
    item.date_in_header = true;
    item.flags_known = false;
    item.octets = message.octets;
    item.octets_exact = message.octets > 0;
    item.read = [this, index](const Take& take) -> Result<void> {
        const auto octets = fetch(index);
        if (!octets) return octets.error();
        return take(*octets);
    };
    return std::optional<Item>(std::move(item));
}

void Pop3Source::will_read(const std::vector<std::size_t>& items) {
    std::vector<FetchWindow::Message> expected;
    for (const std::size_t item : items)
        expected.push_back({item, messages()[item].octets, 0});
    window_.expect(std::move(expected));
}

Result<std::string> Pop3Source::fetch(std::size_t index) {
    for (const std::size_t item : window_.ask(index, client_.pipelining()))
        client_.message(messages()[item].number);
    while (!window_.under_way().empty()) {
        auto action = drive(client_, *connection_);
        if (!action) return action.error();
        auto* fetched = std::get_if<Pop3Client::Fetched>(&*action);
        if (!fetched) break;
        const std::size_t item = window_.under_way().front();
        window_.answered();
        if (item == index) return std::move(fetched->octets);
    }
    return Error(ErrorKind::stopped, fmt::format("{}: an answer is missing", url_.text()));
}

Result<void> Pop3Source::heads(const std::function<void(const Result<std::string>&)>& take) {
    std::size_t asked = 0;
    for (std::size_t taken = 0; taken < messages().size(); ++taken) {
        const std::size_t ahead = client_.pipelining() ? heads_under_way_max : 1;
        while (asked < messages().size() && asked < taken + ahead)
            client_.head(messages()[asked++].number);
        auto action = drive(client_, *connection_);
        if (!action)
            return Error(action.error().kind, fmt::format("{}: {}", url_.text(), action.error().text));
        auto* fetched = std::get_if<Pop3Client::Fetched>(&*action);
        if (!fetched) return Error(ErrorKind::stopped, fmt::format("{}: an answer is missing", url_.text()));
        take(fetched->octets);
    }
    return {};
}

}  // namespace pier::migrate
