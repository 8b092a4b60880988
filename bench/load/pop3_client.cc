#include "load/pop3_client.h"

#include <charconv>
#include <numeric>

#include <fmt/format.h>
#include <xxhash.h>

namespace load {

Pop3Client::Pop3Client(Run& of, std::size_t number)
    : run(of),
      slot(number),
      stream_(of.loop, of.endpoint, of.tls.get(), number),
      maildrop_(of.maildrop(of.user(number).name)) {
    stream_.set_name(of.user(number).name);
}

Task<std::string> Pop3Client::positive() {
    const std::string_view line = co_await stream_.line();
    if (!line.starts_with("+OK")) stream_.stop(fmt::format("the server answers \"{}\"", line));
    co_return std::string(line.substr(std::min<std::size_t>(line.size(), 4)));
}

Task<std::string> Pop3Client::ask(std::string command) {
    stream_.set_doing(command);
    command += "\r\n";
    co_await stream_.write(command);
    std::string answer = co_await positive();
    co_return answer;
}

Task<> Pop3Client::open() {
    co_await stream_.connect();
    if (run.options.tls == TlsMode::implicit) co_await stream_.start_tls();
    stream_.set_doing("greeting");
    co_await positive();
    if (run.options.tls == TlsMode::starttls) {
        co_await ask("STLS");
        co_await stream_.start_tls();
    }
}

Task<> Pop3Client::login() {
    co_await begin_login();
    co_await end_login();
}

Task<std::string> Pop3Client::continuation(std::string command) {
    command += "\r\n";
    co_await stream_.write(command);
    const std::string_view line = co_await stream_.line();
    if (!line.starts_with("+ ")) stream_.stop(fmt::format("the server answers \"{}\"", line));
    co_return std::string(line.substr(2));
}

Task<> Pop3Client::begin_login() {
    if (run.options.login == Login::pass) {
        co_await ask("USER " + run.user(slot).name);
        last_of_login_ = "PASS " + run.user(slot).password + "\r\n";
        co_return;
    }
    // RFC 5034 §4, with the initial response.
    stream_.set_doing("AUTH SCRAM-SHA-256");
    scram_.emplace(run.scram_keys, run.user(slot).name, run.user(slot).password);
    const std::string server_first = co_await continuation("AUTH SCRAM-SHA-256 " + scram_->first_message());
    last_of_login_ = scram_->final_message(server_first);
}

Task<> Pop3Client::end_login() {
    if (scram_) {
        const std::string server_final = co_await continuation(last_of_login_);
        scram_->check_server_final(server_final);
        scram_.reset();
        co_await stream_.write("\r\n");
    } else {
        stream_.set_doing("PASS");
        co_await stream_.write(last_of_login_);
    }
    last_of_login_.clear();
    co_await positive();
}

std::uint64_t Pop3Client::number_in(std::string_view& text, std::string_view of) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) stream_.stop(fmt::format("no {} in \"{}\"", of, text));
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
    return number;
}

Task<> Pop3Client::stat() {
    const std::string answer = co_await ask("STAT");
    std::string_view text = answer;
    messages_ = number_in(text, "number of messages");
    octets_ = number_in(text, "number of octets");
    if (maildrop_.listed && (messages_ != maildrop_.messages || octets_ != maildrop_.octets)) {
        stream_.stop(fmt::format("{} messages of {} octets, but an earlier session saw {} of {}", messages_,
                                 octets_, maildrop_.messages, maildrop_.octets));
    }
}

Task<> Pop3Client::uidl() {
    co_await ask("UIDL");
    uidl_lines_ = uidl_checksum_ = 0;
    while (true) {
        const std::optional<std::string_view> line = stream_.read_line();
        if (!line) {
            const bool more = co_await stream_.fill();
            if (!more) stream_.stop("the server closed the connection within the listing");
            continue;
        }
        if (*line == ".") break;
        std::string_view rest = *line;
        const std::uint64_t number = number_in(rest, "message number");
        if (number != ++uidl_lines_)
            stream_.stop(fmt::format("line {} is of message {}", uidl_lines_, number));
        if (rest.empty() || rest.size() > 70) stream_.stop(fmt::format("no unique-id in \"{}\"", *line));
        uidl_checksum_ = XXH3_64bits_withSeed(line->data(), line->size(), uidl_checksum_);
    }
}

void Pop3Client::check_uidl() {
    stream_.set_doing("UIDL");
    if (uidl_lines_ != messages_)
        stream_.stop(fmt::format("{} lines, but STAT said {} messages", uidl_lines_, messages_));
    if (maildrop_.listed && uidl_checksum_ != maildrop_.uidl_checksum) {
        stream_.stop("other unique-ids than an earlier session saw");
    }
    maildrop_.listed = true;
    maildrop_.messages = messages_;
    maildrop_.octets = octets_;
    maildrop_.uidl_checksum = uidl_checksum_;
}

Task<> Pop3Client::noop() {
    co_await ask("NOOP");
}

Task<> Pop3Client::list() {
    co_await ask("LIST");
    sizes_.clear();
    while (true) {
        const std::string_view line = co_await stream_.line();
        if (line == ".") break;
        std::string_view rest = line;
        const std::uint64_t number = number_in(rest, "message number");
        sizes_.push_back(number_in(rest, "size"));
        if (number != sizes_.size())
            stream_.stop(fmt::format("line {} is of message {}", sizes_.size(), number));
    }
    const auto sum = std::accumulate(sizes_.begin(), sizes_.end(), std::uint64_t(0));
    if (sizes_.size() != messages_ || sum != octets_) {
        stream_.stop(fmt::format("{} messages of {} octets, but STAT said {} of {}", sizes_.size(), sum,
                                 messages_, octets_));
    }
    maildrop_.checksums.resize(sizes_.size());
}

Task<std::uint64_t> Pop3Client::read_message(std::uint64_t number) {
    stream_.set_doing(fmt::format("RETR {}", number));
    co_await positive();
    reader_.begin();
    while (true) {
        stream_.consume(reader_.take(stream_.input()));
        if (reader_.done()) break;
        const bool more = co_await stream_.fill();
        if (!more) stream_.stop("the server closed the connection within the message");
    }
    const auto found = reader_.found();
    const std::uint64_t announced = sizes_.at(number - 1);
    if (found.octets != announced) {
        stream_.stop(
            fmt::format("LIST said {} octets, but {} came before the terminator", announced, found.octets));
    }
    if (!found.wrong.empty()) stream_.stop(found.wrong);
    std::uint64_t& earlier = maildrop_.checksums.at(number - 1);
    if (earlier != 0 && earlier != found.checksum) stream_.stop("another message than at an earlier RETR");
    earlier = found.checksum;
    run.counted.bodies_verified += found.stated;
    co_return found.octets;
}

Task<> Pop3Client::send(std::string_view commands) {
    co_await stream_.write(commands);
    co_await run.turn();
}

Task<> Pop3Client::read_ok(std::string_view command) {
    stream_.set_doing(command);
    co_await positive();
}

Task<> Pop3Client::quit() {
    co_await ask("QUIT");
    quit_answered_at = SteadyClock::now();
    const bool more = co_await stream_.fill();
    if (more || !stream_.input().empty()) stream_.stop("the server says more behind its answer");
    stream_.close();
}

}  // namespace load
