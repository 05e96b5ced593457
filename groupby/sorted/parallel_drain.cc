#include "groupby/sorted/parallel_drain.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "groupby/sorted/drain.h"
#include "groupby/sorted/run_threads.h"
#include "groupby/sorted/shard_merge.h"
#include "groupby/sorted/text_queue.h"
#include "groupby/spill/mapped_region.h"

namespace kvarts::groupby_internal {
namespace {

// Of a piece, eighths: two batches, and a part of the output.
size_t BatchBytes(size_t piece_bytes) { return piece_bytes / 8 * 3; }
size_t OutputBytes(size_t piece_bytes) { return piece_bytes / 4; }

absl::Status RenderShard(Groups* groups, const Groups::Render& render, TextQueue* queue) {
  CurrentGroup group(groups);
  TextQueue::Writer text(queue);
  for (;;) {
    KVARTS_ASSIGN_OR_RETURN(const bool more, group.Next());
    if (!more) return text.Finish();
    KVARTS_RETURN_IF_ERROR(text.BeginGroup(group.key()));
    KVARTS_RETURN_IF_ERROR(render(&group, &text));
    text.EndGroup();
  }
}

absl::Status WriteMerged(std::deque<TextQueue>* queues, const Groups::Write& write,
                         size_t output_bytes, SortCounters* counters) {
  PieceOutput output(write);
  KVARTS_RETURN_IF_ERROR(output.Init(output_bytes));
  std::vector<TextQueue::Reader> readers;
  for (TextQueue& queue : *queues) readers.emplace_back(&queue);
  ShardMerge merge(readers.size());
  for (size_t i = 0; i < readers.size(); ++i) {
    KVARTS_ASSIGN_OR_RETURN(const bool more, readers[i].Next());
    merge.SetFirst(i, more, readers[i].key());
  }
  for (merge.Start(&counters->comparisons); !merge.at_end();) {
    counters->groups.Add(1);
    TextQueue::Reader& reader = readers[merge.shard()];
    for (;;) {
      KVARTS_RETURN_IF_ERROR(output.Append(reader.text()));
      const bool goes_on = reader.goes_on();
      KVARTS_ASSIGN_OR_RETURN(const bool more, reader.Next());
      if (goes_on) continue;
      merge.Replace(more, reader.key());
      break;
    }
  }
  return output.Flush();
}

}  // namespace

size_t MaxKeyToDrain(size_t piece_bytes) {
  const size_t batch = BatchBytes(piece_bytes);
  return batch - std::min(batch, TextQueue::EntryBytes(0));
}

absl::Status DrainInParallel(absl::Span<Groups* const> shards, const Groups::Render& render,
                             const Groups::Write& write, size_t piece_bytes, SortCounters* counters,
                             const std::function<void()>& stop) {
  const size_t n = shards.size();
  const size_t batch = BatchBytes(piece_bytes);
  MappedRegion room;
  KVARTS_RETURN_IF_ERROR(room.Map(2 * n * batch));
  std::deque<TextQueue> queues;
  for (size_t i = 0; i < n; ++i) queues.emplace_back(room.data() + 2 * i * batch, batch);
  return RunThreads(
      n + 1,
      [&](size_t i) {
        return i == 0 ? WriteMerged(&queues, write, n * OutputBytes(piece_bytes), counters)
                      : RenderShard(shards[i - 1], render, &queues[i - 1]);
      },
      [&] {
        stop();
        for (TextQueue& queue : queues) queue.Stop();
      });
}

}  // namespace kvarts::groupby_internal
