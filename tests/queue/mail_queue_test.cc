// The queue at work, on a real store and with a world outside that the test plays.
#include "queue/queue_fixture.h"

namespace pier::queue::test {
namespace {

std::vector<std::string> recipients_of(const std::vector<Carried>& carried) {
    std::vector<std::string> all;
    for (const Carried& one : carried)
        all.insert(all.end(), one.recipients.begin(), one.recipients.end());
    std::sort(all.begin(), all.end());
    return all;
}

TEST_F(QueueTest, AMessageIsCarriedAndIsGoneAfterwards) {
    start();
    add("ada@here.example", {"bob@far.example"});
    EXPECT_EQ(queue->counts().messages, 1u);
    EXPECT_EQ(stored(), 1u);
    run();
    ASSERT_EQ(net->carried.size(), 1u);
    EXPECT_EQ(net->carried[0].destination, "far.example");
    EXPECT_EQ(net->carried[0].sender, "ada@here.example");
    EXPECT_EQ(net->carried[0].octets, "Subject: a letter\r\n\r\nHello.\r\n");
    EXPECT_EQ(queue->counts().messages, 0u);
    EXPECT_EQ(stored(), 0u);
    EXPECT_EQ(records(), 0u);
    EXPECT_TRUE(told.empty());
}

TEST_F(QueueTest, WithoutATransportMessagesAreKeptThroughARestart) {
    with_transport = false;
    start();
    add("ada@here.example", {"bob@far.example"});
    run();
    EXPECT_EQ(only().recipients.at(0).state, State::waiting);
    with_transport = true;
    restart();
    run();
    EXPECT_EQ(net->carried.size(), 1u);
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, TheQueueIsNoAccount) {
    start();
    add("ada@here.example", {"bob@far.example"});
    EXPECT_TRUE(must(store->list(store::DirectoryKind::account)).empty());
    const auto setting = must(store->get(store::DirectoryKind::setting, "queue"));
    ASSERT_TRUE(setting);
    EXPECT_EQ(must(store->usage(store::AccountId{setting->id})).messages, 0u) << "kept aside";
    EXPECT_EQ(store->stats().accounts, 0u);
}

TEST_F(QueueTest, OctetsForMailboxesHereAndElsewhereAreStoredOnce) {
    start();
    const auto box = must(store::wait<store::MailboxId>(
        [&](auto done) { store->create_mailbox(store::AccountId{500}, "INBOX", std::move(done)); }));
    const std::string prefix = "Return-Path: <" + std::string(2000, 'a') + "@here.example>\r\n";
    const auto results =
        must(try_add("ada@here.example", {"bob@far.example"}, [&](auto& message, auto& outgoing) {
            message.prefix = prefix;
            message.targets.emplace_back().mailbox = box;
            outgoing.local_octets = prefix.size();
        }));
    ASSERT_EQ(results.size(), 1u) << "its own targets alone";
    EXPECT_TRUE(results[0]);
    EXPECT_EQ(must(store->open(box))->octets(), prefix.size() + 29);
    EXPECT_LT(store->stats().live_octets, 2 * prefix.size());
    run();
    ASSERT_EQ(net->carried.size(), 1u);
    EXPECT_EQ(net->carried[0].octets, "Subject: a letter\r\n\r\nHello.\r\n") << "without Return-Path";
    EXPECT_EQ(must(store->open(box))->entries().size(), 1u);
}

TEST_F(QueueTest, AMailboxThatIsFullRefusesBoth) {
    start();
    const auto box = must(store::wait<store::MailboxId>(
        [&](auto done) { store->create_mailbox(store::AccountId{500}, "INBOX", std::move(done)); }));
    const auto results = must(try_add("ada@here.example", {"bob@far.example"}, [&](auto& message, auto&) {
        message.targets.emplace_back().mailbox = box;
        message.targets.back().quota_octets = 10;
    }));
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].error().kind, ErrorKind::over_quota);
    queue->wait_for_store();
    EXPECT_EQ(queue->counts().messages, 0u);
    EXPECT_EQ(records(), 0u);
    EXPECT_EQ(stored(), 0u);
    run();
    EXPECT_TRUE(net->carried.empty());
}

