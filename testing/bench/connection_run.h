#ifndef KVARTS_TESTING_BENCH_NATIVE_RUN_H_
#define KVARTS_TESTING_BENCH_NATIVE_RUN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/progress.h"
#include "net/transport.h"
#include "testing/bench/run.h"

namespace kvarts {

struct NativeRunOptions {
  std::string password;
  int threads = 1;      // event loops, among which the connections are dealt out
  int connections = 1;  // each with its part of RunOptions::in_flight, in turn
};

// As RunOnStores(), on a server of the native protocol, whose connections are
// driven by a few event loops: no thread waits for an answer, so that a thousand
// connections cost a client no more than one. `transport` must outlive the call.
absl::StatusOr<RunResult> RunOnNative(Transport* transport, absl::string_view address,
                                      const NativeRunOptions& native, Workload* workload,
                                      const RunOptions& options, const BenchClock* clock,
                                      ProgressSink* progress);

}  // namespace kvarts

#endif  // KVARTS_TESTING_BENCH_NATIVE_RUN_H_
