#include "main/tls_agent.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <thread>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acme/ocsp_fetcher.h"
#include "acme/renewal.h"
#include "backends/message.h"
#include "backends/process.h"
#include "base/log.h"
#include "base/whole_file.h"
#include "main/privileges.h"
#include "main/sandbox.h"

namespace pier::program {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

constexpr seconds look_pause{60};    // at the certificates' files
constexpr seconds taken_up_max{30};  // for the server
constexpr std::size_t message_octets_max = 4096;
constexpr std::size_t challenges_octets_max = 1 << 20;

// Of certificates without a file for it.
std::vector<std::string> certificates_to_ask_for(const Config& config) {
    std::vector<std::string> files;
    if (!config.tls.ocsp_fetch || !has_tls(config)) return files;
    const net::TlsSettings settings = tls_settings(config);
    if (settings.files.ocsp.empty()) files.push_back(settings.files.certificate);
    for (const net::TlsFiles& one : settings.others)
        if (one.ocsp.empty()) files.push_back(one.certificate);
    return files;
}

acme::RenewalSettings renewal_settings(const Config& config) {
    const AcmeConfig& acme = config.acme;
    return {.directory = acme.directory,
            .contact = acme.contact,
            .domains = acme.domains,
            .challenge_type = acme.challenge == AcmeChallenge::http_01 ? "http-01" : "tls-alpn-01",
            .ca_file = acme.ca_file,
            .eab_kid = acme.eab_kid,
            .eab_key_file = acme.eab_key_file,
            .folder = config.server.data_folder + "/acme"};
}

void make_folder(const std::string& folder) {
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        log::error("acme.failed", {{"reason", errno_error(errno, "make " + folder).text}});
}

// The worker process.
class Agent {
  public:
    Agent(const Config& config, int fd) : config_(config), fd_(fd) {}

    int run() {
        std::optional<acme::Renewal> renewal;
        if (config_.acme.configured())
            renewal.emplace(
                renewal_settings(config_),
                acme::Renewal::Hooks{[this] { return tell("challenges"); }, [this] { tell("certificates"); },
                                     [this](seconds time) { return wait(time, Until::end); }});
        acme::OcspFetcher fetcher(certificates_to_ask_for(config_), config_.server.data_folder + "/ocsp",
                                  [this] { tell("certificates"); });
        while (!ended_) {
            if (renewal && (std::exchange(renew_, false) || system_now() >= renewal->due()))
                renewal->attempt();
            fetcher.look();
            const seconds pause =
                renewal ? std::chrono::ceil<seconds>(renewal->due() - system_now()) : look_pause;
            wait(std::clamp(pause, seconds(0), look_pause), Until::renew);
        }
        return 0;
    }

  private:
    enum class Until { end, renew, done };

    // False: the server is gone. Ends early when it wishes a renewal, or has done what it was told, if that
    // is waited for.
    bool wait(seconds time, Until until) {
        const auto end = std::chrono::steady_clock::now() + time;
        while (!ended_) {
            if (until == Until::renew && renew_) return true;
            if (until == Until::done && done_ == asked_) return true;
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
            if (left.count() <= 0) return true;
            pollfd one{fd_, POLLIN, 0};
            if (::poll(&one, 1, static_cast<int>(left.count())) > 0) receive();
        }
        return false;
    }

    void receive() {
        std::array<char, message_octets_max> octets;
        const ssize_t got = ::recv(fd_, octets.data(), octets.size(), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) {
            ended_ = true;
            return;
        }
        const auto message = backends::decode({octets.data(), static_cast<std::size_t>(got)});
        if (!message) return;
        if (message->word == "renew") renew_ = true;
        if (message->word == "done") done_ = message->id;
    }

    // True: the server has taken it up.
    bool tell(std::string_view word) {
        const auto text = backends::encode({++asked_, std::string(word), {}});
        if (!text || ::send(fd_, text->data(), text->size(), MSG_NOSIGNAL) < 0) return false;
        return wait(taken_up_max, Until::done) && done_ == asked_;
    }

