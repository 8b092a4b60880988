// What a store engine must offer to be put through the conformance suite (conformance_*_test.cc), and the
// engines there are. A new engine adds itself to engines() in store_under_test.cc and must pass every test
// unchanged.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "store/store.h"
#include "store/store_calls.h"

namespace pier::test {

inline constexpr std::uint64_t conformance_message_octets_max = 300'000;

// A store that can be closed and opened again with all that is in it.
class StoreUnderTest {
  public:
    virtual ~StoreUnderTest() = default;
    virtual store::Store& store() = 0;
    virtual void close() = 0;
    virtual void open() = 0;
    // Whatever gives back the space of removed messages, to its end.
    virtual void collect_garbage() = 0;
};

struct Engine {
    std::string name;
    // With messages of at most conformance_message_octets_max.
    std::function<std::unique_ptr<StoreUnderTest>(Clock clock)> make;
};
inline void PrintTo(const Engine& engine, std::ostream* out) {
    *out << engine.name;
}

std::vector<Engine> engines();

// A test on each engine, with an open store, an account and its INBOX.
class ConformanceTest : public ::testing::TestWithParam<Engine> {
  protected:
    ConformanceTest();

    store::Store& store() { return under_test->store(); }
    void reopen() {
        under_test->close();
        under_test->open();
    }
    store::AccountId new_account(const std::string& name);
    store::MailboxId new_mailbox(store::AccountId owner, const std::string& name);
    // Appends one message that must be taken.
    store::Appended add(store::MailboxId mailbox, const std::string& body);
    std::shared_ptr<const store::Snapshot> snapshot_of(store::MailboxId mailbox);

    std::atomic<std::int64_t> now_us{1'790'000'000'000'000};
    std::unique_ptr<StoreUnderTest> under_test;
    store::AccountId account{};
    store::MailboxId inbox{};
};

// Test names of engines.
std::string engine_name(const ::testing::TestParamInfo<Engine>& engine);

}  // namespace pier::test
