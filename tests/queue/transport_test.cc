// The transport and servers on loopback that behave as they are told to.
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "net/web_server.h"
#include "queue/scripted_server.h"
#include "queue/smtp_transport.h"
#include "queue/zone.h"
#include "support/certificate.h"

namespace pier::queue {
namespace {

using namespace std::chrono_literals;
using test::Behaviour;
using test::ScriptedServer;
using test::Zone;
using testing::ElementsAre;
using testing::HasSubstr;

class ZoneResolver final : public dns::Resolver {
  public:
    explicit ZoneResolver(Zone& zone) : zone_(zone) {}
    using Resolver::ask;
    void ask(const std::string& name, dns::Type type, Done done) override { done(zone_.ask(name, type)); }
    bool trusts_ad() const override { return true; }

  private:
    Zone& zone_;
};

class TextBody final : public store::Body {
  public:
    explicit TextBody(std::string text, bool corrupt = false) : text_(std::move(text)), corrupt_(corrupt) {}
    std::uint64_t octets() const override { return text_.size(); }
    bool has_dot_lines() const override { return true; }
    bool complete() const override { return true; }
    Result<std::size_t> read(std::uint64_t offset, std::span<char> out, store::Wait) override {
        return text_.copy(out.data(), out.size(), offset);
    }
    Result<void> verify(store::Wait) override {
        if (corrupt_) return Error(ErrorKind::corrupt, "its checksum differs");
        return {};
    }
    Result<std::string_view> load(std::span<char>, store::Wait) override {
        return Error(ErrorKind::invalid, "not here");
    }
    std::optional<store::FileRange> file() const override { return std::nullopt; }

  private:
    const std::string text_;
    const bool corrupt_;
};

const std::string message = "Subject: hi\r\n\r\n.dot\r\nend\r\n";

Job job_to(std::vector<std::string> locals, std::string text = message, bool corrupt = false) {
    Job job;
    job.id = "1";
    job.envelope.sender = {"ada", "ours.example"};
    for (std::string& local : locals) {
        smtp::Envelope::Recipient recipient;
        recipient.address = {std::move(local), "example.org"};
        job.envelope.recipients.push_back(recipient);
    }
    job.body = std::make_unique<TextBody>(std::move(text), corrupt);
    return job;
}

std::string shown(const Outcome& outcome) {
    constexpr const char* kinds[] = {"delivered", "deferred", "failed"};
    return std::string(kinds[static_cast<int>(outcome.kind)]) + " " + std::to_string(outcome.reply.code) +
           " " + outcome.reply.enhanced;
}

class TestLane final : public Lane {
  public:
    std::optional<Job> next() override {
        const std::lock_guard lock(mutex_);
        ++asked_;
        if (jobs_.empty()) return std::nullopt;
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        return job;
    }
    void done(const Job&, std::vector<Outcome> outcomes) override {
        const std::lock_guard lock(mutex_);
        for (const Outcome& outcome : outcomes)
            outcomes_.push_back(outcome);
    }
    void failed(const Outcome& why) override {
        const std::lock_guard lock(mutex_);
        EXPECT_FALSE(failed_);
        failed_ = why;
    }
    void closed() override {
        const std::lock_guard lock(mutex_);
        EXPECT_FALSE(closed_);
        closed_ = true;
        changed_.notify_all();
    }

    void give(Job job) { jobs_.push_back(std::move(job)); }
    void wait() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, 60s, [this] { return closed_; }));
    }
    std::vector<std::string> outcomes() {
        std::vector<std::string> out;
        for (const Outcome& outcome : outcomes_)
            out.push_back(shown(outcome));
        if (failed_) out.push_back("lane: " + shown(*failed_));
        return out;
    }
    const Outcome& last() { return failed_ ? *failed_ : outcomes_.back(); }
    bool is_closed() {
        const std::lock_guard lock(mutex_);
        return closed_;
    }
    int asked() const { return asked_; }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    std::vector<Outcome> outcomes_;
    std::optional<Outcome> failed_;
    bool closed_ = false;
    int asked_ = 0;
};

