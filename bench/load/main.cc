// pier_load: puts load on any POP3 or LMTP server and measures it (bench/README.md).
// Exit status: 0 measured; 1 something that came back was wrong, and is told; above 100 wrong usage.
#include <csignal>
#include <cstdio>
#include <exception>

#include <sys/resource.h>

#include "load/options.h"
#include "load/report.h"
#include "load/run.h"

namespace {

// Each connection is a descriptor.
void allow_many_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
    const load::Options options = load::options_of(argc, argv);
    std::signal(SIGPIPE, SIG_IGN);
    allow_many_descriptors();
    try {
        load::Run run(options);
        run.go();
        std::printf("%s\n", load::json_report(run).c_str());
        std::fprintf(stderr, "%s\n", load::line_report(run).c_str());
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pier_load: %s\n", error.what());
        return 1;
    }
}
