// UTF8 and LANG (RFC 6856). Messages go out as they are stored, in either mode: Pier changes no octet of
// them, and a header that is not ASCII is what its sender has sent. What UTF8 changes are the replies, which
// may then hold more than ASCII. Names and passwords are UTF-8 before it too (CAPA: UTF8 USER).
#include "pop3/conversation.h"

namespace pier::pop3 {

void Conversation::run_utf8(const Arguments&) {
    if (utf8_) return ok("UTF8 is active already");
    utf8_ = true;
    ok("UTF8 it is");
}

void Conversation::run_lang(const Arguments& arguments) {
    if (arguments.count == 0) {
        ok("languages follow");
        for (const LanguageName& language : languages())
            out_.append(language.tag).append(" ").append(language.name).append("\r\n");
        out_ += ".\r\n";
        return;
    }
    const auto language = find_language(arguments[0]);
    if (!language) return error("no such language here; LANG lists them");
    language_ = *language;
    ok(std::string(languages()[static_cast<std::size_t>(*language)].tag) + " " + say("language changed"));
}

}  // namespace pier::pop3
