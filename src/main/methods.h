// The management methods that need more than the directory: mail in, the store's figures, and those that only
// a running server has. The server answers its socket with them; a command without a server calls the first
// two groups itself.
//
//   mail.deliver     recipients […], [sender]; behind it the message
//                      -> {"results": [{"recipient","code","enhanced","text"}, …]}
//   mail.import      account, import, messages […]; behind it their octets, one after the other
//                      a message: mailbox, flags, date_us, uidl, key, octets (with CRLF line ends)
//                      -> {"results": [{"uidl_in_use"} or {"error": {"kind","text"}}, …]}
//   mail.import_end  import             -> {}; forgets what was kept for that import
//   store.stats                         -> {"accounts","mailboxes","messages",…}
//   store.verify     account (its id)   -> {"messages","octets","problems": […]}; reads all its mail
//   status                              -> what the server says of itself
//   reload                              -> {"text"}
//   drain            [notice_s]         -> {}; serve/server.h says what it does
//   drain.end                           -> {}
//   acme.status                         -> how the certificate of [acme] stands
//   acme.renew                          -> {}; it has begun
//   log.level        level              -> {"level"}
//   log.recent                          -> {"lines": […]}
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include <boost/json/object.hpp>

#include "admin/api.h"
#include "auth/directory.h"
#include "delivery/delivery.h"
#include "store/store.h"

namespace pier::program {

// What `api` is given is kept by reference and outlives it.
void add_mail_methods(admin::Api& api, store::Store& store, auth::Directory& directory,
                      delivery::Delivery& delivery);
void add_store_methods(admin::Api& api, store::Store& store);

// What only a running server can do; called on the thread that does the method.
struct ServerHooks {
    std::function<boost::json::object()> status;
    std::function<Result<std::string>(const admin::Caller&)> reload;  // says what was taken up
    std::function<void(std::chrono::seconds notice)> drain;
    std::function<void()> resume;
    std::function<Result<boost::json::object>()> acme_status;
    std::function<Result<void>()> acme_renew;
    std::function<std::string()> metrics;  // OpenMetrics (base/exposition.h)
};
void add_server_methods(admin::Api& api, ServerHooks hooks);

}  // namespace pier::program
