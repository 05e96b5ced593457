#include "cluster/client/cluster_store.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "cluster/client/cluster_cursor.h"
#include "cluster/client/cluster_read.h"
#include "cluster/client/cluster_write.h"
#include "cluster/client/nodes.h"
#include "net/remote/calls.h"
#include "net/remote/requests.h"
#include "net/waiting.h"

namespace kvarts {
namespace cluster_client {
namespace {

using remote::HeaderCall;

class ClusterStore final : public Store {
 public:
  explicit ClusterStore(std::shared_ptr<Nodes> nodes)
      : capabilities_(nodes->capabilities()), nodes_(std::move(nodes)) {}

  Capabilities capabilities() const override { return capabilities_; }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override;
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override;
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override;
  absl::StatusOr<StoreStats> Stats() override;
  absl::Status Sync() override;

  // The last call under way, or cursor, ends the connections.
  absl::Status Close() override {
    std::shared_ptr<Nodes> nodes;
    MutexLock lock(&mu_);
    nodes_.swap(nodes);
    return absl::OkStatus();
  }

 private:
  // An error after Close(), and on the loop.
  absl::StatusOr<std::shared_ptr<Nodes>> nodes() const {
    MutexLock lock(&mu_);
    if (nodes_ == nullptr) return ClosedError();
    if (nodes_->InLoop()) return OnLoopError();
    return nodes_;
  }
  // The answers of all nodes that hold slots.
  absl::StatusOr<std::vector<native::Response>> AskAll(native::Operation operation);

  const Capabilities capabilities_;
  mutable Mutex mu_;
  std::shared_ptr<Nodes> nodes_ ABSL_GUARDED_BY(mu_);
};

void ClusterStore::MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                            ReadResults* results) {
  const absl::StatusOr<std::shared_ptr<Nodes>> nodes = this->nodes();
  if (!nodes.ok()) return results->Fail(keys.size(), nodes.status());
  if (options.snapshot != nullptr) {
    return results->Fail(keys.size(), absl::InvalidArgumentError("a snapshot of another store"));
  }
  StatusWaiter read;
  std::make_shared<ClusterRead>(nodes->get(), keys, options, results, [&read] {
    read.Done(absl::OkStatus());
  })->Start();
  read.Wait().IgnoreError();
}

absl::Status ClusterStore::Write(const WriteBatch& batch, const WriteOptions& options,
                                 WriteResults* results) {
  const absl::StatusOr<std::shared_ptr<Nodes>> nodes = this->nodes();
  absl::Status status = nodes.status();
  if (status.ok()) status = CheckBatch(batch, options, capabilities_);
  if (!status.ok()) return FailWrite(batch, status, results);
  WriteResults own;
  StatusWaiter written;
  std::make_shared<ClusterWrite>(nodes->get(), batch, options, results == nullptr ? &own : results,
                                 [&written](const absl::Status& outcome) { written.Done(outcome); })
      ->Start();
  return written.Wait();
}

absl::StatusOr<std::unique_ptr<Cursor>> ClusterStore::NewCursor(const ScanOptions& options) {
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<Nodes> nodes, this->nodes());
  KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities_));
  return ClusterCursor::New(std::move(nodes), options);
}

absl::StatusOr<std::vector<native::Response>> ClusterStore::AskAll(native::Operation operation) {
  KVARTS_ASSIGN_OR_RETURN(const std::shared_ptr<Nodes> nodes, this->nodes());
  const absl::Duration timeout = nodes->Timeout(absl::InfiniteDuration());
  const RoutePtr route = nodes->route();
  std::vector<bool> holds(route->nodes.size());
  for (const int place : route->place) {
    if (place >= 0) holds[static_cast<size_t>(place)] = true;
  }
  std::vector<std::shared_ptr<HeaderCall>> calls;
  for (size_t i = 0; i < holds.size(); ++i) {
    if (!holds[i]) continue;
    native::Client& client = route->nodes[i]->client();
    calls.push_back(std::make_shared<HeaderCall>());
    calls.back()->SetRequest(remote::NewRequest(&client, operation, timeout), {});
    client.Start(calls.back(), timeout);
  }
  std::vector<native::Response> responses;
  absl::Status failed;
  for (const auto& call : calls) {
    absl::StatusOr<native::Response> response = call->WaitForResponse();
    failed.Update(response.status());
    if (response.ok()) responses.push_back(*std::move(response));
  }
  if (!failed.ok()) return failed;
  return responses;
}

absl::StatusOr<StoreStats> ClusterStore::Stats() {
  KVARTS_ASSIGN_OR_RETURN(const std::vector<native::Response> responses, AskAll(native::STATS));
  StoreStats sum;
  sum.entries_exact = true;
  bool all_saved = true;
  for (const native::Response& response : responses) {
    StoreStats stats = remote::ToStoreStats(response.stats());
    sum.entries += stats.entries;
    sum.entries_exact = sum.entries_exact && stats.entries_exact;
    sum.memory_bytes += stats.memory_bytes;
    sum.disk_bytes += stats.disk_bytes;
    // Of all of it: when the one that was saved first was.
    all_saved = all_saved && stats.saved_at_ms.has_value();
    if (all_saved) {
      sum.saved_at_ms = std::min(sum.saved_at_ms.value_or(*stats.saved_at_ms), *stats.saved_at_ms);
    }
    if (sum.save_error.empty()) sum.save_error = std::move(stats.save_error);
  }
  if (!all_saved) sum.saved_at_ms.reset();
  sum.details.emplace_back("nodes", absl::StrCat(responses.size()));
  return sum;
}

absl::Status ClusterStore::Sync() { return AskAll(native::SYNC).status(); }

}  // namespace
}  // namespace cluster_client

absl::StatusOr<std::unique_ptr<Store>> OpenClusterStore(Transport* transport,
                                                        const std::vector<std::string>& seeds,
                                                        const ClusterStoreOptions& options) {
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<cluster_client::Nodes> nodes,
                          cluster_client::Nodes::Open(transport, seeds, options));
  return std::unique_ptr<Store>(std::make_unique<cluster_client::ClusterStore>(std::move(nodes)));
}

}  // namespace kvarts
