#include "auth/record.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include "wire/base64.h"

namespace pier::auth {

namespace json = boost::json;

namespace {

constexpr std::size_t octets_max = 4096;  // of one base64 member

Error corrupt(std::string_view what) {
    return {ErrorKind::corrupt, fmt::format("the record is damaged: {}", what)};
}

json::object with_version() {
    return {{"v", record_version}};
}

Result<json::object> parse(std::string_view value) {
    boost::system::error_code failed;
    json::value parsed = json::parse(json::string_view(value.data(), value.size()), failed);
    if (failed || !parsed.is_object()) return corrupt("it is no JSON object");
    const json::value* version = parsed.get_object().if_contains("v");
    if (version == nullptr || !version->is_int64()) return corrupt("it has no version");
    if (version->get_int64() != record_version)
        return Error{
            ErrorKind::corrupt,
            fmt::format("the record has version {}, and this program knows {}: run the newer program",
                        version->get_int64(), record_version)};
    return std::move(parsed.get_object());
}

// Reads members, and remembers the first that is wrong. An absent member leaves the value as it was.
class Reader {
  public:
    explicit Reader(const json::object& object) : object_(object) {}

    void read(json::string_view name, std::string& out) {
        if (const json::value* member = object_.if_contains(name)) {
            if (!member->is_string()) return fail(name);
            out.assign(member->get_string().data(), member->get_string().size());
        }
    }
    void read(json::string_view name, bool& out) {
        if (const json::value* member = object_.if_contains(name)) {
            if (!member->is_bool()) return fail(name);
            out = member->get_bool();
        }
    }
    template <class Number>
    requires std::integral<Number>
    void read(json::string_view name, Number& out) {
        if (const json::value* member = object_.if_contains(name)) {
            boost::system::error_code failed;
            const Number value = member->to_number<Number>(failed);
            if (failed || member->is_double()) return fail(name);
            out = value;
        }
    }
    void read_base64(json::string_view name, std::string& out) {
        std::string text;
        read(name, text);
        if (auto octets = wire::base64_decode(text, octets_max))
            out = std::move(*octets);
        else
            fail(name);
    }
    void read(json::string_view name, std::optional<wire::ScramKeys>& out) {
        const json::value* member = object_.if_contains(name);
        if (member == nullptr) return;
        if (!member->is_object()) return fail(name);
        Reader inner(member->get_object());
        wire::ScramKeys keys;
        inner.read("iterations", keys.iterations);
        inner.read_base64("salt", keys.salt);
        inner.read_base64("stored_key", keys.stored_key);
        inner.read_base64("server_key", keys.server_key);
        if (!inner.wrong_.empty() || keys.iterations == 0 || keys.salt.empty() || keys.stored_key.empty() ||
            keys.server_key.empty())
            return fail(name);
        out = std::move(keys);
    }
    void read(json::string_view name, Time& out) {
        std::int64_t us = out.time_since_epoch().count();
        read(name, us);
        out = Time(std::chrono::microseconds(us));
    }
    void read(json::string_view name, std::vector<std::string>& out) {
        const json::value* member = object_.if_contains(name);
        if (member == nullptr) return;
        if (!member->is_array()) return fail(name);
        for (const json::value& text : member->get_array()) {
            if (!text.is_string()) return fail(name);
            out.emplace_back(std::string_view(text.get_string()));
        }
    }
    void read(json::string_view name, std::vector<AppPassword>& out) {
        const json::value* member = object_.if_contains(name);
        if (member == nullptr) return;
        if (!member->is_array()) return fail(name);
        for (const json::value& value : member->get_array()) {
            if (!value.is_object()) return fail(name);
            Reader inner(value.get_object());
            AppPassword one;
            inner.read("name", one.name);
            inner.read_base64("hash", one.hash);
            inner.read("protocols", one.protocols);
            inner.read("networks", one.networks);
            inner.read("until", one.until);
            inner.read("created", one.created);
            inner.read("used", one.used);
            if (!inner.wrong_.empty() || one.name.empty() || one.hash.empty()) return fail(name);
            out.push_back(std::move(one));
        }
    }
    void read(json::string_view name, Protocols& out) {
        if (object_.contains(name)) read(name, out.emplace());
    }
    void read(json::string_view name, std::optional<SecondFactor>& out) {
        const json::value* member = object_.if_contains(name);
        if (member == nullptr) return;
        if (!member->is_object()) return fail(name);
        Reader inner(member->get_object());
        SecondFactor factor;
        inner.read_base64("secret", factor.secret);
        inner.read("confirmed", factor.confirmed);
        inner.read("used_step", factor.used_step);
        if (!inner.wrong_.empty() || factor.secret.empty()) return fail(name);
        out = std::move(factor);
    }
    void read(json::string_view name, Networks& out) {
        const json::value* member = object_.if_contains(name);
        if (member == nullptr) return;
        if (!member->is_array()) return fail(name);
        for (const json::value& text : member->get_array()) {
            const auto network = text.is_string() ? Network::parse(std::string_view(text.get_string()))
                                                  : Result<Network>(corrupt("no text"));
            if (!network) return fail(name);
            out.push_back(*network);
        }
    }

