#include "serve/served.h"

#include <csignal>
#include <stdexcept>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/wait.h"
#include "wire/base64.h"
#include "wire/scram.h"

namespace pier::test {
namespace {

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text);
    return std::move(*result);
}

net::ListenSockets loopback(std::size_t threads) {
    return must(net::ListenSockets::bind({boost::asio::ip::make_address("127.0.0.1"), 0, ""}, threads));
}

}  // namespace

Served::Served(ServedOptions options)
    : guard_(options.guard, system_now),
      sessions_(options.sessions_per_account_max),
      login_delay_(options.login_delay) {
    // As serve() does: a client of a test that writes after abandon() gets an error, not the end of the
    // process.
    std::signal(SIGPIPE, SIG_IGN);
    make_certificate(files_, 30);
    tls_ = must(net::Tls::load({files_.certificate, files_.key}));
    store::LogStoreOptions store;
    store.folder = files_.folder + "/store";
    store.cleaner = false;
    store_ = must(store::open_log_store(std::move(store)));
    directory_ = std::make_unique<auth::Directory>(*store_);
    if (!directory_->load()) throw std::runtime_error("load");
    auth::NewAccount account;
    account.name = "ada";
    account.password = "secret";
    account.exclusive = options.exclusive;
    account.quota_octets = options.quota_octets;
    must(directory_->add(account));
    authenticator_ = std::make_unique<auth::Authenticator>(*directory_, auth::AuthLimits{});
    delivery_ = std::make_unique<delivery::Delivery>(
        *store_, *directory_, delivery::Settings{"mail.example.org", delivery::OverQuota::temporary},
        system_now);

    keeper_ = std::make_unique<maildrop::Keeper>(*store_, options.policy, system_now);
    pop3_.reset(new serve::Pop3Service{*store_, *authenticator_, guard_, sessions_, leases_, login_delay_,
                                       *keeper_, pool_, tls_.get(), options.pop3});
    if (options.issuer != nullptr) {
        auth::TokenSettings settings;
        settings.by = auth::TokenSettings::By::introspection;
        settings.rules.claim = "username";
        tokens_ = std::make_unique<auth::Tokens>(settings, *options.issuer);
        pop3_->tokens = tokens_.get();
    }
    options.lmtp.hostname = "mail.example.org";
    lmtp_.reset(new serve::SmtpService{*store_, *delivery_, pool_, guard_, tls_.get(), options.lmtp});
    options.smtp.kind = smtp::Kind::smtp;
    options.smtp.hostname = "mail.example.org";
    smtp_.reset(new serve::SmtpService{*store_, *delivery_, pool_, guard_, tls_.get(), options.smtp});
    rate_ = std::make_unique<serve::SendRate>(options.rate, even_clock());
    submitters_.reset(new serve::SubmissionService{*authenticator_, *directory_, guard_, sessions_, *rate_,
                                                   options.rules, system_now, tokens_.get()});
    options.submission.kind = smtp::Kind::submission;
    options.submission.hostname = "mail.example.org";
    submission_.reset(new serve::SmtpService{*store_, *delivery_, pool_, guard_, tls_.get(),
                                             options.submission, nullptr, submitters_.get()});
    delivery_->use_queue(options.queue);
    submission_listener_ = {"submission", serve::TlsUse::starttls, options.clear_login};
    submissions_listener_ = {"submissions", serve::TlsUse::implicit, options.clear_login};
    lmtp_listener_ = {"lmtp", serve::TlsUse::none};
    lmtps_listener_ = {"lmtps", serve::TlsUse::implicit};
    smtp_listener_ = {"smtp", serve::TlsUse::starttls};
    api_.add("echo", [](const admin::Call& call) -> Result<boost::json::value> {
        return boost::json::value{{"params", call.params}, {"body", call.body}};
    });
    admin_.reset(new serve::AdminService{api_, pool_, 1000});
    starttls_ = {"pop3", serve::TlsUse::starttls, options.clear_login, options.introducers,
                 options.pop3_access};
    implicit_ = {"pop3s", serve::TlsUse::implicit, options.clear_login, options.introducers,
                 options.pop3_access};

    constexpr std::size_t threads = 2;
    server_ = std::make_unique<serve::Server>(threads, options.limits, guard_);
    const auto listen = [&](net::ListenSockets sockets, std::string_view name, serve::Protocol protocol,
                            const char* busy) {
        const auto port = sockets.local().port;
        const bool pop3 = name.starts_with("pop3");
        server_->listen(std::move(sockets),
                        {std::string(name), std::move(protocol), pop3 ? options.pop3_access : AccessList{},
                         pop3 ? options.proxies : Networks{}, pop3 ? options.introducers : Networks{}, busy,
                         name != "admin"});
        return port;
    };
    pop3_port = listen(
        loopback(threads), "pop3",
        [this](net::Connection& c) { return serve::serve_pop3(c, *pop3_, starttls_); }, "-ERR busy\r\n");
    pop3s_port = listen(
        loopback(threads), "pop3s",
        [this](net::Connection& c) { return serve::serve_pop3(c, *pop3_, implicit_); }, "");
    const auto listen_for_mail = [&](serve::SmtpService& service, const serve::SmtpListener& listener) {
        return listen(
            loopback(threads), listener.name,
            [&service, &listener](net::Connection& c) { return serve::serve_smtp(c, service, listener); },
            "421 busy\r\n");
    };
    lmtp_port = listen_for_mail(*lmtp_, lmtp_listener_);
    lmtps_port = listen_for_mail(*lmtp_, lmtps_listener_);
    smtp_port = listen_for_mail(*smtp_, smtp_listener_);
    submission_port = listen_for_mail(*submission_, submission_listener_);
    submissions_port = listen_for_mail(*submission_, submissions_listener_);
    admin_path = files_.folder + "/admin";
    listen(
        must(net::ListenSockets::bind({{}, 0, admin_path}, threads)), "admin",
        [this](net::Connection& c) { return serve::serve_admin(c, *admin_); }, "");
    server_->start();
}

