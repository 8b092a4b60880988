// Coroutines of an event loop: `Task<Result<void>> f()`, `co_await f()`. A task begins when it is awaited,
// runs on its loop's thread only, and is destroyed, with all that it awaits, when its Task is.
//
// An awaited task runs on the awaiter's stack until it waits for the first time; most end before they do, and
// then cost a call. A task that has waited resumes who awaits it when it ends. So the stack is never deeper
// than the chain of tasks is long, whatever the compiler makes of tail calls.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/post.hpp>

#include "net/event_loop.h"

namespace pier::net {

template <class T>
class Task;

namespace detail {

struct PromiseBase {
    struct End {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
            // Nothing of `ended` may be touched behind this: who goes on destroys it.
            if (const auto awaiting = ended.promise().awaiting) awaiting.resume();
        }
        void await_resume() const noexcept {}
    };
    std::suspend_always initial_suspend() const noexcept { return {}; }
    End final_suspend() const noexcept { return {}; }
    void unhandled_exception() { failure = std::current_exception(); }
    void rethrow() const {
        if (failure) std::rethrow_exception(failure);
    }

    std::coroutine_handle<> awaiting;  // from its first wait on
    std::exception_ptr failure;
};

template <class T>
struct Promise : PromiseBase {
    Task<T> get_return_object() { return Task<T>(std::coroutine_handle<Promise>::from_promise(*this)); }
    void return_value(T v) { value.emplace(std::move(v)); }
    T take() {
        rethrow();
        return std::move(*value);
    }
    std::optional<T> value;
};

template <>
struct Promise<void> : PromiseBase {
    inline Task<void> get_return_object();
    void return_void() const noexcept {}
    void take() const { rethrow(); }
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
  public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (handle_) handle_.destroy();
    }

    struct Awaiter {
        Handle handle;
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> awaiting) const {
            handle.resume();
            if (handle.done()) return false;
            handle.promise().awaiting = awaiting;
            return true;
        }
        T await_resume() const { return handle.promise().take(); }
    };
    Awaiter operator co_await() const noexcept { return {handle_}; }

  private:
    Handle handle_;
};

inline Task<void> detail::Promise<void>::get_return_object() {
    return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

// Runs the task on its own until it ends, first until it waits for the first time. On the loop's thread, or
// before the loop runs. The loop owns it and destroys it if it has not ended by then; a failure that the task
// lets out ends the process.
void spawn(EventLoop& loop, Task<void> task);

// Waits for something that answers by calling back, on whatever thread: `start` gets a copyable function that
// takes a T, which must be called exactly once, and before the loop is destroyed.
//   auto uid = co_await completion<Result<Uid>>(loop, [&](auto done) { store.append(message, done); });
template <class T, class Start>
Task<T> completion(EventLoop& loop, Start start) {
    struct Answer {
        EventLoop& loop;
        Start& start;
        std::optional<T> value;

        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiting) {
            start([this, waiting](T answer) {
                value.emplace(std::move(answer));
                loop.post([waiting] { waiting.resume(); });
            });
        }
        T await_resume() { return std::move(*value); }
    };
    co_return co_await Answer{loop, start, std::nullopt};
}

// Runs `work` on a pool whose threads may wait, and gives its value back here, or what it throws.
template <class Pool, class Work>
Task<std::invoke_result_t<Work>> on_pool(EventLoop& loop, Pool& pool, Work work) {
    struct Outcome {
        std::optional<std::invoke_result_t<Work>> value;
        std::exception_ptr failure;
    };
    Outcome outcome = co_await completion<Outcome>(loop, [&pool, &work](auto done) {
        boost::asio::post(pool, [&work, done]() mutable {
            Outcome made;
            try {
                made.value.emplace(work());
            } catch (...) {
                made.failure = std::current_exception();
            }
            done(std::move(made));
        });
    });
    if (outcome.failure) std::rethrow_exception(outcome.failure);
    co_return std::move(*outcome.value);
}

// Goes on when the loop next looks at its deadlines: within a second.
inline Task<void> next_sweep(EventLoop& loop) {
    struct Sweep {
        EventLoop& loop;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiting) {
            loop.post_at_sweep([waiting] { waiting.resume(); });
        }
        void await_resume() const noexcept {}
    };
    co_await Sweep{loop};
}

// Lets the loop's other work run.
inline Task<void> yield(EventLoop& loop) {
    struct Turn {
        EventLoop& loop;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiting) {
            loop.post([waiting] { waiting.resume(); });
        }
        void await_resume() const noexcept {}
    };
    co_await Turn{loop};
}

}  // namespace pier::net
