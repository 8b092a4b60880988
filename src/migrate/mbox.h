// mbox files as a Source (RFC 4155, and the four dialects of mbox(5) on www.qmail.org). Each message begins
// with a From_ line, at the start of the file or behind an empty line. Flags come from Status and X-Status,
// the date from the From_ line, UIDLs from X-UIDL, or from X-UID with X-IMAPbase (Dovecot, UW IMAP). The
// empty line in front of the next From_ line is not part of the message.
#pragma once

#include <filesystem>
#include <memory>

#include "migrate/source.h"
#include "migrate/uid_lists.h"

namespace pier::migrate {

struct MboxOptions {
    enum class Quoting {
        rd,    // ">From ", ">>From " … lose one '>' (mboxrd)
        o,     // only ">From " does (mboxo, mboxcl)
        none,  // nothing is quoted, Content-Length tells where a message ends (mboxcl2)
    } quoting = Quoting::rd;
    std::string mailbox = "INBOX";
    bool x_uidl = true;  // X-UIDL is the UIDL, as qpopper wrote it (Dovecot: pop3_reuse_xuidl)
    UidlFormat dovecot_format = UidlFormat::dovecot_default();  // for X-UID; not %f nor %g
};

// Fails if the file cannot be opened or does not begin with a From_ line. An empty file has no messages.
Result<std::unique_ptr<Source>> open_mbox(const std::filesystem::path& path, MboxOptions options = {});

}  // namespace pier::migrate
