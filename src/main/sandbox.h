// The sandbox of the running server: what code that somebody else has got to run inside it could still do.
// Two walls beside the rights of its user (privileges.h): Landlock for files, seccomp for system calls.
// docs/decisions/0015-the-sandbox.md says what each keeps out.
//
//   bind the ports; drop_privileges(); confine_files(); open the store; confine_calls(); serve
//
// Neither can be taken back, and both hold for every thread that comes later.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "main/config.h"

namespace pier::program {

// Folders and files by what the server does there; what lies below a folder goes with it. What does not exist
// is passed over.
struct ReachableFiles {
    std::vector<std::string> kept;           // folders: files and folders are made, changed and removed
    std::vector<std::string> sockets;        // folders: Unix sockets are made and removed
    std::vector<std::string> logs;           // files are made and added to
    std::vector<std::string> read;           // files are read
    std::vector<std::string> alone;          // of logs and read: files whose folder is not reached, see below
    bool connects = false;                   // TCP connections are made
    std::vector<std::uint16_t> connects_to;  // if not: to these ports they are all the same
    bool chooses_address = false;            // for them, by bind(2)
};

// What a server of this configuration reaches: its data, its sockets, its log, and for `pier reload` the
// configuration, certificate and key (and a few files of the system that libraries read), also when they are
// replaced: by another file of the same name, or by turning one of the symbolic links that lead there
// (certbot). A folder directly under / is too much for that: there only the file itself is reached, as it is
// now.
ReachableFiles reachable_files(const Config& config, const std::string& config_file);

// What the process of main/tls_agent.h reaches: its two folders, certificates, and what finding a host and
// believing it takes. It connects.
ReachableFiles files_of_tls_agent(const Config& config);

// Sanitizers read the process with ptrace(2) and start a program that names addresses.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sandbox_is_built = false;
#else
inline constexpr bool sandbox_is_built = true;
#endif

// Landlock: of all files only these; nothing is executed; no TCP connection is made and no port is bound, if
// the kernel can forbid that (6.7). Of the calling thread and those that it makes: so call it while it is the
// only one. Gives the version of the kernel's interface, or 0 if it has none (5.13 is the first), which a
// warning in the log tells.
Result<int> confine_files(const ReachableFiles& files);

// seccomp, for all threads: the calls that a server makes after its store is open. Others do not exist
// (ENOSYS); one that starts a program or reaches into another process ends this one. What was refused stands
// in the kernel's log.
enum class Calls { of_server, that_connect };  // those of the server, and connections made
Result<void> confine_calls(Calls calls = Calls::of_server);

// What is in force, for the log and `pier status`.
struct SandboxState {
    int landlock = 0;  // version of the interface; 0: not in force
    bool seccomp = false;
};

}  // namespace pier::program