    // "" if all were right.
    const std::string& wrong() const { return wrong_; }

  private:
    void fail(json::string_view name) {
        if (wrong_.empty())
            wrong_ = fmt::format("\"{}\" is wrong", std::string_view(name.data(), name.size()));
    }
    const json::object& object_;
    std::string wrong_;
};

json::object write_keys(const wire::ScramKeys& keys) {
    return {{"iterations", keys.iterations},
            {"salt", wire::base64_encode(keys.salt)},
            {"stored_key", wire::base64_encode(keys.stored_key)},
            {"server_key", wire::base64_encode(keys.server_key)}};
}

std::int64_t write_time(Time time) {
    return time.time_since_epoch().count();
}

json::array write_networks(const Networks& networks) {
    const auto texts = texts_of(networks);
    return json::array(texts.begin(), texts.end());
}

json::object write_app_password(const AppPassword& one) {
    json::object out{
        {"name", one.name}, {"hash", wire::base64_encode(one.hash)}, {"created", write_time(one.created)}};
    if (!one.protocols.empty()) out["protocols"] = json::array(one.protocols.begin(), one.protocols.end());
    if (!one.networks.empty()) out["networks"] = write_networks(one.networks);
    if (one.until != Time()) out["until"] = write_time(one.until);
    if (one.used != Time()) out["used"] = write_time(one.used);
    return out;
}

}  // namespace

std::string write_account(const Account& account, Presence presence) {
    json::object out = with_version();
    out["created"] = account.created.time_since_epoch().count();
    out["inbox"] = static_cast<std::uint64_t>(account.inbox);
    out["password"] = account.password;
    if (account.scram_sha1) out["scram_sha1"] = write_keys(*account.scram_sha1);
    if (account.scram_sha256) out["scram_sha256"] = write_keys(*account.scram_sha256);
    if (account.quota_octets != 0) out["quota_octets"] = account.quota_octets;
    if (account.disabled) out["disabled"] = true;
    if (!account.disabled_text.empty()) out["disabled_text"] = account.disabled_text;
    if (account.exclusive) out["exclusive"] = true;
    if (!account.networks.allow.empty()) out["allow"] = write_networks(account.networks.allow);
    if (!account.networks.deny.empty()) out["deny"] = write_networks(account.networks.deny);
    if (account.protocols)
        out["protocols"] = json::array(account.protocols->begin(), account.protocols->end());
    if (account.second_factor)
        out["second_factor"] = {{"secret", wire::base64_encode(account.second_factor->secret)},
                                {"confirmed", account.second_factor->confirmed},
                                {"used_step", account.second_factor->used_step}};
    if (!account.app_passwords.empty()) {
        json::array all;
        for (const AppPassword& one : account.app_passwords)
            all.push_back(write_app_password(one));
        out["app_passwords"] = std::move(all);
    }
    if (account.app_passwords_only) out["app_passwords_only"] = true;
    if (account.master) out["master"] = true;
    if (!account.send_as.empty())
        out["send_as"] = json::array(account.send_as.begin(), account.send_as.end());
    if (!account.backend.empty()) out["backend"] = account.backend;
    if (!account.forward.empty()) {
        out["forward"] = json::array(account.forward.begin(), account.forward.end());
        out["keep_copy"] = account.keep_copy;
    }
    if (presence == Presence::being_removed) out["being_removed"] = true;
    return json::serialize(out);
}

Result<AccountRecord> read_account(std::string_view value) {
    const auto object = parse(value);
    if (!object) return object.error();
    AccountRecord out;
    Reader reader(*object);
    std::int64_t created_us = 0;
    std::uint64_t inbox = 0;
    bool being_removed = false;
    reader.read("created", created_us);
    reader.read("inbox", inbox);
    reader.read("password", out.account.password);
    reader.read("scram_sha1", out.account.scram_sha1);
    reader.read("scram_sha256", out.account.scram_sha256);
    reader.read("quota_octets", out.account.quota_octets);
    reader.read("disabled", out.account.disabled);
    reader.read("disabled_text", out.account.disabled_text);
    reader.read("exclusive", out.account.exclusive);
    reader.read("allow", out.account.networks.allow);
    reader.read("deny", out.account.networks.deny);
    reader.read("protocols", out.account.protocols);
    reader.read("second_factor", out.account.second_factor);
    reader.read("app_passwords", out.account.app_passwords);
    reader.read("app_passwords_only", out.account.app_passwords_only);
    reader.read("master", out.account.master);
    reader.read("send_as", out.account.send_as);
    reader.read("backend", out.account.backend);
    reader.read("forward", out.account.forward);
    reader.read("keep_copy", out.account.keep_copy);
    reader.read("being_removed", being_removed);
    if (!reader.wrong().empty()) return corrupt(reader.wrong());
    out.account.created = Time(std::chrono::microseconds(created_us));
    out.account.inbox = store::MailboxId{inbox};
    out.presence = being_removed ? Presence::being_removed : Presence::living;
    return out;
}

std::string write_alias(const std::vector<std::string>& targets) {
    json::object out = with_version();
    out["targets"] = json::array(targets.begin(), targets.end());
    return json::serialize(out);
}

Result<std::vector<std::string>> read_alias(std::string_view value) {
    const auto object = parse(value);
    if (!object) return object.error();
    const json::value* targets = object->if_contains("targets");
    if (targets == nullptr || !targets->is_array()) return corrupt("\"targets\" is wrong");
    std::vector<std::string> out;
    for (const json::value& target : targets->get_array()) {
        if (!target.is_string()) return corrupt("\"targets\" is wrong");
        out.emplace_back(target.get_string().data(), target.get_string().size());
    }
    return out;
}

std::string write_domain(const Domain& domain) {
    json::object out = with_version();
    if (!domain.alias_of.empty()) out["alias_of"] = domain.alias_of;
    if (domain.quota_octets != 0) out["quota_octets"] = domain.quota_octets;
    return json::serialize(out);
}

Result<Domain> read_domain(std::string_view value) {
    const auto object = parse(value);
    if (!object) return object.error();
    Domain out;
    Reader reader(*object);
    reader.read("alias_of", out.alias_of);
    reader.read("quota_octets", out.quota_octets);
    if (!reader.wrong().empty()) return corrupt(reader.wrong());
    return out;
}

std::string write_secret(std::string_view secret) {
    json::object out = with_version();
    out["secret"] = wire::base64_encode(secret);
    return json::serialize(out);
}

Result<std::string> read_secret(std::string_view value) {
    const auto object = parse(value);
    if (!object) return object.error();
    std::string secret;
    Reader reader(*object);
    reader.read_base64("secret", secret);
    if (!reader.wrong().empty() || secret.empty()) return corrupt("\"secret\" is wrong");
    return secret;
}

}  // namespace pier::auth