TEST_F(QueueTest, TheLimitHolds) {
    settings.messages_max = 2;
    with_transport = false;
    start();
    add("ada@here.example", {"a@far.example"});
    add("ada@here.example", {"b@far.example"});
    const auto third = try_add("ada@here.example", {"c@far.example"});
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().kind, ErrorKind::busy);
    EXPECT_NE(third.error().text.find("queue.messages_max"), std::string::npos);
    EXPECT_EQ(queue->counts().refused, 1u);
    must(queue->drop(entries().at(0).id, MailQueue::Drop::silently));
    EXPECT_TRUE(try_add("ada@here.example", {"c@far.example"}));
}

TEST_F(QueueTest, AnAddressWithoutDomainIsRefused) {
    start();
    const auto refused = try_add("ada@here.example", {"postmaster"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
}

TEST_F(QueueTest, WhatIsDeferredIsTriedAgainLaterAndLater) {
    start();
    net->answer = [](const std::string&) { return deferred(); };
    add("ada@here.example", {"bob@far.example"});
    run();
    EXPECT_EQ(net->carried.size(), 1u);
    Recipient bob = only().recipients.at(0);
    EXPECT_EQ(bob.state, State::waiting);
    EXPECT_EQ(bob.attempts, 1u);
    EXPECT_EQ(bob.reply.text, "not now");
    EXPECT_EQ(bob.next, now() + 60s);
    pass(59s);
    EXPECT_EQ(net->carried.size(), 1u);
    pass(1s);
    EXPECT_EQ(net->carried.size(), 2u);
    EXPECT_EQ(only().recipients.at(0).next, now() + 120s);
    // What was is kept by a restart.
    restart();
    run();
    EXPECT_EQ(net->carried.size(), 2u);
    net->answer = {};
    pass(120s);
    EXPECT_EQ(net->carried.size(), 3u);
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, EachRecipientHasItsOwnFate) {
    start();
    net->answer = [](const std::string& who) {
        if (who.starts_with("bad")) return failed();
        return who.starts_with("late") ? deferred() : delivered();
    };
    add("ada@here.example",
        {"good@far.example", "bad@far.example", "late@far.example", "good@other.example"});
    run();
    EXPECT_EQ(net->carried.size(), 2u) << "one job for each destination";
    const Entry entry = only();
    EXPECT_EQ(entry.recipients.at(0).state, State::delivered);
    EXPECT_EQ(entry.recipients.at(1).state, State::bounced);
    EXPECT_EQ(entry.recipients.at(2).state, State::waiting);
    EXPECT_EQ(entry.recipients.at(3).state, State::delivered);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].to, "ada@here.example");
    EXPECT_NE(told[0].octets.find("bad@far.example"), std::string::npos);
    EXPECT_EQ(told[0].octets.find("late@far.example"), std::string::npos);
    EXPECT_NE(told[0].octets.find("Hello."), std::string::npos);
    net->answer = {};
    net->carried.clear();
    pass(60s);
    EXPECT_EQ(recipients_of(net->carried), std::vector<std::string>{"late@far.example"});
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, AThousandRecipientsGoInHundreds) {
    start();
    std::vector<std::string> recipients;
    for (int i = 0; i < 1000; ++i)
        recipients.push_back("r" + std::to_string(i) + "@far.example");
    add("ada@here.example", recipients);
    run();
    EXPECT_EQ(net->carried.size(), 10u);
    for (const Carried& one : net->carried)
        EXPECT_EQ(one.recipients.size(), 100u);
    EXPECT_EQ(recipients_of(net->carried).size(), 1000u);
    EXPECT_EQ(queue->counts().messages, 0u);
    EXPECT_EQ(records(), 0u);
}

TEST_F(QueueTest, SendersOfOneMessageMayDiffer) {
    start();
    add("ada@here.example", {"a@far.example", "b@far.example"},
        [](auto&, auto& outgoing) { outgoing.recipients[1].sender = address("srs0=x@here.example"); });
    run();
    ASSERT_EQ(net->carried.size(), 2u);
    EXPECT_EQ(net->carried[0].sender, "ada@here.example");
    EXPECT_EQ(net->carried[1].sender, "srs0=x@here.example");
}

