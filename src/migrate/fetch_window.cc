#include "migrate/fetch_window.h"

#include <algorithm>
#include <utility>

namespace pier::migrate {

void FetchWindow::expect(std::vector<Message> messages) {
    expected_ = std::move(messages);
    next_ = 0;
}

std::vector<std::size_t> FetchWindow::ask(std::size_t item, bool several) {
    std::vector<std::size_t> asked;
    const auto add = [&](const Message& message) {
        asked.push_back(message.item);
        under_way_.push_back(message.item);
        octets_.push_back(message.octets);
        octets_under_way_ += message.octets;
    };
    if (std::ranges::find(under_way_, item) == under_way_.end()) {
        const auto at = std::ranges::find(expected_.begin() + static_cast<std::ptrdiff_t>(next_),
                                          expected_.end(), item, &Message::item);
        if (at == expected_.end()) {
            add({item, 0, 0});
        } else {
            next_ = static_cast<std::size_t>(at - expected_.begin()) + 1;
            add(*at);
        }
    }
    const std::size_t mailbox = next_ > 0 ? expected_[next_ - 1].mailbox : 0;
    while (several && next_ < expected_.size() && expected_[next_].mailbox == mailbox &&
           under_way_.size() < limits_.messages_max &&
           octets_under_way_ + expected_[next_].octets <= limits_.octets_max)
        add(expected_[next_++]);
    return asked;
}

void FetchWindow::answered() {
    octets_under_way_ -= octets_.front();
    octets_.pop_front();
    under_way_.pop_front();
}

}  // namespace pier::migrate
