#include "backends/source_service.h"

#include <charconv>

#include "auth/password.h"

namespace pier::backends {
namespace {

class SourceService : public Service {
  public:
    explicit SourceService(std::unique_ptr<Source> source) : source_(std::move(source)) {}

    Message answer(const Message& request) override {
        const Fields& fields = request.fields;
        if (request.word == "find") return message_of(source_->find(std::string(fields.get("name"))));
        if (request.word != "check") return outage_message("it does not know what it was asked");
        Login login{std::string(fields.get("name")), std::string(fields.get("password")),
                    std::string(fields.get("protocol")), std::string(fields.get("address"))};
        const Answer answer = login.password.empty() ? Answer(WrongPassword{}) : source_->check(login);
        auth::wipe(login.password);
        return message_of(answer);
    }

  private:
    std::unique_ptr<Source> source_;
};

class NoService : public Service {
  public:
    explicit NoService(std::string why) : why_(std::move(why)) {}
    Message answer(const Message&) override { return outage_message(why_); }

  private:
    const std::string why_;
};

Answer found_of(const Fields& fields) {
    User user{.name = std::string(fields.get("name"))};
    if (fields.has("quota")) {
        const std::string_view text = fields.get("quota");
        std::uint64_t quota = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), quota);
        if (error != std::errc() || end != text.data() + text.size()) return Outage{"its quota is no number"};
        user.quota_octets = quota;
    }
    if (fields.has("networks")) {
        user.allow.emplace();
        for (const auto& [name, value] : fields.all()) {
            if (name != "allow") continue;
            const auto network = Network::parse(value);
            if (!network) return Outage{"its networks are wrong: " + network.error().text};
            user.allow->push_back(*network);
        }
    }
    return Found{std::move(user)};
}

}  // namespace

MakeService source_service(const Result<MakeSource>& make) {
    if (!make) return [why = make.error().text] { return std::make_unique<NoService>(why); };
    return [make = *make] { return std::make_unique<SourceService>(make()); };
}

Message check_request(const Login& login) {
    return {0,
            "check",
            {{"name", login.name},
             {"password", login.password},
             {"protocol", login.protocol},
             {"address", login.address}}};
}

Message find_request(std::string_view name) {
    return {0, "find", {{"name", name}}};
}

Message message_of(const Answer& answer) {
    if (std::holds_alternative<UnknownUser>(answer)) return {0, "unknown", {}};
    if (std::holds_alternative<WrongPassword>(answer)) return {0, "wrong", {}};
    if (const auto* refused = std::get_if<NotAllowed>(&answer))
        return {0, "not-allowed", {{"reason", refused->reason}}};
    if (const auto* outage = std::get_if<Outage>(&answer)) return outage_message(outage->text);
    const User& user = std::get<Found>(answer).user;
    Fields fields{{"name", user.name}};
    if (user.quota_octets) fields.add("quota", std::to_string(*user.quota_octets));
    if (user.allow) {
        fields.add("networks", "");
        for (const Network& network : *user.allow)
            fields.add("allow", network.text());
    }
    return {0, "found", std::move(fields)};
}

Answer answer_of(const Message& reply) {
    if (reply.word == "found") return found_of(reply.fields);
    if (reply.word == "unknown") return UnknownUser{};
    if (reply.word == "wrong") return WrongPassword{};
    if (reply.word == "not-allowed") return NotAllowed{std::string(reply.fields.get("reason"))};
    if (reply.word == "outage") return Outage{std::string(reply.fields.get("text"))};
    return Outage{"its answer cannot be understood"};
}

}  // namespace pier::backends
