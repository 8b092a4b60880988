// One lane from its beginning to its end: the hosts of its destination one after the other, until one has
// taken its messages. It blocks; one thread.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/route.h"
#include "queue/server_session.h"
#include "queue/sts_policies.h"
#include "queue/transport.h"

namespace pier::queue {

// What all lanes of a transport have in common; outlives them.
struct LaneSurroundings {
    const TransportSettings& settings;
    const RouteSettings& route;
    ServerSession::Around session;
    Lookups& lookups;
    StsPolicies* sts = nullptr;  // null: MTA-STS is not asked for
    Choose choose;
    const std::atomic<bool>& stopping;
};

class LaneRun {
  public:
    LaneRun(const LaneSurroundings& around, std::string destination, Lane& lane)
        : around_(around), destination_(std::move(destination)), lane_(lane) {}
    void run();  // all but closed()

  private:
    enum class End {
        lane,    // there is nothing more to do
        server,  // the next one
        reused,  // a connection that had worked: the same server once more
    };
    std::variant<Route, smtp::Reply> route();
    bool try_host(const MailHost& host, const std::optional<StsPolicy>& policy);
    std::optional<TlsDemand> demand_of(const MailHost& host, const Addresses& addresses,
                                       const std::optional<StsPolicy>& policy);
    DaneDemand dane_of(const MailHost& host, const Addresses& addresses);
    TlsDemand smarthost_demand() const;
    bool try_server(const ServerAddress& server, TlsDemand demand);
    End try_once(const ServerAddress& server, const TlsDemand& demand, bool& tls_failed);
    End work(ServerSession& session);
    bool take_job(const std::string& server);
    void remember(Outcome trouble);
    void remember(smtp::Reply reply);
    void give_up();
    void finish_job(std::vector<Outcome> outcomes);

    const LaneSurroundings& around_;
    const std::string destination_;
    Lane& lane_;
    std::string domain_;  // as DNS knows it
    std::size_t attempts_ = 0;
    bool any_done_ = false;   // some job has got its outcomes
    std::optional<Job> job_;  // taken, without outcomes yet
    std::optional<Outcome> trouble_;
};

}  // namespace pier::queue
