// Of a running server itself: what is wrong inside it, where no look at a port sees it. The judge takes
// readings, one after the other, and says what they mean; Running takes them, about every ten seconds. Keys:
// disk.free, queue.messages, queue.growth, queue.age, guard.guessing, guard.blocks, filter.answers,
// backend.NAME.answers, certificate.own.
//
// Pure; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "main/config.h"
#include "watch/observation.h"

namespace pier::program {

inline constexpr std::chrono::seconds vitals_pause{10};
// No look for so long: the disk does not answer.
inline constexpr std::chrono::seconds vitals_hang{30};

// One look. Counts are those since the start; what is absent is not there, or could not be read.
struct VitalReadings {
    Time at{};
    struct Disk {
        double free_octets = 0, octets = 0;
    };
    std::optional<Disk> disk;
    struct Queue {
        std::uint64_t messages = 0;
        std::optional<Time> oldest;  // when it came in
    };
    std::optional<Queue> queue;
    std::uint64_t failed_logins = 0, blocks = 0;
    struct Filter {
        std::uint64_t asked = 0;
        bool down = false;  // the last one that was asked got no answer
    };
    std::optional<Filter> filter;
    struct BackEnd {
        std::string name;
        bool gone = false;  // its process has died
        std::uint64_t asked = 0, outages = 0;
    };
    std::vector<BackEnd> back_ends;
    struct Certificates {
        bool usable = true;                 // false: clients refuse the first of them
        std::vector<std::string> problems;  // net::Tls::problems()
    };
    std::optional<Certificates> certificates;
};

class VitalSigns {
  public:
    // `server`: the group of the observations. `refuses`: mail is refused while the filter is down.
    VitalSigns(const AlertsConfig& rules, std::string server, bool refuses);

    std::vector<watch::Observation> judge(const VitalReadings& now);

    // Whether a look that began so long ago has come to its end.
    watch::Observation judge_disk_answers(bool answers, Time at) const;

  private:
    struct Kept {
        Time at{};
        std::uint64_t failed_logins = 0, blocks = 0, messages = 0;
    };
    // Ill from the limit on, and until it is below three quarters of it.
    bool beyond(const std::string& key, double value, double limit);
    const Kept& since(Time at) const;  // the oldest that is not older
    watch::Observation observation(std::string key, Time at) const;
    void judge_disk(const VitalReadings& now, std::vector<watch::Observation>& all);
    void judge_queue(const VitalReadings& now, std::vector<watch::Observation>& all);
    void judge_guard(const VitalReadings& now, std::vector<watch::Observation>& all);
    void judge_filter(const VitalReadings& now, std::vector<watch::Observation>& all) const;
    void judge_back_ends(const VitalReadings& now, std::vector<watch::Observation>& all) const;
    void judge_certificates(const VitalReadings& now, std::vector<watch::Observation>& all) const;

    const AlertsConfig rules_;
    const std::string server_;
    const bool refuses_;
    std::map<std::string, bool> beyond_;
    std::deque<Kept> kept_;  // of the last ten minutes, the oldest first; never empty while it judges
    std::optional<VitalReadings> last_;
};

}  // namespace pier::program
