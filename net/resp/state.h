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
#include "net/resp/latency_log.h"
#include "net/resp/options.h"
#include "net/resp/scan_cursors.h"
#include "net/resp/scripts/lua_script.h"
#include "net/resp/scripts/script.h"
#include "net/resp/slow_log.h"
#include "net/store_runner.h"
#include "storage/store.h"

namespace kvarts {
namespace resp {

// Thread-safe. Counts that several loops add to, each mostly in a place of its own.
class Counters {
 public:
  struct Values {
    uint64_t commands = 0;
    uint64_t errors = 0;  // not summed
    uint64_t hits = 0;
    uint64_t misses = 0;
  };

  // `place`: any number, best the same for all that one thread adds.
  void Add(size_t place, const Values& values) {
    Place& here = places_[place % places_.size()];
    here.commands.fetch_add(values.commands, std::memory_order_relaxed);
    here.hits.fetch_add(values.hits, std::memory_order_relaxed);
    here.misses.fetch_add(values.misses, std::memory_order_relaxed);
  }
  // From which on SinceReset() counts.
  void Reset() {
    const Values now = Sum();
    reset_.commands.store(now.commands, std::memory_order_relaxed);
    reset_.hits.store(now.hits, std::memory_order_relaxed);
    reset_.misses.store(now.misses, std::memory_order_relaxed);
  }
  Values SinceReset() const {
    Values sum = Sum();
    sum.commands -= reset_.commands.load(std::memory_order_relaxed);
    sum.hits -= reset_.hits.load(std::memory_order_relaxed);
    sum.misses -= reset_.misses.load(std::memory_order_relaxed);
    return sum;
  }
  Values Sum() const {
    Values sum;
    for (const Place& place : places_) {
      sum.commands += place.commands.load(std::memory_order_relaxed);
      sum.hits += place.hits.load(std::memory_order_relaxed);
      sum.misses += place.misses.load(std::memory_order_relaxed);
    }
    return sum;
  }

 private:
  struct alignas(64) Place {
    std::atomic<uint64_t> commands{0};
    std::atomic<uint64_t> hits{0};
    std::atomic<uint64_t> misses{0};
  };
  std::array<Place, 16> places_;
  Place reset_;  // what the sum was
};

// What others count, at the moment from which on INFO counts it.
struct AtReset {
  int64_t refused = 0;
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
  explicit ServerState(const RespOptions& o);

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

  LastCheckpoint checkpoint;
  Clients clients;
  ScanCursors scans;
  ScriptCache scripts;
  LuaPool lua;
  Counters counters;
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
