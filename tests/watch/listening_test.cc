#include "watch/listening.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "watch/firewall.h"

namespace pier::watch {
namespace {

using testing::HasSubstr;

TEST(Listening, sockets_that_listen) {
    const auto sockets = parse_proc_tcp(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:006E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 "
        "0\n"
        "   1: 0100007F:006E 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 "
        "0\n"
        "   2: 00000000000000000000000000000000:03E3 00000000000000000000000000000000:0000 0A "
        "00000000:00000000 "
        "00:00000000 00000000     0        0 99 1 0\n"
        "nonsense\n   3: XX:YY 0:0 0A 0:0 0:0 0 0 0 1\n");
    ASSERT_EQ(sockets.size(), 2u);
    EXPECT_EQ(sockets[0].address.to_string(), "127.0.0.1");
    EXPECT_EQ(sockets[0].port, 110);
    EXPECT_EQ(sockets[0].inode, 4711u);
    EXPECT_EQ(sockets[1].address.to_string(), "::");
    EXPECT_EQ(sockets[1].port, 995);
    EXPECT_TRUE(covers(sockets[0], boost::asio::ip::make_address("127.0.0.1")));
    EXPECT_FALSE(covers(sockets[0], boost::asio::ip::make_address("127.0.0.2")));
    EXPECT_TRUE(covers(sockets[1], boost::asio::ip::make_address("127.0.0.2")));
}

// As nft 1.0.6 prints them.
Firewall firewall(const std::string& policy, const std::string& rules, const std::string& family = "inet") {
    return parse_nft(
               R"({"nftables":[{"metainfo":{"version":"1.0.6"}},{"table":{"family":")" + family +
               R"(","name":"filter"}},{"chain":{"family":")" + family +
               R"(","table":"filter","name":"input","type":"filter","hook":"input","prio":0,"policy":")" +
               policy +
               R"("}},{"chain":{"family":"inet","table":"filter","name":"output","hook":"output","policy":"drop"}})" +
               rules + "]}")
        .value();
}

std::string rule(const std::string& expressions, const std::string& chain = "input",
                 const std::string& family = "inet") {
    return R"(,{"rule":{"family":")" + family + R"(","table":"filter","chain":")" + chain + R"(","expr":[)" +
           expressions + "]}}";
}

std::string match(const std::string& left, const std::string& right, const std::string& op = "==") {
    return R"({"match":{"op":")" + op + R"(","left":)" + left + R"(,"right":)" + right + "}},";
}

std::string dport(const std::string& ports, const std::string& op = "==") {
    return match(R"({"payload":{"protocol":"tcp","field":"dport"}})", ports, op);
}

std::string meta(const std::string& key, const std::string& right, const std::string& op = "==") {
    return match(R"({"meta":{"key":")" + key + R"("}})", right, op);
}

Passage passage(const Firewall& of, std::uint16_t port, Families families = Families::both) {
    const Verdict verdict = verdict_for(of, port, families);
    EXPECT_EQ(verdict.passage == Passage::unknown && verdict.text.empty(), false);
    return verdict.passage;
}

const std::string drop = R"({"drop":null})", accept = R"({"accept":null})";

