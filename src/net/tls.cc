#include "net/tls.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <filesystem>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "net/tls_stream.h"

namespace pier::net {
namespace {

// AES-128 first: its key schedule hashes with SHA-256, for which processors have instructions, and not with
// SHA-384. A client that puts ChaCha20 first has no AES instructions, and gets its wish.
constexpr const char* ciphers_tls13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

// Mozilla's "intermediate" list.
constexpr const char* ciphers_tls12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

// RFC 7301 §3.2: a client that names protocols and not ours gets no_application_protocol (attack:
// cross-protocol).
int select_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_length, const unsigned char* offered,
                unsigned int offered_length, void*) {
    const char* ours = TlsStream::of(ssl).alpn();
    if (ours == nullptr) return SSL_TLSEXT_ERR_NOACK;
    const std::size_t length = std::strlen(ours);
    for (unsigned int i = 0; i + 1 <= offered_length; i += 1u + offered[i]) {
        const unsigned int name_length = offered[i];
        if (i + 1 + name_length > offered_length) break;
        if (name_length == length && std::memcmp(offered + i + 1, ours, length) == 0) {
            *out = offered + i + 1;
            *out_length = static_cast<unsigned char>(name_length);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// A certificate is often made a moment before it is used, and this machine's clock may be behind the
// authority's: one that begins within a day is taken.
constexpr std::time_t clock_behind_max_s = 24 * 3600;

// The comparisons give 0 for a time that cannot be read: that is no time to trust.
Result<void> check_time(const X509* certificate, const std::string& file) {
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0)
        return Error{ErrorKind::invalid,
                     fmt::format("the certificate {} has expired; put a new one there", file)};
    std::time_t tomorrow = std::time(nullptr) + clock_behind_max_s;
    if (X509_cmp_time(X509_get0_notBefore(certificate), &tomorrow) >= 0)
        return Error{
            ErrorKind::invalid,
            fmt::format("the certificate {} is not yet valid; look at its dates (openssl x509 -noout "
                        "-dates -in {}) and at this machine's clock",
                        file, file)};
    return {};
}

}  // namespace

// The contexts of all certificates that a client may choose. The first one holds it, and is held by each
// connection (as that one's session context), whichever it has chosen: so it lives as long as they do.
struct Tls::Choice {
    SSL_CTX* first = nullptr;
    std::vector<Context> others;

    SSL_CTX* find(const char* name) const {
        const auto is_for_name = [name](SSL_CTX* context) {
            return X509_check_host(SSL_CTX_get0_certificate(context), name, 0, 0, nullptr) == 1;
        };
        if (is_for_name(first)) return first;
        for (const Context& other : others)
            if (is_for_name(other.get())) return other.get();
        return nullptr;
    }

    static int index() {
        static const int made = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free);
        return made;
    }
    static void free(void*, void* held, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<Choice*>(held);
    }
};

// RFC 6066 §3: whom the client wants to speak to. One that we do not know gets the first certificate: most
// clients of mail name the host that they were told, which may be an alias in nobody's certificate.
//
// Attack: after a HelloRetryRequest this is asked again, perhaps with another name, when the connection has
// chosen already. So what there is to choose from does not depend on what was chosen.
int Tls::choose(SSL* ssl, int*, void* choice) {
    if (TlsStream::of(ssl).answers_challenge()) return SSL_TLSEXT_ERR_OK;
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX* found = name != nullptr ? static_cast<const Choice*>(choice)->find(name) : nullptr;
    if (found == nullptr) return SSL_TLSEXT_ERR_NOACK;
    if (found != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, found);
    return SSL_TLSEXT_ERR_OK;
}

// RFC 8737 §3: comes before anything is chosen, and again after a HelloRetryRequest.
int Tls::on_client_hello(SSL* ssl, int*, void* tls) {
    auto* self = static_cast<Tls*>(tls);
    if (!self->challenged_) return SSL_CLIENT_HELLO_SUCCESS;
    const auto name = TlsChallenges::name_asked_for(ssl);
    const auto context = name ? self->challenges_.find(*name) : nullptr;
    if (context == nullptr) return SSL_CLIENT_HELLO_SUCCESS;
    SSL_set_SSL_CTX(ssl, context.get());
    TlsStream::of(ssl).answer_challenge();
    return SSL_CLIENT_HELLO_SUCCESS;
}

std::string tls_error_text() {
    std::string text;
    while (const unsigned long code = ERR_get_error()) {
        const char* reason = ERR_reason_error_string(code);
        if (text.empty()) text = reason != nullptr ? reason : fmt::format("error {:#x}", code);
    }
    return text.empty() ? "no reason given" : text;
}

Result<std::unique_ptr<Tls>> Tls::load(const TlsSettings& settings, Clock clock) {
    std::unique_ptr<Tls> tls(new Tls(std::move(clock)));
    if (auto loaded = tls->reload(settings); !loaded) return loaded.error();
    return tls;
}

// Everything but the certificate.
Result<Tls::Context> Tls::make_bare_context(const TlsSettings& settings) {
    ERR_clear_error();
    Context context(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* ctx = context.get();
    if (ctx == nullptr) return Error{ErrorKind::io, "cannot set TLS up: " + tls_error_text()};
    SSL_CTX_set_min_proto_version(ctx,
                                  settings.policy == TlsPolicy::modern ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    // No chain is ever built: what the file has is sent, and nothing is looked for at each handshake.
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_cipher_list(ctx, ciphers_tls12);
    SSL_CTX_set_ciphersuites(ctx, ciphers_tls13);
    SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384");
    // Resumption by stateless tickets only: a server-side cache would grow with every client.
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    // One ticket for each connection: a mail client comes back with one connection at a time, and a second
    // ticket costs the server 13 µs.
    SSL_CTX_set_num_tickets(ctx, 1);
    if (auto served = tickets_.serve(ctx); !served) return served.error();
    static constexpr unsigned char session_context[] = "pier";
    SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1);
    if (!settings.clients.ca_file.empty())
        if (auto asked = ask_for_certificates(ctx, settings.clients); !asked) return asked.error();
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, nullptr);
    // Not for a log: a connection goes on with its secrets and without OpenSSL's 14 KB of state.
    SSL_CTX_set_keylog_callback(ctx, TlsStream::on_secret);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, this);
    return context;
}

