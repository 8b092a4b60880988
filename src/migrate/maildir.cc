#include "migrate/maildir.h"

#include <algorithm>
#include <charconv>
#include <deque>

#include <boost/locale/encoding_utf.hpp>
#include <fmt/format.h>

#include "base/utf8.h"
#include "migrate/file.h"
#include "wire/base64.h"

namespace pier::migrate {
namespace fs = std::filesystem;
namespace {

struct Message {
    std::string file_name;
    bool is_new = false;                                 // in new/, not in cur/
    std::uint32_t order = UINT32_MAX, uid = UINT32_MAX;  // as the previous server listed them
    std::string uidl;

    std::uint64_t delivery_s() const {  // the seconds at the start of the name; 0 if there are none
        std::uint64_t seconds = 0;
        std::from_chars(file_name.data(), file_name.data() + file_name.size(), seconds);
        return seconds;
    }
};

bool is_listed_before(const Message& a, const Message& b) {
    if (a.order != b.order) return a.order < b.order;
    if (a.uid != b.uid) return a.uid < b.uid;
    if (a.delivery_s() != b.delivery_s()) return a.delivery_s() < b.delivery_s();
    return unique_name(a.file_name) < unique_name(b.file_name);
}

// The names of the files in a folder's cur or new; nothing if it has no such directory.
Result<std::vector<std::string>> file_names(const fs::path& directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
        std::string name = at->path().filename().string();
        if (!name.starts_with('.')) names.push_back(std::move(name));
    }
    if (error && error != std::errc::no_such_file_or_directory)
        return errno_error(error.value(), fmt::format("list {}", directory.string()));
    return names;
}

class MaildirSource : public Source {
  public:
    MaildirSource(fs::path root, MaildirOptions options)
        : root_(std::move(root)), options_(std::move(options)) {}

    Result<void> open();
    Result<std::optional<Item>> next() override;
    std::uint64_t octets_total() const override { return octets_total_; }

  private:
    struct Folder {
        fs::path path;
        std::string mailbox;
    };

    Result<void> load(const Folder& folder);
    void add_uidls(const Folder& folder);
    bool add_dovecot_uidls(const Folder& folder);
    void add_courier_uidls(const Folder& folder);
    Result<Item> item(const Folder& folder, Message message);
    static Result<std::shared_ptr<File>> open_file(const fs::path& folder, const Message& message);

