#ifndef KVARTS_STORAGE_CAPABILITIES_H_
#define KVARTS_STORAGE_CAPABILITIES_H_

#include "base/language.h"

#include <cstdint>
#include <string>

namespace kvarts {

// How a store does a thing.
enum class Support : unsigned char {
  kAbsent = 0,      // a call for it is kUnimplemented (kFailedPrecondition for writes)
  kEmulatedLinear,  // works, at a cost that grows with the entries of the store
  kEmulatedLog,     // works, at a cost that grows with their logarithm, or a round trip more
  kNative,
};

// The keys that one atomic batch, or one precondition with it, may span.
enum class BatchScope : unsigned char { kNone = 0, kKey, kShard, kStore };

// What a store can do: a value, fixed from open to close. The conformance
// suite branches on it and on nothing else. A remote store learns it at its
// handshake; a cluster's is the Intersect() of its nodes'.
struct Capabilities {
  Support write = Support::kAbsent;            // Write(): puts and deletes
  Support conditions = Support::kAbsent;       // preconditions, stamps and Modify()
  BatchScope batch_scope = BatchScope::kNone;  // WriteOptions::atomic
  Support delete_range = Support::kAbsent;
  Support scan = Support::kAbsent;           // NewCursor() in an order of the store's own
  Support ordered_scan = Support::kAbsent;   // ... in key order, a range costing its own size
  Support backward_scan = Support::kAbsent;  // ScanOptions::backward
  Support slot_scan = Support::kAbsent;      // ScanOptions::slots
  Support snapshot = Support::kAbsent;       // GetSnapshot()
  Support expiry = Support::kAbsent;
  Support content_type = Support::kAbsent;
  bool durable = false;              // what Write() acknowledged outlives the process and a crash
  bool shared_by_processes = false;  // several processes may open the same data at once
  bool bounded_memory = false;       // private memory does not grow with the entries
  bool atomic_multi_get = false;     // MultiGet() never sees half of an atomic batch
  bool may_block = false;  // on disk or network beyond a page fault: not for a loop thread
  // A store that may block, but not in reads with ReadOptions::no_wait, nor in Submit(): these
  // may be called on a loop thread.
  bool no_wait = false;
  bool discards = false;  // takes writes and drops them; every key is absent. For measuring

  // The largest atomic batch: mutations and preconditions, and the bytes of their keys, values
  // and content types. A larger one is kInvalidArgument.
  static constexpr uint64_t kNoLimit = ~uint64_t{0};
  uint64_t max_batch_mutations = kNoLimit;
  uint64_t max_batch_bytes = kNoLimit;

  bool has(Support s) const { return s != Support::kAbsent; }

  friend bool operator==(const Capabilities& a, const Capabilities& b);
  friend bool operator!=(const Capabilities& a, const Capabilities& b) { return !(a == b); }
};

// The weaker of each: what a store over both can promise. `may_block` and
// `discards` are true where either's is.
Capabilities Intersect(const Capabilities& a, const Capabilities& b);

// "absent", "emulated, O(n)", "emulated, O(log n)", "native".
const char* ToText(Support support);
// "none", "key", "shard", "store".
const char* ToText(BatchScope scope);
// One line: "write=native conditions=absent ...". For logs and `stats`.
std::string ToText(const Capabilities& capabilities);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_CAPABILITIES_H_
