#include "net/resp/client/resp_store.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "net/resp/client/store_calls.h"
#include "net/resp/client/store_cursor.h"
#include "net/resp/client/store_link.h"

namespace kvarts {
namespace resp_client {
namespace {

class RespStore final : public Store {
 public:
  RespStore(std::shared_ptr<StoreLink> link, const RespStoreOptions& options)
      : capabilities_(CapabilitiesOf(options)), link_(std::move(link)) {}

  Capabilities capabilities() const override { return capabilities_; }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    const std::shared_ptr<StoreLink> link = this->link();
    if (link == nullptr) return results->Fail(keys.size(), ClosedError());
    if (absl::Status status = CheckRead(options); !status.ok()) {
      return results->Fail(keys.size(), status);
    }
    link->Read(keys, options.value, link->Timeout(options.timeout), results);
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override;
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override;
  absl::StatusOr<StoreStats> Stats() override;
  absl::Status Sync() override { return link() == nullptr ? ClosedError() : absl::OkStatus(); }

  // The last call under way, or cursor, ends the connection.
  absl::Status Close() override {
    std::shared_ptr<StoreLink> link;
    MutexLock lock(&mu_);
    link_.swap(link);
    return absl::OkStatus();
  }

 private:
  // Null after Close().
  std::shared_ptr<StoreLink> link() const {
    MutexLock lock(&mu_);
    return link_;
  }

  const Capabilities capabilities_;
  mutable Mutex mu_;
  std::shared_ptr<StoreLink> link_ ABSL_GUARDED_BY(mu_);
};

absl::Status RespStore::Write(const WriteBatch& batch, const WriteOptions& options,
                              WriteResults* results) {
  const std::shared_ptr<StoreLink> link = this->link();
  if (link == nullptr) return FailWrite(batch, ClosedError(), results);
  if (absl::Status status = CheckBatch(batch, options, capabilities_); !status.ok()) {
    return FailWrite(batch, status, results);
  }
  WriteResults own;
  if (results == nullptr) results = &own;
  const auto mutations = batch.mutations();
  results->results.assign(mutations.size(), WriteResult());
  results->failed_precondition = -1;
  const absl::Time deadline = absl::Now() + link->Timeout(options.timeout);
  std::vector<uint32_t> places;
  size_t bytes = 0;
  // One pipeline after the other: where a connection is lost, what follows on the
  // next one must not come before what was sent on it.
  const auto send = [&] {
    if (places.empty()) return;
    const auto call =
        std::make_shared<WriteCall>(mutations, places, options.report_existed, results);
    link->Start(call, deadline - absl::Now());
    // Each outcome is in the results.
    call->Wait().IgnoreError();
    places.clear();
    bytes = 0;
  };
  for (uint32_t i = 0; i < mutations.size(); ++i) {
    const Mutation& m = mutations[i];
    if (absl::Status status = CheckMutation(m, capabilities_); !status.ok()) {
      results->results[i].status = status;
      continue;
    }
    if (places.size() == kMutationsPerCall || bytes + m.value.size() > kBytesPerCall) send();
    places.push_back(i);
    bytes += m.key.size() + m.value.size();
  }
  send();
  for (const WriteResult& result : results->results) {
    if (!result.status.ok()) return result.status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Cursor>> RespStore::NewCursor(const ScanOptions& options) {
  const std::shared_ptr<StoreLink> link = this->link();
  if (link == nullptr) return ClosedError();
  KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities_));
  if (options.snapshot != nullptr) return absl::UnimplementedError("the store has no snapshots");
  ScanPosition start;
  if (!options.resume_after.empty()) {
    KVARTS_ASSIGN_OR_RETURN(start, ScanPosition::Decode(options.resume_after));
  }
  return std::unique_ptr<Cursor>(
      std::make_unique<ServerCursor>(link, link, options, std::move(start)));
}

absl::StatusOr<StoreStats> RespStore::Stats() {
  const std::shared_ptr<StoreLink> link = this->link();
  if (link == nullptr) return ClosedError();
  const auto call = std::make_shared<NumberCall>("DBSIZE");
  link->Start(call, link->Timeout(absl::InfiniteDuration()));
  KVARTS_RETURN_IF_ERROR(call->Wait());
  KVARTS_RETURN_IF_ERROR(call->status());
  StoreStats stats;
  stats.entries = static_cast<uint64_t>(std::max<int64_t>(call->number(), 0));
  return stats;
}

}  // namespace
}  // namespace resp_client

absl::StatusOr<std::unique_ptr<Store>> OpenRespStore(Transport* transport,
                                                     absl::string_view address,
                                                     const RespStoreOptions& options) {
  using resp_client::StoreLink;
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<StoreLink> link,
                          StoreLink::Open(transport, address, options));
  // Whether the server has what reads ask it.
  ReadResults probe;
  const absl::string_view key;
  link->Read({key}, false, link->Timeout(absl::InfiniteDuration()), &probe);
  if (const absl::Status& status = probe[0].status; !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(address, ": ", status.message()));
  }
  return std::unique_ptr<Store>(std::make_unique<resp_client::RespStore>(std::move(link), options));
}

}  // namespace kvarts