// example.org's mail hosts are mx1 at 127.0.0.1, mx2 at 127.0.0.2, …, as many as `hosts`.
struct World {
    Zone zone;
    ZoneResolver resolver{zone};
    TransportSettings settings;
    std::unique_ptr<Transport> transport;

    explicit World(std::uint16_t port, int hosts = 1, bool authentic = false) {
        zone.authentic = authentic;
        std::vector<dns::Mx> exchanges;
        for (int i = 1; i <= hosts; ++i) {
            const std::string name = "mx" + std::to_string(i) + ".example.org";
            exchanges.push_back({static_cast<std::uint16_t>(i), name});
            zone.address(name, "127.0.0." + std::to_string(i));
        }
        zone.mx("example.org", exchanges);
        settings.hostname = "mail.ours.example";
        settings.smtp_port = port;
        settings.mta_sts = false;
        settings.times.greeting = settings.times.command = settings.times.end_of_data = 20s;
    }
    std::shared_ptr<TestLane> run(std::vector<Job> jobs, const std::string& destination = "example.org") {
        if (!transport) {
            auto made = SmtpTransport::make(settings, resolver);
            EXPECT_TRUE(made) << made.error().text;
            transport = std::move(*made);
        }
        auto lane = std::make_shared<TestLane>();
        for (Job& job : jobs)
            lane->give(std::move(job));
        transport->open(destination, lane);
        lane->wait();
        return lane;
    }
};

template <class... Jobs>
std::vector<Job> jobs_of(Jobs... jobs) {
    std::vector<Job> made;
    (made.push_back(std::move(jobs)), ...);
    return made;
}

TEST(Transport, messages_go_one_after_the_other_over_one_connection) {
    ScriptedServer server({});
    World world(server.port());
    const auto lane =
        world.run(jobs_of(job_to({"bob", "eve"}), job_to({"bob"}, "x\r\n"), job_to({"joe"}, "")));
    EXPECT_THAT(lane->outcomes(), ElementsAre("delivered 250 2.0.0", "delivered 250 2.0.0",
                                              "delivered 250 2.0.0", "delivered 250 2.0.0"));
    const test::Seen seen = server.seen();
    EXPECT_THAT(seen.messages, ElementsAre(message, "x\r\n", ""));
    EXPECT_EQ(seen.connections, 1);
    EXPECT_EQ(seen.commands.front(), "EHLO mail.ours.example");
    EXPECT_EQ(seen.commands.back(), "QUIT");
    EXPECT_EQ(lane->last().server, "mx1.example.org [127.0.0.1]");
    EXPECT_TRUE(lane->last().relays_dsn);
    EXPECT_EQ(lane->last().tls, "");
}

TEST(Transport, a_large_message_arrives_as_it_is) {
    ScriptedServer server({});
    World world(server.port());
    std::string text;
    for (int i = 0; i < 30'000; ++i)
        text += ".line " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 70), '.') + "\r\n";
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"}, text)))->outcomes(), ElementsAre("delivered 250 2.0.0"));
    EXPECT_TRUE(server.seen().messages.at(0) == text);
}

TEST(Transport, what_the_server_says_to_each_recipient) {
    ScriptedServer server(Behaviour{.replies = {{"RCPT TO:<eve@example.org>", "550 5.1.1 no such user"},
                                                {"RCPT TO:<joe@example.org>", "450 4.2.1 later"}}});
    World world(server.port());
    const auto lane = world.run(jobs_of(job_to({"bob", "eve", "joe"})));
    EXPECT_THAT(lane->outcomes(),
                ElementsAre("delivered 250 2.0.0", "failed 550 5.1.1", "deferred 450 4.2.1"));
}

