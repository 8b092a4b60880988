// What is kept of a queued message, and what its sender is told of it: a record that is taken is the same
// after a restart, its parts hold each recipient once, and whatever other servers have said, a notice is
// lines of its own form. Input: the record, a NUL, and the original message.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/require.h"
#include "queue/entry.h"
#include "queue/notice.h"

namespace {

using namespace pier;
using fuzz::require;

void check_kept(const queue::Entry& entry) {
    const auto back = queue::read_entry(queue::write_entry(entry));
    require(back && back->id == entry.id && back->envelope.sender == entry.envelope.sender &&
                back->envelope.id == entry.envelope.id && back->envelope.ret == entry.envelope.ret &&
                back->recipients.size() == entry.recipients.size() && back->arrived == entry.arrived &&
                back->octets == entry.octets && back->held == entry.held,
            "an envelope that is kept is the same after a restart");
    for (std::size_t i = 0; i < entry.recipients.size(); ++i)
        require(back->recipients[i].to == entry.recipients[i].to &&
                    back->recipients[i].sender == entry.recipients[i].sender &&
                    back->recipients[i].state == entry.recipients[i].state &&
                    back->recipients[i].next == entry.recipients[i].next,
                "and so are its recipients");
    require(
        queue::write_entry(*back) == queue::write_entry(queue::read_entry(queue::write_entry(*back)).value()),
        "written twice it is the same");
}

void check_parts(const queue::Entry& entry) {
    std::vector<int> seen(entry.recipients.size());
    for (const queue::Part& part : queue::parts_of(entry, "")) {
        require(!part.recipients.empty() && part.recipients.size() <= queue::job_recipients_max,
                "a part is no larger than a job may be");
        for (const std::size_t i : part.recipients)
            ++seen.at(i);
    }
    require(std::ranges::all_of(seen, [](int times) { return times == 1; }),
            "every recipient is in one part");
}

void check_notice(const queue::Entry& entry, std::string_view original) {
    if (entry.recipients.empty()) return;
    for (const auto kind :
         {queue::NoticeKind::failed, queue::NoticeKind::delayed, queue::NoticeKind::relayed}) {
        queue::NoticeFacts facts;
        facts.kind = kind;
        facts.unique = "u";
        for (std::size_t i = 0; i < entry.recipients.size(); ++i)
            facts.recipients.push_back(i);
        const auto notice = queue::write_notice(entry, facts, original, {"pier.example", 1000});
        const std::string text = notice.octets.substr(0, notice.octets.find("\r\n\r\n"));
        require(std::ranges::count(text, '\n') <= 11, "its header has the fields that we give it");
        require(notice.octets.ends_with("--\r\n"), "it ends with its boundary");
        require(notice.envelope.sender.empty(), "nobody answers it");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input = fuzz::text_of(data, size);
    const std::string_view record = input.substr(0, input.find('\0'));
    static_cast<void>(queue::decode_xtext(record));
    static_cast<void>(queue::parse_id(record));
    const auto entry = queue::read_entry(record);
    if (!entry) return 0;
    check_kept(*entry);
    check_parts(*entry);
    check_notice(*entry, input.substr(std::min(record.size() + 1, input.size())));
    return 0;
}
