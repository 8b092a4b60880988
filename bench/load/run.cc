#include "load/run.h"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include "load/loads.h"
#include "load/process_tree.h"

namespace load {

Run::Run(const Options& chosen)
    : options(chosen),
      endpoint(resolve(chosen.host, chosen.port, chosen.from)),
      tls(chosen.tls == TlsMode::none
              ? nullptr
              : std::make_unique<Tls>(chosen.connections, chosen.resume, chosen.load == Load::idle)),
      loop(chosen.timeout_s),
      begun_(chosen.connections) {}

void Run::go() {
    if (options.load == Load::idle && options.server_pid)
        counted.server_pss_before_octets = process_tree_pss_octets(*options.server_pid);
    std::vector<Task<>> tasks;
    for (std::size_t slot = 0; slot < options.connections; ++slot)
        tasks.push_back(connection(*this, slot));
    loop.run(tasks);
    counted.own_cpu_us = own_cpu_us() - own_cpu_at_start_us_;
    if (options.server_pid)
        counted.server_cpu_us = process_tree_cpu_us(*options.server_pid) - server_cpu_at_start_us_;
    counted.seconds = std::chrono::duration<double>(last_end_ - started_).count();
}

void Run::arrive(std::coroutine_handle<> waiting) {
    arrived_.push_back(waiting);
    if (arrived_.size() < options.connections) return;
    if (options.server_pid) server_cpu_at_start_us_ = process_tree_cpu_us(*options.server_pid);
    own_cpu_at_start_us_ = own_cpu_us();
    started_ = last_end_ = SteadyClock::now();
    deadline_ = started_ + std::chrono::duration_cast<SteadyClock::duration>(
                               std::chrono::duration<double>(options.seconds));
    // Last, because what throws above leaves this coroutine, and none that has ended may be resumed.
    for (const auto handle : arrived_)
        loop.post(handle);
}

void Run::leave() {
    if (outside_.empty()) {
        --inside_;
        return;
    }
    loop.post(outside_.front());
    outside_.pop_front();
}

void Run::gather(std::coroutine_handle<> waiting) {
    gathered_.push_back(waiting);
    if (gathered_.size() < options.connections) return;
    if (options.server_pid) counted.server_pss_octets = process_tree_pss_octets(*options.server_pid);
    if (!options.hold) return go_on();
    std::printf("holding\n");
    std::fflush(stdout);
    ::fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    loop.watch(STDIN_FILENO, hold_);
}

void Run::go_on() {
    for (const auto handle : gathered_)
        loop.post(handle);
    gathered_.clear();
}

void Run::Hold::on_events(std::uint32_t) {
    char passed_over[4096];
    ssize_t got = 0;
    do {
        got = ::read(STDIN_FILENO, passed_over, sizeof passed_over);
    } while (got > 0);
    if (got == 0 || errno != EAGAIN) run.go_on();
}

bool Run::more(std::size_t slot) {
    if (options.count ? begun_[slot] >= *options.count : SteadyClock::now() >= deadline_) return false;
    ++begun_[slot];
    return true;
}

void Run::count(SteadyClock::time_point began, std::uint64_t octets) {
    last_end_ = SteadyClock::now();
    ++counted.operations;
    counted.octets += octets;
    counted.latencies_ns.push_back(static_cast<std::uint64_t>((last_end_ - began).count()));
}

}  // namespace load