    fs::path root_;
    MaildirOptions options_;
    std::uint64_t octets_total_ = 0;
    std::vector<Folder> folders_;
    std::size_t folders_begun_ = 0;
    std::deque<Message> messages_;  // of the present folder, those to come
};

Result<void> MaildirSource::open() {
    std::error_code error;
    if (!fs::is_directory(root_ / "cur", error) && !fs::is_directory(root_ / "new", error)) {
        // On the store itself, while no server runs, Pier works without root's rights.
        if (error == std::errc::permission_denied)
            return Error(
                ErrorKind::io,
                fmt::format("cannot read {}: permission denied; make it readable for whoever owns Pier's "
                            "data, or start the server first",
                            root_.string()));
        return Error(
            ErrorKind::not_found,
            fmt::format("{} is not a maildir: it has neither cur nor new; name the directory that holds them",
                        root_.string()));
    }
    folders_.push_back({root_, "INBOX"});
    if (options_.folders) {
        std::vector<Folder> found;
        for (fs::directory_iterator at(root_, error), end; !error && at != end; at.increment(error)) {
            const std::string name = at->path().filename().string();
            std::error_code ignored;
            if (!name.starts_with('.') || !fs::is_directory(at->path() / "cur", ignored)) continue;
            found.push_back({at->path(), mailbox_of_folder(name)});
        }
        if (error) return errno_error(error.value(), fmt::format("list {}", root_.string()));
        std::ranges::sort(found, {}, &Folder::mailbox);
        std::ranges::move(found, std::back_inserter(folders_));
    }
    for (const Folder& folder : folders_) {
        for (const char* part : {"new", "cur"}) {
            const auto names = file_names(folder.path / part);
            if (!names) continue;  // load() reports it
            for (const std::string& name : *names) {
                const auto octets = fs::file_size(folder.path / part / name, error);
                if (!error) octets_total_ += octets;
            }
        }
    }
    return {};
}

Result<void> MaildirSource::load(const Folder& folder) {
    // new first: a message that a running server moves to cur meanwhile is then seen twice, not missed.
    const auto in_new = file_names(folder.path / "new");
    const auto in_cur = file_names(folder.path / "cur");
    if (!in_cur) return in_cur.error();
    if (!in_new) return in_new.error();
    for (const std::string& name : *in_cur)
        messages_.push_back({name, false, UINT32_MAX, UINT32_MAX, ""});
    for (const std::string& name : *in_new)
        messages_.push_back({name, true, UINT32_MAX, UINT32_MAX, ""});
    add_uidls(folder);
    std::ranges::sort(messages_, is_listed_before);
    return {};
}

void MaildirSource::add_uidls(const Folder& folder) {
    using Uidls = MaildirOptions::Uidls;
    if (options_.uidls == Uidls::none) return;
    if (options_.uidls != Uidls::courier && add_dovecot_uidls(folder)) return;
    // Courier's POP3 server knows only the INBOX.
    if (options_.uidls != Uidls::dovecot && folder.path == root_) add_courier_uidls(folder);
}

// False if the folder has no list of Dovecot.
bool MaildirSource::add_dovecot_uidls(const Folder& folder) {
    const fs::path path = folder.path / "dovecot-uidlist";
    const auto text = read_whole(path);
    if (!text && text.error().kind == ErrorKind::not_found) return false;
    const Result<DovecotList> list = text ? parse_dovecot_list(*text) : text.error();
    if (!list) {
        warn(fmt::format("{}: {}; the folder's messages get new UIDLs", path.string(), list.error().text));
        return true;
    }
    if (list->broken_lines > 0)
        warn(fmt::format("{}: {} broken lines are passed over", path.string(), list->broken_lines));
    Result<UidlFormat> format = options_.dovecot_format;
    if (!list->uidl_format.empty()) format = UidlFormat::parse(list->uidl_format);
    if (!format) warn(fmt::format("{}: {}", path.string(), format.error().text));
    for (Message& message : messages_) {
        const auto entry = list->entries.find(std::string(unique_name(message.file_name)));
        if (entry == list->entries.end()) continue;  // Dovecot has not shown it to anybody yet
        const DovecotList::Entry& e = entry->second;
        message.uid = e.uid;
        if (e.order != 0) message.order = e.order;
        if (e.uidl)
            message.uidl = *e.uidl;
        else if (format)
            message.uidl = (*format)(e.uid, list->uid_validity, unique_name(message.file_name), e.guid);
    }
    return true;
}

void MaildirSource::add_courier_uidls(const Folder& folder) {
    const fs::path path = folder.path / "courierpop3dsizelist";
    const auto text = read_whole(path);
    if (!text && text.error().kind == ErrorKind::not_found) return;
    const Result<CourierList> list = text ? parse_courier_list(*text) : text.error();
    if (!list)
        return warn(fmt::format("{}: {}; the messages get new UIDLs", path.string(), list.error().text));
    if (list->broken_lines > 0)
        warn(fmt::format("{}: {} broken lines are passed over", path.string(), list->broken_lines));
    for (Message& message : messages_) {
        const auto uidl = list->uidls.find(std::string(unique_name(message.file_name)));
        if (uidl != list->uidls.end()) message.uidl = uidl->second;
    }
}

Result<std::optional<Item>> MaildirSource::next() {
    while (messages_.empty()) {
        if (folders_begun_ == folders_.size()) return std::optional<Item>();
        if (auto loaded = load(folders_[folders_begun_++]); !loaded) return loaded.error();
    }
    Message message = std::move(messages_.front());
    messages_.pop_front();
    Result<Item> made = item(folders_[folders_begun_ - 1], std::move(message));
    if (!made) return made.error();
    return std::optional<Item>(std::move(*made));
}

Result<Item> MaildirSource::item(const Folder& folder, Message message) {
    const auto file = open_file(folder.path, message);
    if (!file) return file.error();
    Item item;
    item.origin = (*file)->path().string();
    item.identity = fmt::format("maildir\n{}\n{}", folder.mailbox, unique_name(message.file_name));
    item.mailbox = folder.mailbox;
    item.internal_date = (*file)->modified();
    const Time delivered{std::chrono::seconds(std::min<std::uint64_t>(message.delivery_s(), UINT32_MAX))};
    // A copy made without its times is younger than the name says; a message stored with an older date is
    // older.
    if (message.delivery_s() > 0) item.internal_date = std::min(item.internal_date, delivered);
    item.flags = maildir_flags((*file)->path().filename().string());
    item.octets = (*file)->octets();
    if (is_uidl(message.uidl))
        item.uidl = message.uidl;
    else if (!message.uidl.empty())
        warn(fmt::format("{}: the UIDL \"{}\" cannot be kept (1 to 70 printable characters)", item.origin,
                         message.uidl));
    item.read = [path = folder.path, message = std::move(message)](const Take& take) -> Result<void> {
        const auto again =
            open_file(path, message);  // not held open from next() on: many items are under way
        if (!again) return again.error();
        return read_blocks(**again, 0, (*again)->octets(), take);
    };
    return item;
}

// A running server may have renamed it since it was listed: new flags, or from new to cur.
Result<std::shared_ptr<File>> MaildirSource::open_file(const fs::path& folder, const Message& message) {
    auto file = File::open(folder / (message.is_new ? "new" : "cur") / message.file_name);
    if (file || file.error().kind != ErrorKind::not_found) return file;
    const auto names = file_names(folder / "cur");
    if (!names) return names.error();
    for (const std::string& name : *names) {
        if (unique_name(name) == unique_name(message.file_name)) return File::open(folder / "cur" / name);
    }
    return Error(ErrorKind::not_found,
                 fmt::format("{} was removed meanwhile", (folder / message.file_name).string()));
}

}  // namespace