Served::~Served() {
    server_->stop(std::chrono::seconds(0));
    guard_.stop();
    pool_.join();
    authenticator_.reset();
    delivery_.reset();
    directory_.reset();
    store_.reset();
    server_.reset();  // its loops: what was under way answers to them
}

void Served::deliver(const std::string& message, Time date) {
    store::NewMessage fresh;
    fresh.spool = store_->new_spool();
    if (!fresh.spool->write(message)) throw std::runtime_error("spool");
    store::Target target;
    target.mailbox = directory_->find("ada")->inbox;
    fresh.targets.push_back(target);
    fresh.internal_date = date == Time() ? system_now() : date;
    const auto appended = store::wait<std::vector<Result<store::Appended>>>(
        [&](auto done) { store_->append(std::move(fresh), std::move(done)); });
    if (!appended || !appended->at(0)) throw std::runtime_error("append");
}

std::vector<std::string> Served::stored() {
    const auto snapshot = must(store_->open(directory_->find("ada")->inbox));
    std::vector<std::string> all;
    for (std::size_t i = 0; i < snapshot->entries().size(); ++i) {
        auto body = must(snapshot->body(i));
        std::string text(body->octets(), '\0');
        must(body->read(0, text, store::Wait::may_block));
        all.push_back(std::move(text));
    }
    return all;
}

Client::Client(std::uint16_t port, const char* from) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, from, &address.sin_addr);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

Client::Client(const std::string& unix_path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

Client::~Client() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ::close(fd_);
}

bool Client::start_tls() {
    context_ = SSL_CTX_new(TLS_client_method());
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    return SSL_connect(ssl_) == 1;
}

