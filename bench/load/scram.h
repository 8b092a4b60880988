// The client's side of SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677). A server that keeps SCRAM
// keys hashes no password then: this is the login whose cost is the server's and not the password scheme's.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>

namespace load {

struct ScramKeyPair {
    std::array<unsigned char, 32> client, server;
};

// The keys of password, salt and iterations: thousands of hashes, made once for all connections of a user.
class ScramKeyCache {
  public:
    const ScramKeyPair& keys(const std::string& password, const std::string& salt, int iterations);

  private:
    std::map<std::string, ScramKeyPair> known_;
};

class ScramClient {
  public:
    ScramClient(ScramKeyCache& cache, std::string user, std::string password);

    // Base64 texts, as AUTH carries them. Throws Stop if the server says what SCRAM does not allow.
    std::string first_message();
    std::string final_message(std::string_view server_first);
    void check_server_final(std::string_view server_final) const;

  private:
    ScramKeyCache& cache_;
    std::string user_, password_, nonce_, first_bare_, auth_message_;
    std::array<unsigned char, 32> server_key_{};
};

}  // namespace load
