#include "main/doctor/diagnosis.h"

#include <fmt/format.h>

#include "main/doctor/rules.h"

namespace pier::program::doctor {
namespace {

namespace json = boost::json;

void judge_config(Judgement& findings, const Facts& facts) {
    for (const ConfigProblem& problem : facts.config)
        findings.add(problem.error ? Severity::critical : Severity::warning,
                     problem.error ? "config_error" : "config_warning",
                     problem.error ? "The configuration has an error: the server does not start with it"
                                   : "The configuration does not fit this machine",
                     fmt::format("{}: {}", problem.place, problem.text),
                     fmt::format("correct {}, then: pier check", facts.config_file));
}

}  // namespace

std::vector<watch::Finding> diagnose(const Facts& facts, const Thresholds& thresholds) {
    Judgement findings;
    judge_config(findings, facts);
    judge_server(findings, facts, thresholds);
    judge_listeners(findings, facts, thresholds);
    judge_targets(findings, facts, thresholds);
    judge_firewall(findings, facts);
    judge_account(findings, facts);
    judge_certificates(findings, facts, thresholds);
    judge_machine(findings, facts, thresholds);
    judge_domains(findings, facts);
    judge_recipient(findings, facts);
    judge_dns(findings, facts, thresholds);
    judge_filter(findings, facts);
    judge_queue(findings, facts);
    return findings.take();
}

std::vector<watch::Finding> login_findings(const json::array& gates) {
    std::vector<watch::Finding> out;
    for (const json::value& one : gates) {
        const json::object& gate = one.as_object();
        const auto text = [&](std::string_view key) { return std::string(gate.at(key).as_string()); };
        const std::string state = text("state");
        if (text("code").empty()) continue;
        out.push_back({state == "stops" ? Severity::critical : Severity::warning, text("code"), text("text"),
                       fmt::format("the gate \"{}\" {} the login", text("gate"),
                                   state == "stops" ? "stops" : "holds up"),
                       text("step")});
    }
    return out;
}

}  // namespace pier::program::doctor
