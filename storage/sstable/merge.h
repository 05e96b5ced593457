#ifndef KVARTS_STORAGE_SSTABLE_MERGE_H_
#define KVARTS_STORAGE_SSTABLE_MERGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/sstable/floors.h"
#include "storage/sstable/range_tombstones.h"
#include "storage/sstable/table.h"
#include "storage/sstable/view.h"

namespace kvarts::sstable {

// Entries in their order become tables, without what nobody can see any more: flush and
// compaction alike.
//
// The snapshots cut the sequences into stripes: a stripe ends with a snapshot, the last one with
// the present. Of the versions of a key in one stripe all readers see the newest alone, so the
// others go; so does what a range tombstone of the same stripe covers. A deletion in the first
// stripe goes too, where nothing older is below.
struct MergeJob {
  std::unique_ptr<Iterator> input;
  std::vector<RangeTombstone> ranges;
  std::vector<Sequence> snapshots;  // upwards
  // Whether no table below what is written has anything of [begin, end).
  std::function<bool(absl::string_view begin, absl::string_view end)> is_bottom;
  // What has expired by then goes as a deletion does; 0: nothing has.
  int64_t now_ms = 0;
  // Whether what is above the input hides an entry that is the newest of its stripe. Null: nothing
  // is hidden.
  std::function<absl::StatusOr<bool>(const Entry& entry)> is_hidden;
  std::function<uint64_t()> new_number;
  std::function<bool()> is_cancelled;
  TableOptions table;
  uint64_t table_bytes = 0;  // where to begin the next one
};

struct MergeResult {
  std::vector<TableInfo> tables;  // whole and durable, and read back; their names are not durable
  // They come of the deletions that are gone, and the entries that a deletion took along: each may
  // have been the last trace of its key.
  Floors floors;
};

// On an error no file of it is left.
absl::StatusOr<MergeResult> Merge(MergeJob job, TableCache* tables);

// The tombstones of `tombstones`, as they stand in its fragments.
void AppendRanges(const RangeTombstones& tombstones, std::vector<RangeTombstone>* out);

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_MERGE_H_
