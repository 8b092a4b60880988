// SHA-256 of a message, or of what identifies it. A hash that cannot be forged: else somebody could send a
// message that a later import takes for another one and passes over. One thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

#include "store/store.h"

namespace pier::migrate {

class Digest {
  public:
    Digest();
    void add(std::string_view octets);
    std::string hex();  // 64 digits; once, at the end

  private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// The key under which the store remembers a message for ever: the first half of the SHA-256 of its
// Item::identity.
store::ImportKey import_key(std::string_view identity);

}  // namespace pier::migrate
