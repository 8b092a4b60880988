#include "main/tls_upkeep.h"

#include <sys/stat.h>

#include "base/log.h"

namespace pier::program {
namespace {

std::vector<std::string> files_of(const net::TlsSettings& settings) {
    std::vector<std::string> files;
    const auto add = [&files](const std::string& file) {
        if (!file.empty()) files.push_back(file);
    };
    const auto add_all = [&add](const net::TlsFiles& one) {
        add(one.certificate);
        add(one.key);
        add(one.ocsp);
    };
    add_all(settings.files);
    for (const net::TlsFiles& one : settings.others)
        add_all(one);
    add(settings.ticket_keys);
    add(settings.ocsp_folder);  // whose time changes with the names in it
    return files;
}

std::uint64_t nanoseconds(const timespec& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

FileWatch::State FileWatch::state_of(const std::vector<std::string>& files) {
    State state;
    for (const std::string& file : files) {
        struct stat status {};
        if (::stat(file.c_str(), &status) != 0) status = {};
        // ctime as well: a file that is moved into place may be older than the one before.
        for (const std::uint64_t value :
             {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
              static_cast<std::uint64_t>(status.st_size), nanoseconds(status.st_mtim),
              nanoseconds(status.st_ctim)})
            state.push_back(value);
    }
    return state;
}

bool FileWatch::changed(const std::vector<std::string>& files) {
    State now = state_of(files);
    if (!began_) {
        began_ = true;
        acted_on_ = last_ = std::move(now);
        return false;
    }
    const bool settled = now == last_;
    last_ = std::move(now);
    if (!settled || last_ == acted_on_) return false;
    acted_on_ = last_;
    return true;
}

TlsUpkeep::TlsUpkeep(net::Tls& tls, net::TlsSettings settings) : tls_(tls), settings_(std::move(settings)) {
    watch_.changed(files_of(settings_));
    if (tls_.stands_in())
        log::warning(
            "tls.self_signed",
            {{"reason", "there is no certificate yet; ACME is to get one ([acme])"},
             {"hint", "until then clients warn of this server, or refuse it; see `pier acme status`"}});
    tell_problems();
}

void TlsUpkeep::tell_problems() {
    std::set<std::string> now;
    for (const std::string& problem : tls_.problems()) {
        if (!told_.contains(problem)) log::error("tls.problem", {{"what", problem}});
        now.insert(problem);
    }
    told_ = std::move(now);
}

Result<void> TlsUpkeep::reload(const net::TlsSettings& settings) {
    auto reloaded = tls_.reload(settings);
    if (!reloaded)
        log::error("tls.reload.failed",
                   {{"reason", reloaded.error().text}, {"hint", "what was loaded before stays in use"}});
    tell_problems();
    return reloaded;
}

bool TlsUpkeep::look() {
    std::lock_guard lock(mutex_);
    if (!watch_.changed(files_of(settings_))) {
        tell_problems();
        return false;
    }
    if (!reload(settings_)) return false;
    log::info("tls.taken_up", {{"days_left", tls_.days_left()}, {"self_signed", tls_.stands_in()}});
    return true;
}

Result<void> TlsUpkeep::take_up(const net::TlsSettings& settings) {
    std::lock_guard lock(mutex_);
    auto reloaded = reload(settings);
    if (!reloaded) return reloaded;
    settings_ = settings;
    watch_ = {};
    watch_.changed(files_of(settings_));
    return reloaded;
}

bool TlsUpkeep::take_up_changes() {
    std::lock_guard lock(mutex_);
    if (!reload(settings_)) return false;
    watch_ = {};
    watch_.changed(files_of(settings_));
    log::info("tls.taken_up", {{"days_left", tls_.days_left()}, {"self_signed", tls_.stands_in()}});
    return true;
}

net::TlsSettings TlsUpkeep::settings() const {
    std::lock_guard lock(mutex_);
    return settings_;
}

}  // namespace pier::program
