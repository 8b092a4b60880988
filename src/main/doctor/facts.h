// What `pier doctor` has seen of this server and its machine: plain values, gathered by gathering.h, judged
// by diagnosis.h. What was not looked at is absent, and nothing is concluded from it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/time.h"
#include "main/domain_records.h"
#include "watch/firewall.h"
#include "watch/listening.h"
#include "watch/probe.h"

namespace pier::program::doctor {

struct ConfigProblem {
    bool error = false;  // else a warning
    std::string place, text;
};

struct ListenerFacts {
    std::string name, where;  // "pop3-110", "127.0.0.1:110"
    std::uint16_t port = 0;
    bool needs_rights = false;              // only root may open it, and who asks is not
    std::string address_problem;            // why the address cannot be listened at; empty: it can
    bool listened = false;                  // somebody listens there
    std::optional<watch::Holder> holder{};  // who that is, if it could be found out
    bool of_server = false;                 // the running server says that it does
    bool excludes_us = false;               // its networks do not include where we would come from
    bool admits_client = true;              // they include the client who was asked about
    std::optional<watch::Probe> probe{};
};

struct CertificateFacts {
    std::string file, key_file;
    std::string unreadable, key_unreadable;  // why; empty: it was read
    bool key_open = false;                   // everybody on the machine may read it
    Time not_before{}, not_after{};
    std::string host;  // that it should be for
    bool for_host = true, key_matches = true;
    std::vector<std::string> names;
};

struct ClockFacts {
    std::optional<bool> synchronised;          // by the kernel; absent: it does not say
    std::chrono::seconds newest_file_ahead{};  // a file of the data folder is from the future by so much
    std::string newest_file;
};

struct DiskFacts {
    std::string folder;
    std::string problem;  // it is not there, or cannot be written; empty: it can
    std::uint64_t octets = 0, octets_free = 0, inodes = 0, inodes_free = 0;
};

struct MachineFacts {
    std::optional<std::uint64_t> memory_octets, memory_octets_free;
    std::optional<std::uint64_t> descriptors_max;  // of the server's process, or of one started from here
    std::uint64_t descriptors_wanted = 0;          // with all connections that the configuration allows
};

struct ServerFacts {
    bool has_socket = true;  // admin.socket is set
    bool runs = false;       // it answers there
    std::string socket;
    std::string closed;  // why it cannot be asked though it is there
    boost::json::object status;
    std::optional<std::chrono::milliseconds> sync_time;  // of the disk, on average since the start
    boost::json::array queue;                            // the messages that wait
    std::vector<std::string> errors;                     // lines of its log
    boost::json::array guard_blocks;
    boost::json::object guard_explained;  // of the client who was asked about
    std::vector<std::string> domains;
    boost::json::object account;       // account.show
    boost::json::object recipient;     // doctor.recipient
    std::vector<std::string> damaged;  // messages that are
    bool store_read = false;
};

struct DomainDnsFacts {
    std::string domain;
    std::vector<RecordCheck> records;
};

struct DnsFacts {
    std::string host;
    std::string unanswered;              // why no resolver answers; empty: it does
    std::vector<std::string> addresses;  // of the host
    std::vector<DomainDnsFacts> domains;
    std::chrono::milliseconds time{};  // of the first question
};

struct FilterFacts {
    std::string where, problem;  // why it is not reached; empty: it answers
    bool refuses = false;        // mail is refused while it is down
};

// What is asked about, of the words of the command.
struct About {
    std::string account;  // or an address of mail
    std::string client;   // an IP address
};

struct Facts {
    Time now{};
    About about;
    std::string config_file;
    std::vector<ConfigProblem> config;
    std::optional<ServerFacts> server;
    std::vector<ListenerFacts> listeners;
    bool takes_mail_from_world = false;       // there is a listener for smtp
    std::vector<watch::Probe> asked_targets;  // HOST:PORT of the command
    std::optional<watch::Firewall> firewall;
    std::vector<CertificateFacts> certificates;
    std::optional<ClockFacts> clock;
    std::optional<DiskFacts> disk;
    std::optional<MachineFacts> machine;
    std::optional<DnsFacts> dns;
    std::optional<FilterFacts> filter;
    std::string smarthost;  // empty: none
};

}  // namespace pier::program::doctor
