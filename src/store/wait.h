// Waiting for a store's answer on a thread that may wait: commands and tests. Never on an event loop.
//   auto uid = store::wait<Usage>([&](auto done) { store.expunge(box, uids, done); });
#pragma once

#include <future>
#include <memory>
#include <utility>

#include "store/store.h"

namespace pier::store {

template <class T, class Start>
Result<T> wait(Start start) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    start(Done<T>([promise](Result<T> result) { promise->set_value(std::move(result)); }));
    return future.get();
}

}  // namespace pier::store
