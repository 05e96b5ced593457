#ifndef KVARTS_BENCH_JUDGE_H_
#define KVARTS_BENCH_JUDGE_H_

#include "base/language.h"

#include <cstddef>

#include "absl/status/status.h"
#include "bench/tally.h"
#include "bench/workload.h"
#include "storage/store.h"

namespace kvarts {

// Whether a run can go on after such an error: false where the next request
// would meet the same, because nobody answers or what is asked for is not there.
bool MayGoOn(const absl::Status& status);

// Immutable, so thread-safe. Looks at outcomes and counts them, but for times.
// Each returns the request's error: the first of its keys'.
class Judge {
 public:
  // `verify_values`: they are those that the records' numbers make.
  Judge(const Workload* workload, bool verify_values)
      : verify_values_(verify_values && workload->keys().made()),
        value_bytes_(workload->options().value_bytes) {}

  absl::Status Read(const BenchRequest& request, const ReadResults& results,
                    OperationTally* tally) const;
  absl::Status Write(const BenchRequest& request, const absl::Status& status,
                     OperationTally* tally) const;
  absl::Status Scan(size_t entries, size_t value_bytes, const absl::Status& status,
                    OperationTally* tally) const;

 private:
  bool IsRight(uint64_t record, absl::string_view value) const;

  const bool verify_values_;
  const size_t value_bytes_;
};

}  // namespace kvarts

#endif  // KVARTS_BENCH_JUDGE_H_
