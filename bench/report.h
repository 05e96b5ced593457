#ifndef KVARTS_BENCH_REPORT_H_
#define KVARTS_BENCH_REPORT_H_

#include "base/language.h"

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "bench/run.h"
#include "bench/workload.h"

namespace kvarts {

// All that is said of a run.
struct BenchReport {
  std::string version;  // of the program
  std::string store;    // its spec
  std::string mix;      // as it was asked for
  std::string keys;     // "generated", or the file they came from
  uint64_t records = 0;
  WorkloadOptions workload;
  RunOptions run;
  int threads = 0;
  int connections = 0;
  int pipeline = 0;
  bool loaded = false;
  absl::Duration load_time;
  bool ran = false;
  RunResult result;  // where it ran
};

// One JSON object (RFC 8259) on one line, with a newline. Its fields are listed
// in apps/README.md and stay as they are; new ones may come.
std::string ToJson(const BenchReport& report);

// For people.
std::string ToText(const BenchReport& report);

// A string in quotes. What is not UTF-8 becomes U+FFFD.
std::string JsonString(absl::string_view text);

}  // namespace kvarts

#endif  // KVARTS_BENCH_REPORT_H_
