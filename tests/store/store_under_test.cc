#include "store/store_under_test.h"

#include <stdexcept>

#include "store/fault_disk.h"
#include "store/log/log_store.h"
#include "store/temporary_folder.h"

namespace pier::test {

using namespace store;

namespace {

class LogStoreUnderTest : public StoreUnderTest {
  public:
    enum class On { real_disk, fault_disk };

    LogStoreUnderTest(On on, Clock clock)
        : folder_(on == On::real_disk ? TemporaryFolder::Where::on_disk : TemporaryFolder::Where::in_memory) {
        options_.folder = folder_.path();
        if (on == On::fault_disk) options_.disk = std::make_shared<FaultDisk>();
        options_.segment_octets_max = 64 << 10;
        options_.message_octets_max = conformance_message_octets_max;
        options_.spool_memory_octets = 4 << 10;
        options_.group_octets_max = 32 << 10;
        options_.reserve_octets = 0;
        options_.cleaner = false;
        options_.clock = std::move(clock);
        LogStoreUnderTest::open();
    }

    Store& store() override { return *store_; }
    void close() override { store_ = nullptr; }
    void open() override {
        auto opened = open_log_store(options_);
        if (!opened) throw std::runtime_error("the store does not open: " + opened.error().text);
        store_ = std::move(*opened);
    }
    void collect_garbage() override {
        if (auto cleaned = store_->clean(true); !cleaned) throw std::runtime_error(cleaned.error().text);
    }

  private:
    TemporaryFolder folder_;
    LogStoreOptions options_;
    std::unique_ptr<LogStore> store_;
};

}  // namespace

std::vector<Engine> engines() {
    using On = LogStoreUnderTest::On;
    return {
        {"log_on_the_real_disk",
         [](Clock clock) { return std::make_unique<LogStoreUnderTest>(On::real_disk, std::move(clock)); }},
        {"log_on_the_fault_disk",
         [](Clock clock) { return std::make_unique<LogStoreUnderTest>(On::fault_disk, std::move(clock)); }},
    };
}

std::string engine_name(const ::testing::TestParamInfo<Engine>& engine) {
    return engine.param.name;
}

ConformanceTest::ConformanceTest() {
    under_test = GetParam().make([this] { return Time(std::chrono::microseconds(now_us.load())); });
    account = new_account("ada@example.org");
    inbox = new_mailbox(account, "INBOX");
}

AccountId ConformanceTest::new_account(const std::string& name) {
    const auto id = put(store(), {DirectoryKind::account, name, 0, "a value"});
    EXPECT_TRUE(id);
    return id ? AccountId{*id} : AccountId{};
}

MailboxId ConformanceTest::new_mailbox(AccountId owner, const std::string& name) {
    const auto id = create_mailbox(store(), owner, name);
    EXPECT_TRUE(id) << name;
    return id ? *id : MailboxId{};
}

Appended ConformanceTest::add(MailboxId mailbox, const std::string& body) {
    auto appended = append(store(), {body}, to(mailbox));
    EXPECT_TRUE(appended) << appended.error().text;
    return appended ? *appended : Appended{};
}

std::shared_ptr<const Snapshot> ConformanceTest::snapshot_of(MailboxId mailbox) {
    auto snapshot = store().open(mailbox);
    EXPECT_TRUE(snapshot) << snapshot.error().text;
    return snapshot ? *snapshot : nullptr;
}

}  // namespace pier::test
