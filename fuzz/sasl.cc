// The SASL exchanges with any responses: nothing is proven without the proof, and a finished exchange stays
// finished. Input: one octet for the mechanism and the initial response, then responses, each with its length
// in one octet in front.
#include "wire/sasl.h"

#include <cstdint>
#include <cstdlib>

#include "wire/sasl_limits.h"

using namespace pier::wire;

namespace {

void demand(bool holds) {
    if (!holds) std::abort();
}

// One exchange has at most this many steps that are not an end: SCRAM's.
constexpr int challenges_max = 3;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const ScramKeys sha1 = derive_scram_keys(ScramHash::sha1, "pencil", "salt", 1);
    static const ScramKeys sha256 = derive_scram_keys(ScramHash::sha256, "pencil", "salt", 1);
    if (size == 0) return 0;
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto mechanisms = sasl_mechanisms();
    const std::string_view mechanism = mechanisms[data[0] % mechanisms.size()];
    const auto exchange = SaslExchange::begin(mechanism);

    const auto next = [&rest] {
        const std::size_t octets = rest.empty() ? 0 : static_cast<unsigned char>(rest[0]) * 16u;
        const std::string_view response = rest.substr(rest.empty() ? 0 : 1, octets);
        rest.remove_prefix(rest.empty() ? 0 : 1 + response.size());
        return response;
    };
    SaslStep step = (data[0] & 0x80) != 0 ? exchange->start(next()) : exchange->start(std::nullopt);
    for (int challenges = 0;;) {
        if (std::holds_alternative<SaslChallenge>(step)) {
            demand(++challenges <= challenges_max);
            step = exchange->on_response(next());
        } else if (const auto* need = std::get_if<SaslNeedKeys>(&step)) {
            demand(!sasl_sends_password(mechanism) && !need->user.empty());
            step = exchange->on_keys(need->hash == ScramHash::sha1 ? sha1 : sha256, "nonce");
        } else {
            break;
        }
    }
    if (const auto* check = std::get_if<SaslCheckPassword>(&step)) {
        demand(sasl_sends_password(mechanism));
        demand(!check->user.empty() && check->user.size() <= sasl_user_octets_max);
        demand(!check->password.empty() && check->password.size() <= sasl_password_octets_max);
        demand(check->user.find('\0') == std::string::npos &&
               check->password.find('\0') == std::string::npos);
    }
    // The fuzzer does not break SHA-1; the corpus has no valid proof.
    demand(!std::holds_alternative<SaslProven>(step));
    if (const auto* failed = std::get_if<SaslFailed>(&step)) {
        demand(!failed->text.empty() && failed->text.find_first_of("\r\n") == std::string::npos);
    }
    demand(std::holds_alternative<SaslFailed>(exchange->on_response(next())));
    return 0;
}
