// One certificate from an ACME authority (RFC 8555 §7), as a pure state machine: it says what is to be asked,
// and is told the answer. No socket, no clock, no disk. Used by one thread.
//
//   Order order(settings, key);
//   for (;;) {
//       Action action = order.next();   // Ask, Publish, Wait, Done, Failed
//       // do it, then: on_answer() or on_failure(), on_published(), on_waited(); after Done and Failed it is
//       over
//   }
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "acme/jose.h"
#include "base/result.h"

namespace pier::acme {

struct OrderSettings {
    std::string directory;  // https://…
    std::vector<std::string> domains;
    std::string contact;         // an address of mail; empty: none
    std::string challenge_type;  // "http-01" or "tls-alpn-01"
    std::string request;         // the certificate's request (PKCS #10, DER), for these domains
    std::string eab_kid;         // external account binding; empty: none
    std::string eab_key;         // its octets
};

// What the authority looks for under a name.
struct Challenge {
    std::string domain, token;
    std::string key_authorization;  // RFC 8555 §8.1
};

// An HTTP request. A POST carries application/jose+json.
struct Ask {
    std::string method, url, body;
};
struct Publish {
    std::vector<Challenge> challenges;
};
struct Wait {
    std::chrono::seconds time{};
};
struct Done {
    std::string chain;  // PEM, the certificate first; not looked at yet
};
struct Failed {
    std::string text;  // the authority's words in it
    std::optional<std::chrono::seconds> retry_after{};
};
using Action = std::variant<Ask, Publish, Wait, Done, Failed>;

// The fields of an HTTP answer that count here; empty where there is none.
struct Answer {
    unsigned status = 0;
    std::string nonce, location, body;
    std::optional<std::chrono::seconds> retry_after{};
};

// Seconds or a date (RFC 9110 §10.2.3), `now` in seconds since 1970; at most a day.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view text, std::int64_t now);

class Order {
  public:
    static constexpr int bad_nonces_max = 5;              // in a row
    static constexpr int polls_max = 60;                  // of one thing, before it is given up
    static constexpr std::chrono::seconds poll_pause{2};  // where the authority says nothing else
    static constexpr std::chrono::seconds poll_pause_max{120};

    // `key` is the account's, and outlives it.
    Order(OrderSettings settings, const Key& key) : settings_(std::move(settings)), key_(key) {}

    Action next();
    void on_answer(const Answer& answer);
    // There was no answer; `why` is for a person.
    void on_failure(std::string why) { fail(std::move(why)); }
    void on_published() { step_ = Step::answer_challenge; }
    void on_waited() { waits_.reset(); }

  private:
    enum class Step {
        directory,
        account,
        order,
        authorization,
        publish,
        answer_challenge,
        poll_authorization,
        finalize,
        poll_order,
        certificate,
        done,
        failed
    };
    struct Body;

    Action ask(std::string url, std::string_view payload);
    void fail(std::string text, std::optional<std::chrono::seconds> retry_after = {});
    bool take_problem(const Answer& answer);
    bool poll_again(const Answer& answer);
    std::string account_payload() const;
    std::string order_payload() const;

    void take_directory(const Body& body);
    void take_account(const Answer& answer);
    void take_order(const Answer& answer, const Body& body);
    void take_authorization(const Body& body);
    void take_challenge();
    void take_polled_authorization(const Answer& answer, const Body& body);
    void take_finalized(const Answer& answer, const Body& body);
    void take_certificate(const Answer& answer);

    const OrderSettings settings_;
    const Key& key_;
    Step step_ = Step::directory;
    std::string nonce_;
    bool nonce_asked_ = false;  // the last Ask was for a nonce alone
    int bad_nonces_ = 0, polls_ = 0;
    std::optional<Wait> waits_;
    std::string new_nonce_, new_account_, new_order_;
    std::string account_, order_, finalize_, certificate_;
    std::vector<std::string> authorizations_, challenge_urls_,
        pending_;         // pending_: authorizations to be proven
    std::size_t at_ = 0;  // in one of them
    std::vector<Challenge> challenges_;
    Done done_;
    Failed failed_;
};

}  // namespace pier::acme
