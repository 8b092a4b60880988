// The UIDLs that other servers have given to the messages of a maildir: Dovecot's dovecot-uidlist and
// Courier's courierpop3dsizelist. A client that finds its UIDLs again does not download the mailbox a second
// time. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

namespace pier::migrate {

// Dovecot's pop3_uidl_format: "%08Xu%08Xv", or in the form of Dovecot 2.4 "%{uid | hex(8)}%{uidvalidity |
// hex(8)}".
//   %u UID   %v UIDVALIDITY   %f file name without flags   %g GUID
// Behind the % may stand a width, then modifiers, which work in their order: X (hexadecimal, lower case), L
// and U (case). A value is cut to a width, or with a 0 in front filled to it with zeros; as Dovecot 2.3.19
// does it. %m, the MD5 of the header, is not known: it depends on how Dovecot reads header fields.
class UidlFormat {
  public:
    static Result<UidlFormat> parse(std::string_view text);  // invalid: with what is wrong
    static UidlFormat dovecot_default();                     // %08Xu%08Xv

    std::string operator()(std::uint32_t uid, std::uint32_t uid_validity, std::string_view file_name,
                           std::string_view guid) const;
    bool needs_name() const;  // %f or %g: knows no messages but those of a maildir

  private:
    struct Part {
        std::string literal;
        char variable = 0;      // u v f g; 0: only the literal
        std::string modifiers;  // of X, L and U
        bool zeros = false;
        std::size_t width = 0;
        std::string apply(std::string value) const;
    };
    static Result<Part> parse_percent(std::string_view& text);
    static Result<Part> parse_braces(std::string_view inside);
    std::vector<Part> parts_;
};

// dovecot-uidlist (doc.dovecot.org, "Maildir Mailbox Format"). Version 1 is as Courier's courierimapuiddb:
//   1 <uidvalidity> <next uid>
//   <uid> <file name>
// Version 3:
//   3 V<uidvalidity> N<next uid> G<mailbox guid> [P<UIDL format>]
//   <uid> [P<UIDL, empty: the file name>] [O<order in POP3>] [G<guid>] [other fields] :<file name>
struct DovecotList {
    struct Entry {
        std::uint32_t uid = 0;
        std::optional<std::string> uidl;
        std::uint32_t order = 0;  // 0: behind those that have one, by UID
        std::string guid;
    };
    std::uint32_t uid_validity = 0;
    std::string uidl_format;                         // the mailbox's own; empty: the server's
    std::unordered_map<std::string, Entry> entries;  // by file name without flags
    std::size_t broken_lines = 0;
};
Result<DovecotList> parse_dovecot_list(std::string_view text);

// courierpop3dsizelist, as Courier's pop3d writes it; the UIDL it shows for an entry stands behind the arrow:
//   version 0    <file name> <octets>                                          -> the file name, "+XX" for
//   odd characters
//   "/1 <next>"  <file name> <octets> <n>                                      -> UID<n>
//   "/2 <next> <uidv>", "/3 …"  <file name> <octets> <n>:<uidv>[:<is utf-8>]   -> UID<n>-<uidv>, UID<n> if
//   uidv is 0
// n = 0 means the file name again.
struct CourierList {
    std::unordered_map<std::string, std::string> uidls;  // by file name without flags
    std::size_t broken_lines = 0;
};
Result<CourierList> parse_courier_list(std::string_view text);

// A maildir file name without its flags: up to ':' (cr.yp.to/proto/maildir.html).
std::string_view unique_name(std::string_view file_name);

}  // namespace pier::migrate
