#ifndef KVARTS_GROUPBY_PARTITIONED_PARTITION_SET_H_
#define KVARTS_GROUPBY_PARTITIONED_PARTITION_SET_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "groupby/grouping.h"
#include "groupby/partitioned/engine.h"
#include "groupby/partitioned/partition.h"
#include "groupby/partitioned/shared_file.h"
#include "groupby/spill/page_pool.h"

namespace kvarts::groupby_internal {

// Thread-safe. All partitions of one level: which one a key belongs to is told by the
// next bits of its hash, from the highest on.
class PartitionSet : public Engine::Spillable {
 public:
  // Of rows that share `level` times fanout_bits() of their hashes.
  PartitionSet(Engine* engine, int level);
  ~PartitionSet() override;

  // Room to add rows with: one for each thread. Counted in the budget.
  class Scratch {
   public:
    explicit Scratch(Engine* engine) : buffer_(engine->account()) {}

   private:
    friend class PartitionSet;
    Buffer buffer_;
    std::vector<uint32_t> ends_;
  };

  // So many parts of an Add() may be told apart.
  static constexpr size_t kParts = 16;

  // Adds rows in their order. Before rows go to partitions of part 0, 1, ...
  // kParts - 1, `enter(part)` is called, and then `leave(part)`, each for every part.
  // They may be empty.
  absl::Status Add(absl::Span<const KeyValue> rows, Scratch* scratch,
                   const std::function<absl::Status(size_t part)>& enter,
                   const std::function<void(size_t part)>& leave);

  absl::StatusOr<size_t> SpillSome(bool all) override;
  bool AwaitSpills() override;
  void AbandonFiles() override;

  size_t size() const { return partitions_.size(); }
  Partition* partition(size_t i) { return partitions_[i].get(); }
  // It has been read to its end.
  void Finished(size_t i);

  int level() const { return level_; }

 private:
  // Files, so that disk space is given back before the last partition was read.
  static constexpr size_t kFiles = 8;

  absl::Status AddSome(absl::Span<const KeyValue> rows, Scratch* scratch, bool last,
                       const std::function<absl::Status(size_t part)>& enter,
                       const std::function<void(size_t part)>& leave);

  Engine* const engine_;
  const int level_;
  const int shift_;
  std::vector<std::unique_ptr<SharedFile>> files_;
  std::vector<std::unique_ptr<Partition>> partitions_;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_PARTITION_SET_H_
