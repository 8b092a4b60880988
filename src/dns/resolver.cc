#include "dns/resolver.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <ares.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"

namespace pier::dns {
namespace {

// RFC 9715: fits into a packet everywhere; longer answers come over TCP.
constexpr int udp_octets_max = 1232;

Answer failure(std::string why) {
    Answer answer;
    answer.why = std::move(why);
    return answer;
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    std::ranges::transform(
        out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

// What c-ares says when all servers have said SERVFAIL sounds as if none were there.
std::string why(int status) {
    if (status == ARES_ECANCELLED) return "the server is stopping";
    if (status == ARES_ECONNREFUSED)
        return "no resolver gives an answer: SERVFAIL, REFUSED, or none is there";
    return ::ares_strerror(status);
}

class AresResolver final : public Resolver {
  public:
    AresResolver(ResolverSettings settings, Clock clock)
        : settings_(std::move(settings)), clock_(std::move(clock)), cache_(settings_.cache) {}

    ~AresResolver() override {
        if (thread_.joinable()) {
            {
                const std::lock_guard lock(mutex_);
                ending_ = true;
            }
            wake();
            thread_.join();
        }
        if (channel_ != nullptr) ::ares_destroy(channel_);
        if (wake_fd_ >= 0) ::close(wake_fd_);
    }

    Result<void> set_up();
    void ask(const std::string& name, Type type, Done done) override;
    bool trusts_ad() const override { return trust_ad_; }

  private:
    // A question, from ask() until c-ares is done with it.
    struct Question {
        AresResolver* resolver = nullptr;
        std::string name;
        Type type{};
        Done done;  // empty: it has been called
        std::chrono::steady_clock::time_point end;
        void answer(Answer answer) {
            if (auto call = std::exchange(done, nullptr)) call(std::move(answer));
        }
    };
    using Questions = std::map<const Question*, std::unique_ptr<Question>>;

    bool servers_are_local() const;
    void wake() const {
        // It fails only if it would overflow, and then the thread is awake.
        ::eventfd_write(wake_fd_, 1);
    }
    void run();
    void begin(std::unique_ptr<Question> question);
    void wait_and_process();
    void end_overdue();
    int wait_ms() const;
    static void on_socket(void* self, int fd, int readable, int writable);
    static void on_answer(void* question, int status, int timeouts, unsigned char* octets, int count);

    const ResolverSettings settings_;
    const Clock clock_;
    bool trust_ad_ = false;
    ares_channel channel_ = nullptr;
    int wake_fd_ = -1;
    std::map<int, short> sockets_;  // of c-ares, and what it waits for there
    Questions under_way_;           // the thread's own

    std::mutex mutex_;
    Cache cache_;
    std::deque<std::unique_ptr<Question>> fresh_;
    std::size_t count_ = 0;  // fresh and under way
    bool ending_ = false;
    std::thread thread_;
};

Result<void> AresResolver::set_up() {
    if (const int code = ::ares_library_init(ARES_LIB_INIT_ALL); code != ARES_SUCCESS)
        return Error(ErrorKind::io, fmt::format("DNS cannot be asked: {}", ::ares_strerror(code)));
    ares_options options{};
    // No search list, no HOSTALIASES: what is asked for is a whole name.
    options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
    options.timeout = static_cast<int>(settings_.try_time.count());
    options.tries = settings_.tries;
    options.ednspsz = udp_octets_max;
    std::string lookups = "b";  // DNS alone
    options.lookups = lookups.data();
    options.sock_state_cb = &AresResolver::on_socket;
    options.sock_state_cb_data = this;
    const int chosen = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
                       ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;
    if (const int code = ::ares_init_options(&channel_, &options, chosen); code != ARES_SUCCESS)
        return Error(ErrorKind::io, fmt::format("DNS cannot be asked: {}", ::ares_strerror(code)));
    if (!settings_.servers.empty()) {
        std::string list;
        for (const std::string& server : settings_.servers)
            list += (list.empty() ? "" : ",") + server;
        if (::ares_set_servers_ports_csv(channel_, list.c_str()) != ARES_SUCCESS)
            return Error(
                ErrorKind::invalid,
                fmt::format("\"{}\" are no DNS servers; write addresses, as 127.0.0.1 or [::1]:5353", list));
    }
    trust_ad_ = settings_.trust_ad.value_or(servers_are_local());
    wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd_ < 0) return errno_error(errno, "make an event for the resolver");
    thread_ = std::thread([this] { run(); });
    return {};
}

bool AresResolver::servers_are_local() const {
    ares_addr_port_node* servers = nullptr;
    if (::ares_get_servers_ports(channel_, &servers) != ARES_SUCCESS) return false;
    bool local = servers != nullptr;
    for (const ares_addr_port_node* each = servers; each != nullptr; each = each->next) {
        if (each->family == AF_INET)
            local = local && (ntohl(each->addr.addr4.s_addr) >> 24) == 127;
        else
            local = local && IN6_IS_ADDR_LOOPBACK(reinterpret_cast<const in6_addr*>(&each->addr.addr6));
    }
    ::ares_free_data(servers);
    return local;
}

void AresResolver::ask(const std::string& asked, Type type, Done done) {
    const std::string name = lower_case(asked);
    if (!is_name(name)) {
        Answer answer;
        answer.kind = Answer::Kind::no_name;  // nobody can have it
        answer.name = name;
        done(std::move(answer));
        return;
    }
    std::optional<Answer> known;
    {
        const std::lock_guard lock(mutex_);
        known = cache_.find(name, type, clock_());
        if (!known && (ending_ || count_ >= settings_.under_way_max))
            known = failure(ending_ ? "the server is stopping" : "too many questions to DNS at once");
        if (!known) {
            auto question = std::make_unique<Question>();
            question->resolver = this;
            question->name = name;
            question->type = type;
            question->done = std::move(done);
            question->end = std::chrono::steady_clock::now() + settings_.time_max;
            fresh_.push_back(std::move(question));
            ++count_;
        }
    }
    if (known)
        done(std::move(*known));
    else
        wake();
}

void AresResolver::run() {
    for (;;) {
        std::deque<std::unique_ptr<Question>> fresh;
        bool ending = false;
        {
            const std::lock_guard lock(mutex_);
            fresh.swap(fresh_);
            ending = ending_;
        }
        if (ending) {
            for (auto& question : fresh)
                question->answer(failure("the server is stopping"));
            ::ares_cancel(channel_);
            return;
        }
        for (auto& question : fresh)
            begin(std::move(question));
        wait_and_process();
        end_overdue();
    }
}

// Sends it. on_answer() may be called before this returns.
void AresResolver::begin(std::unique_ptr<Question> question) {
    Question* const asked = question.get();
    under_way_.emplace(asked, std::move(question));
    std::array<unsigned char, 2> id{};
    random_bytes(id);  // RFC 5452 §4.3: nobody else can guess it
    unsigned char* packet = nullptr;
    int octets = 0;
    const int code = ::ares_create_query(asked->name.c_str(), 1, static_cast<int>(asked->type),
                                         static_cast<unsigned short>(id[0] << 8 | id[1]), 1, &packet, &octets,
                                         udp_octets_max);
    if (code != ARES_SUCCESS) {
        on_answer(asked, code, 0, nullptr, 0);
        return;
    }
    packet[3] |= 0x20;  // AD in a question: we understand it in the answer (RFC 6840 §5.7)
    ::ares_send(channel_, packet, octets, &AresResolver::on_answer, asked);
    ::ares_free_string(packet);
}

void AresResolver::on_answer(void* asked, int status, int, unsigned char* octets, int count) {
    auto* question = static_cast<Question*>(asked);
    AresResolver& self = *question->resolver;
    Answer answer;
    if (status == ARES_SUCCESS && octets != nullptr) {
        answer = parse_answer({reinterpret_cast<const char*>(octets), static_cast<std::size_t>(count)},
                              question->name, question->type);
        answer.authentic = answer.authentic && self.trust_ad_;
    } else {
        answer = failure(why(status));
    }
    {
        const std::lock_guard lock(self.mutex_);
        self.cache_.add(question->name, question->type, answer, self.clock_());
        --self.count_;
    }
    question->answer(std::move(answer));
    self.under_way_.erase(question);
}

void AresResolver::on_socket(void* self, int fd, int readable, int writable) {
    auto& sockets = static_cast<AresResolver*>(self)->sockets_;
    if (readable == 0 && writable == 0)
        sockets.erase(fd);
    else
        sockets[fd] = static_cast<short>((readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0));
}

int AresResolver::wait_ms() const {
    if (under_way_.empty()) return -1;
    timeval longest{1, 0}, left{};  // overdue questions are looked for once a second
    const timeval* next = ::ares_timeout(channel_, &longest, &left);
    return static_cast<int>(next->tv_sec * 1000 + (next->tv_usec + 999) / 1000);
}

void AresResolver::wait_and_process() {
    std::vector<pollfd> waited{{wake_fd_, POLLIN, 0}};
    for (const auto& [fd, events] : sockets_)
        waited.push_back({fd, events, 0});
    const int ready = ::poll(waited.data(), waited.size(), wait_ms());
    if (ready > 0 && waited[0].revents != 0) {
        eventfd_t count = 0;
        ::eventfd_read(wake_fd_, &count);
    }
    for (std::size_t i = 1; ready > 0 && i < waited.size(); ++i) {
        // A socket may have been closed by what another one brought.
        if (waited[i].revents == 0 || sockets_.find(waited[i].fd) == sockets_.end()) continue;
        const bool readable = (waited[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
        const bool writable = (waited[i].revents & (POLLOUT | POLLERR)) != 0;
        ::ares_process_fd(channel_, readable ? waited[i].fd : ARES_SOCKET_BAD,
                          writable ? waited[i].fd : ARES_SOCKET_BAD);
    }
    ::ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what has timed out
}

// Whoever waits is told in time; c-ares may go on with it.
void AresResolver::end_overdue() {
    const auto now = std::chrono::steady_clock::now();
    for (auto& [key, question] : under_way_)
        if (question->done && question->end <= now)
            question->answer(failure(fmt::format("no answer within {} ms", settings_.time_max.count())));
}

}  // namespace

Result<std::unique_ptr<Resolver>> Resolver::make(ResolverSettings settings, Clock clock) {
    auto resolver = std::make_unique<AresResolver>(std::move(settings), std::move(clock));
    if (auto ready = resolver->set_up(); !ready) return ready.error();
    return std::unique_ptr<Resolver>(std::move(resolver));
}

Answer Resolver::ask(const std::string& name, Type type) {
    std::promise<Answer> promise;
    auto answer = promise.get_future();
    ask(name, type, [&promise](Answer found) { promise.set_value(std::move(found)); });
    return answer.get();
}

}  // namespace pier::dns
