// What other servers keep beside a maildir: Dovecot's and Courier's lists of UIDLs, UIDL formats, and the
// names of files and folders. A list that is written again means the same. Input: one octet for the kind,
// then the text.
#include "migrate/uid_lists.h"

#include <algorithm>
#include <string>

#include "base/utf8.h"
#include "fuzz/require.h"
#include "migrate/maildir.h"

namespace {

using namespace pier;
using namespace pier::migrate;
using fuzz::require;

void check_dovecot(std::string_view text) {
    const auto list = parse_dovecot_list(text);
    if (!list) return require(!list.error().text.empty(), "an error says what is wrong");
    const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
    require(list->entries.size() + list->broken_lines <= lines, "a line is one entry");
    std::string written = "3 V" + std::to_string(list->uid_validity) + " P" + list->uidl_format + "\n";
    for (const auto& [name, entry] : list->entries) {
        require(entry.uid != 0 && !name.empty() && unique_name(name) == name,
                "an entry has a UID and a name");
        written += std::to_string(entry.uid) + " O" + std::to_string(entry.order);
        if (entry.uidl) written += " P" + (*entry.uidl == name ? "" : *entry.uidl);
        if (entry.guid != name) written += " G" + entry.guid;
        written += " :" + name + ":2,\n";
    }
    const auto again = parse_dovecot_list(written);
    require(again && again->uid_validity == list->uid_validity, "a list that is written again is one");
    require(again->entries.size() == list->entries.size() && again->broken_lines == 0,
            "with the same entries");
    for (const auto& [name, entry] : list->entries) {
        const auto found = again->entries.find(name);
        require(found != again->entries.end() && found->second.uid == entry.uid &&
                    found->second.order == entry.order && found->second.uidl == entry.uidl &&
                    found->second.guid == entry.guid,
                "and the same UIDs and UIDLs");
    }
}

void check_courier(std::string_view text) {
    const auto list = parse_courier_list(text);
    if (!list) return require(!list.error().text.empty(), "an error says what is wrong");
    const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
    require(list->uidls.size() + list->broken_lines <= lines, "a line is one entry");
    for (const auto& [name, uidl] : list->uidls) {
        require(!name.empty() && unique_name(name) == name, "an entry has a name");
        require(!uidl.empty() && std::ranges::all_of(uidl, [](char c) { return c >= 0x21 && c <= 0x7e; }),
                "and a UIDL that can be sent");
    }
}

void check_format(std::string_view text) {
    const auto format = UidlFormat::parse(text);
    if (!format) return require(!format.error().text.empty(), "an error says what is wrong");
    const std::string uidl = (*format)(7, 1'234'567'890, "1467.M1P1.host", "00d1");
    require(uidl == (*format)(7, 1'234'567'890, "1467.M1P1.host", "00d1"), "a UIDL stays the same");
    const std::string other = (*format)(7, 1'234'567'890, "1468.M2P2.host", "00d2");
    require(format->needs_name() || uidl == other, "without a name in the format the name does not matter");
}

void check_names(std::string_view text) {
    const std::string_view name = unique_name(text);
    require(text.starts_with(name) && name.find(':') == std::string_view::npos,
            "a name ends before its flags");
    using namespace store::flag;
    require((maildir_flags(text) & ~(seen | answered | flagged | deleted | draft | forwarded)) == 0,
            "flags are those that there are");
    const std::string mailbox = mailbox_of_folder(text);
    require(is_utf8(mailbox), "a mailbox's name is text");
    require(std::ranges::none_of(mailbox, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }),
            "without control characters");
    const std::string_view parts = text.substr(text.starts_with('.'));
    require(std::ranges::count(mailbox, '/') == std::ranges::count(parts, '.'), "with a '/' for each '.'");
    if (const auto decoded = decode_modified_utf7(text))
        require(is_utf8(text) == is_utf8(*decoded), "modified UTF-7 is UTF-8");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text = fuzz::text_of(data + 1, size - 1);
    switch (data[0] % 4) {
        case 0:
            check_dovecot(text);
            break;
        case 1:
            check_courier(text);
            break;
        case 2:
            check_format(text);
            break;
        default:
            check_names(text);
            break;
    }
    return 0;
}
