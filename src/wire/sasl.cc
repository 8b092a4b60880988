#include "wire/sasl.h"

#include <algorithm>
#include <cassert>

#include "base/utf8.h"
#include "wire/ascii.h"
#include "wire/base64.h"
#include "wire/bearer.h"
#include "wire/sasl_limits.h"
#include "wire/scram.h"

namespace pier::wire {

namespace {

enum class Mechanism {
    external,
    scram_sha_256_plus,
    scram_sha_1_plus,
    scram_sha_256,
    scram_sha_1,
    oauthbearer,
    xoauth2,
    plain,
    login
};
struct Named {
    Mechanism mechanism;
    std::string_view name;
};
constexpr Named all_mechanisms[] = {{Mechanism::external, "EXTERNAL"},
                                    {Mechanism::scram_sha_256_plus, "SCRAM-SHA-256-PLUS"},
                                    {Mechanism::scram_sha_1_plus, "SCRAM-SHA-1-PLUS"},
                                    {Mechanism::scram_sha_256, "SCRAM-SHA-256"},
                                    {Mechanism::scram_sha_1, "SCRAM-SHA-1"},
                                    {Mechanism::oauthbearer, "OAUTHBEARER"},
                                    {Mechanism::xoauth2, "XOAUTH2"},
                                    {Mechanism::plain, "PLAIN"},
                                    {Mechanism::login, "LOGIN"}};

bool is_offered(Mechanism mechanism, const SaslOffer& offer) {
    switch (mechanism) {
        case Mechanism::external:
            return offer.certificate;
        case Mechanism::scram_sha_256_plus:
        case Mechanism::scram_sha_1_plus:
            return offer.channel == SaslChannel::bindable;
        case Mechanism::oauthbearer:
        case Mechanism::xoauth2:
            return offer.tokens != nullptr;
        default:
            return true;
    }
}

SaslFailed malformed() {
    return {"malformed response"};
}

bool is_authzid(std::string_view text) {
    return text.size() <= sasl_user_octets_max && is_utf8(text) && text.find('\0') == std::string_view::npos;
}

// Empty if the pair may be checked. The password is octets, whatever they mean:
// liberal: older clients send Latin-1 passwords, and imported hashes were made of those octets.
std::string refusal(std::string_view user, std::string_view password) {
    if (user.empty()) return "the user name is empty";
    if (user.size() > sasl_user_octets_max) return "the user name is too long";
    if (!is_utf8(user) || user.find('\0') != std::string_view::npos)
        return "the user name has invalid characters";
    if (password.empty()) return "the password is empty";
    if (password.size() > sasl_password_octets_max) return "the password is too long";
    if (password.find('\0') != std::string_view::npos) return "the password has invalid characters";
    return {};
}

SaslStep checked(std::string_view authzid, std::string_view user, std::string_view password) {
    if (std::string text = refusal(user, password); !text.empty()) return SaslFailed{std::move(text)};
    return SaslCheckPassword{std::string(authzid), std::string(user), std::string(password)};
}

// RFC 4616 §2: [authzid] NUL authcid NUL passwd
class Plain final : public SaslExchange {
  public:
    SaslStep start(std::optional<std::string_view> initial) override {
        if (!initial) return SaslChallenge{};
        return on_response(*initial);
    }

    SaslStep on_response(std::string_view response) override {
        if (done_) return malformed();
        done_ = true;
        const std::size_t first = response.find('\0');
        if (first == std::string_view::npos) return malformed();
        const std::size_t second = response.find('\0', first + 1);
        if (second == std::string_view::npos) return malformed();
        const std::string_view authzid = response.substr(0, first);
        if (!is_authzid(authzid)) return malformed();
        return checked(authzid, response.substr(first + 1, second - first - 1), response.substr(second + 1));
    }

  private:
    bool done_ = false;
};

// draft-murchison-sasl-login: two prompts, whose texts some clients compare with these.
class Login final : public SaslExchange {
  public:
    SaslStep start(std::optional<std::string_view> initial) override {
        // liberal: the draft has no initial response, but clients send the user name as one.
        if (!initial || initial->empty()) return SaslChallenge{"Username:"};
        return on_response(*initial);
    }

    SaslStep on_response(std::string_view response) override {
        switch (wants_) {
            case Wants::user:
                // Refused here and not after the password, so that no more than the limit is held.
                if (std::string text = refusal(response, "-"); !text.empty()) {
                    wants_ = Wants::nothing;
                    return SaslFailed{std::move(text)};
                }
                user_ = response;
                wants_ = Wants::password;
                return SaslChallenge{"Password:"};
            case Wants::password:
                wants_ = Wants::nothing;
                return checked({}, user_, response);
            case Wants::nothing:
                break;
        }
        return malformed();
    }

