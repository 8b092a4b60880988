// A whole server in the test's process, on a store in a temporary folder and free loopback ports; and a
// client that speaks to it by hand.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/thread_pool.hpp>
#include <openssl/types.h>

#include "admin/api.h"
#include "auth/authenticator.h"
#include "auth/directory.h"
#include "auth/tokens.h"
#include "delivery/delivery.h"
#include "maildrop/keeper.h"
#include "serve/admin_driver.h"
#include "serve/leases.h"
#include "serve/login_delay.h"
#include "serve/pop3_driver.h"
#include "serve/server.h"
#include "serve/smtp_driver.h"
#include "store/log/log_store.h"
#include "support/certificate.h"

namespace pier::test {

struct ServedOptions {
    auth::GuardSettings guard;
    AccessList pop3_access;  // of the POP3 listeners
    Networks proxies;        // the same
    Networks introducers;    // the same
    std::size_t sessions_per_account_max = 0;
    std::chrono::seconds login_delay{0};
    maildrop::Policy policy;
    serve::ServerLimits limits;
    serve::Pop3Settings pop3;
    serve::SmtpSettings lmtp, smtp;
    serve::SmtpSettings submission;
    serve::SubmissionSettings rules;  // of submission
    serve::SendLimits rate;
    queue::Intake* queue = nullptr;  // outlives the server
    serve::ClearLogin clear_login = serve::ClearLogin::loopback;
    auth::TokenIssuer* issuer = nullptr;  // of tokens, asked about each; outlives the server
    bool exclusive = false;               // of the account "ada"
    std::uint64_t quota_octets = 0;       // the same
};

// Serves the account "ada", password "secret".
class Served {
  public:
    explicit Served(ServedOptions options = {});
    ~Served();

    std::uint16_t pop3_port = 0, pop3s_port = 0, lmtp_port = 0, lmtps_port = 0, smtp_port = 0,
                  submission_port = 0, submissions_port = 0;
    std::string admin_path;

    void deliver(const std::string& message, Time date = {});  // straight into the store, durable
    std::vector<std::string> stored();                         // what ada's INBOX holds, whole
    store::Store& store() { return *store_; }
    std::string folder() const { return files_.folder; }
    serve::Server& server() { return *server_; }
    auth::Guard& guard() { return guard_; }
    auth::Directory& directory() { return *directory_; }
    delivery::Delivery& delivery() { return *delivery_; }
    const serve::Pop3Service& pop3() const { return *pop3_; }

  private:
    CertificateFiles files_;
    std::unique_ptr<net::Tls> tls_;
    std::unique_ptr<store::LogStore> store_;
    std::unique_ptr<auth::Directory> directory_;
    std::unique_ptr<auth::Authenticator> authenticator_;
    std::unique_ptr<auth::Tokens> tokens_;
    std::unique_ptr<delivery::Delivery> delivery_;
    auth::Guard guard_;
    serve::AccountSessions sessions_;
    serve::Leases leases_;
    serve::LoginDelay login_delay_;
    std::unique_ptr<maildrop::Keeper> keeper_;
    boost::asio::thread_pool pool_{2};
    admin::Api api_;
    std::unique_ptr<serve::Pop3Service> pop3_;
    std::unique_ptr<serve::SendRate> rate_;
    std::unique_ptr<serve::SubmissionService> submitters_;
    std::unique_ptr<serve::SmtpService> lmtp_, smtp_, submission_;
    std::unique_ptr<serve::AdminService> admin_;
    serve::Pop3Listener starttls_, implicit_;
    serve::SmtpListener lmtp_listener_, lmtps_listener_, smtp_listener_, submission_listener_,
        submissions_listener_;
    std::unique_ptr<serve::Server> server_;
};

// A blocking connection. Reads end with an empty text at the peer's end; nothing for 20 seconds is a failed
// test.
class Client {
  public:
    explicit Client(std::uint16_t port, const char* from = "127.0.0.1");
    explicit Client(const std::string& unix_path);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    bool start_tls();
    void send(std::string_view octets);
    std::string line();                         // without its CRLF
    std::string ask(std::string_view command);  // sends it with CRLF, gives the answer's first line
    std::string until_dot();  // a multi-line answer's rest, still stuffed, without the last line
    std::string rest();       // until the peer's end
    void finish_sending();
    void abandon();  // both directions end, also for a thread that is sending
    void shrink_receive_buffer(int octets = 4096);

  private:
    std::string more();
    int fd_ = -1;
    SSL_CTX* context_ = nullptr;
    SSL* ssl_ = nullptr;
    std::string in_;
};

// AUTH SCRAM-SHA-256, as a client does it (RFC 5802 §3): the last line of the server's.
std::string scram_login(Client& client, const std::string& user, const std::string& password);

}  // namespace pier::test
