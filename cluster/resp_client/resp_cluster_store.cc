#include "cluster/resp_client/resp_cluster_store.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "cluster/resp_client/node_cursor.h"
#include "cluster/resp_client/node_write.h"
#include "cluster/resp_client/nodes.h"
#include "net/resp/client/store_calls.h"
#include "net/waiting.h"

namespace kvarts {
namespace resp_cluster {
namespace {

using resp_client::NumberCall;

class RespClusterStore final : public Store {
 public:
  RespClusterStore(std::shared_ptr<Nodes> nodes, const RespStoreOptions& options)
      : capabilities_(resp_client::CapabilitiesOf(options)), nodes_(std::move(nodes)) {}

  Capabilities capabilities() const override { return capabilities_; }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    const absl::StatusOr<std::shared_ptr<Nodes>> nodes = this->nodes();
    absl::Status status = nodes.status();
    if (status.ok()) status = resp_client::CheckRead(options);
    if (!status.ok()) return results->Fail(keys.size(), status);
    (*nodes)->Read(keys, options.value, options.timeout, results);
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    const absl::StatusOr<std::shared_ptr<Nodes>> nodes = this->nodes();
    absl::Status status = nodes.status();
    if (status.ok()) status = CheckBatch(batch, options, capabilities_);
    if (!status.ok()) return FailWrite(batch, status, results);
    WriteResults own;
    return WriteToNodes(nodes->get(), capabilities_, batch, options,
                        results == nullptr ? &own : results);
  }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<Nodes> nodes, this->nodes());
    KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities_));
    if (options.snapshot != nullptr) return absl::UnimplementedError("the store has no snapshots");
    return NewNodeCursor(std::move(nodes), options);
  }

  absl::StatusOr<StoreStats> Stats() override;
  absl::Status Sync() override { return nodes().status(); }

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

  const Capabilities capabilities_;
  mutable Mutex mu_;
  std::shared_ptr<Nodes> nodes_ ABSL_GUARDED_BY(mu_);
};

absl::StatusOr<StoreStats> RespClusterStore::Stats() {
  KVARTS_ASSIGN_OR_RETURN(const std::shared_ptr<Nodes> nodes, this->nodes());
  const RoutePtr route = nodes->route();
  std::vector<std::shared_ptr<NumberCall>> calls;
  for (const NodePtr& node : route->nodes) {
    calls.push_back(std::make_shared<NumberCall>("DBSIZE"));
    node->Start(calls.back(), nodes->Timeout(absl::InfiniteDuration()));
  }
  StoreStats sum;
  absl::Status failed;
  for (const auto& call : calls) {
    failed.Update(call->Wait());
    failed.Update(call->status());
    sum.entries += static_cast<uint64_t>(std::max<int64_t>(call->number(), 0));
  }
  if (!failed.ok()) return failed;
  sum.details.emplace_back("nodes", absl::StrCat(route->nodes.size()));
  return sum;
}

}  // namespace
}  // namespace resp_cluster

absl::StatusOr<std::unique_ptr<Store>> OpenRespClusterStore(Transport* transport,
                                                            const std::vector<std::string>& seeds,
                                                            const RespStoreOptions& options) {
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<resp_cluster::Nodes> nodes,
                          resp_cluster::Nodes::Open(transport, seeds, options));
  return std::unique_ptr<Store>(
      std::make_unique<resp_cluster::RespClusterStore>(std::move(nodes), options));
}

}  // namespace kvarts
