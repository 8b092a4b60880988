#include "watch/probe_tls.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/network.h"
#include "watch/dialogue.h"

namespace pier::watch {
namespace {

template <class Object, auto free>
struct Free {
    void operator()(Object* object) const { free(object); }
};
using Bio = std::unique_ptr<BIO, Free<BIO, BIO_free_all>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX, X509_STORE_CTX_free>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX, SSL_CTX_free>>;

constexpr std::size_t names_max = 100, chain_max = 20;

std::string tls_error() {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : "no memory for TLS";
}

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long octets = BIO_get_mem_data(bio, &data);
    return shown(std::string_view(data, octets > 0 ? static_cast<std::size_t>(octets) : 0), 1000);
}

std::string name_text(const X509_NAME* name) {
    const Bio bio(BIO_new(BIO_s_mem()));
    if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0)
        return "?";
    return text_of(bio.get());
}

Time time_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
    return Time(std::chrono::seconds(timegm(&parts)));
}

std::string_view text_of(const ASN1_STRING* text) {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
            static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string address_text(std::string_view octets) {
    if (octets.size() == 4) {
        boost::asio::ip::address_v4::bytes_type bytes{};
        std::ranges::copy(octets, reinterpret_cast<char*>(bytes.data()));
        return boost::asio::ip::address_v4(bytes).to_string();
    }
    if (octets.size() != 16) return "?";
    boost::asio::ip::address_v6::bytes_type bytes{};
    std::ranges::copy(octets, reinterpret_cast<char*>(bytes.data()));
    return boost::asio::ip::address_v6(bytes).to_string();
}

std::vector<std::string> names_of(X509* certificate) {
    std::vector<std::string> names;
    auto* list =
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(list) && names.size() < names_max; ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(list, i);
        if (name->type == GEN_DNS) names.push_back(shown(text_of(name->d.dNSName), 255));
        if (name->type == GEN_IPADD) names.push_back(address_text(text_of(name->d.iPAddress)));
    }
    GENERAL_NAMES_free(list);
    return names;
}

// Where the issuer's certificate is to be had.
std::string issuers_url_of(X509* certificate) {
    std::string url;
    auto* list =
        static_cast<AUTHORITY_INFO_ACCESS*>(X509_get_ext_d2i(certificate, NID_info_access, nullptr, nullptr));
    for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(list) && url.empty(); ++i) {
        const ACCESS_DESCRIPTION* one = sk_ACCESS_DESCRIPTION_value(list, i);
        if (OBJ_obj2nid(one->method) == NID_ad_ca_issuers && one->location->type == GEN_URI)
            url = shown(text_of(one->location->d.uniformResourceIdentifier), 500);
    }
    AUTHORITY_INFO_ACCESS_free(list);
    return url;
}

bool matches(X509* certificate, const std::string& name) {
    boost::system::error_code error;
    boost::asio::ip::make_address(name, error);
    if (!error) return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
    return X509_check_host(certificate, name.c_str(), name.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                           nullptr) == 1;
}

TlsFacts::Distrust::Why why_of(int error) {
    using Why = TlsFacts::Distrust::Why;
    switch (error) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return Why::expired;
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return Why::not_yet_valid;
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return Why::self_signed;
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            return Why::authority_unknown;
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return Why::chain_incomplete;
        default:
            return Why::other;
    }
}

// Goes on at each error, so that all are known.
int gather(int good, X509_STORE_CTX* context) {
    if (good == 1) return 1;
    auto& distrust = *static_cast<std::vector<TlsFacts::Distrust>*>(X509_STORE_CTX_get_app_data(context));
    const int error = X509_STORE_CTX_get_error(context);
    const auto why = why_of(error);
    const int depth = X509_STORE_CTX_get_error_depth(context);
    const bool known =
        std::ranges::any_of(distrust, [&](const auto& one) { return one.why == why && one.depth == depth; });
    if (!known) distrust.push_back({why, depth, X509_verify_cert_error_string(error)});
    return 1;
}

std::string group_of(SSL* ssl) {
    const auto id = SSL_get_negotiated_group(ssl);
    const char* name = id > 0 ? OBJ_nid2sn(static_cast<int>(id)) : nullptr;
    return name ? name : "";
}

}  // namespace

Result<TlsTrust> TlsTrust::load(const std::string& ca_file) {
    TlsTrust trust;
    trust.authorities_.reset(X509_STORE_new(), X509_STORE_free);
    if (!trust.authorities_) return Error(ErrorKind::busy, tls_error());
    X509_STORE* store = trust.authorities_.get();
    const int loaded =
        ca_file.empty() ? X509_STORE_set_default_paths(store) : X509_STORE_load_file(store, ca_file.c_str());
    if (loaded != 1) return Error(ErrorKind::invalid, fmt::format("--ca-file {}: {}", ca_file, tls_error()));
    return trust;
}

