#include "bench/run.h"

#include <sys/resource.h>

#include <algorithm>

namespace kvarts {
namespace {

constexpr absl::Duration kReportEvery = absl::Milliseconds(100);

int64_t After(int64_t ns, absl::Duration time) {
  const int64_t more = absl::ToInt64Nanoseconds(time);  // saturates
  return more > INT64_MAX - ns ? INT64_MAX : ns + more;
}

Arrivals::Options ArrivalsOf(const Workload& workload, const RunOptions& options, int64_t start,
                             int64_t count_from, int64_t end) {
  Arrivals::Options out;
  out.rate = std::max(options.rate, 1e-9);
  out.poisson = options.poisson;
  out.start_ns = start;
  out.count_from_ns = count_from;
  out.end_ns = end;
  out.requests = options.requests;
  out.seed = workload.options().seed;
  return out;
}

double CpuSeconds() {
  rusage usage;
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

RunControl::RunControl(Workload* workload, const RunOptions& options, const BenchClock* clock)
    : workload_(workload),
      options_(options),
      clock_(clock),
      judge_(workload, options.verify_values),
      start_ns_(clock->NowNs()),
      count_from_ns_(After(start_ns_, options.warmup)),
      end_ns_(After(count_from_ns_, options.duration)),
      give_up_ns_(After(end_ns_, options.drain)),
      interval_ns_(absl::ToInt64Nanoseconds(options.interval)),
      arrivals_(ArrivalsOf(*workload, options, start_ns_, count_from_ns_, end_ns_)) {}

bool RunControl::Admit(int64_t now) {
  if (now >= end_ns_ || stopped()) return false;
  if (options_.requests == UINT64_MAX || !IsCounted(now)) return true;
  return admitted_.fetch_add(1, std::memory_order_relaxed) < options_.requests;
}

void RunControl::Stop(const absl::Status& error) {
  MutexLock lock(&mu_);
  if (fatal_error_.ok()) fatal_error_ = absl::Status(error.code(), error.message());
  stopped_.store(true, std::memory_order_relaxed);
}

absl::StatusOr<RunResult> RunControl::Wait(int lanes, ProgressSink* progress) {
  double cpu_before = CpuSeconds();
  bool warm = false;
  const auto report = [&] {
    if (progress == nullptr) return;
    const bool limited = warm && options_.requests != UINT64_MAX;
    progress->Report(warm ? "running" : "warming up", "requests",
                     done_[warm ? 1 : 0].load(std::memory_order_relaxed),
                     limited ? options_.requests : 0);
  };
  MutexLock lock(&mu_);
  while (lanes_ended_ < lanes) {
    absl::Duration wait = kReportEvery;
    if (!warm) {
      const int64_t left = count_from_ns_ - clock_->NowNs();
      warm = left <= 0;
      if (warm) cpu_before = CpuSeconds();
      if (!warm) wait = std::min(wait, absl::Nanoseconds(left));
    }
    report();
    ended_.WaitFor(&mu_, wait);
  }
  report();
  if (!fatal_error_.ok()) return fatal_error_;
  RunResult result;
  result.tally.Merge(total_);
  result.cpu_seconds = CpuSeconds() - cpu_before;
  result.elapsed = absl::Nanoseconds(std::max<int64_t>(last_end_ns_ - count_from_ns_, 0));
  return result;
}

RunLane::~RunLane() {
  MutexLock lock(&control_->mu_);
  control_->total_.Merge(tally_);
  control_->last_end_ns_ = std::max(control_->last_end_ns_, last_end_ns_);
  for (size_t i = 0; i < 2; ++i) {
    control_->done_[i].fetch_add(untold_[i], std::memory_order_relaxed);
  }
  ++control_->lanes_ended_;
  control_->ended_.Signal();
}

void RunLane::Done(const BenchRequest& request, int64_t start, int64_t end,
                   const absl::Status& error) {
  const bool counted = control_->IsCounted(start);
  OperationTally* const tally = TallyOf(request, counted);
  ++tally->requests;
  const auto latency = static_cast<uint64_t>(std::max<int64_t>(end - start, 0));
  tally->latency_ns.Add(latency);
  if (counted) control_->AddToTimeline(start, latency, &tally_);
  if (request.operation == Operation::kInsert && error.ok()) control_->workload()->Inserted();
  if (!error.ok()) {
    ++tally->errors;
    if (counted) tally_.AddError(error);
    if (!MayGoOn(error)) control_->Stop(error);
  }
  last_end_ns_ = std::max(last_end_ns_, end);
  // A line of the processor's cache that all lanes write: not each time.
  uint64_t& untold = untold_[counted ? 1 : 0];
  if (++untold >= kTellEvery) {
    control_->done_[counted ? 1 : 0].fetch_add(untold, std::memory_order_relaxed);
    untold = 0;
  }
}

void RunLane::Sends(int64_t due, int64_t now) {
  if (!control_->IsCounted(due)) return;
  tally_.start_delay_ns().Add(static_cast<uint64_t>(std::max<int64_t>(now - due, 0)));
}

void RunLane::DoesNotSend(Operation operation, int64_t due, int64_t now) {
  if (!control_->IsCounted(due)) return;
  OperationTally& tally = tally_.of(operation);
  ++tally.not_sent;
  const auto latency = static_cast<uint64_t>(std::max<int64_t>(now - due, 0));
  tally.latency_ns.Add(latency);
  control_->AddToTimeline(due, latency, &tally_);
}

}  // namespace kvarts