TEST(Transport, refusals_at_each_stage) {
    for (const std::string verb : {"MAIL", "RCPT", "DATA", "."}) {
        for (const std::string reply : {"450 4.2.0 later", "550 5.7.1 never"}) {
            ScriptedServer server(Behaviour{.replies = {{verb, reply}}});
            World world(server.port());
            // The connection is good for the next message.
            const auto lane = world.run(jobs_of(job_to({"bob"}), job_to({"eve"})));
            const std::string expected = reply[0] == '4' ? "deferred 450 4.2.0" : "failed 550 5.7.1";
            EXPECT_THAT(lane->outcomes(), ElementsAre(expected, expected)) << verb;
            EXPECT_EQ(server.seen().connections, 1) << verb;
        }
    }
}

TEST(Transport, a_host_that_is_not_there_is_passed_over) {
    ScriptedServer second({}, "127.0.0.2");
    World world(second.port(), 2);
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"));
    EXPECT_EQ(second.seen().messages.size(), 1u);
}

TEST(Transport, a_host_that_does_not_want_us_is_passed_over) {
    for (const std::string greeting : {"554 5.7.1 go away", "450 later", "421 4.3.2 too many", "nonsense"}) {
        ScriptedServer second({}, "127.0.0.2");
        ScriptedServer first(Behaviour{.greeting = greeting}, "127.0.0.1", second.port());
        World world(second.port(), 2);
        EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"))
            << greeting;
        EXPECT_EQ(first.seen().connections, 1);
        EXPECT_EQ(second.seen().messages.size(), 1u);
    }
}

TEST(Transport, hosts_that_break_off_before_the_end_of_the_message_are_passed_over) {
    for (const std::string verb : {"greeting", "EHLO", "MAIL", "RCPT", "DATA"}) {
        ScriptedServer second({}, "127.0.0.2");
        ScriptedServer first(Behaviour{.cut = verb}, "127.0.0.1", second.port());
        World world(second.port(), 2);
        EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"))
            << verb;
        EXPECT_EQ(second.seen().messages.size(), 1u);
    }
}

TEST(Transport, a_host_that_breaks_off_behind_the_last_dot_is_not_passed_over) {
    ScriptedServer second({}, "127.0.0.2");
    ScriptedServer first(Behaviour{.cut = "."}, "127.0.0.1", second.port());
    World world(second.port(), 2);
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("deferred 451 4.4.2"));
    EXPECT_EQ(second.seen().connections, 0);
}

TEST(Transport, a_421_in_the_dialogue_leads_to_the_next_host_and_else_is_the_outcome) {
    ScriptedServer server(Behaviour{.replies = {{"MAIL", "421 4.3.2 going down"}}});
    World world(server.port());
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("deferred 421 4.3.2"));
    ScriptedServer second({}, "127.0.0.2", server.port());
    World both(server.port(), 2);
    EXPECT_THAT(both.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"));
}

TEST(Transport, a_connection_closed_between_messages_is_made_again) {
    ScriptedServer server(Behaviour{.cut_after_messages = 1});
    World world(server.port());
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"}), job_to({"eve"})))->outcomes(),
                ElementsAre("delivered 250 2.0.0", "delivered 250 2.0.0"));
    EXPECT_EQ(server.seen().connections, 2);
}

TEST(Transport, nobody_there_fails_the_lane_and_no_job_is_taken) {
    ScriptedServer elsewhere({}, "127.0.0.9");
    World world(elsewhere.port(), 2);
    const auto lane = world.run(jobs_of(job_to({"bob"})));
    EXPECT_THAT(lane->outcomes(), ElementsAre("lane: deferred 451 4.4.1"));
    EXPECT_THAT(lane->last().reply.text, HasSubstr("mx2.example.org [127.0.0.2]"));
    EXPECT_EQ(lane->last().server, "");
    EXPECT_EQ(lane->asked(), 0);
}

TEST(Transport, what_one_host_has_said_counts_more_than_that_another_is_not_there) {
    ScriptedServer first(Behaviour{.greeting = "450 4.3.2 later"});
    World world(first.port(), 2);
    const auto lane = world.run(jobs_of(job_to({"bob"})));
    EXPECT_THAT(lane->outcomes(), ElementsAre("lane: deferred 450 4.3.2"));
    EXPECT_EQ(lane->last().server, "mx1.example.org [127.0.0.1]");
}

