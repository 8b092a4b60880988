// Mailbox files that are imported: mbox in its dialects, single messages, and the dates in them. The messages
// of any file lie in it one behind the other and are the same each time; a message that is written to an mbox
// comes back octet for octet. Input: one octet for the dialect, then the file.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "base/time.h"
#include "fuzz/require.h"
#include "migrate/dates.h"
#include "migrate/eml.h"
#include "migrate/mbox.h"

namespace {

using namespace pier;
using namespace pier::migrate;
using fuzz::require;

// A file without a disk, at a path.
class File {
  public:
    explicit File(std::string_view octets) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
        require(fd_ >= 0 && write(fd_, octets.data(), octets.size()) == static_cast<ssize_t>(octets.size()),
                "a file in memory");
    }
    ~File() { close(fd_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

  private:
    int fd_;
};

std::string read(const Item& item) {
    std::string octets;
    const auto done = item.read([&](std::string_view block) -> Result<void> {
        octets += block;
        return {};
    });
    require(done.has_value(), "a message that was found can be read");
    return octets;
}

std::vector<Item> items_of(Source& source) {
    std::vector<Item> items;
    for (;;) {
        Result<std::optional<Item>> item = source.next();
        require(item.has_value(), "no octets make reading fail");
        if (!*item) return items;
        items.push_back(std::move(**item));
    }
}

void check_mbox(std::string_view octets, const MboxOptions& options) {
    const File file(octets);
    const auto first = open_mbox(file.path(), options), second = open_mbox(file.path(), options);
    require(first.has_value() == second.has_value(), "a file is an mbox or is none");
    if (!first) return;
    const std::vector<Item> items = items_of(**first), again = items_of(**second);
    require(items.size() == again.size(), "each run finds the same messages");
    std::set<std::string> identities;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const Item& item = items[i];
        require(item.identity == again[i].identity && item.uidl == again[i].uidl,
                "and tells them apart the same");
        require(identities.insert(item.identity).second, "no two messages are taken for one");
        require(item.uidl.empty() || is_uidl(item.uidl), "a UIDL is one");
        const std::string message = read(item);
        require(message == read(item), "a message can be read twice");
        require(message.size() <= item.octets, "quoting only takes away");
        require(options.quoting != MboxOptions::Quoting::none || message.size() == item.octets,
                "without quoting a message is as it stands");
        sum += item.octets;
    }
    require(sum <= octets.size(), "messages do not overlap");
}

// As mboxrd has it: a '>' in front of every From_ line, whatever number it has already.
std::string with_quotes(std::string_view message) {
    std::string out;
    while (!message.empty()) {
        const std::string_view line = message.substr(0, message.find('\n') + 1);
        const std::string_view text = line.empty() ? message : line;
        if (text.substr(std::min(text.find_first_not_of('>'), text.size())).starts_with("From ")) out += '>';
        out += text;
        message.remove_prefix(text.size());
    }
    return out;
}

void check_mboxrd(std::string_view octets) {
    if (octets.find("FOLDER INTERNAL DATA") != std::string_view::npos) return;  // passed over, rightly
    std::string message(octets);
    if (!message.ends_with('\n')) message += '\n';
    const std::string one = "From ada@example.org Sat Nov 21 20:38:26 2026\n" + with_quotes(message) + "\n";
    const File file(one + one);
    const auto source = open_mbox(file.path());
    require(source.has_value(), "a From_ line begins an mbox");
    const std::vector<Item> items = items_of(**source);
    require(items.size() == 2, "two messages are two");
    for (const Item& item : items) {
        const std::string back = read(item);
        // Without an empty line of its own a message is all header, and the format's empty line ends that.
        require(back == message || back == message + "\n", "a message comes back octet for octet");
    }
}

void check_eml(std::string_view octets) {
    const File file(octets);
    const auto source = open_eml(file.path());
    require(source.has_value(), "every file is a message");
    const std::vector<Item> items = items_of(**source);
    require(items.size() == 1, "and one");
    require(octets.ends_with(read(items.front())), "which is as it stands, without a From_ line in front");
}

void check_dates(std::string_view text) {
    static_cast<void>(date_of_header(text));
    static_cast<void>(parse_from_line(text));
    const auto date = find_date(text);
    if (!date) return;
    require(date->time_since_epoch().count() >= 0, "no date before there was mail");
    require(find_date(to_rfc5322(*date)) == date, "a date that is written again is the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view octets = fuzz::text_of(data + 1, size - 1);
    MboxOptions options;
    options.quoting = static_cast<MboxOptions::Quoting>(data[0] % 3);
    options.x_uidl = (data[0] & 4) == 0;
    check_mbox(octets, options);
    check_mboxrd(octets);
    check_eml(octets);
    check_dates(octets);
    return 0;
}
