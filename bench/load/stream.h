// Stream: one connection to the server after another, as octets and lines, with or without TLS. Non-blocking;
// the coroutine that uses it sleeps in the loop. One coroutine at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include "load/loop.h"
#include "load/task.h"
#include "load/tls.h"

namespace load {

struct Endpoint {
    sockaddr_storage address{};
    socklen_t address_octets = 0;
    std::vector<sockaddr_in> from;  // connection i comes from from[i % size]; empty: the kernel chooses
};

// The first address of the name that is a TCP one; throws Stop.
Endpoint resolve(const std::string& host, std::uint16_t port, const std::vector<std::string>& from);

class Stream : public Watched {
  public:
    // `tls` may be null where start_tls() is never called; all outlive the stream.
    Stream(Loop& loop, const Endpoint& endpoint, Tls* tls, std::size_t slot);
    ~Stream() override;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    Task<> connect();
    Task<> start_tls();
    Task<> write(std::string_view octets);  // all of them; the view stays good until then
    Task<bool> fill();                      // reads more input; false: the server has closed

    // What has been read and not yet consumed; good until fill().
    std::string_view input() const { return {buffer_.data() + begin_, end_ - begin_}; }
    void consume(std::size_t octets) { begin_ += octets; }

    // A line without its CR LF; good until the next call of line() or fill().
    Task<std::string_view> line();

    // The same, if the whole line has been read already.
    std::optional<std::string_view> read_line();

    // Gives the buffer back; nothing may be in it.
    void rest();

    void close();

    // What the connection is doing, for messages: "RETR 7".
    void set_doing(std::string_view what) { doing_.assign(what); }
    // Ends the run with `what`, and who it happened to.
    [[noreturn]] void stop(const std::string& what) const;
    void set_name(std::string name) { name_ = std::move(name); }

    void on_events(std::uint32_t epoll_events) override;
    void check_wait(SteadyClock::time_point longest_ago) override;

  private:
    enum class Step { done, again, end };
    struct Wait {
        Stream& stream;
        bool Stream::*flag;
        bool await_ready() const { return stream.*flag; }
        void await_suspend(std::coroutine_handle<> waiting) const;
        void await_resume() const {}
    };
    Wait readable() { return {*this, &Stream::readable_}; }
    Wait writable() { return {*this, &Stream::writable_}; }
    Wait either() { return {*this, tls_wants_write_ ? &Stream::writable_ : &Stream::readable_}; }

    Step try_read();
    Step try_write(std::string_view octets, std::size_t& written);
    Step tls_step(int outcome);
    void make_room();

    Loop& loop_;
    const Endpoint& endpoint_;
    Tls* tls_;
    std::size_t slot_;
    std::string name_, doing_;

    int descriptor_ = -1;
    SSL* ssl_ = nullptr;
    bool readable_ = false, writable_ = false, hung_up_ = false, tls_wants_write_ = false;
    std::coroutine_handle<> waiting_;
    bool Stream::*waiting_for_ = nullptr;
    SteadyClock::time_point waiting_since_;

    std::vector<char> buffer_;
    std::size_t begin_ = 0, end_ = 0;
    bool filled_ = false;  // the last read took all the room that there was
};

}  // namespace load
