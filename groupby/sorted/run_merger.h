#ifndef KVARTS_GROUPBY_SORTED_RUN_MERGER_H_
#define KVARTS_GROUPBY_SORTED_RUN_MERGER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "groupby/sorted/run_file.h"
#include "groupby/sorted/sort_counters.h"
#include "storage/sort/loser_tree.h"

namespace kvarts::groupby_internal {

// Not thread-safe. Merges runs by a tree of losers: each group of a run costs one
// comparison a level, of 8-byte words kept in the tree itself. Groups of one key become
// one, its values in the order of the runs. After an error it is at its end.
class RunMerger {
 public:
  // What a run costs beside its buffer: a source, two nodes, an open file.
  static constexpr size_t kSourceBytes = 512;

  // `max_key`: the longest key. `comparisons` is counted up; it outlives this.
  RunMerger(size_t runs, size_t max_key, SortCounter* comparisons);
  // In the order of the values.
  void Add(const RunReader& reader) { sources_.push_back({reader}); }
  // Reads the first group of each run. Before all that follows.
  absl::Status Start();

  // Goes to the next group, passing over what is left of this one. False behind the
  // last.
  absl::StatusOr<bool> NextGroup();
  // Good until the next NextGroup().
  absl::string_view key() const { return absl::string_view(key_.get(), key_size_); }
  // The run that has more values of this group, as RunReader::left(); null behind the
  // last of them.
  absl::StatusOr<RunReader*> Part();
  // Of all runs so far, for the progress.
  uint64_t bytes_read() const;

 private:
  struct Source {
    RunReader reader;
  };
  uint64_t WordOf(uint64_t source) const;
  bool TieLess(uint64_t a, uint64_t b) const;
  // The winner's source has gone on: finds the next winner.
  void Replay();
  bool IsGroupsKey() const;

  std::vector<Source> sources_;
  sort_internal::LoserTree tree_;
  size_t depth_ = 0;  // bytes that all keys have in common, left out of the words
  std::unique_ptr<char[]> key_;
  const size_t max_key_;
  size_t key_size_ = 0;
  uint64_t key_word_ = 0;
  bool in_group_ = false;
  SortCounter* const comparisons_;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_RUN_MERGER_H_
