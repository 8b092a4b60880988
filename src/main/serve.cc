#include "main/serve.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/memory.h"
#include "main/backend_processes.h"
#include "main/config_alerts.h"
#include "main/config_watch.h"
#include "main/privileges.h"
#include "main/running.h"
#include "main/sandbox.h"
#include "main/tls_agent.h"

namespace pier::program {
namespace {

std::vector<HandedSocket> sockets_from_systemd() {
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(1, &names);
    std::vector<HandedSocket> sockets;
    for (int i = 0; i < count; ++i) {
        sockets.push_back({names[i], SD_LISTEN_FDS_START + i});
        std::free(names[i]);
    }
    std::free(names);
    return sockets;
}

// The signals that serve() answers, blocked in every thread so that the main thread alone receives them.
sigset_t block_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP})
        ::sigaddset(&set, number);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);  // whoever reads our log may go away
    return set;
}

struct Signal {
    int number = 0;
    admin::Caller sender{};
};

// The next signal; its number is 0 after a second without one.
Signal next_signal(const sigset_t& set) {
    const timespec second{1, 0};
    siginfo_t told{};
    const int number = ::sigtimedwait(&set, &told, &second);
    if (number <= 0) return {};
    return {number, {told.si_uid, told.si_pid, ""}};
}

// What systemd (or whoever started us) is told of our state. It may not be there.
void notify(const char* state) {
    if (const int result = ::sd_notify(0, state); result < 0)
        log::warning("notify.failed", {{"state", state},
                                       {"reason", std::strerror(-result)},
                                       {"hint", "who started the server may think that it hangs"}});
}

int fail(const char* doing, const Error& error) {
    log::error("start.failed", {{"while", doing}, {"reason", error.text}});
    ::sd_notifyf(0, "STATUS=%s", error.text.c_str());
    return 1;
}

// What the kernel refuses to make (threads, descriptors) is thrown.
Result<void> open(Running& running) {
    try {
        return running.open();
    } catch (const std::system_error& refused) {
        return Error{ErrorKind::io,
                     fmt::format("the system refuses what the server needs: {}", refused.what())};
    }
}

// While there is one thread.
Result<void> enter_sandbox(const Config& config, const std::string& config_file, SandboxState& state) {
    if (!sandbox_is_built || !config.server.sandbox) {
        log::warning("sandbox.off", {{"reason", config.server.sandbox ? "a build with sanitizers"
                                                                      : "server.sandbox = false"}});
        return {};
    }
    forbid_dumps();
    // OpenSSL reads its configuration at first use, and fails for good where it may not.
    ::OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, nullptr);
    const ReachableFiles files = reachable_files(config, config_file);
    for (const std::string& file : files.alone)
        log::warning("sandbox.file_alone",
                     {{"file", file},
                      {"hint",
                       "it lies in a folder directly under /, which is too large to be let into the "
                       "sandbox: once it is replaced, `pier reload` cannot open it. Give it a "
                       "folder of its own"}});
    const auto confined = confine_files(files);
    if (!confined) return confined.error();
    state.landlock = *confined;
    return {};
}

// With the store open, before anybody is served.
Result<void> close_sandbox(const Config& config, SandboxState& state) {
    if (!sandbox_is_built || !config.server.sandbox) return {};
    const bool connects =
        config.queue.enabled || config.filter.configured() || watches(config) || !alert_ports(config).empty();
    const Calls calls = connects ? Calls::that_connect : Calls::of_server;
    if (auto confined = confine_calls(calls); !confined) return confined;
    state.seccomp = true;
    log::info("sandbox", {{"landlock", state.landlock}, {"seccomp", state.seccomp}});
    return {};
}

// Until a signal says stop, or the store fails.
void watch(Running& running, const sigset_t& signals) {
    std::uint64_t watchdog_us = 0;
    const bool watchdog = ::sd_watchdog_enabled(0, &watchdog_us) > 0;
    while (!running.failed()) {
        const auto [number, sender] = next_signal(signals);
        if (number == SIGTERM || number == SIGINT) {
            log::info("stop.asked",
                      {{"signal", number == SIGINT ? "SIGINT" : "SIGTERM"},
                       {"connections", running.connections()},
                       {"hint",
                        "logged-in sessions may finish (server.shutdown_grace); a second signal "
                        "ends them at once"}});
            return;
        }
        if (number == SIGHUP) {
            notify("RELOADING=1");
            if (const auto reloaded = running.reload(sender); !reloaded)
                log::error("reload.failed", {{"reason", reloaded.error().text}});
            notify("READY=1");
        }
        running.tick();
        if (watchdog && running.responsive()) notify("WATCHDOG=1");
    }
}

}  // namespace

int serve(const Config& config, const std::string& config_file) {
    const sigset_t signals = block_signals();
    if (!configure_log(config.log))
        log::error("log.file.failed",
                   {{"file", config.log.file}, {"hint", "logging to standard error instead"}});
    ::umask(0077);
    raise_open_files_limit();
    memory::set_reserve_aside();
    if (auto made = prepare_data_folder(config.server.data_folder, config.server.user); !made)
        return fail("preparing the data folder", made.error());
    std::vector<std::string> sockets{config.admin.socket};
    for (const ListenerConfig& listener : config.listeners)
        sockets.push_back(listener.path);
    for (const std::string& socket : sockets)
        if (auto made = prepare_socket_folder(socket, config.server.user); !made)
            return fail("preparing a socket's folder", made.error());

    // While nothing is bound and nobody else runs.
    auto back_ends = start_back_ends(config);
    if (!back_ends) return fail("starting the processes of the back ends", back_ends.error());
    const auto agent = start_tls_agent(config);
    if (!agent) return fail("starting the process that gets certificates", agent.error());

    const auto issuer = start_token_issuer(config);
    if (!issuer) return fail("starting the process that asks the issuer of tokens", issuer.error());

    AlertWays alert_ways = make_alert_ways(config);

    Running running(config, config_file);
    running.take_back_ends(std::move(*back_ends));
    if (*agent >= 0) running.use_tls_agent(*agent);
    running.take_token_issuer(*issuer);
    running.take_alert_ways(std::move(alert_ways));
    if (auto bound = running.bind(sockets_from_systemd()); !bound) return fail("listening", bound.error());
    if (auto dropped = drop_privileges(config.server.user); !dropped)
        return fail("giving up root", dropped.error());
    SandboxState sandbox;
    if (auto entered = enter_sandbox(config, config_file, sandbox); !entered)
        return fail("entering the sandbox", entered.error());
    if (auto opened = open(running); !opened) return fail("opening the store", opened.error());
    if (auto closed = close_sandbox(config, sandbox); !closed)
        return fail("closing the sandbox", closed.error());
    running.sandboxed(sandbox);
    running.start();
    log::info("ready", {{"version", PIER_VERSION}, {"listening", running.ready_text()}});
    notify("READY=1");

    watch(running, signals);

    notify("STOPPING=1");
    // A second signal means: now.
    running.stop([&] {
        const timespec none{0, 0};
        const int number = ::sigtimedwait(&signals, nullptr, &none);
        return running.failed() || number == SIGTERM || number == SIGINT;
    });
    log::info("stopped", {{"reason", running.failed() ? "the store failed" : "asked to"}});
    return running.failed() ? 1 : 0;
}

}  // namespace pier::program
