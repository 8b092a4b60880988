// The mailboxes of an IMAP server as a Source, with flags and dates. UIDLs are not IMAP's: they come from the
// POP3 server of the same maildrop, or from a format that makes them of UID and UIDVALIDITY. Nothing changes
// there. Blocks; one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "migrate/fetch_window.h"
#include "migrate/fingerprints.h"
#include "migrate/imap_client.h"
#include "migrate/pop3_source.h"
#include "migrate/server_connection.h"
#include "migrate/source.h"
#include "migrate/uid_lists.h"

namespace pier::migrate {

struct ImapOptions {
    RemoteOptions remote;
    bool inbox_only = false;
    std::optional<UidlFormat> uidl_format;  // of UID and UIDVALIDITY alone (UidlFormat::needs_name)
    std::unique_ptr<Pop3Source> pop3;       // else; absent too: messages get new UIDLs
};

class ImapSource : public Source {
  public:
    // Logs in and lists all mailboxes.
    static Result<std::unique_ptr<ImapSource>> open(const ServerUrl& url, Login login, ImapOptions options);
    ~ImapSource() override;

    Result<std::optional<Item>> next() override;
    std::uint64_t octets_total() const override { return octets_total_; }
    void will_read(const std::vector<std::size_t>& items) override;

  private:
    struct Mailbox {
        std::string server_name, name;
        std::uint32_t uid_validity = 0;
        std::vector<ImapClient::Message> messages;
    };
    // A message to give: or what is wrong with one.
    struct Place {
        std::size_t mailbox = 0, message = 0;
        std::string uidl, uidl_identity;
        std::string trouble;
    };

    ImapSource(ServerUrl url, Login login, ImapOptions options);
    Result<void> list();
    Result<void> list_mailbox(const ImapClient::Mailbox& found, std::string name);
    Result<void> place_by_pop3(std::size_t mailbox);
    Result<std::vector<Fingerprint>> fingerprints(std::size_t mailbox);
    void place_all(std::size_t mailbox);
    Result<void> open_mailbox(std::size_t mailbox);
    Result<ImapClient::Action> drive_on();
    Result<std::string> fetch(std::size_t place);
    Error failed(const Error& error) const;

    const ServerUrl url_;
    ImapOptions options_;
    std::unique_ptr<ServerConnection> connection_;
    ImapClient client_;
    FetchWindow window_;
    std::vector<Mailbox> mailboxes_;
    std::optional<std::size_t> open_;  // the mailbox that is open
    std::vector<Place> places_;
    std::vector<std::size_t> items_;                      // the place of each item given
    std::map<std::uint32_t, Result<std::string>> early_;  // by UID: fetched before their turn
    std::uint64_t octets_total_ = 0;
    std::size_t given_ = 0;
    std::uint64_t keywords_ = 0;
};

}  // namespace pier::migrate
