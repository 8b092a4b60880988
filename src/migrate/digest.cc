#include "migrate/digest.h"

#include <algorithm>
#include <array>
#include <new>

#include <fmt/format.h>

namespace pier::migrate {
namespace {

std::array<unsigned char, 32> finish(EVP_MD_CTX* context) {
    std::array<unsigned char, 32> hash{};
    EVP_DigestFinal_ex(context, hash.data(), nullptr);
    return hash;
}

}  // namespace

Digest::Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
}

void Digest::add(std::string_view octets) {
    EVP_DigestUpdate(context_.get(), octets.data(), octets.size());
}

std::string Digest::hex() {
    std::string text;
    for (const unsigned char octet : finish(context_.get())) {
        text += fmt::format("{:02x}", octet);
    }
    return text;
}

store::ImportKey import_key(std::string_view identity) {
    store::ImportKey key{};
    std::array<unsigned char, 32> hash{};
    EVP_Digest(identity.data(), identity.size(), hash.data(), nullptr, EVP_sha256(), nullptr);
    std::copy_n(hash.begin(), key.size(), key.begin());
    return key;
}

}  // namespace pier::migrate
