#ifndef KVARTS_BENCH_RUN_H_
#define KVARTS_BENCH_RUN_H_

#include "base/language.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/progress.h"
#include "bench/arrivals.h"
#include "bench/bench_clock.h"
#include "bench/judge.h"
#include "bench/tally.h"
#include "bench/workload.h"
#include "storage/store.h"

namespace kvarts {

struct RunOptions {
  // Requests under way at most, and in a closed loop always.
  int in_flight = 1;
  // Requests a second of an open loop; 0: a closed loop, where each request
  // follows the one before it.
  double rate = 0;
  bool poisson = true;
  absl::Duration warmup = absl::ZeroDuration();        // not counted
  absl::Duration duration = absl::InfiniteDuration();  // counted
  uint64_t requests = UINT64_MAX;                      // counted, at most
  // An open loop that fell behind may go on for so long; what was due and is not
  // sent by then counts as having waited till then.
  absl::Duration drain = absl::Seconds(10);
  absl::Duration timeout = absl::Seconds(10);  // of each request
  // How long an interval of Tally::timeline() is; zero: there is none.
  absl::Duration interval = absl::ZeroDuration();
  bool verify_values = true;
  bool sync_writes = true;
};

struct RunResult {
  Tally tally;
  absl::Duration elapsed;  // from the end of the warm-up to the last answer
  double cpu_seconds = 0;  // of this process in that time
};

// Thread-safe. What the requests of one run have in common: when it begins and
// ends, what is due, and that it stops at once when nobody answers.
class RunControl {
 public:
  RunControl(Workload* workload, const RunOptions& options, const BenchClock* clock);

  Workload* workload() const { return workload_; }
  const RunOptions& options() const { return options_; }
  const BenchClock& clock() const { return *clock_; }
  const Judge& judge() const { return judge_; }
  bool is_open() const { return options_.rate > 0; }

  // A closed loop: whether a request may begin at `now`.
  bool Admit(int64_t now);
  // An open loop: when the next request is due, if there is to be one.
  std::optional<int64_t> NextDue() { return arrivals_.Next(); }
  // Adds to the timeline a request that counts and began, or was due, at `start`.
  void AddToTimeline(int64_t start, uint64_t latency_ns, Tally* tally) const {
    if (interval_ns_ <= 0) return;
    tally->AddToTimeline(static_cast<size_t>((start - count_from_ns_) / interval_ns_), latency_ns);
  }
  // Whether a request counts that began, or was due, then.
  bool IsCounted(int64_t ns) const { return ns >= count_from_ns_; }
  // Too late to send anything.
  bool IsOver(int64_t now) const { return now >= give_up_ns_; }

  // Ends the run with an error; the first one is kept.
  void Stop(const absl::Status& error);
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  // Waits until all lanes have ended, and reports progress meanwhile.
  absl::StatusOr<RunResult> Wait(int lanes, ProgressSink* progress);

 private:
  friend class RunLane;

  Workload* const workload_;
  const RunOptions options_;
  const BenchClock* const clock_;
  const Judge judge_;
  const int64_t start_ns_;
  const int64_t count_from_ns_;
  const int64_t end_ns_;  // INT64_MAX: the number of requests ends it
  const int64_t give_up_ns_;
  const int64_t interval_ns_;
  Arrivals arrivals_;

  std::atomic<uint64_t> admitted_{0};
  std::atomic<uint64_t> done_[2] = {};  // for progress: in the warm-up, and counted
  std::atomic<bool> stopped_{false};

  Mutex mu_;
  CondVar ended_;
  int lanes_ended_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status fatal_error_ ABSL_GUARDED_BY(mu_);
  Tally total_ ABSL_GUARDED_BY(mu_);
  int64_t last_end_ns_ ABSL_GUARDED_BY(mu_) = 0;
};

// Not thread-safe: one a thread. Counts the outcomes of the requests it drives,
// and tells them to the control at its end.
class RunLane {
 public:
  explicit RunLane(RunControl* control) : control_(control) {}
  ~RunLane();
  RunLane(const RunLane&) = delete;
  RunLane& operator=(const RunLane&) = delete;

  // Where the judge counts a request's outcome.
  OperationTally* TallyOf(const BenchRequest& request, bool counted) {
    return &(counted ? tally_ : warmup_).of(request.operation);
  }
  // A request that began, or was due, at `start` and was answered at `end`.
  void Done(const BenchRequest& request, int64_t start, int64_t end, const absl::Status& error);
  // An open loop sends at `now` what was due at `due`.
  void Sends(int64_t due, int64_t now);
  // ... or never.
  void DoesNotSend(Operation operation, int64_t due, int64_t now);

 private:
  static constexpr uint64_t kTellEvery = 64;

  RunControl* const control_;
  Tally tally_;
  Tally warmup_;  // thrown away
  uint64_t untold_[2] = {};
  int64_t last_end_ns_ = 0;
};

// Runs the workload on `stores`, with a thread for each request under way; thread
// i uses store i modulo their number. `progress` may be null. An error that ends
// the run is returned; others are counted.
absl::StatusOr<RunResult> RunOnStores(absl::Span<Store* const> stores, Workload* workload,
                                      const RunOptions& options, const BenchClock* clock,
                                      ProgressSink* progress);

}  // namespace kvarts

#endif  // KVARTS_BENCH_RUN_H_
