// The part of a running server that takes mail from its users.
#include "main/config_delivery.h"
#include "main/running.h"

namespace pier::program {

void Running::open_submission() {
    serve::SmtpSettings settings;
    settings.kind = smtp::Kind::submission;
    settings.limits = config_.submission.limits;
    settings.idle_timeout = config_.submission.idle_timeout;
    settings.tls_handshake_timeout = config_.tls.handshake_timeout;
    settings.hostname = config_.server.hostname;
    settings.spool_memory_octets = config_.store.spool_memory_octets;
    settings.junk = config_.filter.junk;

    send_rate_ = std::make_unique<serve::SendRate>(config_.submission.rate, even_clock());
    serve::SubmissionSettings rules = config_.submission.settings;
    rules.scram = offers_scram(config_);
    submitters_.reset(new serve::SubmissionService{*authenticator_, *directory_, guard_, sessions_,
                                                   *send_rate_, rules, system_now, tokens_.get()});
    if (tokens_) submitters_->token_source = pop3_->token_source;
    submission_.reset(new serve::SmtpService{*store_, *delivery_, *disk_pool_, guard_, tls_.get(),
                                             std::move(settings), chain_ ? authenticator_.get() : nullptr,
                                             submitters_.get(),
                                             is_filtered(config_, "submission") ? filter_.get() : nullptr});
}

boost::json::object Running::submission_status() const {
    return {{"logins", submitters_->logins.load()},     {"failed_logins", submitters_->failed_logins.load()},
            {"messages", submission_->messages.load()}, {"delivered", submission_->recipients.load()},
            {"octets", submission_->octets.load()},     {"limited", send_rate_->refused()}};
}

}  // namespace pier::program
