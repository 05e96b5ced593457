#ifndef KVARTS_GROUPBY_SORTED_SHARD_TURNS_H_
#define KVARTS_GROUPBY_SORTED_SHARD_TURNS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cond_var.h"
#include "base/mutex.h"

namespace kvarts::groupby_internal {

// Thread-safe. Which of the threads that feed works on which shard: one at a time on each,
// and those with a sequence number come to each in the order of these. Also the state that
// ends the feeding.
//
// Shards fill evenly. So while one is written to disk, whoever would have to wait is sent to
// write another that is nearly as full.
class ShardTurns {
 public:
  // For a call without a sequence.
  static constexpr uint64_t kNoSequence = UINT64_MAX;
  // A set of shards is a word.
  static constexpr size_t kMaxShards = 64;

  explicit ShardTurns(size_t shards) : shards_(shards) {}

  struct Turn {
    size_t shard;
    bool to_help;  // by writing it
  };
  // Waits until one of the shards in `left` is free for `sequence`, or one can be written
  // meanwhile. Each turn ends with a Leave(). kInvalidArgument where `sequence` was there
  // before; else the state that ended the feeding.
  absl::StatusOr<Turn> Enter(uint64_t left, uint64_t sequence);
  // The shard now has so many bytes of rows. With `passes` the next sequence may come.
  void Leave(size_t shard, size_t bytes, bool passes);

  // Around the writing of a shard of so many bytes, within a turn.
  void BeginWrite(size_t bytes);
  void EndWrite();

  // Ends the feeding, for all who wait, too. False where it had ended before.
  bool End(const absl::Status& status);
  // Of the same end, what is known only later.
  void ChangeEnd(const absl::Status& status);
  absl::Status end() const;

 private:
  struct Shard {
    bool is_busy = false;
    uint64_t sequence = 0;  // whose turn it is
    size_t bytes = 0;
  };

  // The fullest that nobody is at; shards_.size() where none is worth it.
  size_t FindToWrite() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  CondVar changed_;
  std::vector<Shard> shards_ ABSL_GUARDED_BY(mu_);
  int writes_ ABSL_GUARDED_BY(mu_) = 0;            // that are under way
  size_t written_bytes_ ABSL_GUARDED_BY(mu_) = 0;  // by the last of these
  absl::Status end_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SHARD_TURNS_H_
