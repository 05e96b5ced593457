#ifndef KVARTS_BENCH_BENCH_CALL_H_
#define KVARTS_BENCH_BENCH_CALL_H_

#include "base/language.h"

#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "bench/run.h"
#include "storage/store.h"

namespace kvarts {

// Not thread-safe: on its connection's loop. Does one request at a time over a
// connection, as a store would: a scan may take several steps. What a protocol
// makes of a request is the part that derives from it.
class BenchCall {
 public:
  // `control` must outlive it.
  explicit BenchCall(const RunControl* control) : control_(control) {}
  virtual ~BenchCall() = default;
  BenchCall(const BenchCall&) = delete;
  BenchCall& operator=(const BenchCall&) = delete;

  // `done` comes later, once. `request` must stay until then.
  void Start(const BenchRequest* request, std::function<void()> done);
  // What came of it: counted, and its error.
  absl::Status Judged(OperationTally* tally) const;

 protected:
  // Asks for all of request(), or for the next entries of a scan. Fills results()
  // or Scanned() while the answers come, then calls Ended().
  virtual void Send() = 0;
  // A new request: forget the one before.
  virtual void Begin() {}

  // May begin the next request.
  void Ended(const absl::Status& status);

  const BenchRequest& request() const { return *request_; }
  bool is_read() const {
    return request_->operation == Operation::kGet || request_->operation == Operation::kMultiGet;
  }
  const RunOptions& options() const { return control_->options(); }
  // Of a read: one for each key, absent until they are filled in.
  ReadResults& results() { return results_; }
  // Of a scan: entries that came, and that there are no more behind them.
  void Scanned(size_t entries, size_t value_bytes, bool ended);
  size_t entries_left() const;

 private:
  const RunControl* const control_;
  const BenchRequest* request_ = nullptr;
  std::function<void()> done_;
  absl::Status status_;
  ReadResults results_;
  size_t scanned_ = 0;
  size_t scanned_bytes_ = 0;
  bool scan_ended_ = false;
};

}  // namespace kvarts

#endif  // KVARTS_BENCH_BENCH_CALL_H_
