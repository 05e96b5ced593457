#ifndef KVARTS_GROUPBY_SORTED_SORT_SHARD_H_
#define KVARTS_GROUPBY_SORTED_SORT_SHARD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "groupby/grouping.h"
#include "groupby/sorted/shard_turns.h"
#include "groupby/sorted/sort_counters.h"
#include "groupby/sorted/sort_shared.h"
#include "groupby/sorted/sort_work.h"

namespace kvarts::groupby_internal {

// Thread-safe. One shard of a grouping while that is fed: the rows of the keys that fall to
// it. Its first error ends the feeding of all; see ShardTurns::End().
class SortShard {
 public:
  // `turns` outlives it.
  SortShard(size_t shard, ShardTurns* turns) : shard_(shard), turns_(turns) {}
  SortShard(const SortShard&) = delete;
  SortShard& operator=(const SortShard&) = delete;

  absl::Status Init(const GroupingOptions& options, std::shared_ptr<SortShared> shared);

  // --- Within a turn. `bytes` becomes what rows there are then. ---

  // Adds row i, whose hash is hashes[i], for each i of `which`.
  absl::Status Add(absl::Span<const KeyValue> rows, const uint64_t* hashes,
                   absl::Span<const uint32_t> which, size_t* bytes);
  // Writes what there is.
  absl::Status Write(size_t* bytes);

  // --- At any time ---

  // Somebody needs memory, this shard or another, here or elsewhere. Gives what is not used,
  // or, where `may_write`, that of its rows; returns how much.
  absl::StatusOr<size_t> Shrink(size_t bytes, bool may_write);
  size_t held() const { return counters_.held.get(); }

  // The feeding was ended, by an error or Cancel(): all files and all memory go.
  void Abandon(const absl::Status& status);
  // What is under way, of the work too when it was taken, ends soon with kCancelled.
  void Cancel() { counters_.cancelled = true; }

  // The end of it: what was fed, if the status is good.
  std::unique_ptr<SortWork> Take(absl::Status* status);
  const SortCounters& counters() const { return counters_; }

 private:
  absl::Status Check() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Fail(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status AddRow(const KeyValue& row, uint64_t hash) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status MakeRoom(const KeyValue& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<bool> AskOthers(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Reserve(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status WriteRows() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status TooLarge(const KeyValue& row) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t shard_;
  ShardTurns* const turns_;
  SortCounters counters_;

  Mutex mu_;
  std::unique_ptr<SortWork> work_ ABSL_GUARDED_BY(mu_);  // null once it was taken
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  std::thread::id asking_ ABSL_GUARDED_BY(mu_);  // the thread that asks others for memory
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORT_SHARD_H_