TEST(Transport, a_host_that_greets_with_5xx_alone_is_tried_again_later) {
    ScriptedServer server(Behaviour{.greeting = "554 5.7.1 you are on a list"});
    World world(server.port());
    const auto lane = world.run(jobs_of(job_to({"bob"})));
    EXPECT_THAT(lane->outcomes(), ElementsAre("lane: deferred 554 5.7.1"));
    EXPECT_EQ(lane->last().server, "mx1.example.org [127.0.0.1]");
    ScriptedServer never(Behaviour{.greeting = "521 no mail here"});
    World other(never.port());
    EXPECT_THAT(other.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("lane: failed 521 "));
}

TEST(Transport, destinations_without_a_way) {
    World world(1);
    world.zone.mx("null.example", {{0, ""}}).is("bad.example", dns::Type::mx, dns::Answer::Kind::failed);
    EXPECT_THAT(world.run({}, "null.example")->outcomes(), ElementsAre("lane: failed 556 5.1.10"));
    EXPECT_THAT(world.run({}, "none.example")->outcomes(), ElementsAre("lane: failed 550 5.1.2"));
    EXPECT_THAT(world.run({}, "bad.example")->outcomes(), ElementsAre("lane: deferred 451 4.4.3"));
}

TEST(Transport, address_literals_are_connected_to) {
    ScriptedServer server({});
    World world(server.port());
    const auto lane = world.run(jobs_of(job_to({"bob"})), "[127.0.0.1]");
    EXPECT_THAT(lane->outcomes(), ElementsAre("delivered 250 2.0.0"));
    EXPECT_EQ(lane->last().server, "[127.0.0.1]");
}

TEST(Transport, we_are_not_connected_to) {
    ScriptedServer server({});
    World world(server.port());
    net::Endpoint listener;
    listener.address = boost::asio::ip::address_v4();  // everywhere
    listener.port = server.port();
    world.settings.listeners = {listener};
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("lane: failed 554 5.4.6"));
    EXPECT_EQ(server.seen().connections, 0);
}

TEST(Transport, recipients_beyond_the_limit_go_in_another_transaction) {
    for (const bool by_server : {false, true}) {
        ScriptedServer server(Behaviour{.extensions = {"PIPELINING", by_server ? "LIMITS RCPTMAX=2" : "X"}});
        World world(server.port());
        world.settings.recipients_per_message_max = by_server ? 100 : 2;
        const auto lane = world.run(jobs_of(job_to({"a", "b", "c", "d", "e"})));
        EXPECT_EQ(lane->outcomes(), std::vector<std::string>(5, "delivered 250 2.0.0"));
        EXPECT_THAT(server.seen().messages, ElementsAre(message, message, message));
    }
}

TEST(Transport, messages_per_connection_at_the_limit) {
    for (const bool by_server : {false, true}) {
        ScriptedServer server(Behaviour{.extensions = {by_server ? "LIMITS MAILMAX=2" : "X"}});
        World world(server.port());
        world.settings.messages_per_connection_max = by_server ? 100 : 2;
        const auto lane = world.run(jobs_of(job_to({"a"}), job_to({"b"}), job_to({"c"})));
        EXPECT_EQ(lane->outcomes().size(), 2u);  // the queue opens another lane for the third
        EXPECT_EQ(lane->asked(), 2);
        EXPECT_EQ(server.seen().commands.back(), "QUIT");
    }
}

TEST(Transport, a_corrupt_message_is_not_sent_and_the_next_one_is) {
    ScriptedServer server({});
    World world(server.port());
    const auto lane = world.run(jobs_of(job_to({"bob"}, "x\r\n", true), job_to({"eve"}, "y\r\n")));
    EXPECT_THAT(lane->outcomes(), ElementsAre("deferred 451 4.3.0", "delivered 250 2.0.0"));
    EXPECT_THAT(server.seen().messages, ElementsAre("y\r\n"));
}

