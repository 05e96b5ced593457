#ifndef KVARTS_NET_RESP_STATE_H_
#define KVARTS_NET_RESP_STATE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "net/resp/clients.h"
#include "net/resp/cluster_replies.h"
#include "net/resp/command_stats.h"
#include "net/resp/latency_log.h"
#include "net/resp/options.h"
#include "net/resp/rates.h"
#include "net/resp/scan_cursors.h"
#include "net/resp/scripts/lua_script.h"
#include "net/resp/scripts/script.h"
#include "net/resp/slow_log.h"
#include "net/store_runner.h"
#include "storage/store.h"

namespace kvarts {
namespace resp {

// What others count, at the moment from which on INFO counts it.
struct AtReset {
  int64_t refused = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t expired = 0;
  uint64_t evicted = 0;
};

// Thread-safe. The last checkpoint that SAVE or BGSAVE made, of a store with maintenance().
class LastCheckpoint {
 public:
  void Note(absl::Time now, const absl::Status& status) {
    failed_.store(!status.ok(), std::memory_order_relaxed);
    if (status.ok()) at_ms_.store(absl::ToUnixMillis(now), std::memory_order_relaxed);
  }
  int64_t at_ms() const { return at_ms_.load(std::memory_order_relaxed); }  // 0: there was none
  bool failed() const { return failed_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> at_ms_{0};
  std::atomic<bool> failed_{false};
};

// Constant. A store, once it is there.
struct Serving {
  explicit Serving(StoreRunner* r) : Serving(r, r->store()) {}
  // `s` lies over the runner's.
  Serving(StoreRunner* r, Store* s)
      : runner(r),
        store(s),
        capabilities(s->capabilities()),
        no_wait(r->no_wait() && s == r->store()) {}

  StoreRunner* const runner;
  Store* const store;
  const Capabilities capabilities;
  const bool no_wait;  // StoreRunner::no_wait()
};

// Thread-safe. What the connections of a service share.
struct ServerState {
  // `commands`: how many there are in the table, which lies above this.
  ServerState(const RespOptions& o, size_t commands);

  const RespOptions options;
  const absl::Time started;
  const std::string run_id;                      // 40 hexadecimal digits, at random
  std::atomic<const Serving*> serving{nullptr};  // null: still loading
  // All nodes' entries, for commands of several slots; null: these are refused.
  std::atomic<const Serving*> all_nodes{nullptr};
  // Memory that connections hold beyond their ordinary buffers.
  std::atomic<int64_t> held_bytes{0};
  AtReset at_reset() const {
    MutexLock lock(&reset_mu);
    return reset;
  }

  // Of all connections, since the start. Without metrics there are no bytes.
  Rates::Counts Counted() const;

  LastCheckpoint checkpoint;
  Clients clients;
  ScanCursors scans;
  ScriptCache scripts;
  LuaPool lua;
  CommandStats command_stats;
  ErrorStats error_stats;
  Rates rates;
  SlowLog slow_log;
  ClusterReplies cluster_replies;
  LatencyLog latency_log;
  mutable Mutex reset_mu;
  AtReset reset ABSL_GUARDED_BY(reset_mu);
  // Held by transactions that others kept from being carried out many times.
  Mutex unlucky_transactions;
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_STATE_H_
