// The management methods that show an account's messages, and those that `pier migrate` needs beside
// mail.import.
//
//   mail.mailboxes  account                      -> {"mailboxes": [{"name","messages","octets"}, …]}
//   mail.messages   account, [mailbox], [after_uid], [shown], [limit]
//                     in the order of POP3; `shown`: only what POP3 clients are shown (pop3.show_…)
//                     -> {"messages": [{"number","uid","uidl","octets","flags","date_us",["key"]}, …],
//                         ["next_after_uid"]: ask again with it, there are more}
//   mail.imported   account, keys […]            -> {"imported": [true, …]}; as store::Store::imported
//   mail.set_flags  account, mailbox, changes [{"uid","flags"}, …]   -> {}
//   mail.remove     account, mailbox, uids […]   -> {"removed"}; from the INBOX as if a POP3 client had
//   deleted them
#pragma once

#include "admin/api.h"
#include "auth/directory.h"
#include "maildrop/keeper.h"
#include "store/store.h"

namespace pier::program {

// What `api` is given is kept by reference and outlives it.
void add_message_methods(admin::Api& api, store::Store& store, const auth::Directory& directory,
                         const maildrop::Keeper& keeper, Clock clock);

}  // namespace pier::program