TEST(Transport, a_message_with_a_lone_lf_is_not_sent) {
    ScriptedServer server({});
    World world(server.port());
    const auto lane = world.run(jobs_of(job_to({"bob"}, "a\nb\r\n")));
    EXPECT_THAT(lane->outcomes(), ElementsAre("failed 554 5.6.0"));
    EXPECT_TRUE(server.seen().messages.empty());
}

TEST(Transport, its_end_is_quick_and_closes_every_lane) {
    ScriptedServer server(Behaviour{.greeting = "220-and now nothing more"});
    World world(server.port());
    world.settings.connections_max = 2;
    auto made = SmtpTransport::make(world.settings, world.resolver);
    ASSERT_TRUE(made);
    std::vector<std::shared_ptr<TestLane>> lanes;
    for (int i = 0; i < 5; ++i) {
        lanes.push_back(std::make_shared<TestLane>());
        (*made)->open("example.org", lanes.back());
    }
    while (server.seen().connections < 2)
        std::this_thread::yield();
    const auto start = std::chrono::steady_clock::now();
    made->reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
    for (const auto& lane : lanes)
        EXPECT_TRUE(lane->is_closed());
}

TEST(Transport, a_server_that_says_nothing_costs_its_time) {
    ScriptedServer server(Behaviour{.greeting = "220-and now nothing more"});
    World world(server.port());
    world.settings.times.greeting = 100ms;
    const auto lane = world.run(jobs_of(job_to({"bob"})));
    EXPECT_THAT(lane->outcomes(), ElementsAre("lane: deferred 451 4.4.2"));
    EXPECT_EQ(lane->last().reply.text, "it has not answered within 0.1 s");
}

// ---- TLS ----

Behaviour with_tls(const pier::test::CertificateFiles& files) {
    Behaviour behaviour;
    behaviour.certificate = files.certificate;
    behaviour.key = files.key;
    return behaviour;
}

TEST(TransportTls, is_taken_where_it_is_offered_whoever_it_is) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30, -1, "somebody.else.example");
    ScriptedServer server(with_tls(files));
    World world(server.port());
    const auto lane = world.run(jobs_of(job_to({"bob"})));
    EXPECT_THAT(lane->outcomes(), ElementsAre("delivered 250 2.0.0"));
    EXPECT_THAT(server.seen().in_tls, ElementsAre(true));
    EXPECT_THAT(lane->last().tls, HasSubstr("TLSv1.3/TLS_"));
}

TEST(TransportTls, that_fails_is_done_without_unless_it_is_required) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30, -1, "mx1.example.org");
    for (const auto handshake : {Behaviour::Handshake::garbage, Behaviour::Handshake::closed}) {
        for (const bool required : {false, true}) {
            Behaviour behaviour = with_tls(files);
            behaviour.handshake = handshake;
            ScriptedServer server(behaviour);
            World world(server.port());
            if (required) world.settings.tls = OutgoingTls::required;
            const auto lane = world.run(jobs_of(job_to({"bob"})));
            EXPECT_THAT(lane->outcomes(),
                        ElementsAre(required ? "lane: deferred 451 4.7.5" : "delivered 250 2.0.0"));
            EXPECT_EQ(server.seen().messages.size(), required ? 0u : 1u);
            EXPECT_EQ(server.seen().connections, required ? 1 : 2);
        }
    }
}

TEST(TransportTls, that_is_required_and_not_offered_leads_to_the_next_host) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30, -1, "mx2.example.org");
    ScriptedServer first({});
    ScriptedServer second(with_tls(files), "127.0.0.2", first.port());
    World world(first.port(), 2);
    world.settings.tls = OutgoingTls::required;
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"));
    EXPECT_TRUE(first.seen().messages.empty());
}

TEST(TransportTls, can_be_turned_off) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30);
    ScriptedServer server(with_tls(files));
    World world(server.port());
    world.settings.tls = OutgoingTls::none;
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"));
    EXPECT_THAT(server.seen().in_tls, ElementsAre(false));
}

