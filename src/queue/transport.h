// How the queue has messages carried to other servers. The queue opens lanes; a transport makes a connection
// for each and asks it for one message after another, as long as there are any for that destination. So the
// queue knows no socket, and the transport no log.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "smtp/envelope.h"
#include "smtp/session.h"
#include "store/store.h"

namespace pier::queue {

// One message for recipients of one destination.
struct Job {
    std::string id;           // of the queue, for the log
    smtp::Envelope envelope;  // sender and recipients as they are to be told to the other server
    std::unique_ptr<store::Body> body;
};

// What became of one recipient of a job.
struct Outcome {
    enum class Kind {
        delivered,  // the other server has said 250
        deferred,   // try again later
        failed,     // for good
    };
    Kind kind = Kind::deferred;
    // What the other server has said; a reply of our own (code 4xx or 5xx with its enhanced code) when it was
    // not asked: no connection, no such domain, TLS required.
    smtp::Reply reply;
    std::string server;       // who has said it: "mx.example.org [192.0.2.1]"; empty: nobody was reached
    bool relays_dsn = false;  // delivered to a server that offers DSN, so it answers for the rest
    std::string tls;          // "TLSv1.3/TLS_AES_128_GCM_SHA256 dane"; empty: in clear
};

// A connection's work. The transport calls it on threads of its own; it outlives the transport's use of it.
class Lane {
  public:
    virtual ~Lane() = default;
    // The next message for this destination; absent: there is none, end the connection.
    virtual std::optional<Job> next() = 0;
    // One outcome for each recipient of the job, in order. Called once for each job, before the next next().
    virtual void done(const Job& job, std::vector<Outcome> outcomes) = 0;
    // Nobody was reached, or nobody wants to talk to us: no job was taken. Why: for good or for now. The lane
    // is over; its destination is to be left alone for a while.
    virtual void failed(const Outcome& why) = 0;
    // The lane is over; always the last call, also behind failed().
    virtual void closed() = 0;
};

class Transport {
  public:
    virtual ~Transport() = default;  // ends all lanes: closed() has been called for each
    // Begins a lane to `destination`: a domain in lower case, or an address literal "[192.0.2.1]". Returns
    // at once.
    virtual void open(const std::string& destination, std::shared_ptr<Lane> lane) = 0;
};

}  // namespace pier::queue