TEST_F(QueueTest, ADeadServerIsTriedOnceForAllItsMessages) {
    start();
    std::size_t tries = 0;
    net->reach = [&](const std::string&) {
        ++tries;
        return std::optional(unreached());
    };
    for (int i = 0; i < 50; ++i)
        add("ada@here.example", {"bob@dead.example"});
    run();
    EXPECT_LE(tries, settings.schedule.connections_per_destination_max);
    const std::size_t first = tries;
    run();
    EXPECT_EQ(tries, first);
    const Entry entry = entries().at(0);
    EXPECT_EQ(entry.recipients.at(0).reply.text, "no answer") << "shown, though it was never tried itself";
    EXPECT_EQ(entry.recipients.at(0).next, now() + 60s);
    EXPECT_EQ(entry.recipients.at(0).attempts, 0u);
    pass(60s);
    EXPECT_EQ(tries, first + 1);
    net->reach = {};
    pass(120s);
    EXPECT_EQ(queue->counts().messages, 0u);
    EXPECT_EQ(net->carried.size(), 50u);
}

TEST_F(QueueTest, ADomainThatIsNotThereFailsAllItsMessages) {
    start();
    net->reach = [&](const std::string&) {
        Outcome why = unreached();
        why.kind = Outcome::Kind::failed;
        why.reply = {550, "5.1.2", "there is no domain nowhere.example"};
        return std::optional(why);
    };
    for (int i = 0; i < 5; ++i)
        add("ada@here.example", {"bob@nowhere.example"});
    run();
    EXPECT_EQ(queue->counts().messages, 0u);
    ASSERT_EQ(told.size(), 5u);
    EXPECT_NE(told[0].octets.find("Status: 5.1.2"), std::string::npos);
}

TEST_F(QueueTest, ADelayIsToldOnceAndTheEndToo) {
    start();
    net->answer = [](const std::string&) { return deferred(); };
    add("ada@here.example", {"bob@far.example"});
    for (int minute = 0; minute < 239; ++minute)
        pass(1min);
    EXPECT_TRUE(told.empty());
    for (int minute = 239; minute < 600; ++minute)
        pass(1min);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_NE(told[0].octets.find("Action: delayed"), std::string::npos);
    EXPECT_TRUE(only().recipients.at(0).delay_told);
    restart();
    for (int hour = 10; hour < 130; ++hour)
        pass(1h);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_NE(told[1].octets.find("Action: failed\r\nStatus: 4.4.7"), std::string::npos);
    EXPECT_NE(told[1].octets.find("has said: 450"), std::string::npos);
    EXPECT_EQ(queue->counts().messages, 0u);
    EXPECT_EQ(queue->counts().expired, 1u);
}

TEST_F(QueueTest, MessagesForADeadServerAreDelayedAndGivenUpToo) {
    start();
    net->reach = [&](const std::string&) { return std::optional(unreached()); };
    add("ada@here.example", {"bob@dead.example"});
    for (int hour = 0; hour < 9; ++hour)
        pass(1h);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_NE(told[0].octets.find("Action: delayed"), std::string::npos);
    for (int hour = 9; hour < 130; ++hour)
        pass(1h);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_NE(told[1].octets.find("Status: 4.4.7"), std::string::npos);
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, AMessageThatSleptThroughItsTimeIsTriedBeforeItIsGivenUp) {
    with_transport = false;
    start();
    add("ada@here.example", {"bob@far.example"});
    pass(200h);
    EXPECT_EQ(queue->counts().messages, 1u);
    with_transport = true;
    restart();
    run();
    EXPECT_EQ(net->carried.size(), 1u);
    EXPECT_TRUE(told.empty());
}