// SHA-256 of a certificate's key.
dns::Tlsa tlsa_of(const std::string& certificate_file, bool spoilt = false) {
    FILE* file = ::fopen(certificate_file.c_str(), "r");
    X509* certificate = PEM_read_X509(file, nullptr, nullptr, nullptr);
    ::fclose(file);
    unsigned char* octets = nullptr;
    const int count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &octets);
    unsigned char digest[32];
    unsigned size = 0;
    EVP_Digest(octets, static_cast<std::size_t>(count), digest, &size, EVP_sha256(), nullptr);
    OPENSSL_free(octets);
    X509_free(certificate);
    if (spoilt) digest[0] = static_cast<unsigned char>(~digest[0]);
    return {3, 1, 1, std::string(reinterpret_cast<char*>(digest), size)};
}

std::string tlsa_at(const ScriptedServer& server, const std::string& host) {
    return "_" + std::to_string(server.port()) + "._tcp." + host;
}

TEST(TransportDane, a_key_that_fits_is_verified_whatever_its_name_and_time) {
    pier::test::CertificateFiles files;
    make_certificate(files, -2, -30, "somebody.else.example");
    ScriptedServer server(with_tls(files));
    World world(server.port(), 1, true);
    world.zone.tlsa(tlsa_at(server, "mx1.example.org"), tlsa_of(files.certificate));
    const auto lane = world.run(jobs_of(job_to({"bob"})));
    EXPECT_THAT(lane->outcomes(), ElementsAre("delivered 250 2.0.0"));
    EXPECT_TRUE(lane->last().tls.ends_with(" dane")) << lane->last().tls;
}

TEST(TransportDane, a_key_that_does_not_fit_leads_to_the_next_host_and_never_to_clear_text) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30, -1, "mx1.example.org");
    ScriptedServer first(with_tls(files));
    World alone(first.port(), 1, true);
    alone.zone.tlsa(tlsa_at(first, "mx1.example.org"), tlsa_of(files.certificate, true));
    const auto lane = alone.run(jobs_of(job_to({"bob"})));
    EXPECT_THAT(lane->outcomes(), ElementsAre("lane: deferred 451 4.7.5"));
    EXPECT_THAT(lane->last().reply.text, HasSubstr("not what DANE demands"));
    EXPECT_EQ(first.seen().connections, 1);
    ScriptedServer second({}, "127.0.0.2", first.port());
    World both(first.port(), 2, true);
    both.zone.tlsa(tlsa_at(first, "mx1.example.org"), tlsa_of(files.certificate, true));
    EXPECT_THAT(both.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"));
    EXPECT_TRUE(first.seen().messages.empty());
}

TEST(TransportDane, without_starttls_nothing_is_sent) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30);
    ScriptedServer server({});
    World world(server.port(), 1, true);
    world.zone.tlsa(tlsa_at(server, "mx1.example.org"), tlsa_of(files.certificate));
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("lane: deferred 451 4.7.4"));
}

TEST(TransportDane, records_that_cannot_be_used_demand_tls_alone) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30);
    ScriptedServer server(with_tls(files));
    World world(server.port(), 1, true);
    world.zone.tlsa(tlsa_at(server, "mx1.example.org"), {1, 1, 1, std::string(32, 'x')});
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"));
    ScriptedServer clear({}, "127.0.0.1");
    World other(clear.port(), 1, true);
    other.zone.tlsa(tlsa_at(clear, "mx1.example.org"), {1, 1, 1, std::string(32, 'x')});
    EXPECT_THAT(other.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("lane: deferred 451 4.7.4"));
}

TEST(TransportDane, what_is_not_authentic_demands_nothing) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30);
    ScriptedServer server({});
    for (const int part : {0, 1, 2}) {
        World world(server.port(), 1, true);
        world.zone.tlsa(tlsa_at(server, "mx1.example.org"), tlsa_of(files.certificate));
        world.zone
            .entry(part == 0   ? "example.org"
                   : part == 1 ? "mx1.example.org"
                               : tlsa_at(server, "mx1.example.org"),
                   part == 0   ? dns::Type::mx
                   : part == 1 ? dns::Type::a
                               : dns::Type::tlsa)
            .authentic = false;
        EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"))
            << part;
    }
}

