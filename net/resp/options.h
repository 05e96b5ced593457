#ifndef KVARTS_NET_RESP_OPTIONS_H_
#define KVARTS_NET_RESP_OPTIONS_H_

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "net/cluster_map.h"
#include "net/metrics.h"

namespace kvarts {

struct RespOptions {
  std::string password;  // empty: none is asked for
  // FLUSHALL and FLUSHDB are refused without it.
  bool allow_flush = false;

  // Of an argument, of a value that grows, and of LCS's table: proto-max-bulk-len. Not more
  // than a store's kMaxValueBytes.
  size_t max_value_bytes = 64 << 20;
  // What one connection may cost: a request, and the answers that wait for it to
  // read. Above the latter it is not read from.
  size_t max_request_bytes = 80 << 20;
  size_t max_output_bytes = 8 << 20;
  // Of the buffers beyond 64 KiB of all connections together. A connection that
  // needs more is closed.
  size_t max_held_bytes = 1 << 30;
  // Of one MGET from a store that copies; above it, it is an error.
  size_t max_answer_bytes = 256 << 20;

  // Of a script: it is then ended, and nothing of it is done. What Lua may hold, and the answer,
  // for which there is max_answer_bytes too.
  absl::Duration script_timeout = absl::Seconds(5);
  size_t max_script_bytes = 64 << 20;

  // To authenticate, where there is a password.
  absl::Duration authentication_timeout = absl::Seconds(10);
  // For a further byte of a request that has begun; the connection ends within
  // twice the time. The others are looked at as often.
  absl::Duration request_timeout = absl::Seconds(60);
  // Of a connection that neither asks nor reads.
  absl::Duration idle_timeout = absl::Minutes(10);

  // SCANs that can be gone on with; the oldest are forgotten first.
  size_t max_scans = 16 << 10;
  const Clock* clock = Clock::Real();  // of expiries and TIME
  ProtocolMetrics* metrics = nullptr;  // counts requests, where there is one; outlives the sessions
  // Null: no cluster. Else the store is a node's: what redis-server does in cluster mode holds.
  // Outlives the sessions.
  const ClusterView* cluster = nullptr;
};

}  // namespace kvarts

#endif  // KVARTS_NET_RESP_OPTIONS_H_
