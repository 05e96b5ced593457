#ifndef KVARTS_GROUPBY_AGGREGATE_PART_QUEUE_H_
#define KVARTS_GROUPBY_AGGREGATE_PART_QUEUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "groupby/aggregate/aggregation_core.h"
#include "groupby/aggregate/state_record.h"

namespace kvarts::groupby_internal {

// A part of all groups: those of hashes from `first` on that share their first `used_bits`.
struct HashPart {
  uint64_t first = 0;
  int used_bits = 0;
  bool in_core = false;  // as `number`, until it is read
  size_t number = 0;
  PartFiles files;  // else; null where it has no groups

  // The first hash behind it; behind the last part 0.
  uint64_t end() const { return first + (uint64_t{1} << (64 - used_bits)); }
};

// Thread-safe. The parts of all groups, in the order of the hash, for threads that work on one
// each, and who may have memory.
//
// One part at a time is the current one, the first that is not done. It gets all memory that
// it needs. The others are worked on ahead of their turn, as far as there is memory to spare,
// and until the current one falls short: then theirs is given back, and they are taken again
// later. So no thread waits for memory that another holds.
class PartQueue {
 public:
  // Over all parts of the core.
  explicit PartQueue(AggregationCore* core);

  // The first part that nobody works on and that may be begun; waits where there may yet be
  // one. False behind the last one, and once something has failed.
  bool Take(HashPart* part);
  // It is not done, and what it took is free again.
  void GiveBack(HashPart part);
  // Only of the current part: these are in its place.
  void Divide(uint64_t first, std::vector<HashPart> parts);
  // `bytes` is what its merge took at most, 0 where it has always been in memory.
  void Done(uint64_t first, size_t bytes);

  bool IsCurrent(uint64_t first) const { return current_.load(std::memory_order_acquire) == first; }
  // Whether a part has to be given back.
  bool IsRevoked(uint64_t first) const {
    return revoking_.load(std::memory_order_relaxed) && !IsCurrent(first);
  }
  // From here on it is not given back.
  void Keep(uint64_t first);
  // Waits until the part is the current one; false where it has to be given back.
  bool WaitForTurn(uint64_t first);
  // Of the current part: has all others given back that can be.
  void Revoke();
  // Has who waits look whether something failed.
  void WakeAll();

 private:
  struct Node {
    HashPart part;  // that of nobody's
    bool taken = false;
    bool revocable = false;
    bool has_files = false;
  };

  bool MayBegin(const Node& node) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The first part has changed.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  AggregationCore& core_;
  std::atomic<uint64_t> current_{0};
  std::atomic<bool> revoking_{false};

  Mutex mu_;
  CondVar changed_;
  std::map<uint64_t, Node> nodes_ ABSL_GUARDED_BY(mu_);  // not done, by their first hash
  size_t revocable_ ABSL_GUARDED_BY(mu_) = 0;
  // What the last merge took; 0: not known.
  size_t merge_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  // Something did not fit beside the current part: nothing is begun ahead until that is done.
  bool crowded_ ABSL_GUARDED_BY(mu_) = false;
};

// Not thread-safe. Memory for one part that was taken.
class PartTurn final : public RoomMaker {
 public:
  PartTurn(AggregationCore* core, PartQueue* queue, uint64_t first)
      : core_(*core), queue_(*queue), first_(first) {}

  // Has room for `bytes` made; kResourceExhausted where there is none, or not ahead of the turn.
  absl::Status MakeRoom(size_t bytes) override;
  // Whether it was the part's turn when room was last asked for: then there is no more.
  bool had_its_turn() const { return had_its_turn_; }
  bool revoked() const { return queue_.IsRevoked(first_); }

 private:
  AggregationCore& core_;
  PartQueue& queue_;
  const uint64_t first_;
  bool had_its_turn_ = false;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_PART_QUEUE_H_
