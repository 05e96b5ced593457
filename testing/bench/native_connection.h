#ifndef KVARTS_TESTING_BENCH_NATIVE_CALL_H_
#define KVARTS_TESTING_BENCH_NATIVE_CALL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/native/client.h"
#include "storage/store.h"
#include "testing/bench/run.h"

namespace kvarts {

// Not thread-safe: on its client's loop. Does one request at a time over a
// connection of the native protocol, as a store would: a scan may take several
// calls.
class NativeRequest {
 public:
  // `ordered`: the server's store can scan from a key on.
  NativeRequest(std::shared_ptr<native::Client> client, const RunControl* control, bool ordered)
      : client_(std::move(client)), control_(control), ordered_(ordered) {}

  // `done` comes later, once. `request` must stay until then.
  void Start(const BenchRequest* request, std::function<void()> done);
  // What came of it.
  absl::Status Judged(OperationTally* tally) const;

 private:
  class Call;

  void Send();
  absl::Status TakeRead(const native::Response& response, absl::string_view payload);
  absl::Status TakeScan(const native::Response& response, absl::string_view payload);
  absl::Status Take(const native::Response& response, absl::string_view payload);
  void Ended(const absl::Status& status);

  const std::shared_ptr<native::Client> client_;
  const RunControl* const control_;
  const bool ordered_;

  const BenchRequest* request_ = nullptr;
  std::function<void()> done_;
  absl::Status status_;
  ReadResults results_;    // of a read
  size_t answered_ = 0;    // keys of it
  uint64_t sequence_ = 0;  // of a write; 0: none is under way
  size_t scanned_ = 0;
  size_t scanned_bytes_ = 0;
  bool scan_ended_ = false;
  std::string position_;
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_BENCH_NATIVE_CALL_H_
