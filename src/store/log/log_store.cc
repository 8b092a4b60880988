#include "store/log/log_store.h"

#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "store/log/cleaner.h"
#include "store/log/operations.h"
#include "store/log/recovery.h"
#include "store/log/snapshot.h"

namespace pier::store {
namespace log {
namespace {

std::string hex(std::string_view octets) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const char c : octets) {
        text += digits[static_cast<unsigned char>(c) >> 4];
        text += digits[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

class LogStoreImpl : public LogStore {
  public:
    LogStoreImpl(const LogStoreOptions& options, std::shared_ptr<Disk> disk, std::unique_ptr<File> lock,
                 std::unique_ptr<Segments> segments, Recovered recovered)
        : options_(options),
          disk_(std::move(disk)),
          lock_(std::move(lock)),
          segments_(std::move(segments)),
          index_(std::move(recovered.index)),
          key_(checksum_key(recovered.store_id)),
          cache_(options.listing_cache_octets),
          appender_(*disk_, *segments_, *index_, std::move(recovered.active),
                    {options.segment_octets_max, options.group_octets_max, options.reserve_octets,
                     recovered.store_id, options.clock, options.on_fatal}),
          cleaner_(*disk_, *segments_, *index_, appender_, cache_,
                   {options.cleaner, options.clean_below_percent, options.purge_after, options.reserve_octets,
                    options.clock, key_}) {}

    void put(DirectoryRecord record, Done<std::uint64_t> done) override {
        appender_.submit(put_operation(std::move(record), std::move(done)));
    }
    void erase(DirectoryKind kind, std::string key, Done<void> done) override {
        appender_.submit(erase_operation(kind, std::move(key), std::move(done)));
    }

    Result<std::optional<DirectoryRecord>> get(DirectoryKind kind, std::string_view key) const override {
        auto state = index_->get_as<DirectoryState>(key::directory(kind, key));
        if (!state) return state.error();
        if (!*state || (*state)->gone) return std::optional<DirectoryRecord>();
        return std::optional(
            DirectoryRecord{kind, std::string(key), (*state)->id, std::move((*state)->value)});
    }

    Result<std::vector<DirectoryRecord>> list(DirectoryKind kind) const override {
        std::vector<DirectoryRecord> records;
        const auto read = each(kind, [&](DirectoryRecord record) { records.push_back(std::move(record)); });
        if (!read) return read.error();
        return records;
    }

    Result<void> each(DirectoryKind kind,
                      const std::function<void(DirectoryRecord)>& on_record) const override {
        const std::string prefix = key::directory_all(kind);
        return index_->each(prefix, [&](std::string_view at, std::string_view value) {
            auto state = decode<DirectoryState>(value);
            if (state && !state->gone)
                on_record({kind, std::string(at.substr(prefix.size())), state->id, std::move(state->value)});
            return true;
        });
    }

    void create_mailbox(AccountId account, std::string name, Done<MailboxId> done) override {
        appender_.submit(create_mailbox_operation(account, std::move(name), std::move(done)));
    }
    void rename_mailbox(MailboxId mailbox, std::string name, Done<void> done) override {
        appender_.submit(rename_mailbox_operation(mailbox, std::move(name), std::move(done)));
    }
    void remove_mailbox(MailboxId mailbox, Done<void> done) override {
        appender_.submit(remove_mailbox_operation(mailbox, std::move(done)));
    }

    Result<std::vector<MailboxInfo>> mailboxes(AccountId account) const override {
        const std::string prefix = key::names(static_cast<std::uint64_t>(account));
        std::vector<std::uint64_t> ids;
        auto read = index_->each(prefix, [&](std::string_view, std::string_view value) {
            if (const auto id = decode<std::uint64_t>(value)) ids.push_back(*id);
            return true;
        });
        if (!read) return read.error();
        std::vector<MailboxInfo> infos;
        for (const std::uint64_t id : ids) {
            const auto state = index_->get_as<MailboxState>(key::mailbox(id));
            if (!state) return state.error();
            if (!*state || (*state)->gone) continue;
            const MailboxState& is = **state;
            infos.push_back({MailboxId{id}, account, is.name, is.uid_validity, is.uid_next, is.modseq,
                             is.messages, is.octets});
        }
        return infos;
    }

    Result<Usage> usage(AccountId account) const override {
        const auto infos = mailboxes(account);
        if (!infos) return infos.error();
        Usage usage;
        for (const MailboxInfo& info : *infos) {
            if (is_kept_aside(info.name)) continue;
            usage.messages += info.messages;
            usage.octets += info.octets;
        }
        return usage;
    }

    Result<std::vector<bool>> imported(AccountId account, std::span<const ImportKey> keys) const override {
        std::vector<bool> known;
        for (const ImportKey& key : keys) {
            const auto value = index_->get(key::import_key(static_cast<std::uint64_t>(account), key));
            if (!value) return value.error();
            known.push_back(value->has_value());
        }
        return known;
    }

    std::unique_ptr<Spool> new_spool() override {
        return std::make_unique<LogSpool>(*disk_, options_.spool_memory_octets, options_.message_octets_max);
    }

    void append(NewMessage message, Done<std::vector<Result<Appended>>> done) override {
        appender_.submit(append_operation(std::move(message), std::move(done)));
    }
    void expunge(MailboxId mailbox, std::vector<Uid> uids, Done<std::uint64_t> done) override {
        appender_.submit(expunge_operation(mailbox, std::move(uids), std::move(done)));
    }
    void set_flags(MailboxId mailbox, std::vector<FlagChange> changes, Done<void> done) override {
        appender_.submit(flags_operation(mailbox, std::move(changes), std::move(done)));
    }
    void copy(MailboxId from, std::vector<Uid> uids, MailboxId to, Source source,
              Done<std::vector<Uid>> done) override {
        appender_.submit(copy_operation(from, std::move(uids), to, source, std::move(done)));
    }

    Result<std::shared_ptr<const Snapshot>> open(MailboxId mailbox, Wait wait) override {
        auto snapshot = LogSnapshot::open(*index_, *segments_, cache_, verified_, key_, mailbox, wait);
        if (!snapshot) return snapshot.error();
        return std::shared_ptr<const Snapshot>(std::move(*snapshot));
    }

    Result<std::unique_ptr<Body>> body(MailboxId mailbox, Uid uid) override {
        return body_of(*index_, *segments_, verified_, key_, mailbox, uid);
    }

    Stats stats() const override {
        Stats stats;
        const auto count = [&](const std::string& prefix, auto&& take) {
            // Figures for a person: what cannot be read now is left out.
            static_cast<void>(index_->each(prefix, [&](std::string_view, std::string_view value) {
                take(value);
                return true;
            }));
        };
        count(key::directory_all(DirectoryKind::account), [&](std::string_view value) {
            const auto state = decode<DirectoryState>(value);
            stats.accounts += state && !state->gone ? 1 : 0;
        });
        count(key::mailboxes(), [&](std::string_view value) {
            const auto state = decode<MailboxState>(value);
            if (!state || state->gone) return;
            ++stats.mailboxes;
            stats.messages += state->messages;
        });
        count(key::segments(), [&](std::string_view value) {
            const auto state = decode<SegmentState>(value).value_or(SegmentState());
            stats.segment_octets += state.octets;
            stats.live_octets += state.live_octets;
        });
        stats.segments = segments_->numbers().size();
        stats.groups = appender_.groups();
        stats.group_records = appender_.group_records();
        stats.cleaned_segments = cleaner_.cleaned();
        return stats;
    }

    Held held() const override {
        const auto index = index_->figures();
        return {cache_.octets(),   segments_->open_files(), appender_.groups(), appender_.group_records(),
                index.file_octets, index.cached_octets,     index.memory_octets};
    }

    metrics::Histogram::Values sync_times() const override { return appender_.sync_time().values(); }

    bool failed() const override { return appender_.failed(); }

    Result<std::uint64_t> clean(bool all) override { return cleaner_.clean(all); }

    std::vector<std::string> dump_index() const override {
        std::vector<std::string> lines;
        static_cast<void>(index_->each("", [&](std::string_view key, std::string_view value) {
            if (key != key::position()) lines.push_back(hex(key) + " " + hex(value));
            return true;
        }));
        return lines;
    }

  private:
    const LogStoreOptions options_;
    const std::shared_ptr<Disk> disk_;
    const std::unique_ptr<File> lock_;
    const std::unique_ptr<Segments> segments_;
    const std::unique_ptr<Index> index_;
    const ChecksumKey key_;
    ListingCache cache_;
    VerifiedMessages verified_;
    Appender appender_;
    Cleaner cleaner_;  // last: it ends before what it works on
};

struct Opened {
    std::shared_ptr<Disk> disk;
    std::unique_ptr<File> lock;
    std::unique_ptr<Segments> segments;
    Recovered recovered;
};

Result<Opened> open_folder(const LogStoreOptions& options, bool rebuild, const OnProgress& progress) {
    std::error_code error;
    std::filesystem::create_directories(options.folder, error);
    if (error) return errno_error(error.value(), "make the folder " + options.folder);
    Opened opened;
    opened.disk = options.disk ? options.disk : real_disk(options.folder);
    auto lock = opened.disk->lock("lock");
    if (!lock) return lock.error();
    opened.lock = std::move(*lock);
    for (const char* folder : {"log", "tmp"})
        if (auto made = opened.disk->make_folder(folder); !made) return made.error();
    if (auto synced = opened.disk->sync_folder("."); !synced) return synced.error();
    opened.segments = std::make_unique<Segments>(options.segment_files_max);
    auto recovered = recover(*opened.disk, *opened.segments, options.folder + "/index",
                             options.index_cache_octets, options.clock, rebuild, progress);
    if (!recovered) return recovered.error();
    opened.recovered = std::move(*recovered);
    return opened;
}

}  // namespace
}  // namespace log

Result<std::unique_ptr<LogStore>> open_log_store(LogStoreOptions options) {
    auto opened = log::open_folder(options, false, {});
    if (!opened) return opened.error();
    return std::unique_ptr<LogStore>(
        std::make_unique<log::LogStoreImpl>(options, std::move(opened->disk), std::move(opened->lock),
                                            std::move(opened->segments), std::move(opened->recovered)));
}

Result<void> rebuild_log_store(const LogStoreOptions& options,
                               const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    const auto opened = log::open_folder(options, true, progress);
    if (!opened) return opened.error();
    return {};
}

}  // namespace pier::store
