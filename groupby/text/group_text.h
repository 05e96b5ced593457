#ifndef KVARTS_GROUPBY_TEXT_GROUP_TEXT_H_
#define KVARTS_GROUPBY_TEXT_GROUP_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "groupby/grouping.h"
#include "groupby/text/collector.h"
#include "groupby/text/interrupt.h"
#include "groupby/text/options.h"
#include "groupby/text/output_file.h"

namespace kvarts::groupby_text {

struct GroupTextReport {
  uint64_t input_bytes = 0;  // of the file, compressed as it may be
  uint64_t output_bytes = 0;
  uint64_t rows = 0;
  uint64_t skipped = 0;         // malformed ones
  uint64_t skipped_fields = 0;  // that should have been numbers
  absl::Duration reading;
  absl::Duration writing;
  uint64_t resident_bytes = 0;  // of the process, the most there were
  GroupingStats stats;

  // Some lines for people, and a line for scripts.
  std::string Summary() const;
  std::string DebugString() const;
};

// Groups a text, from its file to its file. Beside `grouping.memory_bytes`, which covers
// rows longer than a chunk too, it takes at most 24 MiB.
class GroupText {
 public:
  // REQUIRES: CheckOptions(options) is OK.
  explicit GroupText(const GroupTextOptions& options) : options_(options) {}

  // Once. Errors name the input and the line, or the output.
  absl::StatusOr<GroupTextReport> Run();
  // Thread-safe. Has Run() end soon, with kCancelled, and leave no file.
  void Cancel();

 private:
  absl::Status WriteAll(Collector* collector, OutputFile* output, GroupTextReport* report) const;
  void SetCollector(Collector* collector);
  void CancelCollector();

  const GroupTextOptions options_;
  Interrupt interrupt_;
  Mutex mu_;
  Collector* collector_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_GROUP_TEXT_H_