Result<net::ClientConnection::Ssl> TlsTrust::make_ssl(const std::string& name, const TlsOffer& offer) const {
    const Context context(SSL_CTX_new(TLS_client_method()));
    if (!context) return Error(ErrorKind::busy, tls_error());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // it is judged afterwards
    SSL_CTX_set_options(context.get(), SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    // What the machine's openssl.cnf says of lowest versions is for its own connections.
    SSL_CTX_set_min_proto_version(context.get(), offer.version_min);
    SSL_CTX_set_max_proto_version(context.get(), offer.version_max);
    const std::string ciphers = offer.ciphers.empty() ? "DEFAULT:@SECLEVEL=0" : offer.ciphers;
    if (SSL_CTX_set_cipher_list(context.get(), ciphers.c_str()) != 1)
        return Error(ErrorKind::invalid, tls_error());
    net::ClientConnection::Ssl ssl(SSL_new(context.get()));
    if (!ssl) return Error(ErrorKind::busy, tls_error());
    boost::system::error_code is_name;
    boost::asio::ip::make_address(name, is_name);
    if (is_name) SSL_set_tlsext_host_name(ssl.get(), name.c_str());
    if (!offer.alpn.empty()) {
        const std::string list = static_cast<char>(offer.alpn.size()) + offer.alpn;
        SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(list.data()),
                            static_cast<unsigned>(list.size()));
    }
    return ssl;
}

std::vector<TlsFacts::Distrust> TlsTrust::verify(STACK_OF(X509) * chain, Time now) const {
    std::vector<TlsFacts::Distrust> distrust;
    const StoreContext context(X509_STORE_CTX_new());
    X509* own = sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : nullptr;
    if (!own || !context || X509_STORE_CTX_init(context.get(), authorities_.get(), own, chain) != 1)
        return {{TlsFacts::Distrust::Why::other, 0, own ? tls_error() : "no certificate was sent"}};
    X509_STORE_CTX_set_default(context.get(), "ssl_server");
    X509_STORE_CTX_set_time(context.get(), 0,
                            std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
    // Weak keys and signatures are findings of their own.
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(context.get()), 0);
    X509_STORE_CTX_set_app_data(context.get(), &distrust);
    X509_STORE_CTX_set_verify_cb(context.get(), gather);
    X509_verify_cert(context.get());
    ERR_clear_error();
    // What follows from the chain's end is not said again.
    using Why = TlsFacts::Distrust::Why;
    const auto has = [&](Why why) {
        return std::ranges::any_of(distrust, [why](const auto& one) { return one.why == why; });
    };
    if (has(Why::self_signed) || has(Why::authority_unknown))
        std::erase_if(distrust, [](const auto& one) { return one.why == Why::chain_incomplete; });
    bool incomplete = false;
    std::erase_if(distrust, [&incomplete](const auto& one) {
        return one.why == Why::chain_incomplete && std::exchange(incomplete, true);
    });
    std::ranges::stable_sort(distrust, {}, &TlsFacts::Distrust::depth);
    return distrust;
}

TlsFacts TlsTrust::facts(SSL* ssl, const std::string& name, Time now) const {
    TlsFacts facts;
    facts.version = SSL_get_version(ssl);
    facts.cipher = SSL_get_cipher_name(ssl);
    facts.group = group_of(ssl);
    const unsigned char* alpn = nullptr;
    unsigned octets = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &octets);
    if (octets > 0) facts.alpn = shown({reinterpret_cast<const char*>(alpn), octets});
    STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);  // null: none was sent
    for (int i = 0; i < sk_X509_num(chain) && facts.chain.size() < chain_max; ++i)
        facts.chain.push_back(describe(sk_X509_value(chain, i)));
    facts.name_matches = sk_X509_num(chain) > 0 && matches(sk_X509_value(chain, 0), name);
    facts.distrust = verify(chain, now);
    return facts;
}

Certificate describe(X509* certificate) {
    Certificate one;
    one.subject = name_text(X509_get_subject_name(certificate));
    one.issuer = name_text(X509_get_issuer_name(certificate));
    one.names = names_of(certificate);
    one.not_before = time_of(X509_get0_notBefore(certificate));
    one.not_after = time_of(X509_get0_notAfter(certificate));
    if (EVP_PKEY* key = X509_get0_pubkey(certificate)) {
        const char* type = EVP_PKEY_get0_type_name(key);
        one.key_type = type ? type : "?";
        one.key_bits = EVP_PKEY_get_bits(key);
    }
    const char* signature = OBJ_nid2sn(X509_get_signature_nid(certificate));
    one.signature = signature ? signature : "?";
    one.self_signed = X509_self_signed(certificate, 0) == 1;
    one.issuers_url = issuers_url_of(certificate);
    return one;
}

}  // namespace pier::watch