TEST(Firewall, rules_of_nftables) {
    const std::string port =
        R"({"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":)";
    EXPECT_EQ(refusal_of(firewall("accept", ""), 110), "");
    EXPECT_THAT(refusal_of(firewall("drop", ""), 110), HasSubstr("policy drop"));
    const std::string dropped = rule(port + "995}}," + drop);
    EXPECT_THAT(refusal_of(firewall("accept", dropped), 995), HasSubstr("inet filter input"));
    EXPECT_EQ(refusal_of(firewall("accept", dropped), 110), "");
    const std::string let_in = rule(port + R"({"set":[25,{"range":[110,143]}]}}},)" + accept);
    EXPECT_EQ(refusal_of(firewall("drop", let_in), 25), "");
    EXPECT_EQ(refusal_of(firewall("drop", let_in), 120), "");
    EXPECT_NE(refusal_of(firewall("drop", let_in), 995), "");
    EXPECT_NE(refusal_of(firewall("accept", rule(port + R"(110}},{"reject":{"type":"tcp reset"}})")), 110),
              "");
    // Who drops what comes from one address says nothing of the others.
    const std::string of_one =
        R"({"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"192.0.2.1"}},)";
    EXPECT_EQ(refusal_of(firewall("accept", rule(of_one + drop)), 110), "");
    // Who lets in or refuses some.
    EXPECT_EQ(passage(firewall("drop", rule(of_one + port + "110}}," + accept)), 110), Passage::filtered);
    EXPECT_EQ(passage(firewall("accept", rule(of_one + port + "110}}," + drop)), 110), Passage::filtered);
    EXPECT_EQ(passage(firewall("drop", rule(of_one + port + "110}}," + drop)), 110), Passage::closed);
    EXPECT_EQ(passage(firewall("drop", rule(of_one + accept)), 110), Passage::filtered);
    EXPECT_EQ(passage(firewall("accept", ""), 110), Passage::open);
    EXPECT_EQ(passage(Firewall{.unknown = "no right"}, 110), Passage::unknown);
    // Chains that are jumped to stand in their places, also when they jump in a circle.
    const std::string elsewhere =
        R"(,{"rule":{"family":"inet","table":"filter","chain":"mail","expr":[)" + port + "25}}," + accept +
        R"(]}},{"rule":{"family":"inet","table":"filter","chain":"mail","expr":[{"jump":{"target":"mail"}}]}})";
    const std::string jump = rule(R"({"jump":{"target":"mail"}})");
    EXPECT_EQ(passage(firewall("drop", jump + elsewhere), 25), Passage::open);
    EXPECT_EQ(passage(firewall("drop", jump + elsewhere), 110), Passage::closed);
    for (const char* nonsense : {"", "nonsense", "[]", "{}", R"({"nftables":1})"})
        EXPECT_FALSE(parse_nft(nonsense)) << nonsense;
    EXPECT_TRUE(parse_nft(R"({"nftables":[1,{"rule":1},{"chain":{"hook":7}},{"rule":{"expr":7}}]})"));
}

// The usual beginnings of a ruleset let in no new connection, and hide no port behind them.
TEST(Firewall, rules_that_are_about_no_new_connection) {
    const std::string usual =
        rule(match(R"({"ct":{"key":"state"}})", R"(["established","related"])", "in") + accept) +
        rule(match(R"({"ct":{"key":"state"}})", R"("invalid")", "in") + drop) +
        rule(R"({"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["established",{"accept":null}],)"
             R"(["invalid",{"drop":null}]]}}})") +
        rule(meta("iif", R"("lo")") + accept) +
        rule(meta("l4proto", R"({"set":["icmp","ipv6-icmp"]})") + accept) +
        rule(match(R"({"payload":{"protocol":"udp","field":"dport"}})", "995") + drop) +
        rule(match(R"({"payload":{"protocol":"ip","field":"protocol"}})", R"("igmp")") + accept);
    EXPECT_EQ(passage(firewall("drop", usual), 995), Passage::closed);
    EXPECT_EQ(passage(firewall("accept", usual), 995), Passage::open);
    EXPECT_EQ(
        passage(firewall("drop", usual + rule(meta("l4proto", R"("tcp")") + dport("995") + accept)), 995),
        Passage::open);
    EXPECT_EQ(passage(firewall("accept", rule(meta("iifname", R"("lo")", "!=") + drop)), 995),
              Passage::closed);
    // Of one address, and of a rate: some.
    EXPECT_EQ(
        passage(firewall("accept", rule(dport("995") + R"({"limit":{"rate":9,"inv":true}},)" + drop)), 995),
        Passage::filtered);
}

