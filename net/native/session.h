#ifndef KVARTS_NET_NATIVE_SESSION_H_
#define KVARTS_NET_NATIVE_SESSION_H_

#include "base/language.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "net/cluster_map.h"
#include "net/metrics.h"
#include "net/server.h"
#include "net/store_runner.h"

namespace kvarts {

struct NativeServerOptions {
  std::string password;  // empty: none is asked for

  // What one connection may cost: a request, the requests under way, and the
  // answers that wait for it to read. At or above these it is not read from.
  size_t max_frame_bytes = 80 << 20;
  size_t max_in_flight = 1024;
  size_t max_output_bytes = 8 << 20;

  // Above it the keys that follow in a GET are kResourceExhausted.
  size_t max_answer_bytes = 256 << 20;

  absl::Duration hello_timeout = absl::Seconds(10);
  // Of a connection with nothing under way; it ends within twice the time.
  absl::Duration idle_timeout = absl::Minutes(10);

  absl::Duration snapshot_lease = absl::Seconds(60);
  size_t max_snapshots = 1000;
  const Clock* clock = Clock::Real();  // of the leases; outlives the sessions
  ProtocolMetrics* metrics = nullptr;  // counts requests, where there is one; outlives the sessions
  // All protocols of the process count here: STATS adds what they served, as "requests_served", to
  // what the store says of itself. Null: it does not. Outlives the sessions.
  const Metrics* all_metrics = nullptr;
  const ClusterView* cluster = nullptr;  // of CLUSTER; null: no cluster. Outlives the sessions
};

// Makes the server's end of the native protocol (FORMAT.md) on a runner's store,
// which must outlive the sessions; for Server::Start(). The sessions of one
// factory, over all listeners it is given to, share the snapshots and the memory
// of repeated writes.
SessionFactory NewNativeSessions(StoreRunner* runner, const NativeServerOptions& options = {});

// What a server says to a client that it lets in no further, as a native client reads it: a
// preamble and a frame with `why`, which is an error.
std::string NativeRefusal(const absl::Status& why);

}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_SESSION_H_
