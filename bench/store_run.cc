// The threads that call stores.

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "base/thread.h"
#include "bench/run.h"

namespace kvarts {
namespace {

// Between looks at whether the run was stopped.
constexpr int64_t kLongestSleepNs = 100'000'000;

// Not thread-safe. One request at a time, of one store.
class StoreCaller {
 public:
  StoreCaller(Store* store, const RunControl& control)
      : store_(store),
        judge_(control.judge()),
        ordered_(store->capabilities().ordered_scan != Support::kAbsent),
        scan_entries_(control.workload()->options().scan_entries) {
    read_options_.timeout = control.options().timeout;
    write_options_.timeout = control.options().timeout;
    write_options_.sync = control.options().sync_writes;
    scan_options_.timeout = control.options().timeout;
  }

  void Call(const BenchRequest& request) {
    switch (request.operation) {
      case Operation::kGet:
        return store_->Read(request.keys[0], read_options_, &results_);
      case Operation::kMultiGet:
        return store_->MultiGet(request.keys, read_options_, &results_);
      case Operation::kPut:
      case Operation::kInsert:
        batch_.Clear();
        batch_.Put(request.keys[0], request.value);
        status_ = store_->Write(batch_, write_options_, nullptr);
        return;
      case Operation::kDelete:
        batch_.Clear();
        batch_.Delete(request.keys[0]);
        status_ = store_->Write(batch_, write_options_, nullptr);
        return;
      case Operation::kScan:
        status_ = Scan(request.keys[0]);
        return;
    }
  }

  // What came of it.
  absl::Status Judged(const BenchRequest& request, OperationTally* tally) const {
    switch (request.operation) {
      case Operation::kGet:
      case Operation::kMultiGet:
        return judge_.Read(request, results_, tally);
      case Operation::kScan:
        return judge_.Scan(scanned_, scanned_bytes_, status_, tally);
      default:
        return judge_.Write(request, status_, tally);
    }
  }

 private:
  // From `key` on, where keys have an order; else from the store's first entry.
  absl::Status Scan(absl::string_view key) {
    scanned_ = scanned_bytes_ = 0;
    scan_options_.range = ordered_ ? KeyRange::From(key) : KeyRange::All();
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = store_->NewCursor(scan_options_);
    if (!cursor.ok()) return cursor.status();
    while (scanned_ < scan_entries_) {
      PageLimits limits;
      limits.entries = std::min(limits.entries, scan_entries_ - scanned_);
      const absl::Status status = (*cursor)->Next(limits, &page_);
      if (!status.ok() || page_.empty()) return status;
      scanned_ += page_.size();
      for (const ScanEntry& entry : page_) scanned_bytes_ += entry.value.size();
    }
    return absl::OkStatus();
  }

  Store* const store_;
  const Judge& judge_;
  const bool ordered_;
  const size_t scan_entries_;
  ReadOptions read_options_;
  WriteOptions write_options_;
  ScanOptions scan_options_;
  ReadResults results_;
  WriteBatch batch_;
  ScanPage page_;
  size_t scanned_ = 0;
  size_t scanned_bytes_ = 0;
  absl::Status status_;
};

void RunClosed(RunControl* control, StoreCaller* caller, RequestSource* source) {
  RunLane lane(control);
  const BenchClock& clock = control->clock();
  while (true) {
    const BenchRequest& request = source->Next();
    const int64_t start = clock.NowNs();
    if (!control->Admit(start)) return;
    caller->Call(request);
    const int64_t end = clock.NowNs();
    lane.Done(request, start, end,
              caller->Judged(request, lane.TallyOf(request, control->IsCounted(start))));
  }
}

// False: the run was stopped.
bool SleepUntil(const RunControl& control, int64_t due) {
  const BenchClock& clock = control.clock();
  while (!control.stopped()) {
    const int64_t now = clock.NowNs();
    if (now >= due) return true;
    clock.SleepUntilNs(std::min(due, now + kLongestSleepNs));
  }
  return false;
}

void RunOpen(RunControl* control, StoreCaller* caller, RequestSource* source) {
  RunLane lane(control);
  const BenchClock& clock = control->clock();
  while (const std::optional<int64_t> due = control->NextDue()) {
    const BenchRequest& request = source->Next();
    if (!SleepUntil(*control, *due)) return;
    const int64_t start = clock.NowNs();
    if (control->IsOver(start)) {
      lane.DoesNotSend(request.operation, *due, start);
      continue;
    }
    lane.Sends(*due, start);
    caller->Call(request);
    const int64_t end = clock.NowNs();
    lane.Done(request, *due, end,
              caller->Judged(request, lane.TallyOf(request, control->IsCounted(*due))));
  }
}

}  // namespace

absl::StatusOr<RunResult> RunOnStores(absl::Span<Store* const> stores, Workload* workload,
                                      const RunOptions& options, const BenchClock* clock,
                                      ProgressSink* progress) {
  RunControl control(workload, options, clock);
  std::vector<std::thread> threads;
  for (int i = 0; i < options.in_flight; ++i) {
    Store* const store = stores[static_cast<size_t>(i) % stores.size()];
    absl::StatusOr<std::thread> thread = StartThread([&control, workload, store, i] {
      StoreCaller caller(store, control);
      RequestSource source(workload, static_cast<uint64_t>(i));
      (control.is_open() ? RunOpen : RunClosed)(&control, &caller, &source);
    });
    if (!thread.ok()) {
      // With fewer it would be another load than the one that was asked for.
      control.Stop(thread.status());
      break;
    }
    threads.push_back(*std::move(thread));
  }
  absl::StatusOr<RunResult> result = control.Wait(static_cast<int>(threads.size()), progress);
  for (std::thread& thread : threads) thread.join();
  return result;
}

}  // namespace kvarts