void Client::send(std::string_view octets) {
    while (!octets.empty()) {
        const ssize_t n = ssl_ != nullptr ? SSL_write(ssl_, octets.data(), static_cast<int>(octets.size()))
                                          : ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
        if (n <= 0) return;  // the server has closed: what it said before is there to be read
        octets.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::string Client::more() {
    char buffer[65536];
    const ssize_t n =
        ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof buffer) : ::recv(fd_, buffer, sizeof buffer, 0);
    if (n < 0 && ssl_ == nullptr && errno == EAGAIN)
        ADD_FAILURE() << "the server said nothing for 20 seconds";
    return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
}

std::string Client::line() {
    std::size_t end = 0;
    while ((end = in_.find("\r\n")) == std::string::npos) {
        const std::string octets = more();
        if (octets.empty()) return std::exchange(in_, {});
        in_ += octets;
    }
    std::string text = in_.substr(0, end);
    in_.erase(0, end + 2);
    return text;
}

std::string Client::ask(std::string_view command) {
    send(std::string(command) + "\r\n");
    return line();
}

std::string Client::until_dot() {
    while (!in_.starts_with(".\r\n") && in_.find("\r\n.\r\n") == std::string::npos) {
        const std::string octets = more();
        if (octets.empty()) {
            ADD_FAILURE() << "the answer ended early";
            return {};
        }
        in_ += octets;
    }
    const std::size_t length = in_.starts_with(".\r\n") ? 0 : in_.find("\r\n.\r\n") + 2;
    std::string text = in_.substr(0, length);
    in_.erase(0, length + 3);
    return text;
}

std::string Client::rest() {
    std::string octets;
    while (!(octets = more()).empty())
        in_ += octets;
    return std::exchange(in_, {});
}

void Client::finish_sending() {
    ::shutdown(fd_, SHUT_WR);
}

void Client::abandon() {
    ::shutdown(fd_, SHUT_RDWR);
}

void Client::shrink_receive_buffer(int octets) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
}

std::string scram_login(Client& client, const std::string& user, const std::string& password) {
    const auto hash = wire::ScramHash::sha256;
    const std::string bare = "n=" + user + ",r=client";
    const auto challenge = [&](const std::string& line) -> std::string {
        if (!line.starts_with("+ ")) return {};
        return *wire::base64_decode(std::string_view(line).substr(2), 4096);
    };
    std::string line = client.ask("AUTH SCRAM-SHA-256 " + wire::base64_encode("n,," + bare));
    const std::string server_first = challenge(line);
    if (server_first.empty()) return line;
    const std::size_t salt_at = server_first.find(",s=") + 3, rounds_at = server_first.find(",i=") + 3;
    const std::string salt = *wire::base64_decode(server_first.substr(salt_at, rounds_at - 3 - salt_at), 64);
    std::string salted(wire::hash_octets(hash), '\0');
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                      std::stoi(server_first.substr(rounds_at)), EVP_sha256(),
                      static_cast<int>(salted.size()), reinterpret_cast<unsigned char*>(salted.data()));
    const std::string without_proof =
        "c=biws," + server_first.substr(0, server_first.find(','));  // biws: "n,," in base64
    std::string proof = wire::hmac(hash, salted, "Client Key");
    std::string stored_key(proof.size(), '\0');
    EVP_Digest(proof.data(), proof.size(), reinterpret_cast<unsigned char*>(stored_key.data()), nullptr,
               EVP_sha256(), nullptr);
    const std::string signature =
        wire::hmac(hash, stored_key, bare + "," + server_first + "," + without_proof);
    for (std::size_t i = 0; i < proof.size(); ++i)
        proof[i] = static_cast<char>(proof[i] ^ signature[i]);
    line = client.ask(wire::base64_encode(without_proof + ",p=" + wire::base64_encode(proof)));
    return line.starts_with("+ ") ? client.ask("") : line;
}

}  // namespace pier::test