  private:
    enum class Wants { user, password, nothing } wants_ = Wants::user;
    std::string user_;
};

// RFC 5802 §5. `plus`: bound to the channel (§6).
class Scram final : public SaslExchange {
  public:
    Scram(ScramHash hash, bool plus, SaslChannel channel) : hash_(hash), plus_(plus), channel_(channel) {}

    SaslStep start(std::optional<std::string_view> initial) override {
        if (!initial) return SaslChallenge{};
        return on_response(*initial);
    }

    SaslStep on_response(std::string_view response) override {
        switch (wants_) {
            case Wants::first:
                return on_first(response);
            case Wants::final:
                return on_final(response);
            case Wants::end:
                wants_ = Wants::nothing;
                // The client answers the server's signature with an empty response (RFC 4422 §5).
                if (!response.empty()) return malformed();
                return SaslProven{std::move(first_.authzid), std::move(first_.user)};
            case Wants::keys:
            case Wants::nothing:
                break;
        }
        wants_ = Wants::nothing;
        return malformed();
    }

    SaslStep on_keys(const ScramKeys& keys, std::string_view nonce,
                     std::string_view channel_binding) override {
        assert(wants_ == Wants::keys && "keys that nobody asked for would restart a finished exchange");
        if (plus_ && channel_binding.empty()) {
            wants_ = Wants::nothing;
            return SaslFailed{"SCRAM: this connection has no " + first_.binding_type};
        }
        binding_ = first_.gs2_header + std::string(plus_ ? channel_binding : "");
        keys_ = keys;
        nonce_ = first_.nonce + std::string(nonce);
        server_first_ =
            "r=" + nonce_ + ",s=" + base64_encode(keys.salt) + ",i=" + std::to_string(keys.iterations);
        wants_ = Wants::final;
        return SaslChallenge{server_first_};
    }

  private:
    enum class Wants { first, keys, final, end, nothing };

    SaslStep on_first(std::string_view response) {
        wants_ = Wants::nothing;
        auto first = parse_scram_client_first(response);
        if (!first) return SaslFailed{first.error().text};
        first_ = std::move(*first);
        if (std::string text = binding_refusal(); !text.empty()) return SaslFailed{std::move(text)};
        wants_ = Wants::keys;
        return SaslNeedKeys{hash_, first_.user, first_.binding_type};
    }

    // RFC 5802 §6. Empty if what the client says of channel binding goes with the mechanism.
    std::string binding_refusal() const {
        using Binding = ScramClientFirst::Binding;
        if (plus_ != (first_.binding == Binding::yes))
            return plus_ ? "SCRAM: this mechanism needs channel binding"
                         : "SCRAM: channel binding needs a mechanism that ends in -PLUS";
        // Attack: somebody between has taken -PLUS out of the list that the client saw.
        if (first_.binding == Binding::not_offered && channel_ == SaslChannel::bindable)
            return "SCRAM: channel binding is offered here, but the client was told that it is not";
        // tls-unique never: it is broken before TLS 1.3 (RFC 7627) and does not exist in it.
        if (plus_ && first_.binding_type != "tls-exporter" && first_.binding_type != "tls-server-end-point")
            return "SCRAM: channel binding is by tls-exporter or tls-server-end-point";
        return {};
    }

    SaslStep on_final(std::string_view response) {
        wants_ = Wants::nothing;
        const auto final = parse_scram_client_final(response);
        if (!final) return SaslFailed{final.error().text};
        // Attack: somebody sits in the middle of two channels.
        if (final->channel_binding != binding_) return SaslFailed{"SCRAM: channel binding differs"};
        // Attack: an exchange recorded earlier and sent again carries another nonce.
        if (final->nonce != nonce_) return SaslFailed{"SCRAM: nonce differs"};
        const std::string auth_message = first_.bare + "," + server_first_ + "," + final->without_proof;
        if (!scram_proof_holds(hash_, keys_, auth_message, final->proof))
            return SaslFailed{"Authentication failed"};
        wants_ = Wants::end;
        return SaslChallenge{scram_server_final(hash_, keys_, auth_message)};
    }