    const Config& config_;
    const int fd_;
    std::uint64_t asked_ = 0, done_ = 0;
    bool renew_ = false, ended_ = false;
};

// For good, in the supervisor and what comes from it.
Result<void> confine(const Config& config) {
    if (auto dropped = drop_privileges(config.server.user); !dropped) return dropped;
    make_folder(config.server.data_folder + "/acme");
    make_folder(config.server.data_folder + "/ocsp");
    if (!config.server.sandbox || !sandbox_is_built) return {};
    forbid_dumps();
    const auto confined = confine_files(files_of_tls_agent(config));
    if (!confined) return confined.error();
    return {};
}

int work(const Config& config, int fd) {
    // Those that the server waits for end this process, as by default.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_UNBLOCK, &all, nullptr);
    if (config.server.sandbox && sandbox_is_built)
        if (auto confined = confine_calls(Calls::that_connect); !confined) {
            log::error("acme.failed", {{"reason", confined.error().text}});
            return 1;
        }
    // A call that connects may take half a minute. All that is left behind is whole at any moment.
    std::thread([fd] {
        pollfd one{fd, 0, 0};
        while (::poll(&one, 1, -1) < 0 || (one.revents & POLLHUP) == 0) {
        }
        ::_exit(0);
    }).detach();
    return Agent(config, fd).run();
}

}  // namespace

Result<int> start_tls_agent(const Config& config) {
    if (!config.acme.configured() && !acme::any_names_responder(certificates_to_ask_for(config))) return -1;
    return backends::start_process({.name = "tls",
                                    .confine = [&config] { return confine(config); },
                                    .work = [&config](int fd) { return work(config, fd); }});
}

TlsAgent::~TlsAgent() {
    ::close(fd_);
}

std::optional<TlsAgent::Request> TlsAgent::next() {
    std::array<char, message_octets_max> octets;
    for (;;) {
        const ssize_t got = ::recv(fd_, octets.data(), octets.size(), MSG_DONTWAIT);
        if (got == 0 && !std::exchange(ended_, true))
            log::error("acme.process.ended",
                       {{"hint", "certificates are not renewed any more until the server is started again"}});
        if (got <= 0) return std::nullopt;
        const auto message = backends::decode({octets.data(), static_cast<std::size_t>(got)});
        if (!message) continue;
        if (message->word == "challenges") return Request{Wish::challenges, message->id};
        if (message->word == "certificates") return Request{Wish::certificates, message->id};
        if (message->word == "gone")
            log::error("acme.process.died",
                       {{"how", message->fields.get("how")}, {"hint", "it is made anew"}});
    }
}

Result<void> TlsAgent::send(std::uint64_t id, std::string_view word) const {
    const auto text = backends::encode({id, std::string(word), {}});
    if (!text) return text.error();
    if (::send(fd_, text->data(), text->size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return errno_error(errno, "reach the process that gets certificates");
    return {};
}

void TlsAgent::done(std::uint64_t id) {
    if (auto sent = send(id, "done"); !sent)
        log::warning("acme.process.silent", {{"reason", sent.error().text}});
}

Result<void> TlsAgent::renew() {
    return send(0, "renew");
}

Result<void> take_up_challenges(const std::string& file, net::Tls& tls, serve::AcmeService& service) {
    const auto text = read_whole_file(file, challenges_octets_max);
    if (!text) return text.error();
    boost::system::error_code error;
    const json::value value = json::parse(*text, error);
    const auto part = [&value](std::string_view key) -> const json::object* {
        const json::object* object = value.if_object();
        const json::value* found = object != nullptr ? object->if_contains(key) : nullptr;
        return found != nullptr ? found->if_object() : nullptr;
    };
    if (error || part("http") == nullptr || part("tls") == nullptr)
        return Error{ErrorKind::corrupt, file + " cannot be understood"};
    std::map<std::string, std::string> answers;
    for (const auto& [token, answer] : *part("http"))
        if (answer.is_string()) answers[token] = answer.as_string();
    std::map<std::string, net::PemPair> certificates;
    for (const auto& [name, pair] : *part("tls")) {
        const json::object* both = pair.if_object();
        const json::value* certificate = both != nullptr ? both->if_contains("certificate") : nullptr;
        const json::value* key = both != nullptr ? both->if_contains("key") : nullptr;
        if (certificate == nullptr || key == nullptr || !certificate->is_string() || !key->is_string())
            return Error{ErrorKind::corrupt, file + " cannot be understood"};
        net::PemPair& made = certificates[name];
        made.certificate = certificate->as_string();
        made.key = key->as_string();
    }
    service.set_answers(std::move(answers));
    return tls.answer_challenges(certificates);
}

}  // namespace pier::program
