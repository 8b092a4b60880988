#include "migrate/plan.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "migrate/digest.h"

namespace pier::migrate {
namespace {

using store::flag::answered, store::flag::deleted, store::flag::draft, store::flag::flagged,
    store::flag::forwarded, store::flag::seen;
constexpr store::Flags known_flags = seen | answered | flagged | deleted | draft | forwarded;
constexpr std::size_t none = static_cast<std::size_t>(-1);

// Finds the message here that is a message of the source; each once.
class Matcher {
  public:
    explicit Matcher(const std::vector<Present>& here) : here_(here), taken_(here.size(), false) {
        for (std::size_t i = 0; i < here.size(); ++i) {
            if (here[i].key) by_key_.emplace(*here[i].key, i);
            by_uidl_.emplace(here[i].uidl, i);
        }
    }

    std::size_t take(const Item& item) {
        const auto key = by_key_.find(import_key(item.identity));
        if (key != by_key_.end() && !taken_[key->second]) return mark(key->second);
        if (item.uidl.empty()) return none;
        const auto uidl = by_uidl_.find(item.uidl);
        return uidl != by_uidl_.end() && !taken_[uidl->second] ? mark(uidl->second) : none;
    }
    bool taken(std::size_t i) const { return taken_[i]; }

  private:
    std::size_t mark(std::size_t i) {
        taken_[i] = true;
        return i;
    }

    const std::vector<Present>& here_;
    std::vector<bool> taken_;
    std::map<store::ImportKey, std::size_t> by_key_;
    std::unordered_map<std::string_view, std::size_t> by_uidl_;
};

const std::string& name_of(const Item& item) {
    return item.uidl.empty() ? item.origin : item.uidl;
}

Line compare_pair(const Item& item, const Present& present, MailboxPlan& plan) {
    Line line;
    line.name = name_of(item);
    line.uid = present.uid;
    if (!item.uidl.empty() && item.uidl != present.uidl) {
        line.sign = Line::Sign::change;
        line.text = fmt::format("it has the UIDL {} here", present.uidl);
    }
    const store::Flags before = present.flags & known_flags;
    if (item.flags_known && before != item.flags) {
        line.sign = Line::Sign::change;
        line.flags = (present.flags & ~known_flags) | item.flags;
        line.text += fmt::format("{}flags there: {}; here: {}", line.text.empty() ? "" : "; ",
                                 flag_names(item.flags), flag_names(before));
    }
    if (item.octets_exact && item.octets != present.octets) {
        ++plan.other_size;
        line.text += fmt::format("{}octets there: {}; here: {}", line.text.empty() ? "" : "; ", item.octets,
                                 present.octets);
    }
    return line;
}

}  // namespace

std::uint64_t MailboxPlan::count(Line::Sign sign) const {
    return static_cast<std::uint64_t>(std::ranges::count(lines, sign, &Line::sign));
}

bool MailboxPlan::differs() const {
    return count(Line::Sign::same) + count(Line::Sign::deleted_here) != lines.size();
}

MailboxPlan compare(std::string mailbox, const std::vector<const Item*>& there,
                    const std::vector<Present>& here, const std::set<store::ImportKey>& imported) {
    MailboxPlan plan;
    plan.mailbox = std::move(mailbox);
    Matcher matcher(here);
    std::vector<std::size_t> places;
    places.reserve(there.size());
    for (const Item* item : there)
        places.push_back(matcher.take(*item));

    std::size_t passed = 0;  // of `here`: what is gone stands where it was
    const auto pass_up_to = [&](std::size_t end) {
        for (; passed < end; ++passed) {
            if (matcher.taken(passed)) continue;
            if (!here[passed].key) {
                ++plan.own;
                continue;
            }
            Line& line = plan.lines.emplace_back();
            line.sign = Line::Sign::gone;
            line.name = here[passed].uidl;
            line.uid = here[passed].uid;
        }
    };
    for (std::size_t i = 0; i < there.size(); ++i) {
        if (places[i] != none) {
            if (places[i] < passed) ++plan.out_of_place;
            pass_up_to(places[i] + 1);
            plan.lines.push_back(compare_pair(*there[i], here[places[i]], plan));
        } else {
            Line& line = plan.lines.emplace_back();
            line.name = name_of(*there[i]);
            line.sign = imported.contains(import_key(there[i]->identity)) ? Line::Sign::deleted_here
                                                                          : Line::Sign::add;
        }
        plan.lines.back().item = i;
    }
    pass_up_to(here.size());
    return plan;
}

std::string flag_names(store::Flags flags) {
    static constexpr std::array<std::pair<store::Flags, std::string_view>, 6> names{
        {{seen, "seen"},
         {answered, "answered"},
         {flagged, "flagged"},
         {deleted, "deleted"},
         {draft, "draft"},
         {forwarded, "forwarded"}}};
    std::string text;
    for (const auto& [flag, name] : names) {
        if ((flags & flag) != 0) text += fmt::format("{}{}", text.empty() ? "" : " ", name);
    }
    return text.empty() ? "none" : text;
}

}  // namespace pier::migrate
