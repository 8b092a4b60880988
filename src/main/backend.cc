#include "main/backend.h"

#include <optional>

#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "admin/api.h"
#include "admin/app_password_methods.h"
#include "admin/client.h"
#include "admin/guard_methods.h"
#include "admin/methods.h"
#include "admin/second_factor_methods.h"
#include "auth/directory.h"
#include "base/log.h"
#include "delivery/delivery.h"
#include "main/backend_processes.h"
#include "main/change_methods.h"
#include "main/config_delivery.h"
#include "main/config_queue.h"
#include "main/directory_changes.h"
#include "main/guard_file.h"
#include "main/maildrop_methods.h"
#include "main/message_methods.h"
#include "main/methods.h"
#include "main/privileges.h"
#include "main/queue_methods.h"
#include "main/store_options.h"

namespace pier::program {
namespace {

class ServerBackend : public Backend {
  public:
    explicit ServerBackend(admin::Client client) : client_(std::move(client)) {}

    Result<boost::json::value> call(std::string_view method, boost::json::object params,
                                    std::string_view body) override {
        return client_.call(method, params, body);
    }

  private:
    admin::Client client_;
};

class StoreBackend : public Backend {
  public:
    static Result<std::unique_ptr<Backend>> open(const Config& config) {
        const admin::Caller caller = admin::this_process();  // before root is given up
        if (auto prepared = prepare_store_access(config); !prepared) return prepared.error();
        store::LogStoreOptions options = store_options(config);
        options.cleaner = false;  // a command is over before it would be of use
        auto store = store::open_log_store(std::move(options));
        if (!store) return store.error();
        std::unique_ptr<StoreBackend> backend(new StoreBackend(config, caller, std::move(*store)));
        if (auto loaded = backend->directory_.load(); !loaded) return loaded.error();
        return std::unique_ptr<Backend>(std::move(backend));
    }

    Result<boost::json::value> call(std::string_view method, boost::json::object params,
                                    std::string_view body) override {
        auto answer = api_.call(method, params, body, caller_);
        if (guard_.take_changes().any) guard_file_.save();
        return answer;
    }

  private:
    // Read when it is first asked for: it may be long.
    Result<queue::MailQueue*> find_queue() {
        if (queue_) return queue_.get();
        auto opened = std::make_unique<queue::MailQueue>(*store_, queue_settings_, system_now);
        if (auto read = opened->open(); !read) return read.error();
        queue_ = std::move(opened);
        return queue_.get();
    }

    StoreBackend(const Config& config, admin::Caller caller, std::unique_ptr<store::Store> store)
        : caller_(std::move(caller)),
          store_(std::move(store)),
          directory_(*store_),
          delivery_(*store_, directory_, delivery_settings(config), system_now),
          keeper_(*store_, config.pop3.policy, system_now),
          guard_(config.guard.settings, system_now),
          guard_file_(guard_, config.server.data_folder),
          queue_settings_(queue_settings(config)),
          changes_(changes_folder(config)) {
        admin::add_directory_methods(api_, directory_, *store_);
        admin::add_app_password_methods(api_, directory_);
        admin::add_second_factor_methods(api_, directory_);
        add_backend_methods(api_, nullptr);
        add_mail_methods(api_, *store_, directory_, delivery_);
        add_maildrop_methods(api_, directory_, keeper_);
        add_message_methods(api_, *store_, directory_, keeper_, system_now);
        add_store_methods(api_, *store_);
        admin::add_guard_methods(api_, guard_);
        add_queue_methods(
            api_, [this] { return find_queue(); }, Sends::no);
        record_directory_changes(api_, directory_, changes_, system_now);
        add_change_methods(api_, changes_, system_now);
        guard_file_.load();
        directory_.use_separator(config.delivery.subaddress_separator);
    }

    const admin::Caller caller_;
    std::unique_ptr<store::Store> store_;
    auth::Directory directory_;
    delivery::Delivery delivery_;
    maildrop::Keeper keeper_;
    auth::Guard guard_;
    GuardFile guard_file_;
    const queue::QueueSettings queue_settings_;
    std::unique_ptr<queue::MailQueue> queue_;
    ChangeLog changes_;
    admin::Api api_;
};

// The running server's socket; nothing if no server runs.
Result<std::optional<admin::Client>> connect(const Config& config) {
    if (config.admin.socket.empty()) return std::optional<admin::Client>();
    auto client = admin::Client::connect(config.admin.socket);
    if (client) return std::optional(std::move(*client));
    if (client.error().kind == ErrorKind::not_found) return std::optional<admin::Client>();
    return client.error();
}

}  // namespace

Result<void> prepare_store_access(const Config& config) {
    log::Options quiet;
    quiet.level = log::Level::warning;
    log::configure(quiet);
    if (auto prepared = prepare_data_folder(config.server.data_folder, config.server.user); !prepared)
        return prepared;
    return drop_privileges(config.server.user);
}

Result<std::unique_ptr<Backend>> open_backend(const Config& config) {
    auto client = connect(config);
    if (!client) return client.error();
    if (*client) return std::unique_ptr<Backend>(std::make_unique<ServerBackend>(std::move(**client)));
    return StoreBackend::open(config);
}

Result<bool> server_runs(const Config& config) {
    const auto client = connect(config);
    if (!client) return client.error();
    return client->has_value();
}

}  // namespace pier::program