bool is_uidl(std::string_view text) {
    return !text.empty() && text.size() <= 70 &&
           std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e; });
}

Result<std::unique_ptr<Source>> open_maildir(const fs::path& path, MaildirOptions options) {
    auto source = std::make_unique<MaildirSource>(path, std::move(options));
    if (auto opened = source->open(); !opened) return opened.error();
    return std::unique_ptr<Source>(std::move(source));
}

std::optional<std::string> decode_modified_utf7(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto shift = text.find('&');
        out += text.substr(0, shift);
        if (shift == std::string_view::npos) break;
        const auto end = text.find('-', shift);
        if (end == std::string_view::npos) return std::nullopt;
        std::string encoded(text.substr(shift + 1, end - shift - 1));
        text.remove_prefix(end + 1);
        if (encoded.empty()) {  // "&-"
            out += '&';
            continue;
        }
        if (encoded.find('/') != std::string::npos) return std::nullopt;  // its place in the alphabet has ','
        std::ranges::replace(encoded, ',', '/');
        encoded.append((4 - encoded.size() % 4) % 4, '=');
        const auto octets = wire::base64_decode(encoded, encoded.size());
        if (!octets || octets->size() % 2 != 0) return std::nullopt;
        std::u16string units;
        for (std::size_t i = 0; i < octets->size(); i += 2) {
            units += static_cast<char16_t>(static_cast<unsigned char>((*octets)[i]) << 8 |
                                           static_cast<unsigned char>((*octets)[i + 1]));
        }
        try {
            out += boost::locale::conv::utf_to_utf<char>(units, boost::locale::conv::stop);
        } catch (const boost::locale::conv::conversion_error&) {
            return std::nullopt;  // half a surrogate pair
        }
    }
    return out;
}

std::string text_of_mailbox(std::string name) {
    if (!is_utf8(name))
        std::ranges::replace_if(
            name, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '_');
    std::ranges::replace_if(
        name, [](char c) { return c == '/' || (c >= 0 && c < ' ') || c == 0x7f; }, '_');
    return name;
}

std::string mailbox_of_folder(std::string_view directory) {
    directory.remove_prefix(directory.starts_with('.'));
    std::string mailbox;
    for (;;) {
        const std::string_view part = directory.substr(0, directory.find('.'));
        std::string name = text_of_mailbox(decode_modified_utf7(part).value_or(std::string(part)));
        mailbox += name;
        directory.remove_prefix(part.size());
        if (directory.empty()) return mailbox;
        directory.remove_prefix(1);
        mailbox += '/';
    }
}

store::Flags maildir_flags(std::string_view file_name) {
    const auto info = file_name.rfind(":2,");
    store::Flags flags = 0;
    if (info == std::string_view::npos) return flags;
    for (const char c : file_name.substr(info + 3)) {
        switch (c) {
            case 'S':
                flags |= store::flag::seen;
                break;
            case 'R':
                flags |= store::flag::answered;
                break;
            case 'F':
                flags |= store::flag::flagged;
                break;
            case 'T':
                flags |= store::flag::deleted;
                break;
            case 'D':
                flags |= store::flag::draft;
                break;
            case 'P':
                flags |= store::flag::forwarded;
                break;
            default:
                break;
        }
    }
    return flags;
}

}  // namespace pier::migrate
