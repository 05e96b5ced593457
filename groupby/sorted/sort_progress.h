#ifndef KVARTS_GROUPBY_SORTED_SORT_PROGRESS_H_
#define KVARTS_GROUPBY_SORTED_SORT_PROGRESS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"

namespace kvarts::groupby_internal {

// Thread-safe. The progress of all shards of a grouping, added up: it never goes back
// within a phase.
class SortProgress {
 public:
  using Report = std::function<void(absl::string_view phase, uint64_t done, uint64_t total)>;

  SortProgress(Report report, size_t shards) : report_(std::move(report)), parts_(shards) {}

  // What a shard has to do in the next phase, before any of them says what it did.
  void SetTotal(size_t shard, uint64_t total) {
    MutexLock lock(&mu_);
    parts_[shard] = {0, total};
  }

  void SetDone(absl::string_view phase, size_t shard, uint64_t done) {
    if (!report_) return;
    MutexLock lock(&mu_);
    parts_[shard].done = std::min(done, parts_[shard].total);
    Part sum;
    for (const Part& part : parts_) {
      sum.done += part.done;
      sum.total += part.total;
    }
    report_(phase, sum.done, sum.total);
  }

 private:
  struct Part {
    uint64_t done = 0;
    uint64_t total = 0;
  };

  const Report report_;
  Mutex mu_;
  std::vector<Part> parts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORT_PROGRESS_H_
