#include "bench/bench_call.h"

#include <utility>

namespace kvarts {

void BenchCall::Start(const BenchRequest* request, std::function<void()> done) {
  request_ = request;
  done_ = std::move(done);
  status_ = absl::OkStatus();
  scanned_ = scanned_bytes_ = 0;
  scan_ended_ = false;
  if (is_read()) results_.Reset(request_->keys.size());
  Begin();
  Send();
}

void BenchCall::Scanned(size_t entries, size_t value_bytes, bool ended) {
  scanned_ += entries;
  scanned_bytes_ += value_bytes;
  scan_ended_ = scan_ended_ || ended;
}

size_t BenchCall::entries_left() const {
  const size_t wanted = control_->workload()->options().scan_entries;
  return scan_ended_ || scanned_ >= wanted ? 0 : wanted - scanned_;
}

void BenchCall::Ended(const absl::Status& status) {
  status_ = status;
  const bool goes_on = request_->operation == Operation::kScan && entries_left() > 0;
  if (status_.ok() && goes_on) return Send();
  // The next request may begin in there.
  const std::function<void()> done = std::move(done_);
  done();
}

absl::Status BenchCall::Judged(OperationTally* tally) const {
  const Judge& judge = control_->judge();
  if (request_->operation == Operation::kScan) {
    return judge.Scan(scanned_, scanned_bytes_, status_, tally);
  }
  if (!is_read()) return judge.Write(*request_, status_, tally);
  if (status_.ok()) return judge.Read(*request_, results_, tally);
  tally->keys += request_->keys.size();
  return status_;
}

}  // namespace kvarts
