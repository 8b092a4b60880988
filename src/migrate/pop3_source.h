// The maildrop of a POP3 server as a Source: its messages with their UIDLs, in its order (RFC 1939). Nothing
// changes there: no DELE is ever sent. Blocks; one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/time.h"
#include "migrate/fetch_window.h"
#include "migrate/pop3_client.h"
#include "migrate/server_connection.h"
#include "migrate/source.h"

namespace pier::migrate {

struct RemoteOptions {
    ConnectOptions connect;
    std::uint64_t message_octets_max = 64ull << 20;
    Time now{};  // the date of a message that has none
    FetchWindow::Limits window = {};
};

// A UIDL that the store can keep, and what makes a message's identity out of a server's UIDLs, of which two
// may be the same (they must not, RFC 1939 §7).
class Uidls {
  public:
    struct Kept {
        std::string uidl;      // empty: it cannot be kept, `warning` says why
        std::string identity;  // part of Item::identity
        std::string warning;
    };
    Kept keep(const std::string& uidl);

  private:
    std::unordered_map<std::string, std::size_t> seen_;
};

// Item::identity of a message that has a UIDL: whatever way it is read, it is the same one.
std::string identity_of_uidl(std::string_view mailbox, std::string_view uidl_identity);

class Pop3Source : public Source {
  public:
    // Logs in and lists.
    static Result<std::unique_ptr<Pop3Source>> open(const ServerUrl& url, Login login, RemoteOptions options);
    ~Pop3Source() override;

    Result<std::optional<Item>> next() override;
    std::uint64_t octets_total() const override { return octets_total_; }
    void will_read(const std::vector<std::size_t>& items) override;

    const std::vector<Pop3Client::Message>& messages() const { return client_.messages(); }
    // Reads the headers of all messages, in their order; an error given to `take` is about one message.
    Result<void> heads(const std::function<void(const Result<std::string>&)>& take);

  private:
    Pop3Source(ServerUrl url, Login login, RemoteOptions options);
    Result<void> connect();
    Result<std::string> fetch(std::size_t index);

    const ServerUrl url_;
    const RemoteOptions options_;
    std::unique_ptr<ServerConnection> connection_;
    Pop3Client client_;
    FetchWindow window_;
    Uidls uidls_;
    std::uint64_t octets_total_ = 0;
    std::size_t given_ = 0;
};

}  // namespace pier::migrate