TEST_F(QueueTest, ANoticeForSomebodyElsewhereGoesThroughTheQueue) {
    start();
    net->answer = [](const std::string& who) { return who == "bob@far.example" ? failed() : delivered(); };
    add("eve@elsewhere.example", {"bob@far.example"});
    run();
    ASSERT_EQ(net->carried.size(), 2u);
    EXPECT_EQ(net->carried[1].destination, "elsewhere.example");
    EXPECT_EQ(net->carried[1].sender, "");
    EXPECT_NE(net->carried[1].octets.find("Auto-Submitted: auto-replied"), std::string::npos);
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, NobodyIsToldOfANoticeThatFails) {
    start();
    net->answer = [](const std::string&) { return failed(); };
    add("", {"bob@far.example"});
    add("eve@elsewhere.example", {"bob@far.example"});
    run();
    EXPECT_EQ(net->carried.size(), 3u) << "two messages and one notice, which fails without another";
    EXPECT_EQ(queue->counts().messages, 0u);
}

// RFC 3461 §5.2.3: nothing is sent to who has it already, but his sender is told, once.
TEST_F(QueueTest, WhoHasItHereIsReportedAndNotSentTo) {
    start();
    net->answer = [](const std::string&) { return delivered(); };
    add("ada@here.example", {"cy@here.example", "bob@far.example"}, [](auto&, auto& outgoing) {
        outgoing.recipients[0].delivered_here = true;
        outgoing.recipients[0].recipient.notify = smtp::notify::success;
    });
    run();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_NE(told[0].octets.find("Final-Recipient: rfc822; cy@here.example\r\nAction: delivered"),
              std::string::npos);
    ASSERT_EQ(net->carried.size(), 1u);
    EXPECT_EQ(net->carried[0].destination, "far.example");
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, NotifyIsObeyed) {
    start();
    net->answer = [](const std::string& who) { return who.starts_with("bad") ? failed() : delivered(); };
    const auto notify = [](std::uint8_t bits) {
        return [bits](auto&, auto& outgoing) { outgoing.recipients[0].recipient.notify = bits; };
    };
    add("ada@here.example", {"bad@far.example"}, notify(smtp::notify::never));
    add("ada@here.example", {"bad@far.example"}, notify(smtp::notify::success));
    run();
    EXPECT_TRUE(told.empty());
    add("ada@here.example", {"good@far.example"}, notify(smtp::notify::success));
    run();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_NE(told[0].octets.find("Action: relayed"), std::string::npos);
    // Who speaks DSN tells the sender itself.
    net->answer = [](const std::string&) {
        Outcome out = delivered();
        out.relays_dsn = true;
        return out;
    };
    add("ada@here.example", {"good@far.example"}, notify(smtp::notify::success));
    run();
    EXPECT_EQ(told.size(), 1u);
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, ANoticeThatCannotBeTakenNowIsMadeAgain) {
    start();
    net->answer = [](const std::string&) { return failed(); };
    telling_fails = Error{ErrorKind::no_space, "the disk is full"};
    add("ada@here.example", {"bob@far.example"});
    run();
    EXPECT_EQ(only().recipients.at(0).state, State::failed);
    // A restart does not forget it.
    restart();
    run();
    EXPECT_EQ(only().recipients.at(0).state, State::failed);
    EXPECT_EQ(net->carried.size(), 1u);
    telling_fails.reset();
    pass(60s);
    EXPECT_EQ(told.size(), 1u);
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, ANoticeThatIsNeverTakenIsGivenUp) {
    start();
    net->answer = [](const std::string&) { return failed(); };
    telling_fails = Error{ErrorKind::not_found, "no such account"};
    add("ada@here.example", {"bob@far.example"});
    run();
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, ALaneThatIsClosedWithoutAnAnswerGivesItsMessageBack) {
    start();
    add("ada@here.example", {"bob@far.example"});
    auto lane = net->pop();
    ASSERT_TRUE(lane);
    ASSERT_TRUE(lane->second->next());
    lane->second->closed();
    queue->wait_for_store();
    EXPECT_EQ(only().recipients.at(0).state, State::waiting);
    run();
    EXPECT_TRUE(net->carried.empty());
    pass(60s);
    EXPECT_EQ(net->carried.size(), 1u);
    EXPECT_EQ(queue->counts().messages, 0u);
}

