#include "main/setup_facts.h"

#include <array>
#include <memory>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/bio.h>
#include <openssl/pem.h>

#include "base/whole_file.h"
#include "main/config_text.h"
#include "net/ocsp.h"
#include "watch/probe_tls.h"

namespace pier::program {
namespace {

constexpr std::size_t certificate_octets_max = 1 << 20;

// What tells one of several from the others: the first of these that has a value.
std::string name_of(const Section& section, const Config& config, std::size_t index) {
    constexpr std::array<std::string_view, 5> telling{"name", "file", "host", "fetcher", "kind"};
    for (const std::string_view key : telling)
        for (const Field& field : section.fields) {
            if (field.key != key || field.secret) continue;
            const Value value = field.get(config, index);
            const auto* text = std::get_if<std::string>(&value);
            if (text != nullptr && !text->empty()) return *text;
        }
    return fmt::format("#{}", index + 1);
}

bool is_empty(const Value& value) {
    const auto* text = std::get_if<std::string>(&value);
    return text != nullptr && text->empty();
}

void add_fields(const Section& section, const std::string& prefix, const Config& config, std::size_t index,
                std::string_view key, Facts& facts) {
    for (const Field& field : section.fields) {
        const Value value = field.get(config, index);
        const std::string text = toml_value(field, value);
        facts[prefix + "." + std::string(field.key)] =
            field.secret && !is_empty(value) ? secret_fact(text, key) : text;
    }
}

void add_certificate(const net::TlsFiles& files, Facts& facts) {
    const std::string& file = files.certificate;
    const auto text = read_whole_file(file, certificate_octets_max);
    const std::unique_ptr<BIO, decltype(&BIO_free)> in(
        text ? ::BIO_new_mem_buf(text->data(), static_cast<int>(text->size())) : nullptr, &BIO_free);
    const std::unique_ptr<X509, decltype(&X509_free)> leaf(
        in ? ::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr) : nullptr, &X509_free);
    if (!leaf) {
        facts[file] = text ? "no certificate" : text.error().text;
        return;
    }
    const watch::Certificate seen = watch::describe(leaf.get());
    facts[file + " subject"] = seen.subject;
    facts[file + " names"] = fmt::format("{}", fmt::join(seen.names, " "));
    facts[file + " issuer"] = seen.issuer;
    facts[file + " from"] = to_rfc3339(seen.not_before);
    facts[file + " until"] = to_rfc3339(seen.not_after);
    facts[file + " sha-256"] = net::certificate_fingerprint(leaf.get());
}

}  // namespace

Facts configuration_facts(const Config& config, std::string_view key) {
    Facts facts;
    for (const Section& section : sections()) {
        if (!section.repeated()) {
            add_fields(section, std::string(section.name), config, 0, key, facts);
            continue;
        }
        for (std::size_t index = 0; index < section.count(config); ++index) {
            const std::string prefix = fmt::format("{}[{}]", section.name, name_of(section, config, index));
            // Two of one name: by their places as well.
            const bool taken = facts.lower_bound(prefix + ".") != facts.end() &&
                               facts.lower_bound(prefix + ".")->first.starts_with(prefix + ".");
            add_fields(section, taken ? fmt::format("{}#{}", prefix, index + 1) : prefix, config, index, key,
                       facts);
        }
    }
    return facts;
}

Facts certificate_facts(const net::TlsSettings& settings) {
    Facts facts;
    if (settings.files.certificate.empty()) return facts;
    add_certificate(settings.files, facts);
    for (const net::TlsFiles& one : settings.others)
        add_certificate(one, facts);
    return facts;
}

}  // namespace pier::program
