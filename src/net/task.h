// Coroutines of an event loop: `Task<Result<void>> f()`, `co_await f()`. They run on their loop's thread
// only.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace pier::net {

using Executor = boost::asio::io_context::executor_type;
template <class T>
using Task = boost::asio::awaitable<T, Executor>;
inline constexpr boost::asio::use_awaitable_t<Executor> use_task{};

// Waits for something that answers by calling back, on whatever thread: `start` gets a copyable function that
// takes a T, which must be called exactly once. The coroutine goes on on its own loop.
//   auto uid = co_await completion<Result<Uid>>([&](auto done) { store.append(message, done); });
template <class T, class Start>
Task<T> completion(Start start) {
    co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<Executor>, void(T)>(
        [](auto handler, Start begin) {
            const auto executor = boost::asio::get_associated_executor(handler);
            struct Waiting {
                decltype(handler) resume;
                decltype(boost::asio::make_work_guard(executor)) work;  // the loop goes on for it
            };
            auto waiting = std::make_shared<std::optional<Waiting>>(
                Waiting{std::move(handler), boost::asio::make_work_guard(executor)});
            begin([waiting, executor](T value) {
                // Taken out here: copies of this function may live on, on other threads, longer than the
                // loop.
                auto taken = std::move(**waiting);
                waiting->reset();
                boost::asio::post(executor, [taken = std::move(taken), value = std::move(value)]() mutable {
                    std::move(taken.resume)(std::move(value));
                });
            });
        },
        use_task, std::move(start));
}

// Runs `work` on a pool whose threads may wait, and gives its value back here.
template <class Pool, class Work>
Task<std::invoke_result_t<Work>> on_pool(Pool& pool, Work work) {
    using T = std::invoke_result_t<Work>;
    co_return co_await completion<T>([&pool, work = std::move(work)](auto done) mutable {
        boost::asio::post(pool, [work = std::move(work), done = std::move(done)]() mutable { done(work()); });
    });
}

// Lets the loop's other work run.
inline Task<void> yield() {
    const auto executor = co_await boost::asio::this_coro::executor;
    co_await boost::asio::post(executor, use_task);
}

}  // namespace pier::net