TEST_F(QueueTest, ALaneThatDoesNothingIsNotOpenedAgainAndAgain) {
    start();
    add("ada@here.example", {"bob@far.example"});
    std::size_t opened = 0;
    while (const auto lane = net->pop()) {
        ++opened;
        ASSERT_LT(opened, 10u);
        lane->second->closed();
    }
    EXPECT_EQ(opened, 1u);
    pass(60s);
    EXPECT_EQ(net->carried.size(), 1u);
}

TEST_F(QueueTest, StoppingEndsWhatIsUnderWay) {
    start();
    add("ada@here.example", {"bob@far.example"});
    EXPECT_EQ(net->opened().size(), 1u);
    queue->stop();
    const auto late = try_add("ada@here.example", {"bob@far.example"});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().kind, ErrorKind::stopped);
    restart();
    run();
    EXPECT_EQ(net->carried.size(), 1u);
}

// ---- administrators ----

TEST_F(QueueTest, AMessageOnHoldWaitsUntilItIsReleased) {
    with_transport = false;
    start();
    add("ada@here.example", {"bob@far.example"});
    const Id id = only().id;
    must(queue->hold(id));
    with_transport = true;
    restart();
    pass(200h);
    EXPECT_TRUE(net->carried.empty());
    EXPECT_TRUE(only().held);
    EXPECT_EQ(queue->counts().held, 1u);
    EXPECT_EQ(queue->retry(id).error().kind, ErrorKind::invalid);
    queue->retry_all();
    run();
    EXPECT_TRUE(net->carried.empty());
    must(queue->release(id));
    run();
    EXPECT_EQ(net->carried.size(), 1u);
    EXPECT_EQ(queue->counts().messages, 0u);
    EXPECT_EQ(queue->counts().held, 0u);
    EXPECT_EQ(queue->release(id).error().kind, ErrorKind::not_found);
}

TEST_F(QueueTest, RetryingDoesNotWait) {
    start();
    net->answer = [](const std::string&) { return deferred(); };
    add("ada@here.example", {"bob@far.example"});
    add("ada@here.example", {"bob@other.example"});
    run();
    ASSERT_EQ(net->carried.size(), 2u);
    must(queue->retry(entries().at(1).id));
    run();
    EXPECT_EQ(net->carried.size(), 3u);
    EXPECT_EQ(queue->retry_all(), 2u);
    run();
    EXPECT_EQ(net->carried.size(), 5u);
}

TEST_F(QueueTest, DroppedMessagesGoWithOrWithoutABounce) {
    with_transport = false;
    start();
    add("ada@here.example", {"a@far.example"});
    pass(1s);
    add("ada@here.example", {"b@far.example"});
    pass(1s);
    add("", {"c@far.example"});
    auto all = entries();
    must(queue->drop(all[0].id, MailQueue::Drop::silently));
    EXPECT_EQ(entries().size(), 2u);
    EXPECT_EQ(stored(), 2u);
    must(queue->drop(all[1].id, MailQueue::Drop::tell));
    must(queue->drop(all[2].id, MailQueue::Drop::tell));
    run();
    EXPECT_EQ(queue->counts().messages, 0u);
    EXPECT_EQ(stored(), 0u);
    EXPECT_EQ(records(), 0u);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_NE(told[0].octets.find("an administrator has taken"), std::string::npos);
    EXPECT_EQ(queue->drop(all[0].id, MailQueue::Drop::silently).error().kind, ErrorKind::not_found);
}

TEST_F(QueueTest, AMessageThatIsBeingSentIsDroppedAfterwards) {
    start();
    add("ada@here.example", {"bob@far.example", "carl@far.example"});
    const Id id = only().id;
    auto lane = net->pop();
    const auto job = lane->second->next();
    ASSERT_TRUE(job);
    EXPECT_EQ(queue->drop(id, MailQueue::Drop::tell).error().kind, ErrorKind::busy);
    must(queue->drop(id, MailQueue::Drop::silently));
    EXPECT_EQ(queue->counts().messages, 1u);
    lane->second->done(*job, {deferred(), deferred()});
    lane->second->closed();
    run();
    EXPECT_EQ(queue->counts().messages, 0u);
    EXPECT_EQ(stored(), 0u);
}

