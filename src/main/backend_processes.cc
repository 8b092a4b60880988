#include "main/backend_processes.h"

#include <boost/json.hpp>
#include <sys/prctl.h>
#include <unistd.h>

#include "admin/params.h"
#include "backends/back_end.h"
#include "backends/kinds.h"
#include "backends/process.h"
#include "base/log.h"
#include "main/config_oauth.h"
#include "main/privileges.h"

namespace pier::program {

namespace json = boost::json;

namespace {

// In the process itself.
Result<void> confine(const std::string& user, bool keep_root) {
    if (!keep_root) {
        if (auto dropped = drop_privileges(user); !dropped) return dropped;
    } else {
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    forbid_dumps();
    return {};
}

}  // namespace

Result<std::vector<int>> start_back_ends(const Config& config) {
    std::vector<int> sockets;
    for (const backends::Settings& settings : config.backends) {
        if (settings.keep_root && ::geteuid() != 0)
            log::warning("backend.no_root",
                         {{"backend", settings.name},
                          {"hint", "backend.keep_root needs a server that is started as root"}});
        const auto socket = backends::start_process(
            {.name = settings.name,
             .confine = [&] { return confine(config.server.user, settings.keep_root); },
             .work = [&](int fd) { return backends::run_back_end(settings, fd); }});
        if (!socket) return socket.error();
        sockets.push_back(*socket);
    }
    return sockets;
}

Result<int> start_token_issuer(const Config& config) {
    if (!config.oauth.configured()) return -1;
    return backends::start_process(
        {.name = "oauth",
         .confine = [&] { return confine(config.server.user, false); },
         .work = [&](int fd) { return backends::run_token_issuer(issuer_settings(config.oauth), fd); }});
}

json::array describe(const backends::Chain& chain) {
    json::array out;
    for (const auto& state : chain.states())
        out.push_back(json::object{{"name", state.settings.name},
                                   {"kind", backends::to_string(state.settings.kind)},
                                   {"worker", state.channel.worker},
                                   {"pid", state.channel.pid},
                                   {"requests", state.channel.requests},
                                   {"outages", state.outages},
                                   {"restarts", state.channel.restarts},
                                   {"waiting", state.channel.waiting}});
    return out;
}

void add_backend_methods(admin::Api& api, backends::Chain* chain) {
    api.add("backend.list", [chain](const admin::Call& call) -> Result<json::value> {
        if (auto good = admin::Params(call.params).finish(); !good) return good.error();
        return json::value(json::object{{"backends", chain != nullptr ? describe(*chain) : json::array()}});
    });
    api.add("account.forget", [chain](const admin::Call& call) -> Result<json::value> {
        admin::Params params(call.params);
        const std::string name = params.maybe_text("name").value_or("");
        if (auto good = params.finish(); !good) return good.error();
        if (chain != nullptr) chain->forget(name);
        return json::value(json::object{});
    });
}

}  // namespace pier::program
