#ifndef KVARTS_NET_RESP_CLIENT_RESP_STORE_H_
#define KVARTS_NET_RESP_CLIENT_RESP_STORE_H_

#include "base/language.h"

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/resp/client/resp_store_options.h"
#include "net/transport.h"
#include "storage/store.h"

namespace kvarts {

// Opens the strings of a server of the Redis protocol, of Redis 6.2 or later, at
// `address` as a store: "tcp://HOST:PORT", "unix:PATH" or what else `transport`
// knows, which must outlive what the loop must. kUnavailable where nobody answers
// or the server is still loading, kUnauthenticated for a password;
// kUnimplemented where `expiry` takes more than the server has (PEXPIRETIME, of
// Redis 7, and MULTI).
//
// Calls wait, on any thread but the loop's, for a state machine that has them all
// on one connection; it comes back after a loss. Errors: see
// net/resp/client/command.h for what the server says, and
//   kUnavailable       not sent: there was no connection until the deadline
//   kDeadlineExceeded  a write may have been applied, but is never sent twice
//   kInternal          a reply that is no RESP, or a value above kMaxValueBytes
//
// No conditions, no atomic batches, no content types: nothing in the protocol is
// all of what Store asks of them. Keys of other types than strings are absent for
// reads and scans; a plain put replaces them. Scans go in the server's order, and
// may give a key twice while its table grows; a server that began anew ends them
// with kFailedPrecondition. Stats().entries is DBSIZE, which counts the other
// types, and what has expired and is not removed yet.
absl::StatusOr<std::unique_ptr<Store>> OpenRespStore(Transport* transport,
                                                     absl::string_view address,
                                                     const RespStoreOptions& options = {});

}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_RESP_STORE_H_
