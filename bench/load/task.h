// Task<T>: a coroutine that is awaited by another one, or driven by the loop. Every connection of the load
// generator is one such coroutine, so that a session reads like the protocol. Thread: the only one.
//   Task<Line> Pop3Client::ask(...)  { co_await stream.write(...); co_return co_await line(); }
// A Task owns its frame, starts when it is first awaited (or start()ed), and hands an exception to who awaits
// it.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace load {

namespace detail {

struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
        return self.promise().continuation;
    }
    void await_resume() const noexcept {}
};

struct PromiseBase {
    std::coroutine_handle<> continuation = std::noop_coroutine();
    std::exception_ptr error;

    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { error = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;

    void return_value(T given) { value.emplace(std::move(given)); }
    T take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
    void return_void() const noexcept {}
    void take() const noexcept {}
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
  public:
    struct promise_type : detail::Promise<T> {
        Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    };

    Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (frame_) frame_.destroy();
    }

    // What ends without having to wait returns here, and whoever awaits it goes on without having been
    // suspended. Otherwise a fast server would let the stack grow with each reply: GCC makes a jump of the
    // transfer between two coroutines only at -O2.
    bool await_ready() {
        frame_.resume();
        return frame_.done();
    }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { frame_.promise().continuation = waiting; }
    T await_resume() { return result(); }

    void start() { frame_.resume(); }
    bool done() const noexcept { return frame_.done(); }

    // Once done(): the value, or the exception that ended it.
    T result() {
        if (frame_.promise().error) std::rethrow_exception(frame_.promise().error);
        return frame_.promise().take();
    }

  private:
    explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}

    std::coroutine_handle<promise_type> frame_;
};

}  // namespace load
