// A maildir and its folders as a Source (cr.yp.to/proto/maildir.html; folders as in Maildir++: ".Work.2026"
// is Work/2026, in IMAP's modified UTF-7). Flags come from the file names, the date is the earlier of the
// delivery time in the name and the file's modification time, UIDLs come from dovecot-uidlist or
// courierpop3dsizelist. Keywords are not kept.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "migrate/source.h"
#include "migrate/uid_lists.h"

namespace pier::migrate {

struct MaildirOptions {
    enum class Uidls {
        automatic,  // Dovecot's if the folder has its list, else Courier's, else none
        dovecot,
        courier,
        none,
    } uidls = Uidls::automatic;
    UidlFormat dovecot_format = UidlFormat::dovecot_default();  // pop3_uidl_format of the server that is left
    bool folders = true;                                        // false: only the INBOX
};

// Fails if there is no maildir at `path`. Lists all files once, for the sum of octets.
Result<std::unique_ptr<Source>> open_maildir(const std::filesystem::path& path, MaildirOptions options = {});

// A Maildir++ folder's directory name (".Work.2026") as a mailbox name ("Work/2026").
std::string mailbox_of_folder(std::string_view directory);

// A name as one level of a mailbox's name: UTF-8, without control characters and '/'.
std::string text_of_mailbox(std::string name);

// IMAP's modified UTF-7 (RFC 3501 §5.1.3) as UTF-8; absent if it is malformed.
std::optional<std::string> decode_modified_utf7(std::string_view text);

// The letters behind ":2," as flags; lower-case letters are Dovecot's keywords and give none.
store::Flags maildir_flags(std::string_view file_name);

}  // namespace pier::migrate