    const ScramHash hash_;
    const bool plus_;
    const SaslChannel channel_;
    Wants wants_ = Wants::first;
    ScramClientFirst first_;
    ScramKeys keys_;
    std::string binding_;  // what "c=" must be
    std::string nonce_, server_first_;
};

// OAUTHBEARER (RFC 7628 §3), and XOAUTH2, which differs in how it writes the same.
class Bearer final : public SaslExchange {
  public:
    Bearer(BearerForm form, const SaslTokenSource& source) : form_(form), source_(source) {}

    SaslStep start(std::optional<std::string_view> initial) override {
        if (!initial) return SaslChallenge{};
        return on_response(*initial);
    }

    SaslStep on_response(std::string_view response) override {
        switch (wants_) {
            case Wants::token:
                return on_token(response);
            case Wants::end:
                // Whatever it is: a client that has understood sends %x01 (RFC 7628 §3.2.3), or nothing.
                wants_ = Wants::nothing;
                return SaslFailed{"Authentication failed"};
            case Wants::verdict:
            case Wants::nothing:
                break;
        }
        wants_ = Wants::nothing;
        return malformed();
    }

    SaslStep on_token_refused() override {
        assert(wants_ == Wants::verdict && "a verdict on a token that nobody asked about");
        wants_ = Wants::end;
        return SaslChallenge{bearer_error(form_, source_)};
    }

  private:
    enum class Wants { token, verdict, end, nothing };

    SaslStep on_token(std::string_view response) {
        wants_ = Wants::nothing;
        auto message = parse_bearer(form_, response);
        if (!message) return SaslFailed{message.error().text};
        if (!is_authzid(message->authzid)) return malformed();
        wants_ = Wants::verdict;
        // RFC 7628 §3.1: who shows no token asks where he gets one.
        if (message->token.empty()) return on_token_refused();
        return SaslCheckToken{std::move(message->authzid), std::move(message->token)};
    }

    const BearerForm form_;
    const SaslTokenSource& source_;
    Wants wants_ = Wants::token;
};

// RFC 4422 appendix A.
class External final : public SaslExchange {
  public:
    SaslStep start(std::optional<std::string_view> initial) override {
        if (!initial) return SaslChallenge{};
        return on_response(*initial);
    }

    SaslStep on_response(std::string_view response) override {
        if (done_ || !is_authzid(response)) {
            done_ = true;
            return malformed();
        }
        done_ = true;
        return SaslCheckCertificate{std::string(response)};
    }

  private:
    bool done_ = false;
};

}  // namespace

SaslStep SaslExchange::on_keys(const ScramKeys&, std::string_view, std::string_view) {
    assert(false && "only SCRAM asks for keys");
    return malformed();
}

SaslStep SaslExchange::on_token_refused() {
    assert(false && "only OAUTHBEARER and XOAUTH2 show a token");
    return malformed();
}

std::unique_ptr<SaslExchange> SaslExchange::begin(std::string_view mechanism, const SaslOffer& offer) {
    const auto* found = std::find_if(std::begin(all_mechanisms), std::end(all_mechanisms),
                                     [&](const Named& each) { return ascii_equal(each.name, mechanism); });
    if (found == std::end(all_mechanisms) || !is_offered(found->mechanism, offer)) return nullptr;
    switch (found->mechanism) {
        case Mechanism::external:
            return std::make_unique<External>();
        case Mechanism::scram_sha_256_plus:
            return std::make_unique<Scram>(ScramHash::sha256, true, offer.channel);
        case Mechanism::scram_sha_1_plus:
            return std::make_unique<Scram>(ScramHash::sha1, true, offer.channel);
        case Mechanism::scram_sha_256:
            return std::make_unique<Scram>(ScramHash::sha256, false, offer.channel);
        case Mechanism::scram_sha_1:
            return std::make_unique<Scram>(ScramHash::sha1, false, offer.channel);
        case Mechanism::oauthbearer:
            return std::make_unique<Bearer>(BearerForm::oauthbearer, *offer.tokens);
        case Mechanism::xoauth2:
            return std::make_unique<Bearer>(BearerForm::xoauth2, *offer.tokens);
        case Mechanism::plain:
            return std::make_unique<Plain>();
        case Mechanism::login:
            return std::make_unique<Login>();
    }
    return nullptr;
}

std::vector<std::string_view> sasl_mechanisms(const SaslOffer& offer) {
    std::vector<std::string_view> names;
    names.reserve(std::size(all_mechanisms));
    for (const Named& each : all_mechanisms)
        if (is_offered(each.mechanism, offer)) names.push_back(each.name);
    return names;
}

bool sasl_sends_password(std::string_view mechanism) {
    return ascii_equal(mechanism, "PLAIN") || ascii_equal(mechanism, "LOGIN");
}

}  // namespace pier::wire
