#include "backends/pam.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <sodium.h>

namespace pier::backends {
namespace {

constexpr std::size_t said_octets_max = 400;
constexpr std::size_t entry_octets_max = 1 << 20;  // of the user database
constexpr int messages_max = 32;

struct Talk {
    const Login& login;
    std::string said{};

    void hear(const char* text) {
        if (text == nullptr || said.size() >= said_octets_max) return;
        if (!said.empty()) said += "; ";
        said.append(text, ::strnlen(text, said_octets_max - std::min(said.size(), said_octets_max)));
    }
};

void free_answers(pam_response* answers, int count) {
    for (int i = 0; i < count; ++i) {
        if (answers[i].resp == nullptr) continue;
        sodium_memzero(answers[i].resp, std::strlen(answers[i].resp));
        std::free(answers[i].resp);
    }
    std::free(answers);
}

// What modules ask and tell. The answers belong to libpam, which frees them.
int converse(int count, const pam_message** messages, pam_response** out, void* data) {
    Talk& talk = *static_cast<Talk*>(data);
    if (count <= 0 || count > messages_max) return PAM_CONV_ERR;
    auto* answers =
        static_cast<pam_response*>(std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
    if (answers == nullptr) return PAM_BUF_ERR;
    for (int i = 0; i < count; ++i) {
        switch (messages[i]->msg_style) {
            case PAM_PROMPT_ECHO_OFF:
                answers[i].resp = ::strdup(talk.login.password.c_str());
                break;
            case PAM_PROMPT_ECHO_ON:
                answers[i].resp = ::strdup(talk.login.name.c_str());
                break;
            case PAM_ERROR_MSG:
            case PAM_TEXT_INFO:
                talk.hear(messages[i]->msg);
                continue;
            default:
                free_answers(answers, count);
                return PAM_CONV_ERR;
        }
        if (answers[i].resp == nullptr) {
            free_answers(answers, count);
            return PAM_BUF_ERR;
        }
    }
    *out = answers;
    return PAM_SUCCESS;
}

// Whoever guesses waits outside: the guard's delays hold no thread.
void no_delay(int, unsigned, void*) {}

class Pam : public Source {
  public:
    explicit Pam(const PamSettings& settings) : settings_(settings) {}

    Answer check(const Login& login) override {
        // Modules may know users who are none of the system's, and a stack that ends in pam_deny tells an
        // unknown user as a wrong password: then no other back end would be asked.
        Answer known = find(login.name);
        if (!std::holds_alternative<Found>(known)) return known;
        // A C string ends there: what follows would not be looked at.
        if (login.password.find('\0') != std::string::npos) return WrongPassword{};
        Talk talk{login};
        const pam_conv conversation{converse, &talk};
        pam_handle_t* handle = nullptr;
        int result = ::pam_start(settings_.service.c_str(), login.name.c_str(), &conversation, &handle);
        if (result != PAM_SUCCESS) return Outage{fmt::format("PAM cannot be started: error {}", result)};
        ::pam_set_item(handle, PAM_FAIL_DELAY, reinterpret_cast<const void*>(&no_delay));
        if (!login.address.empty()) ::pam_set_item(handle, PAM_RHOST, login.address.c_str());
        result = ::pam_authenticate(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
        Answer answer = answer_to_password(result, talk.said);
        if (std::holds_alternative<Found>(answer)) {
            result = ::pam_acct_mgmt(handle, PAM_DISALLOW_NULL_AUTHTOK);
            answer = answer_to_account(result, talk.said);
        }
        ::pam_end(handle, result);
        return answer;
    }

    Answer find(const std::string& name) override {
        std::vector<char> buffer(16 << 10);
        passwd entry{};
        passwd* found = nullptr;
        int result = 0;
        while ((result = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) ==
                   ERANGE &&
               buffer.size() < entry_octets_max)
            buffer.resize(buffer.size() * 2);
        // getpwnam(3): what "not found" looks like where it is told as an error.
        if (result == ENOENT || result == ESRCH) return UnknownUser{};
        if (result != 0)
            return Outage{fmt::format("the system's users cannot be looked up: {}", std::strerror(result))};
        if (found == nullptr || entry.pw_uid < settings_.uid_min || entry.pw_uid > settings_.uid_max)
            return UnknownUser{};
        return Found{};
    }

  private:
    const PamSettings settings_;
};

std::string text_of(int result, const std::string& said) {
    std::string text = ::pam_strerror(nullptr, result);
    return said.empty() ? text : text + " (" + said + ")";
}

}  // namespace

Answer answer_to_password(int result, const std::string& said) {
    switch (result) {
        case PAM_SUCCESS:
            return Found{};
        case PAM_USER_UNKNOWN:
            return UnknownUser{};
        case PAM_AUTH_ERR:
        case PAM_PERM_DENIED:
        case PAM_CRED_INSUFFICIENT:
        case PAM_MAXTRIES:
        case PAM_ACCT_EXPIRED:  // said before the password has been shown to be right
            return WrongPassword{};
        default:
            return Outage{text_of(result, said)};
    }
}

Answer answer_to_account(int result, const std::string& said) {
    switch (result) {
        case PAM_SUCCESS:
            return Found{};
        case PAM_ACCT_EXPIRED:
        case PAM_AUTH_ERR:
        case PAM_AUTHTOK_EXPIRED:
        case PAM_CRED_EXPIRED:
        case PAM_NEW_AUTHTOK_REQD:
        case PAM_PERM_DENIED:
        case PAM_USER_UNKNOWN:
            return NotAllowed{text_of(result, said)};
        default:
            return Outage{text_of(result, said)};
    }
}

Result<MakeSource> open_pam(const Settings& settings) {
    return MakeSource(
        [pam = settings.pam]() -> std::unique_ptr<Source> { return std::make_unique<Pam>(pam); });
}

}  // namespace pier::backends
