// pier_limit: as little work as a POP3 server can do, to compare others with (bench/README.md). Never a
// server for mail: any password is right, and nothing is kept when it ends.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/resource.h>

#include "limit/loop.h"
#include "limit/mail.h"

namespace {

// The same protocol settings as Pier's; what saves memory and costs time is left out.
SSL_CTX* tls_context(const std::string& certificate, const std::string& key) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_read_ahead(context, 1);
    static constexpr unsigned char session_context[] = "limit";
    SSL_CTX_set_session_id_context(context, session_context, sizeof session_context - 1);
    if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        std::exit(1);
    }
    return context;
}

}  // namespace

int main(int argc, char** argv) {
    limit::Ports ports;
    std::string file, certificate, key;
    unsigned threads = std::max(1u, std::thread::hardware_concurrency());
    CLI::App app{
        "A server that does as little as possible, on 127.0.0.1: the limit that other servers are compared "
        "with."};
    app.add_option("--pop3", ports.pop3, "port")->required();
    app.add_option("--pop3s", ports.pop3s, "port");
    app.add_option("--lmtp", ports.lmtp, "port")->required();
    app.add_option("--file", file, "where the mail goes; it is emptied first")->required();
    app.add_option("--certificate", certificate, "PEM")->needs(app.add_option("--key", key, "PEM"));
    app.add_option("--threads", threads, "event loops; default: one for each core");
    CLI11_PARSE(app, argc, argv);

    std::signal(SIGPIPE, SIG_IGN);
    rlimit descriptors{};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &descriptors);
    try {
        limit::Mail mail(file);
        SSL_CTX* tls = certificate.empty() ? nullptr : tls_context(certificate, key);
        std::vector<std::unique_ptr<limit::Loop>> loops;
        for (unsigned i = 0; i < threads; ++i)
            loops.push_back(std::make_unique<limit::Loop>(mail, tls, ports));
        std::puts("ready");
        std::fflush(stdout);
        std::vector<std::thread> running;
        for (const auto& loop : loops)
            running.emplace_back([&loop] { loop->run(); });
        for (std::thread& thread : running)
            thread.join();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pier_limit: %s\n", error.what());
        return 1;
    }
}
