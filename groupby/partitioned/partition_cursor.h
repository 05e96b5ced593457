#ifndef KVARTS_GROUPBY_PARTITIONED_PARTITION_CURSOR_H_
#define KVARTS_GROUPBY_PARTITIONED_PARTITION_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/grouping.h"
#include "groupby/partitioned/engine.h"
#include "groupby/partitioned/group_table.h"
#include "groupby/partitioned/partition.h"
#include "groupby/partitioned/partition_set.h"

namespace kvarts::groupby_internal {

// Not thread-safe. Reads rows of a partition from front to back, in pieces.
class RowStream {
 public:
  explicit RowStream(Engine* engine) : engine_(engine) {}
  ~RowStream() { Close(); }

  // Nothing more is added to `partition`. It is claimed when its blocks have been read.
  void Open(Partition* partition);
  // Some rows, good until the next call; none at the end. Pages in memory are freed once
  // they were read.
  absl::StatusOr<absl::Span<const KeyValue>> Next();
  void Close() { engine_->FreePage(&page_); }

 private:
  Engine* const engine_;
  Partition* partition_ = nullptr;
  size_t next_block_ = 0;
  size_t next_page_ = 0;
  Page page_;
  const char* next_row_ = nullptr;
  std::vector<KeyValue> rows_;
};

// Not thread-safe. The groups of one partition.
//
// One that fits into memory is read into it and grouped by a table. Another one is
// partitioned again by further bits of the hash; and if there are no more, or its keys
// were made to collide, it is sorted.
class PartitionCursor {
 public:
  explicit PartitionCursor(Engine* engine) : engine_(engine), table_(engine), tail_(engine) {}
  ~PartitionCursor() { Close(); }

  // Goes to the beginning of set->partition(i). `inherited` are heavy keys of which
  // there may be rows in it, the nearest ones first.
  //
  // With `admit` it is opened ahead of its turn: only in memory, with no more than what
  // `admit` lets it have, and without asking for any. False where that does not do: then
  // nothing has changed.
  using Admit = std::function<bool(size_t bytes)>;
  absl::StatusOr<bool> Open(PartitionSet* set, size_t i, const std::vector<HeavyKey*>& inherited,
                            const Admit& admit);
  // Frees the partition.
  void Close();

  // As Groups::Next() and Groups::Values().
  absl::StatusOr<bool> Next(absl::string_view* key);
  absl::StatusOr<absl::Span<const absl::string_view>> Values();

 private:
  enum class Kind : unsigned char { kClosed, kTable, kPartitions, kSorted };

  // kResourceExhausted: it does not fit; kAborted: keys collide.
  absl::Status OpenTable(size_t most, bool may_ask);
  // What OpenTable() takes.
  size_t TableBytes() const;
  absl::Status SpillAll();
  absl::Status OpenPartitions();
  absl::Status OpenSorted();
  void FindTails();

  Engine* const engine_;
  PartitionSet* set_ = nullptr;
  size_t index_ = 0;
  Partition* partition_ = nullptr;
  std::vector<HeavyKey*> heavy_;
  Kind kind_ = Kind::kClosed;
  uint64_t groups_ = 0;  // that were read, for the counter

  // kTable
  GroupTable table_;
  std::vector<std::pair<size_t, HeavyKey*>> group_tails_;  // by group
  size_t next_group_tail_ = 0;
  size_t next_group_ = 0;
  absl::Span<const char* const> rows_;

  // kPartitions
  std::unique_ptr<PartitionSet> parts_;
  std::unique_ptr<PartitionCursor> part_;
  size_t next_part_ = 0;
  bool part_open_ = false;

  // kSorted
  std::unique_ptr<Grouping> sorting_;
  std::unique_ptr<Groups> sorted_;
  bool sorted_values_end_ = false;

  // The rest of a group whose key is heavy.
  std::vector<HeavyKey*> tails_;
  size_t next_tail_ = 0;
  bool tail_open_ = false;
  RowStream tail_;

  std::vector<absl::string_view> values_;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_PARTITION_CURSOR_H_
