#ifndef KVARTS_NET_RESP_CLIENT_RESP_STORE_OPTIONS_H_
#define KVARTS_NET_RESP_CLIENT_RESP_STORE_OPTIONS_H_

#include "base/language.h"

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace kvarts {

// How to open a store over a server of the Redis protocol, or over a cluster of such.
struct RespStoreOptions {
  std::string password;  // empty: none
  // True: the store has expiry. Reads then ask for that of each key too, which
  // costs the server about as much again as the value.
  bool expiry = false;
  // How long a call may take that names no timeout of its own, waiting for a
  // connection included.
  absl::Duration timeout = absl::Seconds(10);
  // How long an attempt to connect may take, the server's first answers included.
  absl::Duration connect_timeout = absl::Seconds(5);
  // Where the connection lives; null: a loop of the store's own. It must outlive
  // the store and its cursors, and must not be a caller's.
  EventLoop* loop = nullptr;
  // Kept as long as the store needs it: for a transport that is of this store alone,
  // the one that is handed to OpenRespStore() too.
  std::shared_ptr<Transport> own_transport;
};

}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_RESP_STORE_OPTIONS_H_
