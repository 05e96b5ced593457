#ifndef KVARTS_NET_NATIVE_SERVER_CALL_H_
#define KVARTS_NET_NATIVE_SERVER_CALL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/leases.h"
#include "net/metrics.h"
#include "net/native/frame.h"
#include "net/native/native.pb.h"
#include "net/native/retry_table.h"
#include "net/native/session.h"
#include "net/output.h"
#include "storage/store.h"

namespace kvarts {
namespace native {

// Thread-safe. What the sessions of a server share.
struct ServerState {
  ServerState(StoreRunner* r, const NativeServerOptions& o)
      : runner(r),
        store(r->store()),
        capabilities(store->capabilities()),
        options(o),
        leases(o.snapshot_lease, o.max_snapshots, o.clock) {}

  StoreRunner* const runner;
  Store* const store;
  const Capabilities capabilities;
  const NativeServerOptions options;
  RetryTable retries;
  Leases leases;
};

// The limit of ServerHello.max_items.
inline constexpr size_t kMaxItems = 1 << 20;

// One request on the server's side, from frame to frame. Not thread-safe, but
// Execute() may run on another thread than the others. Used again and again for
// a store that does not block: it then allocates nothing for a small request.
class ServerCall {
 public:
  explicit ServerCall(ServerState* state) : state_(state) {}

  // Takes what the frame says; views into it stay in use until Encode(). An
  // error is one of the whole connection: the bytes are no request. `speaks_cluster`: the feature
  // was agreed on.
  absl::Status Parse(const Frame& frame, bool speaks_cluster);
  // Keeps the frame's bytes.
  void Hold(std::shared_ptr<const void> pin) { pin_ = std::move(pin); }

  uint64_t id() const { return request_.id(); }
  // False: it is answered without the store.
  bool runs() const { return runs_; }
  // Whether it may take long, and so must run beside all others: StoreRunner::RunAside().
  bool runs_aside() const { return request_.operation() == MAINTAIN; }
  // Instead of Execute().
  void Refuse(const absl::Status& status);

  // Of a write that must not happen twice; else 0.
  uint64_t sequence() const {
    return request_.operation() == WRITE ? request_.write().sequence() : 0;
  }
  uint64_t first_unacknowledged() const { return request_.write().first_unacknowledged(); }

  // Calls the store. A write with a sequence then tells `client`, which must
  // have said kApply.
  void Execute(RetryClient* client);

  // Instead of Execute(), without waiting for a store with no_wait.
  enum class Next : unsigned char {
    kEncode,   // it is done
    kSubmit,   // write() is to be given to Store::Submit(), then EndWrite() to be called
    kExecute,  // nothing was done: it must wait
  };
  Next TryToExecute(RetryClient* client);
  StoreWrite* write() { return &write_; }
  void EndWrite(const absl::Status& status, RetryClient* client);

  // Appends the answer, and gives up all it lent. Adds what became of it, but not
  // the request itself, to `counts`.
  void Encode(Output* output, RequestCounts* counts);

 private:
  absl::Duration TimeLeft() const;
  absl::Status FindSnapshot(std::shared_ptr<const Snapshot>* snapshot) const;
  // True after it was refused because its time is over.
  bool IsLate(RetryClient* client);
  void Get(bool no_wait);
  // True where write_ is what is to be written, else it is answered.
  bool BeginWrite(RetryClient* client);
  void DoScan();
  void DoSnapshot();
  void DoStats();
  void DoMaintain();
  void SetIndexReport(const absl::StatusOr<Maintenance::IndexReport>& report);
  void EncodeGet(Output* output, RequestCounts* counts);
  void EncodeScan(Output* output);
  void AddErrorWithin(size_t index, const absl::Status& status);

  ServerState* const state_;
  bool runs_ = false;
  Request request_;
  Response response_;  // without the id until it is encoded
  absl::string_view payload_;
  std::shared_ptr<const void> pin_;
  absl::Time deadline_;

  std::vector<absl::string_view> keys_;
  std::vector<std::unique_ptr<ReadResults>> results_;  // the first results_used_ of them
  size_t results_used_ = 0;
  std::unique_ptr<ScanPage> page_;
  StoreWrite write_;
  size_t error_bytes_ = 0;
  bool large_ = false;
};

// Appends the answer of a write, as RetryClient has it, to request `id`.
void AppendWriteAnswer(uint64_t id, absl::string_view answer, Output* output);
// Appends a frame that says only `status`; id 0: of the connection.
void AppendStatus(uint64_t id, const absl::Status& status, Output* output);

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_SERVER_CALL_H_