TEST_F(QueueTest, TheListIsFiltered) {
    with_transport = false;
    start();
    add("ada@here.example", {"x@far.example"});
    pass(1s);
    add("bob@here.example", {"y@Far.example", "z@other.example"});
    pass(1s);
    add("bob@here.example", {"w@third.example"});
    must(queue->hold(entries().at(2).id));
    const auto count = [&](MailQueue::Filter filter) { return must(queue->list(filter)).matching; };
    EXPECT_EQ(count({}), 3u);
    EXPECT_EQ(count({.sender = "BOB"}), 2u);
    EXPECT_EQ(count({.recipient = "@far.example"}), 2u);
    EXPECT_EQ(count({.destination = "other.example"}), 1u);
    EXPECT_EQ(count({.destination = "far"}), 0u);
    EXPECT_EQ(count({.state = State::waiting}), 3u);
    EXPECT_EQ(count({.state = State::delivered}), 0u);
    EXPECT_EQ(count({.held = true}), 1u);
    const auto short_list = must(queue->list({.entries_max = 2}));
    EXPECT_EQ(short_list.entries.size(), 2u);
    EXPECT_EQ(short_list.matching, 3u);
    EXPECT_EQ(short_list.entries[0].envelope.sender.local, "ada") << "oldest first";
    EXPECT_EQ(must(queue->show(short_list.entries[1].id)).recipients.size(), 2u);
    EXPECT_EQ(queue->show(Id{1}).error().kind, ErrorKind::not_found);
}

TEST_F(QueueTest, EverythingGoesToTheSmarthost) {
    settings.one_destination = "relay.example";
    start();
    add("ada@here.example", {"a@far.example", "b@other.example"});
    run();
    ASSERT_EQ(net->carried.size(), 1u);
    EXPECT_EQ(net->carried[0].destination, "relay.example");
    EXPECT_EQ(net->carried[0].recipients.size(), 2u);
}

// The store remembers the keys of erased records for ever: they must not become more and more.
TEST_F(QueueTest, KeysOfRecordsAreUsedAgain) {
    start();
    for (int i = 0; i < 20; ++i) {
        add("ada@here.example", {"bob@far.example"});
        run();
    }
    std::size_t keys = 0;
    for (const std::string& line : store->dump_index())
        keys += line.starts_with("6405") ? 1 : 0;  // 'd', kind 5
    EXPECT_EQ(keys, 1u);
}

TEST_F(QueueTest, WhatHasNoRecordIsKeptOnHold) {
    with_transport = false;
    start();
    add("ada@here.example", {"bob@far.example"});
    const Id id = only().id;
    queue.reset();
    must(store::wait<void>(
        [&](auto done) { store->erase(store::DirectoryKind::queue, "00000000", std::move(done)); }));
    restart();
    const Entry entry = only();
    EXPECT_EQ(entry.id, id);
    EXPECT_TRUE(entry.held && entry.recipients.empty());
    EXPECT_EQ(queue->release(id).error().kind, ErrorKind::invalid);
    must(queue->drop(id, MailQueue::Drop::tell));
    queue->wait_for_store();
    EXPECT_EQ(stored(), 0u);
    EXPECT_EQ(records(), 0u);
}

TEST_F(QueueTest, ARecordThatCannotBeReadIsLeftAsItIs) {
    with_transport = false;
    start();
    add("ada@here.example", {"bob@far.example"});
    queue.reset();
    const auto record = must(store->get(store::DirectoryKind::queue, "00000000"));
    ASSERT_TRUE(record);
    store::DirectoryRecord newer = *record;
    newer.value = R"({"v":2})";
    must(store::wait<std::uint64_t>([&](auto done) { store->put(newer, std::move(done)); }));
    restart();
    add("ada@here.example", {"carl@far.example"});
    EXPECT_EQ(queue->counts().messages, 1u);
    EXPECT_EQ(stored(), 2u);
    EXPECT_EQ(must(store->get(store::DirectoryKind::queue, "00000000"))->value, newer.value);
}

}  // namespace
}  // namespace pier::queue::test
