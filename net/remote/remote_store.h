#ifndef KVARTS_NET_REMOTE_REMOTE_STORE_H_
#define KVARTS_NET_REMOTE_REMOTE_STORE_H_

#include "base/language.h"

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/transport.h"
#include "storage/store.h"

namespace kvarts {

struct RemoteOptions {
  std::string password;
  // Of a call that names no timeout of its own, waiting for a connection
  // included.
  absl::Duration timeout = absl::Seconds(10);
  // Of an attempt to connect, the hello included.
  absl::Duration connect_timeout = absl::Seconds(5);
  // Where the connection lives; null: a loop of the store's own. It must outlive
  // the store, its cursors and its snapshots, and must not be a caller's.
  EventLoop* loop = nullptr;
  // A transport that nobody else keeps: it lives as long as what was opened on it.
  std::shared_ptr<Transport> own_transport;
};

// Opens the store that a server of the native protocol (net/native/) serves at
// `address`, and learns what it can do. kUnavailable where nobody answers,
// kUnauthenticated for a password, kFailedPrecondition for a server that speaks
// other versions. `transport` must outlive what the loop must.
//
// Calls wait, on any thread but the loop's, for a state machine that has them all
// on one connection. It comes back after a loss, and asks again:
//   kUnavailable       not sent: there was no connection until the deadline
//   kDeadlineExceeded  a write may have been applied, but never twice
// Cursors go on over a new connection; snapshots too, unless the server began
// anew, or was out of reach for longer than its lease: then they are
// kFailedPrecondition. Values of 4 KiB and more are lent from the buffer they
// were received into. An atomic batch must fit into one request of the server's
// size: capabilities() say how large it may be. So must a MultiGet that keeps
// `atomic_multi_get`, else it is kResourceExhausted.
absl::StatusOr<std::unique_ptr<Store>> OpenRemoteStore(Transport* transport,
                                                       absl::string_view address,
                                                       const RemoteOptions& options = {});

}  // namespace kvarts

#endif  // KVARTS_NET_REMOTE_REMOTE_STORE_H_
