#include "pop3/session.h"

#include <utility>

#include "pop3/conversation.h"

namespace pier::pop3 {

struct Session::Impl : Conversation {
    using Conversation::Conversation;
};

Session::Session(const Limits& limits, Facts facts)
    : impl_(std::make_unique<Impl>(limits, std::move(facts))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

void Session::set_observer(wire::CommandObserver* observer) {
    impl_->set_observer(observer);
}
Action Session::next() {
    return impl_->next();
}
void Session::on_bytes(std::string_view octets) {
    impl_->on_bytes(octets);
}
void Session::on_eof() {
    impl_->on_eof();
}
void Session::on_shutdown() {
    impl_->on_shutdown();
}
void Session::on_tls(const wire::SaslOffer& sasl) {
    impl_->on_tls(sasl);
}
void Session::on_introduced(const Introduced& report) {
    impl_->on_introduced(report);
}
void Session::on_keys(const wire::ScramKeys& keys, std::string_view nonce, std::string_view channel_binding) {
    impl_->on_keys(keys, nonce, channel_binding);
}
void Session::on_keys_refused(const LoginRefused& refused) {
    impl_->on_keys_refused(refused);
}
void Session::on_login(LoginReport report) {
    impl_->on_login(std::move(report));
}
void Session::on_mail_sent(MailReport report) {
    impl_->on_mail_sent(std::move(report));
}
void Session::on_removed(std::size_t not_removed) {
    impl_->on_removed(not_removed);
}
Session::State Session::state() const {
    return impl_->state();
}
const std::string& Session::user() const {
    return impl_->user();
}
const Session::Counts& Session::counts() const {
    return impl_->counts();
}

}  // namespace pier::pop3
