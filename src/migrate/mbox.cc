#include "migrate/mbox.h"

#include <charconv>
#include <unordered_map>

#include <fmt/format.h>

#include "migrate/dates.h"
#include "migrate/digest.h"
#include "migrate/file.h"
#include "wire/ascii.h"

namespace pier::migrate {
namespace {

// What is read of a message while its end is looked for.
struct Scan {
    std::uint64_t begin = 0, end = 0;  // in the file, without the From_ line and the empty line behind it
    std::optional<Time> date;
    store::Flags flags = 0;
    std::string x_uidl;
    std::uint32_t x_uid = 0;
    std::optional<std::uint64_t> body_octets;  // Content-Length
    bool is_folder_data = false;               // no message, but UW IMAP's notes about the folder
    std::string hash;                          // of the content without the fields that servers rewrite
};

std::string_view without_line_end(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

// The value of the field `name` in a line of a header; absent if it is another field.
std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
    if (line.size() <= name.size() || line[name.size()] != ':' || !wire::ascii_starts_with(line, name))
        return std::nullopt;
    line = without_line_end(line.substr(name.size() + 1));
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return "";
    return line.substr(begin, line.find_last_not_of(" \t") + 1 - begin);
}

template <class Number>
std::optional<Number> number(std::string_view text) {
    Number value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || stop == text.data()) return std::nullopt;
    return value;
}

// A field that the previous server added or changed: it does not count for the identity, or a message that
// was read between two runs would be imported twice.
bool is_of_server(std::string_view line) {
    for (const std::string_view name : {"Status", "X-Status", "X-Keywords", "X-UID", "X-UIDL", "X-IMAP",
                                        "X-IMAPbase", "Content-Length", "Lines"}) {
        if (value_of(line, name)) return true;
    }
    return false;
}

store::Flags status_flags(std::string_view letters, bool extended) {
    store::Flags flags = 0;
    for (const char c : letters) {
        if (!extended && c == 'R') flags |= store::flag::seen;
        if (extended && c == 'A') flags |= store::flag::answered;
        if (extended && c == 'F') flags |= store::flag::flagged;
        if (extended && c == 'T') flags |= store::flag::draft;
        if (extended && c == 'D') flags |= store::flag::deleted;
    }
    return flags;
}

class MboxSource : public Source {
  public:
    MboxSource(std::shared_ptr<File> file, MboxOptions options)
        : file_(std::move(file)), options_(std::move(options)), lines_(file_, 0, file_->octets()) {}

    Result<void> open();
    Result<std::optional<Item>> next() override;
    std::uint64_t octets_total() const override { return file_->octets(); }

  private:
    Result<std::optional<Scan>> scan();
    Result<void> scan_content(Scan& scan);
    void scan_field(std::string_view line, Scan& scan);
    Result<bool> skip_body(Scan& scan, std::uint64_t body_begin, Digest& digest);
    std::string uidl_of(const Scan& scan, const std::string& origin);
    Result<void> read(std::uint64_t begin, std::uint64_t end, const Take& take) const;