TEST(Firewall, what_is_not_understood_closes_nothing) {
    const std::vector<std::string> conditions{
        dport(R"("@mail")"),
        dport(R"({"set":[25,"@mail"]})"),
        dport(R"({"prefix":{"addr":25,"len":4}})"),
        dport("22", "!="),
        dport("1024", "<"),
        match(
            R"({"concat":[{"payload":{"protocol":"ip","field":"saddr"}},{"payload":{"protocol":"tcp","field":"dport"}}]})",
            R"("@allowed")"),
        meta("iifname", R"("eth0")"),
        meta("mark", "7"),
        match(R"({"payload":{"protocol":"ip","field":"daddr"}})", R"("192.0.2.1")"),
        match(R"({"ct":{"key":"state"}})", R"("@states")", "in"),
        match(R"({"fib":{"result":"type","flags":["daddr"]}})", R"("local")"),
        R"({"xt":{"type":"match","name":"multiport"}},)",
        R"({"xt":null},)",
    };
    for (const std::string& condition : conditions) {
        EXPECT_EQ(passage(firewall("drop", rule(condition + accept)), 995), Passage::unknown) << condition;
        EXPECT_EQ(passage(firewall("accept", rule(condition + drop)), 995), Passage::unknown) << condition;
        // What would come to the same is no matter.
        const bool decides = condition.find("null") != std::string::npos;
        EXPECT_EQ(passage(firewall("drop", rule(condition + drop)), 995),
                  decides ? Passage::unknown : Passage::closed)
            << condition;
    }
    EXPECT_THAT(verdict_for(firewall("drop", rule(dport(R"("@mail")") + accept)), 995).text,
                HasSubstr("chain inet filter input: a named set or a map of ports is not understood"));
    const std::string map =
        R"({"vmap":{"key":{"payload":{"protocol":"tcp","field":"dport"}},"data":{"set":[[995,{"accept":null}]]}}})";
    for (const std::string& statement : {map, std::string(R"({"redirect":{"port":2525}})"),
                                         std::string(R"({"xt":{"type":"target","name":"TARPIT"}})")}) {
        EXPECT_EQ(passage(firewall("drop", rule(statement)), 995), Passage::unknown) << statement;
        EXPECT_EQ(passage(firewall("accept", rule(statement)), 995), Passage::unknown) << statement;
        // Of another port it says nothing.
        EXPECT_EQ(passage(firewall("accept", rule(dport("25") + statement)), 995), Passage::open)
            << statement;
    }
}

TEST(Firewall, chains_that_are_left) {
    const std::string jump = R"({"jump":{"target":"mail"}})", go = R"({"goto":{"target":"mail"}})",
                      back = R"({"return":null})";
    EXPECT_EQ(passage(firewall("accept", rule(jump) + rule(back, "mail") + rule(drop, "mail")), 995),
              Passage::open);
    EXPECT_EQ(
        passage(firewall("accept", rule(jump) + rule(dport("995") + back, "mail") + rule(drop, "mail")), 995),
        Passage::unknown);
    EXPECT_EQ(
        passage(firewall("accept", rule(jump) + rule(dport("995") + back, "mail") + rule(drop, "mail")), 25),
        Passage::closed);
    EXPECT_EQ(passage(firewall("accept", rule(go) + rule(drop)), 995), Passage::open);
    EXPECT_EQ(passage(firewall("accept", rule(dport("995") + go) + rule(drop)), 995), Passage::unknown);
    // Only what both ask for.
    const std::string both = rule(dport("25") + jump) + rule(dport("995") + drop, "mail");
    EXPECT_EQ(passage(firewall("accept", both), 995), Passage::open);
    EXPECT_EQ(passage(firewall("accept", both), 25), Passage::open);
}

TEST(Firewall, one_family_alone) {
    const Firewall v6 = firewall("drop", "", "ip6");
    EXPECT_EQ(passage(v6, 995), Passage::filtered);
    EXPECT_THAT(verdict_for(v6, 995).text, HasSubstr("over IPv6: chain ip6 filter input"));
    EXPECT_EQ(passage(v6, 995, Families::v4), Passage::open);
    EXPECT_EQ(passage(v6, 995, Families::v6), Passage::closed);
    EXPECT_EQ(passage(firewall("drop", "", "ip"), 995, Families::v4), Passage::closed);
    EXPECT_EQ(passage(firewall("drop", "", "arp"), 995), Passage::open);
}

}  // namespace
}  // namespace pier::watch
