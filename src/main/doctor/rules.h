// The parts of the diagnosis; inside diagnosis.cc and rules_*.cc. Each looks at its part of the facts alone.
#pragma once

#include "main/doctor/diagnosis.h"
#include "watch/judgement.h"

namespace pier::program::doctor {

using watch::Judgement;
using watch::Severity;

inline constexpr const char* restart_step = "systemctl restart pier";

// rules_listeners.cc
void judge_listeners(Judgement& findings, const Facts& facts, const Thresholds& thresholds);
void judge_firewall(Judgement& findings, const Facts& facts);
void judge_targets(Judgement& findings, const Facts& facts, const Thresholds& thresholds);
// rules_machine.cc
void judge_machine(Judgement& findings, const Facts& facts, const Thresholds& thresholds);
void judge_certificates(Judgement& findings, const Facts& facts, const Thresholds& thresholds);
// rules_server.cc
void judge_server(Judgement& findings, const Facts& facts, const Thresholds& thresholds);
void judge_account(Judgement& findings, const Facts& facts);
// rules_mail.cc
void judge_queue(Judgement& findings, const Facts& facts);
void judge_domains(Judgement& findings, const Facts& facts);
void judge_recipient(Judgement& findings, const Facts& facts);
void judge_dns(Judgement& findings, const Facts& facts, const Thresholds& thresholds);
void judge_filter(Judgement& findings, const Facts& facts);

}  // namespace pier::program::doctor
