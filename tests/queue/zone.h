// A DNS for tests: what it knows, it answers; else there is no such name.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "queue/route.h"

namespace pier::queue::test {

class Zone : public Lookups {
  public:
    using Kind = dns::Answer::Kind;
    bool authentic = false;  // of what is added from then on

    Zone& mx(const std::string& name, std::vector<dns::Mx> exchanges) {
        entry(name, dns::Type::mx).exchanges = std::move(exchanges);
        return *this;
    }
    Zone& address(const std::string& name, const std::string& address) {
        const auto made = boost::asio::ip::make_address(address);
        entry(name, made.is_v4() ? dns::Type::a : dns::Type::aaaa).addresses.push_back(made);
        return *this;
    }
    Zone& text(const std::string& name, const std::string& text) {
        entry(name, dns::Type::txt).texts.push_back(text);
        return *this;
    }
    Zone& tlsa(const std::string& name, dns::Tlsa association) {
        entry(name, dns::Type::tlsa).associations.push_back(std::move(association));
        return *this;
    }
    Zone& is(const std::string& name, dns::Type type, Kind kind) {
        entry(name, type).kind = kind;
        return *this;
    }
    dns::Answer& entry(const std::string& name, dns::Type type) {
        dns::Answer& answer = answers_[{name, type}];
        answer.kind = Kind::found;
        answer.authentic = authentic;
        answer.name = name;
        answer.ttl_s = 60;
        return answer;
    }

    dns::Answer ask(const std::string& name, dns::Type type) override {
        const std::lock_guard lock(mutex_);
        asked.push_back(name + " " + std::string(to_string(type)));
        const auto found = answers_.find({name, type});
        if (found != answers_.end()) {
            dns::Answer answer = found->second;
            if (answer.kind == Kind::failed) answer.why = "the answer is SERVFAIL";
            return answer;
        }
        dns::Answer none;
        none.name = name;
        none.authentic = authentic;
        none.kind = Kind::no_name;
        for (const auto& [key, answer] : answers_)
            if (key.first == name) none.kind = Kind::no_data;
        return none;
    }

    std::vector<std::string> asked;

  private:
    std::mutex mutex_;
    std::map<std::pair<std::string, dns::Type>, dns::Answer> answers_;
};

}  // namespace pier::queue::test
