#include "main/terminal.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include <fmt/format.h>
#include <sodium.h>
#include <termios.h>
#include <unistd.h>

namespace pier::program {
namespace {

constexpr std::size_t secret_octets_max = 4096;

// Characters typed while it lives are not shown.
class EchoOff {
  public:
    EchoOff() {
        known_ = tcgetattr(STDIN_FILENO, &before_) == 0;
        if (!known_) return;
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    ~EchoOff() {
        if (known_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }
    EchoOff(const EchoOff&) = delete;
    EchoOff& operator=(const EchoOff&) = delete;

  private:
    termios before_{};
    bool known_ = false;
};

Result<std::string> first_line(std::istream& in, std::string_view from) {
    std::string line;
    char c = 0;
    while (in.get(c) && c != '\n') {
        if (line.size() == secret_octets_max)
            return Error(ErrorKind::invalid,
                         fmt::format("the first line of {} is longer than {} octets; is it the right one?",
                                     from, secret_octets_max));
        line += c;
    }
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty())
        return Error(ErrorKind::invalid,
                     fmt::format("there is nothing in the first line of {}; write the secret there", from));
    return line;
}

}  // namespace

Terminal standard_terminal() {
    return {std::cin, std::cout, std::cerr, isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1,
            isatty(STDERR_FILENO) == 1};
}

Result<std::string> ask_password(Terminal& terminal, std::string_view whom) {
    if (!terminal.asks) return first_line(terminal.in, "standard input");
    const EchoOff silence;
    terminal.err << "New password for " << whom << ": " << std::flush;
    auto password = first_line(terminal.in, "what was typed");
    terminal.err << "\nThe same again: " << std::flush;
    if (!password) return password;
    auto again = first_line(terminal.in, "what was typed");
    terminal.err << '\n';
    const bool same = again && *again == *password;
    if (again) sodium_memzero(again->data(), again->size());
    if (same) return password;
    sodium_memzero(password->data(), password->size());
    return Error(ErrorKind::invalid, "the two passwords are not the same; try again");
}

Result<std::string> ask_present_password(Terminal& terminal, std::string_view whom) {
    if (!terminal.asks) return first_line(terminal.in, "standard input");
    const EchoOff silence;
    terminal.err << "Password for " << whom << ": " << std::flush;
    auto password = first_line(terminal.in, "what was typed");
    terminal.err << '\n';
    return password;
}

Result<std::string> read_secret_file(Terminal& terminal, const std::string& file) {
    if (file == "-") return first_line(terminal.in, "standard input");
    std::ifstream in(file, std::ios::binary);
    if (!in) return errno_error(errno, fmt::format("read {}", file));
    return first_line(in, file);
}

bool confirm(Terminal& terminal, std::string_view question) {
    terminal.err << question << " [yes/no] " << std::flush;
    std::string answer;
    std::getline(terminal.in, answer);
    return answer == "yes" || answer == "y";
}

}  // namespace pier::program