    std::shared_ptr<File> file_;
    MboxOptions options_;
    LineReader lines_;
    std::optional<std::string> from_line_;  // of the next message, read already
    std::uint64_t from_offset_ = 0;
    std::uint32_t uid_validity_ = 0;                       // of X-IMAPbase
    std::unordered_map<std::string, std::uint32_t> seen_;  // how often a content has come
};

Result<void> MboxSource::open() {
    for (;;) {
        const auto piece = lines_.next();
        if (!piece) return piece.error();
        if (!*piece) return {};
        if ((*piece)->blank()) continue;  // liberal: empty lines at the start
        if (!parse_from_line(without_line_end((*piece)->text)))
            return Error(
                ErrorKind::invalid,
                fmt::format("{} is not an mbox file: it does not begin with a \"From \" line with a date",
                            file_->path().string()));
        from_line_ = (*piece)->text;
        from_offset_ = (*piece)->offset;
        return {};
    }
}

Result<std::optional<Item>> MboxSource::next() {
    for (;;) {
        const Result<std::optional<Scan>> found = scan();
        if (!found) return found.error();
        if (!*found) return std::optional<Item>();
        const Scan& scan = **found;
        if (scan.is_folder_data) continue;
        Item item;
        item.origin = fmt::format("{} at octet {}", file_->path().string(), scan.begin);
        item.identity = fmt::format("mbox\n{}\n{}\n{}", options_.mailbox, scan.hash, seen_[scan.hash]++);
        item.mailbox = options_.mailbox;
        item.internal_date = scan.date.value_or(file_->modified());
        item.flags = scan.flags;
        item.uidl = uidl_of(scan, item.origin);
        item.octets = scan.end - scan.begin;
        item.read = [this, begin = scan.begin, end = scan.end](const Take& take) {
            return read(begin, end, take);
        };
        return std::optional<Item>(std::move(item));
    }
}

std::string MboxSource::uidl_of(const Scan& scan, const std::string& origin) {
    if (options_.x_uidl && is_uidl(scan.x_uidl)) return scan.x_uidl;
    if (options_.x_uidl && !scan.x_uidl.empty())
        warn(fmt::format("{}: the UIDL in X-UIDL cannot be kept (1 to 70 printable characters)", origin));
    if (scan.x_uid == 0 || uid_validity_ == 0 || options_.dovecot_format.needs_name()) return "";
    const std::string uidl = options_.dovecot_format(scan.x_uid, uid_validity_, "", "");
    return is_uidl(uidl) ? uidl : "";
}

// The next message, from its From_ line to the next one or the end; absent if there is none.
Result<std::optional<Scan>> MboxSource::scan() {
    if (!from_line_) return std::optional<Scan>();
    Scan scan;
    scan.date = parse_from_line(without_line_end(*from_line_))->date;
    scan.begin = from_offset_ + from_line_->size();
    from_line_.reset();
    if (auto scanned = scan_content(scan); !scanned) return scanned.error();
    return std::optional<Scan>(std::move(scan));
}

Result<void> MboxSource::scan_content(Scan& scan) {
    Digest digest;
    bool in_header = true, skipping = false, after_blank = false;
    std::uint64_t blank_octets =
        0;  // of an empty line that is the format's, if a From_ line or the end follows
    scan.end = scan.begin;
    for (;;) {
        const auto next = lines_.next();
        if (!next) return next.error();
        if (!*next) break;
        const LineReader::Piece& piece = **next;
        if (piece.starts_line && after_blank && parse_from_line(without_line_end(piece.text))) {
            from_line_ = piece.text;
            from_offset_ = piece.offset;
            break;
        }
        after_blank = piece.blank();
        if (blank_octets > 0) digest.add("\n");
        blank_octets = after_blank && !in_header ? piece.text.size() : 0;
        scan.end = piece.offset + piece.text.size();
        if (in_header && piece.starts_line) {
            const bool folded = piece.text.front() == ' ' || piece.text.front() == '\t';
            skipping = folded ? skipping : is_of_server(piece.text);
            scan_field(piece.text, scan);
        }
        if (blank_octets == 0 && !skipping) digest.add(piece.text);
        if (in_header && after_blank) {
            in_header = skipping = false;
            const auto skipped = skip_body(scan, scan.end, digest);
            if (!skipped) return skipped.error();
            after_blank = after_blank || *skipped;
        }
    }
    scan.end -= blank_octets;
    scan.hash = digest.hex();
    return {};
}

void MboxSource::scan_field(std::string_view line, Scan& scan) {
    if (const auto value = value_of(line, "Status")) scan.flags |= status_flags(*value, false);
    if (const auto value = value_of(line, "X-Status")) scan.flags |= status_flags(*value, true);
    if (const auto value = value_of(line, "X-UIDL")) scan.x_uidl = *value;
    if (const auto value = value_of(line, "X-UID")) scan.x_uid = number<std::uint32_t>(*value).value_or(0);
    if (const auto value = value_of(line, "Content-Length")) scan.body_octets = number<std::uint64_t>(*value);
    for (const std::string_view name :
         {"X-IMAPbase", "X-IMAP"}) {  // "<uidvalidity> <last uid>", in the first message
        if (const auto value = value_of(line, name))
            uid_validity_ = number<std::uint32_t>(*value).value_or(0);
    }
    if (value_of(line, "Subject") == "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA")
        scan.is_folder_data = true;
}

// mboxcl2: goes to the end of the body as Content-Length says, if there is really an end of a message: the
// end of the file, or an empty line and a From_ line. Else the length is wrong, and the end is looked for.
Result<bool> MboxSource::skip_body(Scan& scan, std::uint64_t body_begin, Digest& digest) {
    if (options_.quoting != MboxOptions::Quoting::none || !scan.body_octets) return false;
    if (*scan.body_octets > file_->octets() - body_begin) return false;
    const std::uint64_t body_end = body_begin + *scan.body_octets;
    LineReader ahead(file_, body_end, file_->octets());
    for (bool first = true;; first = false) {
        const auto piece = ahead.next();
        if (!piece) return piece.error();
        if (!*piece) break;
        if ((*piece)->blank()) continue;
        if (first || !parse_from_line(without_line_end((*piece)->text))) return false;
        break;
    }
    auto added = read_blocks(*file_, body_begin, body_end, [&](std::string_view block) -> Result<void> {
        digest.add(block);
        return {};
    });
    if (!added) return added.error();
    scan.end = body_end;
    lines_.seek(body_end);
    return true;
}

Result<void> MboxSource::read(std::uint64_t begin, std::uint64_t end, const Take& take) const {
    if (options_.quoting == MboxOptions::Quoting::none) return read_blocks(*file_, begin, end, take);
    LineReader lines(file_, begin, end);
    for (;;) {
        const auto next = lines.next();
        if (!next) return next.error();
        if (!*next) return {};
        std::string_view text = (*next)->text;
        if ((*next)->starts_line && text.front() == '>') {
            const auto quotes = std::min(text.find_first_not_of('>'), text.size());
            const bool quoted = text.substr(quotes).starts_with("From ");
            if (quoted && (quotes == 1 || options_.quoting == MboxOptions::Quoting::rd))
                text.remove_prefix(1);
        }
        if (auto taken = take(text); !taken) return taken;
    }
}

}  // namespace

Result<std::unique_ptr<Source>> open_mbox(const std::filesystem::path& path, MboxOptions options) {
    const auto file = File::open(path);
    if (!file) return file.error();
    auto source = std::make_unique<MboxSource>(*file, std::move(options));
    if (auto opened = source->open(); !opened) return opened.error();
    return std::unique_ptr<Source>(std::move(source));
}

}  // namespace pier::migrate