TEST(TransportDane, a_question_for_tlsa_that_fails_passes_the_host_over) {
    ScriptedServer server({});
    World world(server.port(), 1, true);
    world.zone.is(tlsa_at(server, "mx1.example.org"), dns::Type::tlsa, dns::Answer::Kind::failed);
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("lane: deferred 451 4.7.5"));
    EXPECT_EQ(server.seen().connections, 0);
}

TEST(TransportRequireTls, needs_a_host_that_is_proven) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30, -1, "mx1.example.org");
    Behaviour behaviour = with_tls(files);
    behaviour.extensions = {"REQUIRETLS"};
    ScriptedServer server(behaviour);
    for (const bool authentic : {false, true}) {
        World world(server.port(), 1, authentic);
        world.settings.ca_file = files.certificate;
        Job job = job_to({"bob"});
        job.envelope.require_tls = true;
        EXPECT_THAT(world.run(jobs_of(std::move(job)))->outcomes(),
                    ElementsAre(authentic ? "delivered 250 2.0.0" : "failed 550 5.7.30"));
    }
}

// ---- MTA-STS ----

struct StsWorld {
    pier::test::CertificateFiles policy_files;
    std::unique_ptr<pier::test::WebServer> web;

    explicit StsWorld(const std::string& policy) {
        make_certificate(policy_files, 30, -1, "mta-sts.example.org");
        web = std::make_unique<pier::test::WebServer>(
            &policy_files,
            "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(policy.size()) + "\r\n\r\n" + policy);
    }
    // `files`: of the mail host, an authority of its own.
    void set_up(World& world, const pier::test::CertificateFiles& files) {
        const std::string both = policy_files.folder + "/authorities";
        std::ofstream(both) << std::ifstream(policy_files.certificate).rdbuf()
                            << std::ifstream(files.certificate).rdbuf();
        const std::string url = web->url();
        world.zone.text("_mta-sts.example.org", "v=STSv1; id=1").address("mta-sts.example.org", "127.0.0.1");
        world.settings.ca_file = both;
        world.settings.https_port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
        world.settings.mta_sts = true;
    }
    ~StsWorld() { ::remove((policy_files.folder + "/authorities").c_str()); }
};

std::string policy_of(const std::string& mode, const std::string& mx) {
    return "version: STSv1\nmode: " + mode + "\nmx: " + mx + "\nmax_age: 600\n";
}

TEST(TransportSts, enforced_demands_a_certificate_for_the_hosts_name) {
    for (const std::string host : {"mx1.example.org", "somebody.else.example"}) {
        pier::test::CertificateFiles files;
        make_certificate(files, 30, -1, host.c_str());
        ScriptedServer server(with_tls(files));
        World world(server.port());
        StsWorld sts(policy_of("enforce", "*.example.org"));
        sts.set_up(world, files);
        const auto lane = world.run(jobs_of(job_to({"bob"})));
        if (host == "mx1.example.org") {
            EXPECT_THAT(lane->outcomes(), ElementsAre("delivered 250 2.0.0"));
            EXPECT_TRUE(lane->last().tls.ends_with(" sts")) << lane->last().tls;
        } else {
            EXPECT_THAT(lane->outcomes(), ElementsAre("lane: deferred 451 4.7.5"));
            EXPECT_THAT(lane->last().reply.text, HasSubstr("not what MTA-STS demands: hostname mismatch"));
            EXPECT_EQ(server.seen().connections, 1);
        }
        EXPECT_THAT(sts.web->request(),
                    HasSubstr("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.org"));
    }
}

TEST(TransportSts, enforced_lets_no_other_host_have_the_mail) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30, -1, "mx1.example.org");
    ScriptedServer server(with_tls(files));
    World world(server.port());
    StsWorld sts(policy_of("enforce", "mx9.example.org"));
    sts.set_up(world, files);
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("lane: deferred 451 4.7.5"));
    EXPECT_EQ(server.seen().connections, 0);
}

