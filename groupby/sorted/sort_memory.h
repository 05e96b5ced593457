#ifndef KVARTS_GROUPBY_SORTED_SORT_MEMORY_H_
#define KVARTS_GROUPBY_SORTED_SORT_MEMORY_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "groupby/sorted/row_table.h"
#include "groupby/sorted/run_file.h"
#include "groupby/sorted/run_merger.h"

namespace kvarts::groupby_internal {

// How the memory of a grouping by sorted runs is shared out. Beside the pieces of Drain() it
// is, for each shard, at all times
//
//   fixed | write room | slots | runs' infos | row room
//
// of which the fixed part, the slots and the infos are taken as they are needed, and
// the write room and the row room lie in one region. The row room has rows while there
// are any, else what a merge needs: a buffer for each run, the longest key and, for the
// last merge, the longest value where that has no room elsewhere.
struct SortMemory {
  // The shard's own objects, and a deep stack while it sorts.
  static constexpr size_t kOwnBytes = 32 << 10;
  // A run's info: its names, what is known of it, a moment's waste of their vector.
  static constexpr size_t kRunBytes = 512;
  static constexpr size_t kMinRuns = 64;
  static constexpr size_t kMinSlots = 1024;
  // Of a shard, and of all: below the usual limit of 1024 descriptors.
  static constexpr size_t kMaxOpenRuns = 256;
  static constexpr size_t kMaxAllOpenRuns = 512;

  // What a row of a batch takes: its hash, and its place among those of its shard.
  static constexpr size_t kBatchRowBytes = sizeof(uint64_t) + sizeof(uint32_t);
  static constexpr size_t kMaxBatchRows = 4096;

  SortMemory(size_t budget, size_t shards)
      : total(std::min(budget, size_t{1} << 40)),
        block(std::clamp<size_t>(std::bit_floor(total / shards / 64), 16 << 10, 256 << 10)),
        open_runs(std::min(kMaxOpenRuns, kMaxAllOpenRuns / shards)),
        piece(std::min<size_t>(total / shards / 16, 256 << 10)),
        batch_rows(std::min(total / shards / 128 / kBatchRowBytes, kMaxBatchRows)),
        fixed(kOwnBytes + batch_rows * kBatchRowBytes),
        write_room(SpillFile::kHeaderBytes + block) {}

  // Of each source of a merge, beside the longest key that lies across blocks.
  size_t SourceBytes(size_t crossing_key) const {
    return RunMerger::kSourceBytes + Round(RunReader::BufferBytes(block, crossing_key));
  }
  // Runs whose infos are a sixteenth of the memory that is held; then some are merged
  // at once.
  static size_t MaxRuns(size_t held) { return std::max(kMinRuns, held / 16 / kRunBytes); }
  static size_t HeldForRuns(size_t runs) { return runs * 16 * kRunBytes; }
  // With less there would be no merge of two runs with such keys and values. Rows that
  // are not large always fit in it, whatever others have of a shared budget.
  size_t Floor(size_t max_key, size_t max_value, size_t runs) const {
    max_key = std::max<size_t>(max_key, 1 << 10);
    max_value = std::max<size_t>(max_value, block);
    const size_t merge = 2 * SourceBytes(max_key) + Round(max_key) + Round(max_value);
    const size_t rest = fixed + write_room + kMinSlots * RowTable::kSlotBytes + merge;
    return rest / 14 * 15 + std::max(kMinRuns, runs) * kRunBytes;
  }
  static size_t Round(size_t n) { return (n + 63) / 64 * 64; }

  const size_t total;  // one shard may have it all
  const size_t block;  // bytes of a run's blocks
  const size_t open_runs;
  const size_t piece;  // of Drain(), a shard
  const size_t batch_rows;
  const size_t fixed;
  const size_t write_room;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORT_MEMORY_H_
