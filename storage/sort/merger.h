#ifndef KVARTS_STORAGE_SORT_MERGER_H_
#define KVARTS_STORAGE_SORT_MERGER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "storage/sort/loser_tree.h"
#include "storage/sort/run_file.h"

namespace kvarts::sort_internal {

// Not thread-safe. Merges runs by a tree of losers: each record that comes out
// costs one comparison a level, of 8-byte words kept in the tree itself. Equal
// keys come in the order of the runs.
class Merger {
 public:
  // What a run costs beside its buffer: a source, two nodes, an open file with
  // its name.
  static constexpr size_t kSourceBytes = 512;

  // Adds a run, in the order in which equal keys shall come.
  void Reserve(size_t runs);
  void Add(RunReader reader, const RunInfo& run);
  // Reads the first record of each run.
  absl::Status Start();

  // False behind the last record, and after an error: see status(). A record is
  // good until the next call.
  bool Next(Record* record) {
    if (fresh_) [[unlikely]] {
      fresh_ = false;
    } else if (ended_ || !Advance()) [[unlikely]] {
      return false;
    }
    *record = sources_[tree_.source()].record;
    return true;
  }

  const absl::Status& status() const { return status_; }

 private:
  struct Source {
    Source(RunReader r, uint16_t c) : reader(std::move(r)), common(c) {}
    RunReader reader;
    Record record;
    uint16_t common;
    bool done = false;
  };

  // Steps the last winner's source and finds the next winner; false where there
  // is none.
  bool Advance();
  bool TieLess(uint64_t a, uint64_t b) const;

  std::vector<Source> sources_;
  LoserTree tree_;
  size_t depth_ = 0;    // bytes that all keys have in common, left out of the words
  bool fresh_ = false;  // the top was not given out yet
  bool ended_ = true;
  absl::Status status_;
};

}  // namespace kvarts::sort_internal

#endif  // KVARTS_STORAGE_SORT_MERGER_H_
