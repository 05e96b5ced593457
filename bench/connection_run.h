#ifndef KVARTS_BENCH_CONNECTION_RUN_H_
#define KVARTS_BENCH_CONNECTION_RUN_H_

#include "base/language.h"

#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/progress.h"
#include "bench/bench_call.h"
#include "bench/run.h"
#include "net/event_loop.h"

namespace kvarts {

// One connection to a server, on one loop: what a protocol brings to a run.
class BenchConnection {
 public:
  virtual ~BenchConnection() = default;

  // Connects, once; `done` runs on the loop.
  using OpenCallback = absl::AnyInvocable<void(const absl::Status&)>;
  virtual void Open(OpenCallback done) = 0;
  // After Open() has said that all is well. Room for one request at a time, which
  // the connection need not outlive. `control` must outlive it.
  virtual std::unique_ptr<BenchCall> NewCall(const RunControl* control) = 0;
  // On the loop: ends what is under way. Nothing of it is left there.
  virtual void Shutdown() = 0;
};

// Makes a connection that will live on `loop`, which outlives it.
using BenchConnectionFactory = std::function<std::unique_ptr<BenchConnection>(EventLoop* loop)>;

struct ConnectionRunOptions {
  int threads = 1;      // event loops, among which the connections are dealt out
  int connections = 1;  // each with its part of RunOptions::in_flight, in turn
};

// As RunOnStores(), on a server, whose connections are driven by a few event
// loops: no thread waits for an answer, so that a thousand connections cost a
// client no more than one.
absl::StatusOr<RunResult> RunOnConnections(const BenchConnectionFactory& new_connection,
                                           const ConnectionRunOptions& given, Workload* workload,
                                           const RunOptions& options, const BenchClock* clock,
                                           ProgressSink* progress);

}  // namespace kvarts

#endif  // KVARTS_BENCH_CONNECTION_RUN_H_