Result<Tls::Context> Tls::make_context(const TlsFiles& files, const TlsSettings& settings) {
    auto context = make_bare_context(settings);
    if (!context) return context;
    SSL_CTX* ctx = context->get();
    if (SSL_CTX_use_certificate_chain_file(ctx, files.certificate.c_str()) != 1)
        return Error{ErrorKind::invalid,
                     fmt::format("cannot use the certificate {}: {}. It must be PEM, the server's "
                                 "certificate first.",
                                 files.certificate, tls_error_text())};
    if (SSL_CTX_use_PrivateKey_file(ctx, files.key.c_str(), SSL_FILETYPE_PEM) != 1)
        return Error{ErrorKind::invalid,
                     fmt::format("cannot use the key {}: {}. It must be PEM, without a passphrase, "
                                 "readable, and belong to {}.",
                                 files.key, tls_error_text(), files.certificate)};
    if (SSL_CTX_check_private_key(ctx) != 1)
        return Error{ErrorKind::invalid, fmt::format("the key {} does not belong to the certificate {}",
                                                     files.key, files.certificate)};
    if (auto within = check_time(SSL_CTX_get0_certificate(ctx), files.certificate); !within)
        return within.error();
    return context;
}

namespace {

constexpr int stand_in_days = 30;

// PEM text in place of files.
bool use_pair(SSL_CTX* context, const PemPair& pair) {
    struct Free {
        void operator()(BIO* bio) const { BIO_free(bio); }
        void operator()(X509* certificate) const { X509_free(certificate); }
        void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    };
    const auto memory = [](const std::string& text) {
        return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    };
    const auto certificate_text = memory(pair.certificate), key_text = memory(pair.key);
    const std::unique_ptr<X509, Free> certificate(
        PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
    const std::unique_ptr<EVP_PKEY, Free> key(
        PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
    return certificate && key && SSL_CTX_use_certificate(context, certificate.get()) == 1 &&
           SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1;
}

}  // namespace

Result<Tls::Context> Tls::make_first_context(const TlsSettings& settings, bool& stands_in) {
    std::error_code error;
    stands_in = !settings.stand_in.empty() && !std::filesystem::exists(settings.files.certificate, error);
    if (!stands_in) {
        auto context = make_context(settings.files, settings);
        // At the start there is nothing else that could stay in use.
        stands_in = !context && !settings.stand_in.empty() && context_ == nullptr;
        if (!stands_in) return context;
    }
    auto context = make_bare_context(settings);
    if (!context) return context;
    auto pair = make_self_signed(settings.stand_in, stand_in_days);
    if (!pair) return pair.error();
    if (!use_pair(context->get(), *pair))
        return Error{ErrorKind::io, "cannot use a self-signed certificate: " + tls_error_text()};
    return context;
}

Result<void> Tls::reload(const TlsSettings& settings) {
    std::lock_guard one_at_a_time(reload_mutex_);
    std::vector<TlsTicketKey> shared;
    if (!settings.ticket_keys.empty()) {
        auto keys = read_tls_ticket_keys(settings.ticket_keys);
        if (!keys) return keys.error();
        shared = std::move(*keys);
    }
    auto staples = std::make_unique<TlsStaples>(clock_);
    const auto staple = [&](SSL_CTX* context, const TlsFiles& files) {
        staples->serve(context, {files.certificate, files.ocsp, settings.ocsp_folder}, *staples_);
    };
    bool stands_in = false;
    auto first = make_first_context(settings, stands_in);
    if (!first) return first.error();
    if (!stands_in) staple(first->get(), settings.files);
    auto choice = std::make_unique<Choice>();
    choice->first = first->get();
    for (const TlsFiles& files : settings.others) {
        auto other = make_context(files, settings);
        if (!other) return other.error();
        staple(other->get(), files);
        choice->others.push_back(std::move(*other));
    }
    if (SSL_CTX_set_ex_data(first->get(), Choice::index(), choice.get()) != 1)
        return Error{ErrorKind::io, "cannot set TLS up: " + tls_error_text()};
    Choice* held = choice.release();
    // With one certificate no handshake pays for looking at its names.
    if (!held->others.empty()) {
        SSL_CTX_set_tlsext_servername_callback(first->get(), choose);
        SSL_CTX_set_tlsext_servername_arg(first->get(), held);
    }
    tickets_.share(std::move(shared));
    stands_in_ = stands_in;
    std::lock_guard lock(mutex_);
    context_ = std::move(*first);
    staples_ = std::move(staples);
    return {};
}

Result<void> Tls::answer_challenges(const std::map<std::string, PemPair>& certificates) {
    std::map<std::string, TlsChallenges::Context> contexts;
    std::string failed;
    for (const auto& [name, pair] : certificates) {
        auto context = make_bare_context(TlsSettings{});
        if (!context) return context.error();
        if (use_pair(context->get(), pair))
            contexts[name] = TlsChallenges::Context(context->release(), SSL_CTX_free);
        else
            failed += ' ' + name;
    }
    challenged_ = !contexts.empty();
    challenges_.set(std::move(contexts));
    if (!failed.empty())
        return Error{ErrorKind::invalid, "no certificate that could answer the authority for" + failed};
    return {};
}

SSL* Tls::new_connection() const {
    Context context;
    {
        std::lock_guard lock(mutex_);
        SSL_CTX_up_ref(context_.get());
        context.reset(context_.get());
    }
    SSL* ssl = SSL_new(context.get());  // holds the context by its own count
    if (ssl != nullptr) SSL_set_accept_state(ssl);
    return ssl;
}

namespace {

constexpr int days_left_min = 14;

int days_left_of(SSL_CTX* context) {
    int days = 0, seconds = 0;
    ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(SSL_CTX_get0_certificate(context)));
    return days - (seconds < 0);
}

std::string name_of(SSL_CTX* context) {
    std::array<char, 256> name{};
    X509_NAME_oneline(X509_get_subject_name(SSL_CTX_get0_certificate(context)), name.data(), name.size());
    return name.data();
}

}  // namespace

int Tls::days_left() const {
    std::lock_guard lock(mutex_);
    int days = days_left_of(context_.get());
    const auto* choice = static_cast<const Choice*>(SSL_CTX_get_ex_data(context_.get(), Choice::index()));
    for (const Context& other : choice->others)
        days = std::min(days, days_left_of(other.get()));
    return days;
}

std::vector<std::string> Tls::problems() const {
    std::lock_guard lock(mutex_);
    std::vector<std::string> all = staples_->problems();
    const auto look_at = [&](SSL_CTX* context) {
        const int days = days_left_of(context);
        if (days < 0)
            all.push_back(fmt::format("the certificate {} has EXPIRED: clients refuse it", name_of(context)));
        else if (days < days_left_min)
            all.push_back(
                fmt::format("the certificate {} ends in {} days; renew it", name_of(context), days));
    };
    if (!stands_in_) look_at(context_.get());
    const auto* choice = static_cast<const Choice*>(SSL_CTX_get_ex_data(context_.get(), Choice::index()));
    for (const Context& other : choice->others)
        look_at(other.get());
    return all;
}

}  // namespace pier::net
