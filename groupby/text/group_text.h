#ifndef KVARTS_GROUPBY_TEXT_GROUP_TEXT_H_
#define KVARTS_GROUPBY_TEXT_GROUP_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/progress.h"
#include "groupby/grouping.h"
#include "groupby/text/interrupt.h"
#include "groupby/text/render.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {

enum class InputFormat : unsigned char { kTsv = 0, kCsv, kNdjson };

struct GroupTextOptions {
  std::string input = "-";   // see OpenInput()
  std::string output = "-";  // see OutputFile
  InputFormat input_format = InputFormat::kTsv;
  RenderOptions render;  // but for json_text, which follows from the rest
  // A column's number, from 1 on, or its name in the header; of JSON a member's name.
  // Empty: the first column and what is behind it; "key" and "value" of JSON.
  std::string key;
  std::string value;
  std::string delimiter;  // one byte, or "\t"; empty: a tab, in CSV a comma
  bool header = false;    // the first row has names
  bool skip_malformed = false;
  // Memory, threads, order, temp_dir, algorithm and its caps.
  GroupingOptions grouping;
  ProgressSink* progress = nullptr;
  size_t chunk_bytes = 0;  // 0: by threads; for tests
};

// kInvalidArgument where options contradict each other: the caller's mistake.
absl::Status CheckOptions(const GroupTextOptions& options);

struct GroupTextReport {
  uint64_t input_bytes = 0;  // of the file, compressed as it may be
  uint64_t output_bytes = 0;
  uint64_t rows = 0;
  uint64_t skipped = 0;  // malformed ones
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
  absl::Status Resolve(const std::string& header, Columns* columns) const;
  void CancelGrouping();

  const GroupTextOptions options_;
  Interrupt interrupt_;
  Mutex mu_;
  Grouping* grouping_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_GROUP_TEXT_H_
