#include "queue/dane.h"

#include <gtest/gtest.h>

namespace pier::queue {
namespace {

using Kind = DaneDemand::Kind;

dns::Tlsa record(int usage, int selector, int matching, std::size_t octets) {
    return {static_cast<std::uint8_t>(usage), static_cast<std::uint8_t>(selector),
            static_cast<std::uint8_t>(matching), std::string(octets, 'x')};
}

TEST(Dane, records_that_can_be_used) {
    EXPECT_TRUE(is_usable(record(3, 1, 1, 32)));
    EXPECT_TRUE(is_usable(record(2, 0, 2, 64)));
    EXPECT_TRUE(is_usable(record(3, 0, 0, 1)));
    for (const auto& bad :
         {record(0, 1, 1, 32), record(1, 1, 1, 32), record(4, 1, 1, 32), record(255, 0, 1, 32),
          record(3, 2, 1, 32), record(3, 1, 3, 32), record(3, 1, 1, 31), record(3, 1, 1, 33),
          record(3, 1, 2, 63), record(3, 1, 2, 65), record(3, 1, 0, 0)})
        EXPECT_FALSE(is_usable(bad)) << int(bad.usage) << int(bad.selector) << int(bad.matching)
                                     << bad.data.size();
}

TEST(Dane, what_an_answer_demands) {
    dns::Answer answer;
    answer.why = "the answer is SERVFAIL";
    EXPECT_EQ(dane_demand("mx", answer).kind, Kind::unknown);
    answer.kind = dns::Answer::Kind::no_data;
    answer.authentic = true;
    EXPECT_EQ(dane_demand("mx", answer).kind, Kind::none);
    answer.kind = dns::Answer::Kind::found;
    answer.associations = {record(0, 1, 1, 32)};
    EXPECT_EQ(dane_demand("mx", answer).kind, Kind::tls);
    answer.associations.push_back(record(3, 1, 1, 32));
    const DaneDemand demand = dane_demand("mx", answer);
    EXPECT_EQ(demand.kind, Kind::verified);
    EXPECT_EQ(demand.usable.size(), 1u);
    EXPECT_EQ(demand.base, "mx");
    answer.authentic = false;
    EXPECT_EQ(dane_demand("mx", answer).kind, Kind::none);
    EXPECT_EQ(tlsa_name("mx.example.org", 25), "_25._tcp.mx.example.org");
}

TEST(Dane, no_more_records_than_its_limit) {
    dns::Answer answer;
    answer.kind = dns::Answer::Kind::found;
    answer.authentic = true;
    answer.associations.assign(tlsa_max + 1, record(3, 1, 1, 32));
    EXPECT_EQ(dane_demand("mx", answer).usable.size(), tlsa_max);
}

}  // namespace
}  // namespace pier::queue
