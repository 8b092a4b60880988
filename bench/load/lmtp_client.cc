#include "load/lmtp_client.h"

#include <array>

#include <fmt/format.h>

#include "load/message.h"

namespace load {

LmtpClient::LmtpClient(Run& run, std::size_t slot)
    : run_(run), stream_(run.loop, run.endpoint, run.tls.get(), slot) {
    stream_.set_name(run.user(slot).name);
}

Task<> LmtpClient::expect(std::string_view code, std::string_view to) {
    stream_.set_doing(to);
    while (true) {
        const std::string_view line = co_await stream_.line();
        if (!line.starts_with(code)) stream_.stop(fmt::format("the server answers \"{}\"", line));
        if (line == "250-PIPELINING" || line == "250 PIPELINING") pipelining_ = true;
        if (line.size() == 3 || line[3] != '-') co_return;
    }
}

Task<> LmtpClient::hello() {
    co_await stream_.write("LHLO load.bench.example\r\n");
    co_await expect("250", "LHLO");
}

Task<> LmtpClient::open() {
    co_await stream_.connect();
    if (run_.options.tls == TlsMode::implicit) co_await stream_.start_tls();
    co_await expect("220", "greeting");
    co_await hello();
    if (run_.options.tls == TlsMode::starttls) {
        co_await stream_.write("STARTTLS\r\n");
        co_await expect("220", "STARTTLS");
        co_await stream_.start_tls();
        co_await hello();
    }
}

Task<> LmtpClient::deliver(std::string_view recipient, std::string_view message) {
    const std::array<std::string, 3> commands{"MAIL FROM:<load@bench.example>\r\n",
                                              fmt::format("RCPT TO:<{}>\r\n", recipient), "DATA\r\n"};
    const std::array<std::string_view, 3> codes{"250", "250", "354"};
    const std::array<std::string_view, 3> names{"MAIL", "RCPT", "DATA"};
    if (pipelining_) {
        const std::string all = commands[0] + commands[1] + commands[2];
        co_await stream_.write(all);
    }
    for (std::size_t i = 0; i < commands.size(); ++i) {
        if (!pipelining_) co_await stream_.write(commands[i]);
        co_await expect(codes[i], names[i]);
    }
    data_.clear();
    append_stuffed(data_, message);
    co_await stream_.write(data_);
    co_await expect("250", "end of DATA");
}

Task<> LmtpClient::quit() {
    co_await stream_.write("QUIT\r\n");
    co_await expect("221", "QUIT");
    stream_.close();
}

}  // namespace load