TEST(TransportSts, testing_demands_nothing) {
    ScriptedServer server({});
    World world(server.port());
    StsWorld sts(policy_of("testing", "mx9.example.org"));
    sts.set_up(world, sts.policy_files);
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("delivered 250 2.0.0"));
}

// ---- smarthost ----

struct PasswordFile {
    explicit PasswordFile(const std::string& folder) : path(folder + "/password") {
        std::ofstream(path) << "secret\n";
    }
    ~PasswordFile() { ::remove(path.c_str()); }
    std::string path;
};

TEST(TransportSmarthost, takes_all_mail_by_its_name_and_our_password) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30, -1, "smart.example");
    const PasswordFile password(files.folder);
    for (const auto tls : {Smarthost::Tls::starttls, Smarthost::Tls::implicit}) {
        Behaviour behaviour = with_tls(files);
        behaviour.extensions = {"AUTH PLAIN"};
        behaviour.implicit_tls = tls == Smarthost::Tls::implicit;
        ScriptedServer server(behaviour);
        World world(1);
        world.zone.address("smart.example", "127.0.0.1");
        world.settings.ca_file = files.certificate;
        world.settings.smarthost = Smarthost{"smart.example", server.port(), tls, "ada", password.path};
        net::Endpoint listener;  // of ours, on another port of the same machine
        listener.address = boost::asio::ip::address_v4();
        listener.port = world.settings.smtp_port;
        world.settings.listeners = {listener};
        const auto lane = world.run(jobs_of(job_to({"bob"})), "anything.example");
        EXPECT_THAT(lane->outcomes(), ElementsAre("delivered 250 2.0.0"));
        EXPECT_TRUE(lane->last().tls.ends_with(" verified"));
        EXPECT_THAT(server.seen().commands, testing::Contains("AUTH PLAIN AGFkYQBzZWNyZXQ="));
    }
}

TEST(TransportSmarthost, that_is_somebody_else_gets_neither_password_nor_mail) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30, -1, "somebody.else.example");
    const PasswordFile password(files.folder);
    Behaviour behaviour = with_tls(files);
    behaviour.extensions = {"AUTH PLAIN"};
    ScriptedServer server(behaviour);
    World world(1);
    world.zone.address("smart.example", "127.0.0.1");
    world.settings.ca_file = files.certificate;
    world.settings.smarthost =
        Smarthost{"smart.example", server.port(), Smarthost::Tls::starttls, "ada", password.path};
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("lane: deferred 451 4.7.5"));
    for (const std::string& command : server.seen().commands)
        EXPECT_FALSE(command.starts_with("AUTH") || command.starts_with("MAIL")) << command;
}

TEST(TransportSmarthost, a_password_that_is_refused_is_for_now) {
    pier::test::CertificateFiles files;
    make_certificate(files, 30, -1, "smart.example");
    const PasswordFile password(files.folder);
    Behaviour behaviour = with_tls(files);
    behaviour.extensions = {"AUTH PLAIN"};
    behaviour.replies = {{"AUTH", "535 5.7.8 wrong"}};
    ScriptedServer server(behaviour);
    World world(1);
    world.zone.address("smart.example", "127.0.0.1");
    world.settings.ca_file = files.certificate;
    world.settings.smarthost =
        Smarthost{"smart.example", server.port(), Smarthost::Tls::starttls, "ada", password.path};
    EXPECT_THAT(world.run(jobs_of(job_to({"bob"})))->outcomes(), ElementsAre("lane: deferred 451 4.7.8"));
    world.settings.smarthost->password_file = files.folder + "/none";
    EXPECT_FALSE(SmtpTransport::make(world.settings, world.resolver));
}

}  // namespace
}  // namespace pier::queue
