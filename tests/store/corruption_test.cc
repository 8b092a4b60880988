// Damaged disks: a flipped bit anywhere in the log, a torn tail, a missing or broken index, files that are
// not ours.
#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "store/history.h"
#include "store/log/record.h"
#include "store/log_bench.h"
#include "store/store_calls.h"

namespace pier::test {
namespace {

using namespace store;
using CorruptionTest = OneThreadTest;
using Texts = std::vector<std::string>;

// A store of some sealed segments and an unsealed one, closed.
struct Stored {
    LogBench bench;
    History history{51};

    Stored() {
        history.body_octets_max = 3'000;
        const auto store = bench.open();
        for (int i = 0; i < 60; ++i)
            EXPECT_TRUE(history.step(**store)) << history.last_step();
        history.settle(**store);
    }
};

// Every message of the store is exact or refused as corrupt; nothing that never was is there. Gives how many
// were refused or are missing.
std::uint64_t count_lost(LogStore& store, const History& history, bool listing_must_be_whole) {
    std::uint64_t lost = 0;
    for (const auto& [id, expected] : history.mailboxes()) {
        const auto opened = store.open(id);
        if (!opened) {
            EXPECT_FALSE(listing_must_be_whole) << opened.error().text;
            lost += 1 + expected.messages.size();
            continue;
        }
        const Snapshot& snapshot = **opened;
        std::set<Uid> seen;
        for (std::size_t i = 0; i < snapshot.entries().size(); ++i) {
            const Uid uid = snapshot.entries()[i].uid;
            seen.insert(uid);
            const auto message = expected.messages.find(uid);
            const auto body = read_body(snapshot, i);
            const auto loaded = load_body(snapshot, i);
            EXPECT_EQ(loaded.has_value(), body.has_value());
            if (!body) {
                EXPECT_EQ(body.error().kind, ErrorKind::corrupt) << body.error().text;
                ++lost;
            } else if (message != expected.messages.end()) {
                EXPECT_TRUE(*body == message->second.body) << "other octets, and nobody noticed";
                EXPECT_TRUE(loaded && *loaded == *body);
                EXPECT_EQ(snapshot.uidl(i), message->second.uidl);
            } else {
                EXPECT_FALSE(listing_must_be_whole) << "UID " << uid << " is back";
                ++lost;
            }
        }
        for (const auto& [uid, message] : expected.messages) {
            if (seen.contains(uid)) continue;
            EXPECT_FALSE(listing_must_be_whole) << "UID " << uid << " is missing";
            ++lost;
        }
    }
    return lost;
}

TEST_F(CorruptionTest, AnIntactStoreVerifies) {
    Stored stored;
    std::uint64_t last = 0, all = 0;
    const auto report =
        verify_log_store(stored.bench.options(), [&](std::uint64_t done, std::uint64_t total) {
            EXPECT_GE(done, last);
            last = done;
            all = total;
        });
    ASSERT_TRUE(report) << report.error().text;
    EXPECT_EQ(report->problems, Texts{});
    EXPECT_GE(report->segments, 2u);
    EXPECT_GE(report->records, 30u);
    EXPECT_GT(report->messages, 10u);
    EXPECT_GT(report->octets, 10'000u);
    EXPECT_GT(last, 0u);
    EXPECT_LE(last, all);
    // It has changed nothing.
    const auto again = verify_log_store(stored.bench.options(), {});
    EXPECT_EQ(again->problems, Texts{});
    stored.history.settle(**stored.bench.open());
}

TEST_F(CorruptionTest, MaintenanceNeedsTheStoreForItself) {
    Stored stored;
    const auto store = stored.bench.open();
    EXPECT_EQ(stored.bench.open().error().kind, ErrorKind::busy);
    EXPECT_EQ(verify_log_store(stored.bench.options(), {}).error().kind, ErrorKind::busy);
    EXPECT_EQ(rebuild_log_store(stored.bench.options(), {}).error().kind, ErrorKind::busy);
    stored.history.settle(**store);
}

// A bit flips while the index is whole: one message is refused at most (and its copies), all others are
// served, and verify says where.
TEST_F(CorruptionTest, AFlippedBitIsRefusedAndReported) {
    const Stored stored;
    std::mt19937_64 random(52);
    for (const std::string& name : stored.bench.disk->names()) {
        const std::uint64_t octets = stored.bench.disk->octets(name);
        for (std::uint64_t at = random() % 60; at < octets; at += 50 + random() % 60) {
            const unsigned bit = static_cast<unsigned>(random() % 8);
            SCOPED_TRACE(name + ", octet " + std::to_string(at) + " of " + std::to_string(octets) + ", bit " +
                         std::to_string(bit));
            LogBench bench(stored.bench);
            bench.disk->flip_bit(name, at, bit);
            const auto report = verify_log_store(bench.options(), {});
            ASSERT_TRUE(report) << report.error().text;
            EXPECT_FALSE(report->problems.empty()) << "nobody noticed";
            for (const std::string& problem : report->problems)
                EXPECT_GT(problem.size(), 20u) << problem;
            const auto store = bench.open();
            ASSERT_TRUE(store) << store.error().text;
            EXPECT_LE(count_lost(**store, stored.history, true), 4u);
            EXPECT_FALSE((*store)->failed());
            if (HasFailure()) return;
        }
    }
}

// The same without an index: what is damaged is lost, the rest is found, and nothing wrong is shown.
TEST_F(CorruptionTest, AFlippedBitAndNoIndex) {
    const Stored stored;
    std::mt19937_64 random(53);
    for (const std::string& name : stored.bench.disk->names()) {
        const std::uint64_t octets = stored.bench.disk->octets(name);
        for (std::uint64_t at = random() % 150; at < octets; at += 130 + random() % 150) {
            const unsigned bit = static_cast<unsigned>(random() % 8);
            SCOPED_TRACE(name + ", octet " + std::to_string(at) + " of " + std::to_string(octets) + ", bit " +
                         std::to_string(bit));
            LogBench bench(stored.bench);
            bench.disk->flip_bit(name, at, bit);
            bench.remove_index();
            const auto store = bench.open();
            ASSERT_TRUE(store) << store.error().text;
            EXPECT_LE(count_lost(**store, stored.history, false), 12u);
            EXPECT_TRUE(put(**store, {DirectoryKind::setting, "k", 0, "v"})) << "it goes on";
            static_cast<void>((*store)->clean(true));  // may have to pass over the damage
            EXPECT_LE(count_lost(**store, stored.history, false), 12u);
            EXPECT_FALSE((*store)->failed());
            if (HasFailure()) return;
        }
    }
}

// Cut at every length: the unsealed segment loses its tail alone, and the store goes on.
TEST_F(CorruptionTest, ACutTailIsPassedOver) {
    LogBench bench;
    Texts all;
    {
        const auto store = bench.open();
        const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
        for (int i = 0; i < 4; ++i) {
            all.push_back("message " + std::to_string(i) + std::string(100, 'x'));
            ASSERT_TRUE(append(**store, {all.back()}, to(*box)));
        }
    }
    const std::string name = bench.disk->names().at(0);
    std::size_t most = 0;
    std::mt19937_64 random(54);
    for (std::uint64_t octets = 0; octets <= bench.disk->octets(name); octets += 1 + random() % 8) {
        SCOPED_TRACE("cut to " + std::to_string(octets));
        LogBench cut(bench);
        cut.disk->cut(name, octets);
        const auto store = cut.open();
        ASSERT_TRUE(store) << store.error().text;
        const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
        const Texts left = bodies(**store, *box);
        ASSERT_LE(left.size(), all.size());
        EXPECT_EQ(left, Texts(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(left.size())));
        EXPECT_GE(left.size(), most) << "a longer log holds less";
        most = left.size();
        EXPECT_TRUE(append(**store, {"and on"}, to(*box)));
        EXPECT_EQ(bodies(**store, *box).size(), left.size() + 1);
        if (HasFailure()) return;
    }
    EXPECT_GE(most, all.size() - 1);
}

TEST_F(CorruptionTest, ABrokenIndexIsMadeAnew) {
    Stored stored;
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(stored.bench.index_folder()))
        if (file.is_regular_file()) files.push_back(file.path().filename());
    ASSERT_GT(files.size(), 3u);
    for (const std::filesystem::path& file : files) {
        for (const bool removed : {true, false}) {
            SCOPED_TRACE(file.string() + (removed ? " removed" : " overwritten"));
            LogBench bench(stored.bench);
            const std::filesystem::path path = bench.index_folder() / file;
            if (removed) {
                std::filesystem::remove(path);
            } else {
                const auto octets = std::filesystem::file_size(path);
                std::ofstream(path, std::ios::trunc | std::ios::binary) << std::string(octets, 'z');
            }
            auto store = bench.open();
            ASSERT_TRUE(store) << store.error().text;
            stored.history.settle(**store);
            if (HasFailure()) return;
        }
    }
}

TEST_F(CorruptionTest, AnIndexOfAnotherStoreOrAnotherTimeIsMadeAnew) {
    Stored stored;
    History other_history(99);
    LogBench other;
    {
        const auto store = other.open();
        for (int i = 0; i < 20; ++i)
            EXPECT_TRUE(other_history.step(**store));
    }
    LogBench mixed(stored.bench);
    mixed.take_index(other.folder.path());
    stored.history.settle(**mixed.open());

    // The log is set back to an earlier copy, and the index is not: it is ahead of the log.
    LogBench ahead(stored.bench);
    History later = stored.history;
    {
        const auto store = ahead.open();
        for (int i = 0; i < 20; ++i)
            EXPECT_TRUE(later.step(**store)) << later.last_step();
        EXPECT_TRUE((*store)->clean(true));
    }
    LogBench set_back(stored.bench);
    set_back.take_index(ahead.folder.path());
    stored.history.settle(**set_back.open());
}

// An index from before a cleaning would look for segments that are gone, and not know what was removed since.
TEST_F(CorruptionTest, AnIndexFromBeforeACleaningIsMadeAnew) {
    Stored stored;
    LogBench later(stored.bench);
    History history = stored.history;
    {
        const auto store = later.open();
        for (int i = 0; i < 20; ++i)
            EXPECT_TRUE(history.step(**store)) << history.last_step();
        EXPECT_TRUE((*store)->clean(true));
        for (int i = 0; i < 5; ++i)
            EXPECT_TRUE(history.step(**store)) << history.last_step();
        history.settle(**store);
    }
    later.take_index(stored.bench.folder.path());
    history.settle(**later.open());
}

TEST_F(CorruptionTest, AMissingSegmentIsReportedAndTheRestIsServed) {
    const Stored stored;
    std::uint64_t lost = 0;
    for (const std::string& name : stored.bench.disk->names()) {
        SCOPED_TRACE(name + " is gone");
        LogBench bench(stored.bench);
        ASSERT_TRUE(bench.disk->remove(name));
        const auto report = verify_log_store(bench.options(), {});
        ASSERT_TRUE(report) << report.error().text;
        EXPECT_FALSE(report->problems.empty());
        const auto store = bench.open();
        ASSERT_TRUE(store) << store.error().text;
        lost += count_lost(**store, stored.history, false);
        EXPECT_TRUE(put(**store, {DirectoryKind::setting, "k", 0, "v"}));
    }
    EXPECT_GT(lost, 0u);
}

TEST_F(CorruptionTest, FilesThatAreNotSegmentsAreLeftAlone) {
    Stored stored;
    for (const char* name : {"log/notes.txt", "log/1.seg", "log/00000001.seg.bak", "log/lost+found"}) {
        auto file = stored.bench.disk->create(name);
        ASSERT_TRUE(file);
        const std::string_view text = "not ours";
        ASSERT_TRUE((*file)->write(0, {&text, 1}));
    }
    const auto store = stored.bench.open();
    ASSERT_TRUE(store) << store.error().text;
    stored.history.settle(**store);
    EXPECT_EQ(stored.bench.disk->contents("log/notes.txt"), "not ours");
}

TEST_F(CorruptionTest, ASegmentOfAnotherStoreIsRefused) {
    const Stored stored;
    LogBench other;
    static_cast<void>(other.open());
    const std::string octets = other.disk->contents(other.disk->names().at(0));
    LogBench bench(stored.bench);
    const std::string name = "log/00000099.seg";
    ASSERT_TRUE(bench.disk->create(name));
    bench.disk->overwrite(name, 0, octets);
    const auto store = bench.open();
    ASSERT_FALSE(store);
    EXPECT_NE(store.error().text.find("00000099"), std::string::npos) << store.error().text;
}

// Attack: a mail whose octets are a record that makes an account. The machine fails while it arrives, the
// segment is searched for the next good record, and must not find that one.
TEST_F(CorruptionTest, ARecordInsideAMailIsNeverTakenForOne) {
    log::Record forged;
    forged.type = log::RecordType::directory;
    forged.directory = {DirectoryKind::account, "mallory", 7, "v"};
    Guid zero_id;
    LogBench bench;
    const auto attack = [&](std::uint64_t group_start) {
        forged.group_start = group_start;
        std::string octets;
        for (const log::ChecksumKey key : {log::ChecksumKey{0}, log::checksum_key(zero_id)}) {
            octets += log::encode_record(forged, key);
            octets.resize((octets.size() + 7) / 8 * 8, '\0');
        }
        return octets;
    };
    std::string mail;
    for (std::uint64_t offset = 64; offset < 4'000; offset += 8)
        mail += attack(offset);
    {
        const auto store = bench.open();
        const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
        for (std::size_t shift = 0; shift < 8; ++shift)
            ASSERT_TRUE(append(**store, {std::string(shift, ' ') + mail}, to(*box)));
    }
    for (const std::string& name : bench.disk->names()) {
        for (const std::uint64_t at : {64u, 100u, 300u, 400u}) {
            LogBench damaged(bench);
            damaged.disk->flip_bit(name, at, 3);
            damaged.remove_index();
            const auto store = damaged.open();
            ASSERT_TRUE(store);
            EXPECT_TRUE((*store)->list(DirectoryKind::account)->empty());
        }
    }
}

// Attack: a mail that ends like a sealed segment, at the end of the file.
TEST_F(CorruptionTest, AMailThatEndsLikeASealedSegmentIsAMail) {
    for (const std::uint64_t table_offset : {64u, 200u, 100'000u}) {
        for (std::size_t shift = 0; shift < 8; ++shift) {
            SCOPED_TRACE("shifted by " + std::to_string(shift));
            const std::string mail = std::string(shift, ' ') + log::encode_footer(table_offset, 0);
            LogBench bench;
            {
                const auto store = bench.open();
                const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
                ASSERT_TRUE(append(**store, {mail}, to(*box)));
            }
            EXPECT_EQ(verify_log_store(bench.options(), {})->problems, Texts{});
            {
                const auto store = bench.open();
                EXPECT_EQ(bodies(**store, MailboxId{1}), Texts{mail});
                EXPECT_EQ((*store)->stats().segments, 1u) << "it was taken for the segment's end";
                ASSERT_TRUE(append(**store, {mail}, to(MailboxId{1})));
            }
            bench.remove_index();
            EXPECT_EQ(bodies(**bench.open(), MailboxId{1}), (Texts{mail, mail}));
        }
    }
}

// The symptom that must never be: the last record is damaged, its place is given to a new message of the same
// size, and the reader of the old one gets the new one, which may be somebody else's.
TEST_F(CorruptionTest, TheSpaceOfADamagedRecordIsNotGivenToAnotherMessage) {
    LogBench bench;
    {
        const auto store = bench.open();
        const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
        ASSERT_TRUE(append(**store, {"to Ada"}, to(*box)));
    }
    const std::string name = bench.disk->names().at(0);
    const std::uint64_t octets = bench.disk->octets(name);
    for (std::uint64_t back = 1; back <= 128; ++back) {
        SCOPED_TRACE(std::to_string(back) + " octets before the end");
        LogBench damaged(bench);
        damaged.disk->flip_bit(name, octets - back, 2);
        const auto store = damaged.open();
        ASSERT_TRUE(store);
        const auto bobs = create_mailbox(**store, AccountId{2}, "INBOX");
        ASSERT_TRUE(append(**store, {"to Bob"}, to(*bobs)));
        const auto snapshot = (*store)->open(MailboxId{1});
        const auto body = read_body(**snapshot, 0);
        if (body) {
            EXPECT_EQ(*body, "to Ada");
        } else {
            EXPECT_EQ(body.error().kind, ErrorKind::corrupt);
        }
        EXPECT_EQ(bodies(**store, *bobs), Texts{"to Bob"});
    }
}

// A message that was verified is sent without another look, but only while nobody else touches the file.
TEST_F(CorruptionTest, DamageDoneToAMessageThatWasVerifiedIsFoundAllTheSame) {
    for (const bool by_load : {false, true}) {
        LogBench bench;
        const auto store = bench.open();
        const auto box = create_mailbox(**store, AccountId{1}, "INBOX");
        const std::string text(5000, 'x');
        for (int i = 0; i < 3; ++i)
            ASSERT_TRUE(append(**store, {text}, to(*box)));
        const auto read = [&](std::size_t index) {
            const auto snapshot = (*store)->open(*box);
            return by_load ? load_body(**snapshot, index) : read_body(**snapshot, index);
        };
        const auto text_of = [](const Result<std::string>& got) { return got ? *got : got.error().text; };
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(text_of(read(1)), text);
        ASSERT_TRUE(append(**store, {text}, to(*box)));  // a change of our own
        EXPECT_EQ(text_of(read(1)), text);

        const std::string name = bench.disk->names().at(0);
        const std::string content = bench.disk->contents(name);
        const std::size_t first = content.find(text), second = content.find(text, first + text.size());
        bench.disk->flip_bit(name, second + 2500, 3);
        EXPECT_EQ(text_of(read(0)), text);
        EXPECT_EQ(read(1).error().kind, ErrorKind::corrupt);
        // A change of our own behind it does not bring the trust back.
        ASSERT_TRUE(append(**store, {text}, to(*box)));
        EXPECT_EQ(read(1).error().kind, ErrorKind::corrupt);
        EXPECT_EQ(text_of(read(2)), text);
        EXPECT_EQ(text_of(read(2)), text);
    }
}

}  // namespace
}  // namespace pier::test
