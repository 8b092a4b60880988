#include "acme/ocsp_fetcher.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/log.h"
#include "base/whole_file.h"
#include "net/https.h"
#include "net/ocsp.h"

namespace pier::acme {
namespace {

constexpr mode_t owner_alone = 0600;
constexpr std::size_t file_octets_max = 256 << 10;
constexpr std::chrono::minutes pause_min{1}, pause_max{60};
constexpr int certificates_in_file_max = 16;

// The certificates of a PEM file.
class Chain {
  public:
    explicit Chain(const std::string& file) {
        const auto text = read_whole_file(file, file_octets_max);
        if (!text) return;
        BIO* memory = BIO_new_mem_buf(text->data(), static_cast<int>(text->size()));
        leaf_ = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
        for (int i = 0; leaf_ != nullptr && i < certificates_in_file_max; ++i) {
            X509* next = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
            if (next == nullptr) break;
            sk_X509_push(others_, next);
        }
        BIO_free(memory);
        ERR_clear_error();
    }
    ~Chain() {
        X509_free(leaf_);
        sk_X509_pop_free(others_, X509_free);
    }
    Chain(const Chain&) = delete;
    Chain& operator=(const Chain&) = delete;

    X509* leaf() const { return leaf_; }
    X509* issuer() const { return net::ocsp_issuer(leaf_, others_); }

  private:
    X509* leaf_ = nullptr;
    STACK_OF(X509) * others_ = sk_X509_new_null();
};

Result<net::OcspResponse> ask(const std::string& responder, X509* certificate, X509* issuer) {
    auto question = net::ocsp_request(certificate, issuer);
    if (!question) return question.error();
    net::HttpsRequest request;
    request.method = "POST";
    request.url = responder;
    request.clear_allowed = true;  // what comes back is signed
    request.fields = {{"Content-Type", "application/ocsp-request"}, {"Accept", "application/ocsp-response"}};
    request.body = std::move(*question);
    request.octets_max = net::ocsp_octets_max;
    const auto reply = net::https_call(request);
    if (!reply) return reply.error();
    if (reply->status != 200)
        return Error{ErrorKind::io, fmt::format("{} answers with HTTP status {}", responder, reply->status)};
    return net::check_ocsp(reply->body, certificate, issuer, system_now());
}

}  // namespace

bool OcspFetcher::fetch_for(const std::string& file, std::map<std::string, Due>& seen) {
    const Chain chain(file);
    if (chain.leaf() == nullptr) return false;
    const std::string responder = net::ocsp_responder(chain.leaf());
    if (responder.empty()) return false;
    const std::string fingerprint = net::certificate_fingerprint(chain.leaf());
    if (seen.contains(fingerprint)) return false;
    Due due = due_.contains(fingerprint) ? due_.at(fingerprint) : Due{};
    const std::string place = fmt::format("{}/{}.der", folder_, fingerprint);
    const auto fetch = [&]() -> Result<bool> {
        X509* issuer = chain.issuer();
        if (issuer == nullptr)
            return Error{ErrorKind::invalid, "the certificate's file lacks that of its issuer"};
        if (due.next == Time{}) {
            // The first look after a start: what an earlier one has left may still do.
            const auto there = read_whole_file(place, net::ocsp_octets_max);
            const auto good =
                there ? net::check_ocsp(*there, chain.leaf(), issuer, system_now()) : there.error();
            if (good) due.next = good->half();
        }
        if (system_now() < due.next) return false;
        const auto response = ask(responder, chain.leaf(), issuer);
        if (!response) return response.error();
        if (auto written = replace_file(place, response->der, owner_alone); !written) return written.error();
        due = {std::max(response->half(), system_now() + Time::duration(pause_min)), 0};
        log::info("ocsp.fetched", {{"certificate", file}, {"until", to_rfc3339(response->until)}});
        return true;
    };
    const auto fetched = fetch();
    if (!fetched) {
        const auto pause = std::min(pause_min * (1 << std::min(due.failures, 6)), pause_max);
        due = {system_now() + pause, due.failures + 1};
        log::error("ocsp.failed", {{"certificate", file},
                                   {"responder", responder},
                                   {"reason", fetched.error().text},
                                   {"next_s", std::chrono::seconds(pause).count()}});
    }
    seen[fingerprint] = due;
    return fetched && *fetched;
}

void OcspFetcher::look() {
    std::map<std::string, Due> seen;
    bool any = false;
    for (const std::string& file : certificates_)
        any = fetch_for(file, seen) || any;
    due_ = std::move(seen);
    remove_others();
    if (any) changed_();
}

// Of certificates that are no longer there.
void OcspFetcher::remove_others() const {
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder_, error), end; !error && at != end;
         at.increment(error))
        if (at->path().extension() == ".der" && !due_.contains(at->path().stem().string()))
            std::filesystem::remove(at->path(), error);
}

bool any_names_responder(const std::vector<std::string>& certificates) {
    return std::any_of(certificates.begin(), certificates.end(), [](const std::string& file) {
        const Chain chain(file);
        return chain.leaf() != nullptr && !net::ocsp_responder(chain.leaf()).empty();
    });
}

}  // namespace pier::acme
