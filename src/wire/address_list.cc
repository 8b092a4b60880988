#include "wire/address_list.h"

#include "base/utf8.h"
#include "wire/ascii.h"

namespace pier::wire {
namespace {

struct Token {
    // `special` is one of < > @ , ; : .
    enum class Kind { atom, quoted, literal, special, end, bad } kind = Kind::end;
    std::string text;

    bool is(char c) const { return kind == Kind::special && text[0] == c; }
    bool is_word() const { return kind == Kind::atom || kind == Kind::quoted; }
};

bool is_control(char c) {
    return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f;
}

bool is_atext(char c) {  // RFC 5322 §3.2.3; RFC 6532 §3.2
    return static_cast<unsigned char>(c) >= 0x80 ||
           (c > ' ' && c < 0x7f && std::string_view("()<>[]:;@\\,.\"").find(c) == std::string_view::npos);
}

class Tokens {
  public:
    explicit Tokens(std::string_view text) : rest_(text) { next(); }

    const Token& now() const { return now_; }

    Token take() {
        Token taken = std::move(now_);
        next();
        return taken;
    }

    bool take(char c) {
        if (!now_.is(c)) return false;
        next();
        return true;
    }

  private:
    void next() {
        now_ = {};
        if (!skip_space()) {
            now_.kind = Token::Kind::bad;
            rest_ = {};
        } else if (!rest_.empty()) {
            read();
        }
    }

    char front() {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }

    // White space and comments, which may stand within each other (§3.2.2). False: one has no end.
    bool skip_space() {
        std::size_t depth = 0;
        while (!rest_.empty()) {
            const char c = rest_.front();
            if (c == '(') {
                ++depth;
            } else if (c == ')' && depth > 0) {
                --depth;
            } else if (c == '\\' && depth > 0) {
                rest_.remove_prefix(1);
                if (rest_.empty()) return false;
            } else if (depth == 0 && c != ' ' && c != '\t') {
                return true;
            }
            rest_.remove_prefix(1);
        }
        return depth == 0;
    }

    void read() {
        const char c = rest_.front();
        if (c == '"') return read_quoted();
        if (c == '[') return read_literal();
        if (std::string_view("<>@,;:.").find(c) != std::string_view::npos) {
            now_.kind = Token::Kind::special;
            now_.text = front();
            return;
        }
        now_.kind = is_atext(c) ? Token::Kind::atom : Token::Kind::bad;
        while (!rest_.empty() && is_atext(rest_.front()))
            now_.text += front();
    }

    void read_quoted() {
        now_.kind = Token::Kind::bad;
        front();
        while (!rest_.empty()) {
            char c = front();
            if (c == '"') {
                now_.kind = Token::Kind::quoted;
                return;
            }
            if (c == '\\') {
                if (rest_.empty()) return;
                c = front();
            }
            if (is_control(c)) return;
            now_.text += c;
        }
    }

    void read_literal() {
        now_.kind = Token::Kind::bad;
        while (!rest_.empty()) {
            const char c = front();
            if (is_control(c) || c == '\\' || c == ' ' || (c == '[' && !now_.text.empty())) return;
            now_.text += c;
            if (c == ']') {
                now_.kind = Token::Kind::literal;
                return;
            }
        }
    }

    std::string_view rest_;
    Token now_;
};

class ListReader {
  public:
    ListReader(std::string_view text, std::size_t addresses_max) : in_(text), addresses_max_(addresses_max) {}

    std::optional<std::vector<HeaderAddress>> read() {
        while (in_.now().kind != Token::Kind::end) {
            // liberal: empty elements (§4.4), as in "a@b,, c@d".
            if (in_.take(',')) continue;
            if (in_group_ && in_.take(';')) {
                in_group_ = false;
            } else if (!element()) {
                return std::nullopt;
            }
            if (!in_group_begun_ && !ends_element()) return std::nullopt;
            in_group_begun_ = false;
        }
        if (in_group_ || addresses_.size() > addresses_max_) return std::nullopt;
        return std::move(addresses_);
    }

  private:
    bool ends_element() const {
        return in_.now().kind == Token::Kind::end || in_.now().is(',') || (in_group_ && in_.now().is(';'));
    }

    // A mailbox, or the beginning of a group.
    bool element() {
        if (addresses_.size() > addresses_max_) return false;
        std::string local;
        bool is_local = true, word_before = false, any = false;
        while (in_.now().is_word() || in_.now().is('.')) {
            const Token token = in_.take();
            // Two words that no dot is between are a display name.
            if (token.is_word() && word_before) is_local = false;
            word_before = token.is_word();
            local += token.text;
            any = true;
        }
        if (in_.take('<')) return angle();
        if (in_.now().is(':')) {
            in_.take(':');
            if (!any || in_group_) return false;
            in_group_ = in_group_begun_ = true;
            return true;
        }
        return any && is_local && at_domain(std::move(local));
    }

    // Behind '<'; with a route, which is obsolete (§4.4), in front of the address.
    bool angle() {
        if (in_.now().is('@')) {
            while (in_.take(',') || in_.now().is('@')) {
                std::string ignored;
                if (in_.take('@') && !domain(ignored)) return false;
            }
            if (!in_.take(':')) return false;
        }
        std::string local;
        bool word_before = false;
        while (in_.now().is_word() || in_.now().is('.')) {
            const Token token = in_.take();
            if (token.is_word() && word_before) return false;
            word_before = token.is_word();
            local += token.text;
        }
        return at_domain(std::move(local)) && in_.take('>');
    }

    bool at_domain(std::string local) {
        HeaderAddress address{std::move(local), {}};
        if (address.local.empty() || !in_.take('@') || !domain(address.domain)) return false;
        addresses_.push_back(std::move(address));
        return true;
    }

    bool domain(std::string& out) {
        if (in_.now().kind == Token::Kind::literal) {
            out = ascii_lower(in_.take().text);
            return true;
        }
        for (;;) {
            if (in_.now().kind != Token::Kind::atom) return false;
            out += ascii_lower(in_.take().text);
            if (!in_.take('.')) return true;
            out += '.';
        }
    }

    Tokens in_;
    const std::size_t addresses_max_;
    std::vector<HeaderAddress> addresses_;
    bool in_group_ = false, in_group_begun_ = false;
};

}  // namespace

std::optional<std::vector<HeaderAddress>> parse_address_list(std::string_view body,
                                                             std::size_t addresses_max) {
    if (!is_utf8(body)) return std::nullopt;
    return ListReader(body, addresses_max).read();
}

}  // namespace pier::wire
