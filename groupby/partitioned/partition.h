#ifndef KVARTS_GROUPBY_PARTITIONED_PARTITION_H_
#define KVARTS_GROUPBY_PARTITIONED_PARTITION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "groupby/grouping.h"
#include "groupby/partitioned/engine.h"
#include "groupby/partitioned/shared_file.h"

namespace kvarts::groupby_internal {

struct HeavyKey;

// Thread-safe. The rows of a part of all keys: blocks in a file, then pages in memory,
// in the order in which they were added.
//
// A key that makes a fourth or more of a page when the partition has become large is
// heavy: its further rows go to a partition of its own, its tail, which never has to
// fit into memory.
class Partition {
 public:
  // A tail has no heavy keys.
  Partition(Engine* engine, SharedFile* file, bool is_tail)
      : engine_(engine), file_(file), next_look_(is_tail ? ~uint64_t{0} : engine->heavy_bytes()) {}
  // Frees its pages.
  ~Partition();
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  // Adds the rows at `order`, which is scratch afterwards; hashes[i] is of rows[i].
  absl::Status Append(absl::Span<const KeyValue> rows, const uint64_t* hashes,
                      absl::Span<uint32_t> order);

  // Writes its pages, but for the last one unless `all`, and gives their memory back.
  // Returns the bytes given; 0 where it is read, or another thread writes it.
  absl::StatusOr<size_t> Spill(bool all);
  // Waits for a Spill() on another thread; false where there is none.
  bool AwaitSpill();
  // Pages in memory, of the moment.
  size_t pages_now() const { return pages_now_.load(std::memory_order_relaxed); }
  bool spilled() const { return spilled_.load(std::memory_order_relaxed); }
  // Its tails so far, for who spills.
  void ListTails(std::vector<Partition*>* tails);

  // From here on one thread reads it, and nobody adds or spills.
  void Claim();
  // May be spilled again.
  void Unclaim();

  // Its rows and the memory that they take when all are in it, of the moment: less while
  // it is spilled.
  void Measure(uint64_t* rows, size_t* room) const;
  // In the file so far. Those that there are may be read while others are written.
  size_t blocks() const;
  absl::StatusOr<Page> ReadBlock(size_t i, bool may_ask);

  // What follows: only while it is claimed.
  uint64_t rows() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return rows_; }
  std::vector<Page>& pages() ABSL_NO_THREAD_SAFETY_ANALYSIS { return pages_; }
  const std::vector<std::unique_ptr<HeavyKey>>& heavy() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return heavy_;
  }
  // Takes `pages`, its blocks, read, and then its pages, in their place.
  void PutLoaded(std::vector<Page> pages) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void FreePages() ABSL_NO_THREAD_SAFETY_ANALYSIS;

 private:
  struct Block {
    uint32_t number;
    uint32_t capacity;  // of a page for it
    bool from_pool;
  };

  // Rows from order[*done] on, until a page is wanted that is not in `spare`: then
  // `*wanted` is for how many bytes; or, 0, until a key became heavy.
  void Fill(absl::Span<const KeyValue> rows, absl::Span<const uint32_t> order, size_t* done,
            Page* spare, size_t* wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // True where it found one.
  bool LookForHeavyKeys(const Page& page) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status AppendToTails(absl::Span<const KeyValue> rows, const uint64_t* hashes,
                             absl::Span<uint32_t>* order);

  Engine* const engine_;
  SharedFile* const file_;

  Mutex spilling_;  // held while pages are written; taken before mu_
  mutable Mutex mu_;
  bool claimed_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Block> blocks_ ABSL_GUARDED_BY(mu_);
  std::vector<Page> pages_ ABSL_GUARDED_BY(mu_);
  uint64_t rows_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t next_look_ ABSL_GUARDED_BY(mu_);  // at so many bytes, for heavy keys
  std::vector<std::unique_ptr<HeavyKey>> heavy_ ABSL_GUARDED_BY(mu_);

  std::atomic<size_t> pages_now_{0};
  std::atomic<bool> spilled_{false};
  std::atomic<bool> has_heavy_{false};
};

struct HeavyKey {
  HeavyKey(Engine* engine, SharedFile* file, uint64_t h, std::string k)
      : hash(h), key(std::move(k)), tail(engine, file, /*is_tail=*/true) {}

  const uint64_t hash;
  const std::string key;
  Partition tail;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_PARTITION_H_
